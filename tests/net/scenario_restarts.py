# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: agents are killed under live traffic and start again.

``python -m tests.net.scenario_restarts FOLDER FIGURE ENCAPSULATION [STEP …]``
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

from agents.effects import Encapsulation
from agents.linux.sysctls import sysctls_of
from agents.settings import Policy, Weights
from tests.net.scenario_stage import Scene, act, eventually
from tests.net.scenario_traffic import carried, traffic
from topologies.figures import load
from topologies.mobile_ip import LIFETIME

DEAD = 2.0
"""Seconds for which an agent stays dead."""
_AFTER = 3.0
_OUR_RULE = re.compile(r"^(8000|8500|9000|9500):", re.MULTILINE)


def devices(scene: Scene, node: str) -> dict[str, int]:
    """Kernel's index of each tunnel device: a device that was made anew has another."""
    rows = scene.json(node, "link", "show")
    return {row["ifname"]: row["ifindex"] for row in rows if re.fullmatch(r"mip\d+", row["ifname"])}


def remains(scene: Scene, node: str) -> dict[str, str]:
    """All that an agent may have left in its node's kernel, as ``ip`` tells it."""
    rules = scene.run(node, "ip", "rule")[1]
    return {
        "devices": " ".join(devices(scene, node)),
        "rules": " ".join(line for line in rules.splitlines() if _OUR_RULE.match(line)),
        "routes": scene.run(node, "ip", "route", "show", "table", "all", "proto", "77")[1],
        "neighbours": scene.run(node, "ip", "neighbour", "show", "nud", "permanent")[1],
        "proxies": scene.run(node, "ip", "neighbour", "show", "proxy")[1],
    }


def _killed(scene: Scene, node: str) -> dict[str, Any]:
    """Kill an agent under traffic, let it be dead for a while, start it again."""
    denied = scene.ask("ha", "status")["replies"].get("133", 0)
    report: dict[str, Any] = {"devices": devices(scene, node)}
    with traffic(scene, report):
        scene.kill(node)
        time.sleep(DEAD)
        report["devices_while_dead"] = devices(scene, node)
        scene.launch(node)
        report["bindings_at_once"] = scene.bindings()
        report["events"] = scene.events(node)
        time.sleep(_AFTER)
    scene.until_registered()
    report["devices_after"] = devices(scene, node)
    report["mismatches"] = scene.ask("ha", "status")["replies"].get("133", 0) - denied
    report["bindings"] = scene.bindings()
    report["carried"] = carried(scene)
    report["not_kept"] = {name: scene.ask(name, "status")["state_not_kept"] for name in scene.agents.sockets}
    return report


def _identifications(scene: Scene) -> dict[int, int]:
    """By Binding-Id, of the visitors' entries; there are none without a foreign agent."""
    if "fa" not in scene.agents.sockets:
        return {}
    rows = scene.ask("fa", "status")["visitors"]
    return {row["binding_id"]: int(row["identification"], 16) for row in rows}


def home_agent_killed(scene: Scene) -> dict[str, Any]:
    """The home agent."""
    return _killed(scene, "ha")


def foreign_agent_killed(scene: Scene) -> dict[str, Any]:
    """The foreign agent."""
    return _killed(scene, "fa")


def mobile_node_killed(scene: Scene) -> dict[str, Any]:
    """The mobile node's agent; ``identifications``: before and after, as the foreign agent saw them."""
    before = _identifications(scene)
    return {**_killed(scene, "mn"), "identifications": [before, _identifications(scene)]}


