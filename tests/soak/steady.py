# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 3 for hours with nothing wrong; whatever tunnel is given up is a false alarm.

One line of JSON per sample goes to ``samples.jsonl``, one per tunnel that failed to ``alarms.jsonl``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.settings import Weights
from tests.net.scenario_liveness import news, tunnels, until_proven
from tests.net.scenario_load import Load, carried
from tests.net.scenario_stage import Scene
from topologies.figure3 import Figure3
from topologies.links import DEFAULT_LINKS

ALARMS, FULL_LOAD = "alarms.jsonl", "full-load"
FLOWS = 8
"""Each way: two rounds of the flow cycle of four ways, so that every link has its own."""
_SAMPLE = 10.0
"""Seconds of network time."""


def _append(path: Path, document: object) -> None:
    with path.open("a") as file:
        file.write(json.dumps(document) + "\n")
        file.flush()
        os.fsync(file.fileno())


def watch(folder: Path, hours: float, full_load: bool, loss: float) -> None:
    """Until the time is over.

    :param loss: per cent of the packets lost at random, each way on every link.
    """
    links = tuple(replace(link, loss=loss) for link in DEFAULT_LINKS)
    scene = Scene(folder, Figure3(links, weights=Weights.BANDWIDTH), liveness=True)
    scene.start()
    try:
        until_proven(scene)
        with ExitStack() as stack:
            if full_load:
                for direction in ("down", "up"):
                    stack.enter_context(Load(scene, direction, FLOWS))
            _watch(scene, folder, hours)
    finally:
        scene.agents.stop()
        for log in scene.agents.net.working_folder.glob("*.log"):
            (folder / log.name).write_bytes(log.read_bytes())


def _watch(scene: Scene, folder: Path, hours: float) -> None:
    begun, seen, first = time.monotonic(), time.time(), carried(scene)
    while True:
        time.sleep(_SAMPLE)
        now = time.time()
        for event in news(scene, seen):
            if event["event"] != "registered" and event["time"] < now:
                _append(folder / ALARMS, event)
        seen = now
        passed, octets = time.monotonic() - begun, carried(scene)
        sample: dict[str, Any] = {
            "hour": passed / 3600,
            "mbps": {
                direction: {link: (n - first[direction][link]) * 8e-6 / passed for link, n in row.items()}
                for direction, row in octets.items()
            },
            "tunnels": tunnels(scene),
        }
        _append(folder / "samples.jsonl", sample)
        if passed >= hours * 3600:
            return


if __name__ == "__main__":
    watch(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == FULL_LOAD, float(sys.argv[4]))
