# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent advertisements of the home agent on its home link (RFC 5944 §2.1, §2.3; RFC 1256 §4.3)."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

from agents.effects import Effect, Encapsulation, Instant, Report, SendIcmp, StartTimer, StopTimer
from agents.settings import HomeAgentSettings
from agents.wire import AdvertisementFlags, AgentAdvertisement, RouterSolicitation, WireError, decode_icmp

ADVERTISEMENT_TIMER = "advertisement"
"""Key of the timer for the next multicast advertisement."""

_ALL_SYSTEMS = IPv4Address("224.0.0.1")
_UNSPECIFIED = IPv4Address(0)
_SHORTEST_INTERVAL = 0.75
"""MinAdvertisementInterval as a fraction of MaxAdvertisementInterval (RFC 1256 §4.1)."""
_MAX_INITIAL_INTERVAL = 16.0
_INITIAL_ADVERTISEMENTS = 3
_MAX_RESPONSE_DELAY = 2.0
_NO_DEFAULT_ROUTER = -(1 << 31)
"""Preference of an address that hosts must not use as default router (RFC 1256 §4.1)."""


class Advertiser:
    """Sends advertisements at random intervals, and in answer to solicitations."""

    def __init__(self, settings: HomeAgentSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._sequence = 0
        self._multicasts = 0
        self._next: float | None = None
        flags = AdvertisementFlags.H
        if Encapsulation.GRE in settings.encapsulations:
            flags |= AdvertisementFlags.G
        if Encapsulation.MINIMAL in settings.encapsulations:
            flags |= AdvertisementFlags.M
        self._flags = flags

    def start(self, now: Instant) -> list[Effect]:
        """Begin with the first advertisement at once, if any are to be sent unasked."""
        self._sequence = 0
        self._multicasts = 0
        self._next = None
        link = self._settings.home_link
        return [] if link is None or not self._settings.advertise else self._multicast(link, now)

    def timer(self, now: Instant) -> list[Effect]:
        """Multicast the advertisement that is due, and set the timer for the next."""
        link = self._settings.home_link
        return [] if link is None or self._next is None else self._multicast(link, now)

    def _multicast(self, link: str, now: Instant) -> list[Effect]:
        effects: list[Effect] = [self._advertise(_ALL_SYSTEMS, link)]
        self._multicasts += 1
        self._next = None
        if self._settings.advertise:
            longest = self._settings.advertisement.interval
            interval = self._random.uniform(_SHORTEST_INTERVAL * longest, longest)
            if self._multicasts <= _INITIAL_ADVERTISEMENTS:
                interval = min(interval, _MAX_INITIAL_INTERVAL)
            self._next = now.monotonic + interval
            effects.append(StartTimer(ADVERTISEMENT_TIMER, self._next))
        return effects

    def receive(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]:
        """Answer a solicitation heard on the home link, whatever its source (RFC 5944 §2.3)."""
        if interface != self._settings.home_link:
            return []
        try:
            message = decode_icmp(payload)
        except WireError as error:
            return [Report("solicitation-discarded", {"reason": error.reason, "source": str(source)})]
        if not isinstance(message, RouterSolicitation):
            return []
        if source != _UNSPECIFIED:
            return [self._advertise(source, interface, link_source)]
        # A multicast answer is delayed, and one answers all who ask meanwhile (RFC 1256 §4.3).
        at = now.monotonic + self._random.uniform(0, _MAX_RESPONSE_DELAY)
        if self._next is not None and self._next <= at:
            return []
        self._next = at
        return [StartTimer(ADVERTISEMENT_TIMER, at)]

    def stop(self) -> list[Effect]:
        """Tell the home link that this agent is no more (RFC 1256 §4.3)."""
        effects: list[Effect] = []
        if self._next is not None:
            self._next = None
            effects.append(StopTimer(ADVERTISEMENT_TIMER))
        if self._settings.home_link is not None and self._multicasts:
            effects.append(self._advertise(_ALL_SYSTEMS, self._settings.home_link, lifetime=0))
        return effects

    def _advertise(
        self,
        destination: IPv4Address,
        interface: str,
        link_destination: str | None = None,
        lifetime: int | None = None,
    ) -> SendIcmp:
        settings = self._settings
        message = AgentAdvertisement(
            router_addresses=((settings.address, _NO_DEFAULT_ROUTER),),
            lifetime=settings.advertisement.lifetime if lifetime is None else lifetime,
            sequence=self._sequence,
            registration_lifetime=settings.advertisement.registration_lifetime,
            flags=self._flags,
            care_of_addresses=(),
            prefix_lengths=(settings.home_prefix_length,),
        )
        # After a wrap the numbers below 256 are left out: they mean a restart (RFC 5944 §2.3.2).
        self._sequence = self._sequence + 1 if self._sequence < 0xFFFF else 256
        return SendIcmp(message.encode(), settings.address, destination, interface, link_destination)
