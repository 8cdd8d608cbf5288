# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 3 with a tunnel of each kind, all at one home address (FACTS G44).

WiFi, at the foreign agent: ipip. EV-DO: GRE. WiMAX: GRE with a key. LTE: UDP, forced. The WiMAX link takes
packets of 1400 octets at most.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.settings import Weights
from tests.net.scenario_path_mtu import ping, transfers_without_icmp
from tests.net.scenario_stage import Scene, act
from tests.net.scenario_traffic import carried
from topologies.figure import CORRESPONDENT, HOME_ADDRESS
from topologies.figure3 import Figure3
from topologies.links import DEFAULT_LINKS

NARROW, NARROW_MTU = "wimax", 1400
_KINDS: dict[str, dict[str, object]] = {
    "evdo": {"encapsulation": "gre"},
    "wimax": {"encapsulation": "gre", "gre_key": True},
    "lte": {"encapsulation": "udp", "udp_forced": True},
}


def structure(scene: Scene) -> dict[str, Any]:
    """The bindings' kinds, and traffic over all of them; capture ``core`` in front of the home agent."""
    with scene.capture("core", "home", "ha", "ip"):
        report = {"carried": carried(scene)}
    rows = scene.ask("ha", "status")["bindings"]
    return {**report, "encapsulations": {str(row["binding_id"]): row["encapsulation"] for row in rows}}


def path_mtu(scene: Scene) -> dict[str, Any]:
    """Each kind alone: TCP with ICMP blocked on the way, then what path MTU discovery says."""
    found: dict[str, Any] = {}
    for link, binding_id in zip(scene.links, scene.binding_ids, strict=True):
        for node in scene.agents.sockets:
            scene.ask(node, "pin", binding_id=binding_id)
            scene.node(node).namespace.forget_flows()
        # The correspondent has one path to the home address, and remembers what it learnt of it.
        scene.run("cn", "ip", "route", "flush", "cache")
        found[link] = {
            "transferred": transfers_without_icmp(scene),
            "down": ping(scene, "cn", HOME_ADDRESS, 1500),
            "up": ping(scene, "mn", CORRESPONDENT.ip, 1500),
            "down, 1400": ping(scene, "cn", HOME_ADDRESS, 1400),
        }
    for node in scene.agents.sockets:
        scene.ask(node, "pin", binding_id=None)
    return found


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    links = [replace(link, mtu=NARROW_MTU) if link.name == NARROW else link for link in DEFAULT_LINKS]
    scene = Scene(folder, Figure3(links, weights=Weights.BANDWIDTH))
    for interface in scene.settings("mn")["interface"]:
        interface.update(_KINDS.get(interface["name"], {}))
    act(scene, (structure, path_mtu), chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
