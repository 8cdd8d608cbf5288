# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 3, WiFi through a foreign agent and three co-located care-of addresses."""

from __future__ import annotations

import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from agents.settings import Weights
from tests.net.scenario_actions import (
    foreign_agent_crashes,
    foreign_agent_denies,
    foreign_agent_restarts,
    legacy_foreign_agent,
    lose,
    mobile_node_killed,
    overwrite,
    picture,
    returns_home,
    structure,
)
from tests.net.scenario_bad_input import at_home_agent, at_mobile_node, bad_data
from tests.net.scenario_broadcasts import broadcasts
from tests.net.scenario_headers import signalling
from tests.net.scenario_stage import Scene, act, eventually
from tests.net.scenario_traffic import carried
from topologies.figure3 import Figure3


def interface_lost(scene: Scene) -> dict[str, Any]:
    """LTE, whose care-of address is co-located."""
    return lose(scene, "lte")


def foreign_interface_lost(scene: Scene) -> dict[str, Any]:
    """WiFi, which leads to the foreign agent."""
    return lose(scene, "wifi")


def home_agent_denies(scene: Scene) -> dict[str, Any]:
    """EnableMultipleTunnelSupport is 0 at the home agent: one plain binding instead (FACTS G14, G18)."""
    before = scene.ask("ha", "status")["replies"].get("192", 0)
    scene.ask("ha", "set-multiple-tunnel-support", enabled=False)
    report: dict[str, Any] = {"accepted_stay": scene.bindings()}
    scene.ask("mn", "reregister", bulk=False)
    eventually("one plain binding", lambda: scene.bindings() == [0])
    time.sleep(1.5)
    report.update(picture(scene))
    report["denials"] = scene.ask("ha", "status")["replies"].get("192", 0) - before
    report["carried"] = carried(scene)
    scene.ask("ha", "set-multiple-tunnel-support", enabled=True)
    scene.ask("mn", "reregister", bulk=False)
    scene.until_registered()
    return {**report, "again": picture(scene), "carried_again": carried(scene)}


def plain_client(scene: Scene) -> dict[str, Any]:
    """A mobile node that never sends the extension, as RFC 5944 has it; captures ``plain-LINK``."""
    scene.end("mn")
    with scene.captures("plain", "udp port 434"):
        scene.launch("mn", enable_multiple_tunnel_support=False)
        eventually("one plain binding", lambda: scene.bindings() == [0])
        time.sleep(1.5)
    report: dict[str, Any] = {**picture(scene), "carried": carried(scene)}
    scene.node("mn").namespace.set_up("wifi", False)
    evdo = str(_care_of_address(scene, "evdo"))
    report["seconds_until_moved"] = eventually("the binding elsewhere", lambda: _ends(scene) == [evdo])
    report["moved"] = {**picture(scene), "carried": carried(scene)}
    scene.node("mn").namespace.set_up("wifi", True)
    scene.end("mn")
    scene.launch("mn", enable_multiple_tunnel_support=True)
    scene.until_registered()
    return {**report, "again": scene.bindings()}


def _ends(scene: Scene) -> list[str]:
    rows = scene.ask("ha", "status")["bindings"]
    return [row["care_of_address"] for row in rows]


def bulk(scene: Scene) -> dict[str, Any]:
    """One request renews all co-located bindings; the kernel is not touched (FACTS G22, G24)."""
    scene.until_registered()
    time.sleep(30.0)  # so that a renewal shows in the remaining lifetimes
    before, kernel = scene.ask("ha", "status"), scene.still("ha")["kernel"]
    with scene.captures("bulk", "udp port 434"):
        scene.ask("mn", "reregister", bulk=True)
        eventually("renewed", lambda: min(_remaining(scene)) > 595)
        scene.until_registered()
    after = scene.ask("ha", "status")
    return {
        "remaining_before": [row["lifetime_remaining"] for row in before["bindings"]],
        "remaining": [row["lifetime_remaining"] for row in after["bindings"]],
        "replies": sum(after["replies"].values()) - sum(before["replies"].values()),
        "kernel_unchanged": scene.still("ha")["kernel"] == kernel,
    }


def _remaining(scene: Scene) -> list[int]:
    return [row["lifetime_remaining"] for row in scene.ask("ha", "status")["bindings"]]


def bad_data_at_home_agent(scene: Scene) -> dict[str, Any]:
    """Packets at the home agent's end of LTE's tunnel."""
    return bad_data(scene, at_home_agent(_care_of_address(scene, "lte")))


def bad_data_at_mobile_node(scene: Scene) -> dict[str, Any]:
    """Packets at the mobile node's end of LTE's tunnel."""
    return bad_data(scene, at_mobile_node(_care_of_address(scene, "lte")))


def _care_of_address(scene: Scene, link: str) -> IPv4Address:
    found = {access.link.name: access.address for access in scene.topology.accesses}[link]
    assert found is not None
    return found.ip


def segments(scene: Scene) -> dict[str, Any]:
    """How many segments a buffer may have in each tunnel, and octets one that is put together from several.

    All tunnels were made after the first registration.
    """
    rows = [
        row
        for node in ("ha", "fa", "mn")
        for row in scene.json(node, "-details", "link", "show", "type", "ipip")
        if row["ifname"] != "tunl0"
    ]
    return {"limits": [[row["gso_max_segs"], row["gro_max_size"]] for row in rows]}


STEPS = (
    structure,
    interface_lost,
    foreign_interface_lost,
    signalling,
    home_agent_denies,
    plain_client,
    bulk,
    broadcasts,
    bad_data_at_home_agent,
    bad_data_at_mobile_node,
    foreign_agent_restarts,
    foreign_agent_crashes,
    foreign_agent_denies,
    legacy_foreign_agent,
    overwrite,
    mobile_node_killed,
    returns_home,
    segments,
)


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    scene = Scene(folder, Figure3(weights=Weights.BANDWIDTH))
    act(scene, STEPS, chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
