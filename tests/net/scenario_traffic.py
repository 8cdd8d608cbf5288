# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: live UDP traffic between the correspondent and the mobile node."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any

from tests.net.scenario_stage import Scene, eventually
from topologies.figure import CORRESPONDENT, HOME_ADDRESS

ENDS: dict[str, IPv4Address] = {"cn": CORRESPONDENT.ip, "mn": HOME_ADDRESS}
FLOWS = 16
"""Two rounds of the flow cycle of four ways (docs/design.md, "Path selection")."""
PACKETS = 20
_PACE = 0.05
"""Seconds of network time between two packets of a flow."""
_QUIET = 1.0
"""After so long without a packet none is on its way: the largest delay is 40 ms."""


class Stream:
    """Flows from one node to another, a packet of each every 50 ms, until it is ended."""

    def __init__(self, scene: Scene, sender: str, receiver: str, port: int, flows: int = FLOWS) -> None:
        self._target = (str(ENDS[receiver]), port)
        self._senders = [scene.socket(sender, socket.SOCK_DGRAM, ENDS[sender]) for _ in range(flows)]
        self._sink = scene.socket(receiver, socket.SOCK_DGRAM, ENDS[receiver], port)
        self._sink.settimeout(_QUIET)
        self._ending = threading.Event()
        self._unsent = 0
        self.sent = 0
        self.arrivals: dict[int, list[float]] = {s.getsockname()[1]: [] for s in self._senders}
        """By the flow's source port, when its packets came."""
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._ending.wait(_PACE):
            for sender in self._senders:
                try:
                    sender.sendto(b"datagram", self._target)
                    self.sent += 1
                except OSError:  # no way to send at the moment
                    self._unsent += 1

    def _receive(self) -> None:
        while True:
            try:
                _, (_, port) = self._sink.recvfrom(100)
            except TimeoutError:
                if self._ending.is_set():
                    return
                continue
            self.arrivals[port].append(time.monotonic())

    @property
    def received(self) -> int:
        """Packets that came."""
        return sum(map(len, self.arrivals.values()))

    def end(self) -> dict[str, Any]:
        """What became of it; ``longest_gap`` is the longest time in which some flow got nothing."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        for endpoint in (*self._senders, self._sink):
            endpoint.close()
        gaps = [later - earlier for times in self.arrivals.values() for earlier, later in pairwise(times)]
        return {
            "sent": self.sent,
            "unsent": self._unsent,
            "received": self.received,
            "longest_gap": max(gaps, default=None),
            "flows": len(self.arrivals),
            "silent_flows": sum(not times for times in self.arrivals.values()),
        }


@contextlib.contextmanager
def traffic(scene: Scene, report: dict[str, Any], settle: float = 0.5) -> Iterator[dict[str, Stream]]:
    """Streams both ways while the body runs; ``report`` gets what became of them."""
    streams = {"down": Stream(scene, "cn", "mn", 7100), "up": Stream(scene, "mn", "cn", 7101)}
    try:
        time.sleep(settle)
        yield streams
        time.sleep(settle)
    finally:
        report.update({name: stream.end() for name, stream in streams.items()})


def carried(scene: Scene, flows: int = FLOWS) -> dict[str, Any]:
    """New flows each way: packets that arrived of those sent, and by link how many it carried."""
    found: dict[str, Any] = {}
    for name, sender, receiver, port in (("down", "cn", "mn", 7200), ("up", "mn", "cn", 7201)):
        scene.until_idle()
        before = _link_packets(scene, name)
        stream = Stream(scene, sender, receiver, port, flows)
        eventually("enough packets sent", lambda stream=stream: stream.sent >= flows * PACKETS)  # type: ignore[misc]
        ended = stream.end()
        after = _link_packets(scene, name)
        links = {link: after[link] - before[link] for link in scene.links}
        found[name] = {**ended, "links": {link: n for link, n in links.items() if n >= PACKETS}}
    return found


def _link_packets(scene: Scene, direction: str) -> dict[str, int]:
    """Packets each access network has carried to or from the mobile node's interface."""
    counters = {link: scene.node(link).namespace.counters()["mn"] for link in scene.links}
    return {
        link: c.sent_packets if direction == "down" else c.received_packets for link, c in counters.items()
    }
