# SPDX-License-Identifier: GPL-2.0-or-later
"""One access link with a drop-tail queue each way, flows that fill them, and the prober of its tunnel.

The queues hold a number of packets, those in flight included, as netem's do. TCP is as much of it
as fills and overflows a queue: slow start, then one packet more per round trip, half after a loss.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Protocol

from agents.link_load import PACKET, LinkLoad, Traffic
from agents.liveness import Prober, Reason, Span
from agents.settings import Liveness
from topologies.links import DEFAULT_LINKS, AccessLink, shaper

PROBE, ACKNOWLEDGEMENT = 70, 86
"""Octets on the link, with all headers."""
INITIAL_WINDOW = 10
RETRANSMISSION = 1.0
_ALWAYS = Span(-math.inf, math.inf)


class DropTail:
    """One direction of the link."""

    def __init__(self, line: Line, direction: str, link: AccessLink) -> None:
        made = shaper(link, direction, (*DEFAULT_LINKS, link))
        self._line = line
        self._octets_per_second = made.rate * 125_000
        self._delay = made.delay / 1000
        self._limit = made.limit
        self._inside: deque[float] = deque()
        self.loss = made.loss / 100
        self.cut = False
        self.offered = self.carried = self.packets = 0
        """Octets that were to be carried, octets and packets that have come through."""

    def send(self, octets: int, arrive: Callable[[], None]) -> None:
        """Send a packet: it arrives, or it is lost."""
        now = self._line.now
        self.offered += octets
        while self._inside and self._inside[0] <= now:
            self._inside.popleft()
        if len(self._inside) >= self._limit:
            return
        before = self._inside[-1] if self._inside else 0.0
        at = max(now + self._delay, before) + octets / self._octets_per_second
        self._inside.append(at)

        def come() -> None:
            if not self.cut and self._line.random.random() >= self.loss:
                self.carried += octets
                self.packets += 1
                arrive()

        self._line.at(at, come)


class Flow(Protocol):
    """Something that sends until it is stopped."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Line:
    """The link, its prober and the time."""

    def __init__(self, link: AccessLink, seed: int, known: bool = True) -> None:
        """Begin.

        :param known: whether the mobile node knows the link's rates.
        """
        self.now = 100.0
        self.random = Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.down, self.up = DropTail(self, "down", link), DropTail(self, "up", link)
        kbit = (round(link.down * 1000), round(link.up * 1000)) if known else (0, 0)
        self.prober = Prober(Liveness(), Random(seed), 7, self.now, LinkLoad(*kbit))
        self._wake = 0.0
        self.alarms: list[tuple[float, Reason]] = []
        """When the verdict first was that the tunnel has failed, and why."""
        self._arm()

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Let something happen."""
        heapq.heappush(self._events, (max(time, self.now), next(self._numbers), event))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def _arm(self) -> None:
        wake = self._wake = max(self.prober.deadline(), self.now + 0.001)

        def tick() -> None:
            if self._wake == wake:
                self._tick()

        self.at(wake, tick)

    def _tick(self) -> None:
        traffic = Traffic(self.down.packets, self.down.carried, self.up.offered)
        sequence = self.prober.tick(traffic, self.now)
        if sequence is not None:
            self.up.send(PROBE, lambda: self.down.send(PROBE, lambda: self._answer(sequence)))
        self._judge()

    def _answer(self, sequence: int) -> None:
        self.prober.take_answer(sequence, self.now)
        self._judge()

    def _judge(self) -> None:
        reason = self.prober.verdict([_ALWAYS])
        if reason is not None and not self.alarms:
            self.alarms.append((self.now, reason))
        self._arm()


class Tcp:
    """A flow that is acknowledged."""

    def __init__(self, line: Line, data: DropTail, acknowledgements: DropTail) -> None:
        self._line, self._data, self._acknowledgements = line, data, acknowledgements
        self._on = False
        self._numbers = count()

    def start(self) -> None:
        """A new connection, with the window of a new connection."""
        self._on, self._window, self._threshold = True, float(INITIAL_WINDOW), math.inf
        self._under_way: set[int] = set()
        self._halved = -1
        self._heard = self._line.now
        self._fill()
        self._watch()

    def stop(self) -> None:
        """Nothing more is sent."""
        self._on = False

    def _fill(self) -> None:
        while self._on and len(self._under_way) < self._window:
            number = self._last = next(self._numbers)
            self._under_way.add(number)
            self._data.send(PACKET, lambda number=number: self._received(number))  # type: ignore[misc]

    def _received(self, number: int) -> None:
        self._acknowledgements.send(ACKNOWLEDGEMENT, lambda: self._acknowledged(number))

    def _acknowledged(self, number: int) -> None:
        self._heard = self._line.now
        self._under_way.discard(number)
        lost = {other for other in self._under_way if other < number - 3}
        self._under_way -= lost
        if lost and max(lost) > self._halved:
            self._halved = self._last
            self._window = self._threshold = max(2.0, self._window / 2)
        elif not lost:
            self._window += 1 if self._window < self._threshold else 1 / self._window
        self._fill()

    def _watch(self) -> None:
        if not self._on:
            return
        if self._line.now - self._heard >= RETRANSMISSION:
            self._under_way.clear()
            self._window, self._heard = 1.0, self._line.now
            self._fill()
        self._line.at(self._line.now + 0.1, self._watch)


class Udp:
    """A flow at a steady pace, whatever becomes of it."""

    def __init__(self, line: Line, data: DropTail, rate: float, octets: int = PACKET) -> None:
        """Not started.

        :param rate: Mbit/s on the link.
        """
        self._line, self._data, self._octets = line, data, octets
        self._interval = octets * 8 / (rate * 1e6)
        self._on = False

    def start(self) -> None:
        """Begin."""
        self._on = True
        self._send()

    def stop(self) -> None:
        """End."""
        self._on = False

    def _send(self) -> None:
        if self._on:
            self._data.send(self._octets, lambda: None)
            self._line.at(self._line.now + self._interval, self._send)
