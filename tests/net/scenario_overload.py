# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: flows that overfill slow links at once."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from agents.settings import Weights
from tests.net.scenario_liveness import news, tunnels, until_proven
from tests.net.scenario_load import Load, carried
from tests.net.scenario_stage import Scene, act
from topologies.figure3 import Figure3
from topologies.links import parse_links

LINKS = parse_links(["wifi=1/1:5", "evdo=0.5/0.5:40", "wimax=0.5/0.5:25", "lte=2/2:15"])
FLOWS = 3
"""Their first windows are 0.7 s worth of packets on 0.5 Mbit/s."""
LOADED = 3.0
EMPTY = 3.0
"""Seconds: longer than any queue holds packets."""


def _pin(scene: Scene, binding_id: int) -> None:
    for node in scene.agents.sockets:
        scene.ask(node, "pin", binding_id=binding_id)


def onsets(scene: Scene) -> list[dict[str, Any]]:
    """On one link after the other, flows begin; down, up and both ways."""
    report = []
    for directions in (["down"], ["up"], ["down", "up"]):
        for access in scene.topology.accesses:
            until_proven(scene)
            _pin(scene, access.binding_id)
            time.sleep(EMPTY)
            unix, before = time.time(), carried(scene)
            loads = [Load(scene, direction, FLOWS) for direction in directions]
            time.sleep(LOADED)
            after, slowest = carried(scene), tunnels(scene)[access.link.name]["time_out_ms"]
            for load in loads:
                load.__exit__()
            time.sleep(EMPTY)
            name = access.link.name
            report.append(
                {
                    "link": name,
                    "directions": directions,
                    "mbps": [(after[d][name] - before[d][name]) * 8 / 1e6 / LOADED for d in directions],
                    "time_out_ms": slowest,
                    "events": news(scene, unix),
                }
            )
    return report


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    topology = Figure3(LINKS, weights=Weights.BANDWIDTH)
    act(Scene(folder, topology, liveness=True), (onsets,), chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
