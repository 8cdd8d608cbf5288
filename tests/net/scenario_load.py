# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: TCP flows that fill every link they get, for as long as they are let."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.net.scenario_stage import Scene, eventually
from tests.net.scenario_traffic import ENDS

_PORTS = {"down": 5101, "up": 5102}
_ENDS = {"down": ("cn", "mn"), "up": ("mn", "cn")}
_FOREVER = "1000000"
"""Seconds."""


class Load:
    """Flows of iperf 2 in one direction; a context that ends them."""

    def __init__(self, scene: Scene, direction: str, flows: int) -> None:
        """Start them.

        :param direction: ``down`` (to the mobile node) or ``up``.
        """
        sender, receiver = _ENDS[direction]
        target, port = str(ENDS[receiver]), str(_PORTS[direction])
        self._processes = [self._start(scene, receiver, "-s", "-B", target, "-p", port)]
        table = Path(f"/proc/{scene.node(receiver).pid}/net/tcp")
        listening = f":{_PORTS[direction]:04X} "
        eventually("iperf listens", lambda: listening in table.read_text())
        source = str(ENDS[sender])
        words = ("-c", target, "-B", source, "-p", port, "-P", str(flows), "-t", _FOREVER)
        self._processes.append(self._start(scene, sender, *words))

    @staticmethod
    def _start(scene: Scene, node: str, *words: str) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = scene.node(node).popen(
            ["iperf", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return process

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


def carried(scene: Scene) -> dict[str, dict[str, int]]:
    """Octets each link has carried so far, by direction."""
    found: dict[str, dict[str, int]] = {"down": {}, "up": {}}
    for access in scene.topology.accesses:
        name = access.link.name
        counters = scene.node(name).namespace.counters()
        found["down"][name] = counters["mn"].sent_octets
        found["up"][name] = counters[scene.topology.uplink(access.link)].sent_octets
    return found