def a_tunnel_was_deleted_meanwhile(scene: Scene) -> dict[str, Any]:
    """What no longer matches the file is mended: a device, a rule, a route and the table are gone."""
    scene.kill("ha")
    before = devices(scene, "ha")
    gone = sorted(before)[0]
    scene.run("ha", "ip", "link", "delete", gone)
    scene.run("ha", "ip", "rule", "delete", "priority", "9000")
    scene.run("ha", "nft", "delete", "table", "ip", "mip-home-agent")
    scene.launch("ha")
    scene.until_registered()
    after = devices(scene, "ha")
    others = [name for name in before if name != gone]
    return {
        "made_anew": after.get(gone) not in (None, before[gone]),
        "others_adopted": [after.get(name) == before[name] for name in others],
        "carried": carried(scene),
    }


def sysctls(scene: Scene, node: str) -> dict[str, str]:
    """What a mobile node changes while it runs, as it is now."""
    namespace = scene.node(node).namespace
    return {name: namespace.read_sysctl(name) for name in sysctls_of("mobile-node", None)}


def settings_are_kept(scene: Scene) -> dict[str, Any]:
    """The switch and the policy, over a kill and over an ordinary end (draft §8)."""
    report: dict[str, Any] = {"sysctls_elsewhere": sysctls(scene, "cn")}
    for node in scene.agents.sockets:
        scene.ask(node, "set-multiple-tunnel-support", enabled=False)
        scene.ask(node, "set-policy", policy=Policy.PER_PACKET.value)
    for how, stop in (("killed", scene.kill), ("ended", scene.end)):
        for node in scene.agents.sockets:
            stop(node)
            if node == "mn":
                report[f"sysctls_{how}"] = sysctls(scene, node)
            scene.launch(node)
        found = {node: scene.ask(node, "status") for node in scene.agents.sockets}
        report[how] = [[row["enable_multiple_tunnel_support"], row["policy"]] for row in found.values()]
    for node in scene.agents.sockets:
        scene.ask(node, "set-multiple-tunnel-support", enabled=True)
        scene.ask(node, "set-policy", policy=Policy.PER_FLOW.value)
    scene.ask("mn", "reregister", bulk=False)
    scene.until_registered()
    return {**report, "carried": carried(scene)}


def nothing_stale(scene: Scene) -> dict[str, Any]:
    """All agents are dead until every lifetime is over; then they start, the mobile node last."""
    nodes = list(scene.agents.sockets)
    for node in nodes:
        scene.kill(node)
    report: dict[str, Any] = {"while_dead": {node: remains(scene, node) for node in nodes}}
    time.sleep(1.2 * LIFETIME)
    agents = [node for node in nodes if node != "mn"]
    for node in agents:
        scene.launch(node)
    time.sleep(1.5)  # what drains goes
    report["after"] = {node: remains(scene, node) for node in agents}
    scene.launch("mn")
    scene.until_registered()
    return {**report, "carried": carried(scene)}


def files_are_lost(scene: Scene) -> dict[str, Any]:
    """The same at once, with the state files gone or damaged: nothing can be taken up."""
    nodes = [node for node in scene.agents.sockets if node != "mn"]
    scene.kill("mn")
    report: dict[str, Any] = {}
    for node, text in zip(nodes, ("", "half a fi"), strict=False):
        scene.kill(node)
        file = Path(scene.daemon(node)._file("state"))
        file.unlink()
        if text:
            file.write_text(text)
        scene.launch(node)
        report[node] = {**remains(scene, node), "set_aside": Path(f"{file}.unusable").exists()}
    scene.launch("mn")
    eventually("registered", lambda: scene.bindings() == scene.binding_ids, 60)
    scene.until_registered()
    return {**report, "carried": carried(scene)}


STEPS = (
    home_agent_killed,
    foreign_agent_killed,
    mobile_node_killed,
    a_tunnel_was_deleted_meanwhile,
    settings_are_kept,
    nothing_stale,
    files_are_lost,
)


def main(folder: Path, figure: str, encapsulation: str, *chosen: str) -> None:
    """The scene, or some of its steps."""
    topology = load(int(figure))(encapsulation=Encapsulation(encapsulation), weights=Weights.BANDWIDTH)
    act(Scene(folder, topology), STEPS, chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
