# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: registrations on Figure 3, the home link's ARP, and the agents' end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.net.figure3_stage import Stage, eventually, perform
from topologies.figure import HOME_ADDRESS

_BEFORE: dict[str, dict[str, Any]] = {}
"""Kernel state of both nodes before their agents started."""


def _replies(stage: Stage) -> int:
    return sum(stage.ask("ha", "status")["replies"].values())


def _deregister_all(stage: Stage) -> None:
    stage.ask("mn", "deregister", binding_id=None)
    eventually("no binding", lambda: stage.bindings() == [])
    eventually("no tunnel", lambda: stage.ask("ha", "status")["devices"] == [])


def _register(stage: Stage) -> None:
    stage.ask("mn", "reregister", bulk=False)
    stage.until_registered()


def registrations(stage: Stage) -> dict[str, Any]:
    """Every kind of request and reply, captured on the access links."""
    mobile_node = stage.node("mn").namespace
    with stage.captures("signalling", "udp port 434"):
        _deregister_all(stage)
        _register(stage)
        replies = _replies(stage)
        stage.ask("mn", "reregister", bulk=True)
        eventually("a reply to the bulk renewal", lambda: _replies(stage) > replies)
        bulk = _replies(stage) - replies
        stage.ask("mn", "deregister", binding_id=3)
        eventually("binding 3 gone", lambda: stage.bindings() == [1, 2, 4])
        _register(stage)
        mobile_node.set_up("wifi", False)
        lost = eventually("binding 1 gone", lambda: stage.bindings() == [2, 3, 4])
        mobile_node.set_up("wifi", True)
        back = eventually("binding 1 back", lambda: stage.bindings() == [1, 2, 3, 4])
        stage.until_registered()
        believed = stage.ask("mn", "status")["home_agent_support"]
        stage.ask("ha", "set-multiple-tunnel-support", enabled=False)
        stage.ask("mn", "reregister", bulk=False)
        eventually("a refusal", lambda: stage.ask("mn", "status")["home_agent_support"] != believed)
        codes = stage.ask("ha", "status")["replies"]
    return {"bulk_replies": bulk, "wifi_lost": lost, "wifi_back": back, "codes": codes}


def allowed_again(stage: Stage) -> None:
    """Several tunnels are refused and allowed again, just after the first link registered anew."""
    mobile_node = stage.node("mn").namespace
    try:
        stage.ask("ha", "set-multiple-tunnel-support", enabled=True)
        stage.end("mn")
        stage.begin("mn")
        mobile_node.set_up("wifi", False)
        eventually("binding 1 gone", lambda: stage.bindings() == [2, 3, 4])
        mobile_node.set_up("wifi", True)
        stage.until_registered()
        stage.ask("ha", "set-multiple-tunnel-support", enabled=False)
        stage.ask("mn", "reregister", bulk=False)
        eventually("a refusal", lambda: stage.ask("mn", "status")["home_agent_support"] == "refused")
        stage.ask("ha", "set-multiple-tunnel-support", enabled=True)
        _register(stage)
    finally:
        stage.end("mn")
        stage.begin("mn")


def home_link(stage: Stage) -> dict[str, Any]:
    """ARP on the home link while bindings end, begin, and stand."""
    report: dict[str, Any] = {"home_agent": stage.node("ha").namespace.link_address("home")}
    ping = ("ping", "-c", "1", "-W", "1", str(HOME_ADDRESS))
    with stage.capture("home-link", "home", "lan", "arp"):
        _deregister_all(stage)
        stage.run("home", "ip", "neighbour", "flush", "dev", "lan")
        report["ping_without_binding"] = stage.run("home", *ping)[0]
        report["proxies_without_binding"] = stage.kernel_state("ha")["proxies"]
        _register(stage)
        stage.run("home", "ip", "neighbour", "flush", "dev", "lan")
        report["ping_with_bindings"] = stage.run("home", *ping)[0]
        report["neighbour"] = stage.run("home", "ip", "neighbour", "show", str(HOME_ADDRESS))[1]
    return report


def mobile_node_ends(stage: Stage) -> dict[str, Any]:
    """What is left where after the mobile node's agent ended."""
    code = stage.end("mn")
    bindings = stage.bindings()
    eventually("the home agent's tunnels deleted", lambda: stage.ask("ha", "status")["devices"] == [])
    return {
        "code": code,
        "bindings": bindings,
        "home_agent": stage.kernel_state("ha"),
        "before": _BEFORE["mn"],
        "after": stage.kernel_state("mn"),
    }


def home_agent_ends(stage: Stage) -> dict[str, Any]:
    """The mobile node's agent starts again, and the home agent ends with bindings."""
    stage.begin("mn")
    during = stage.kernel_state("ha")
    code = stage.end("ha")
    return {"code": code, "before": _BEFORE["ha"], "during": during, "after": stage.kernel_state("ha")}


def main(folder: Path) -> None:
    """The scene."""
    stage = Stage(folder)
    _BEFORE.update({node: stage.kernel_state(node) for node in ("ha", "mn")})
    stage.start()
    perform(stage, (registrations, allowed_again, home_link, mobile_node_ends, home_agent_ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
