# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent advertisements of a mobility agent on one link (RFC 5944 §2.1, §2.3; RFC 1256 §4.3)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from random import Random

from agents.effects import Effect, Instant, Report, SendIcmp, StartTimer, StopTimer
from agents.rate_limit import RateLimit
from agents.wire import AgentAdvertisement, RouterSolicitation, WireError, decode_icmp

NO_DEFAULT_ROUTER = -(1 << 31)
"""Preference of an address that hosts must not use as default router (RFC 1256 §4.1)."""

_ALL_SYSTEMS = IPv4Address("224.0.0.1")
_UNSPECIFIED = IPv4Address(0)
_SHORTEST_INTERVAL = 0.75
"""MinAdvertisementInterval as a fraction of MaxAdvertisementInterval (RFC 1256 §4.1)."""
_MAX_INITIAL_INTERVAL = 16.0
_INITIAL_ADVERTISEMENTS = 3
_MAX_RESPONSE_DELAY = 2.0
_ANSWERS_PER_SECOND, _ANSWERS_AT_ONCE = 20.0, 40
"""On one link, to solicitations; an advertisement is longer than what asks for it."""


@dataclass(frozen=True, slots=True)
class AdvertisedLink:
    """Where, from which address and how often an agent advertises."""

    interface: str | None
    """None: there is no such link, and nothing is ever sent."""
    source: IPv4Address
    unasked: bool
    """False: only in answer to solicitations."""
    interval: float
    """Longest time between two multicasts, seconds."""
    timer: Hashable
    """Key of the timer for the next multicast."""


class Advertiser:
    """Sends advertisements at random intervals, and in answer to solicitations."""

    def __init__(
        self, link: AdvertisedLink, content: Callable[[], AgentAdvertisement], random: Random
    ) -> None:
        """``content`` gives the advertisement as it is at the moment, whatever its sequence number."""
        self._link = link
        self._content = content
        self._random = random
        self._answers = RateLimit(_ANSWERS_PER_SECOND, _ANSWERS_AT_ONCE, 1)
        self._sequence = 0
        self._multicasts = 0
        self._next: float | None = None

    def start(self, now: Instant) -> list[Effect]:
        """Begin with the first advertisement at once, if any are to be sent unasked."""
        self._sequence = 0
        self._multicasts = 0
        self._next = None
        interface = self._link.interface
        return [] if interface is None or not self._link.unasked else self._multicast(interface, now)

    def timer(self, now: Instant) -> list[Effect]:
        """Multicast the advertisement that is due, and set the timer for the next."""
        interface = self._link.interface
        return [] if interface is None or self._next is None else self._multicast(interface, now)

    def _multicast(self, interface: str, now: Instant) -> list[Effect]:
        effects: list[Effect] = [self._advertise(_ALL_SYSTEMS, interface)]
        self._multicasts += 1
        self._next = None
        if self._link.unasked:
            longest = self._link.interval
            interval = self._random.uniform(_SHORTEST_INTERVAL * longest, longest)
            if self._multicasts <= _INITIAL_ADVERTISEMENTS:
                interval = min(interval, _MAX_INITIAL_INTERVAL)
            self._next = now.monotonic + interval
            effects.append(StartTimer(self._link.timer, self._next))
        return effects

    def receive(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]:
        """Answer a solicitation heard on the link, whatever its source (RFC 5944 §2.3)."""
        if interface != self._link.interface:
            return []
        try:
            message = decode_icmp(payload)
        except WireError as error:
            return [Report("solicitation-discarded", {"reason": error.reason, "source": str(source)})]
        if not isinstance(message, RouterSolicitation):
            return []
        if source != _UNSPECIFIED:
            if not self._answers.allows(None, now.monotonic):
                return [Report("solicitation-unanswered", {"source": str(source)}, warning=True)]
            return [self._advertise(source, interface, link_source)]
        # A multicast answer is delayed, and one answers all who ask meanwhile (RFC 1256 §4.3).
        at = now.monotonic + self._random.uniform(0, _MAX_RESPONSE_DELAY)
        if self._next is not None and self._next <= at:
            return []
        self._next = at
        return [StartTimer(self._link.timer, at)]

    def stop(self) -> list[Effect]:
        """Tell the link that this agent is no more (RFC 1256 §4.3)."""
        effects: list[Effect] = []
        if self._next is not None:
            self._next = None
            effects.append(StopTimer(self._link.timer))
        if self._link.interface is not None and self._multicasts:
            effects.append(self._advertise(_ALL_SYSTEMS, self._link.interface, lifetime=0))
        return effects

    def _advertise(
        self,
        destination: IPv4Address,
        interface: str,
        link_destination: str | None = None,
        lifetime: int | None = None,
    ) -> SendIcmp:
        message = replace(self._content(), sequence=self._sequence)
        if lifetime is not None:
            message = replace(message, lifetime=lifetime)
        # After a wrap the numbers below 256 are left out: they mean a restart (RFC 5944 §2.3.2).
        self._sequence = self._sequence + 1 if self._sequence < 0xFFFF else 256
        return SendIcmp(message.encode(), self._link.source, destination, interface, link_destination)
