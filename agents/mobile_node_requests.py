# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests under way from one mobile node: their order, their Identifications, their replies.

All interfaces share one replay space at the home agent, so requests that overtake each other on
links of different delay would be rejected. Therefore one request is outstanding at a time; one
that stays unanswered holds up the others for one response window only, and a deregistration
waits for deregistrations only (FACTS G35, G51). A reply that comes later still counts, as long
as nothing newer was sent for the same purpose.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from agents.effects import MOBILE_IP_PORT, Datagram, Instant, SendDatagram
from agents.mobile_node_identification import Identifications
from agents.registration import ReplyError, Verdict, check_reply, sign_request
from agents.settings import MobileNodeSettings, SecurityAssociation
from agents.wire import (
    MultipleTunnelRequest,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    decode_registration,
)

PACING = 0.05
"""Least time between two requests of the node (FACTS G36)."""
_LOW = 0xFFFFFFFF
_TTL = 255
"""A foreign agent checks it if a reverse tunnel is asked for (RFC 3024 §3.2, FACTS §24.5)."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a request leaves the node."""

    source: IPv4Address
    interface: str
    destination: IPv4Address
    link_destination: str | None = None
    foreign_agent: tuple[IPv4Address, ...] = ()
    """Addresses of the foreign agent asked; empty: the home agent itself."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A request without a reply so far."""

    owner: Hashable
    """For what it was sent: of each owner only the latest counts."""
    request: RegistrationRequest
    route: Route
    sent: float
    window: float
    """Seconds for which it holds up the next request."""

    @property
    def departure(self) -> bool:
        """Whether it is a deregistration."""
        return self.request.lifetime == 0

    @property
    def multiple_tunnel_request(self) -> MultipleTunnelRequest | None:
        """The extension it carries."""
        return next((e for e in self.request.extensions if isinstance(e, MultipleTunnelRequest)), None)


class Requests:
    """The outstanding requests of one mobile node."""

    def __init__(self, settings: MobileNodeSettings, random: random.Random) -> None:
        self._settings = settings
        self._profile = settings.profile.wire()
        self._home = settings.security_association
        self._foreign = {agent.address: agent.security_association for agent in settings.foreign_agent}
        self._outstanding: dict[int, Pending] = {}
        self._last_sent = -math.inf
        self._last_departure = -math.inf
        self.identifications = Identifications(self._home[0].replay, random)

    @property
    def outstanding(self) -> tuple[Pending, ...]:
        """All requests whose reply would still count."""
        return tuple(self._outstanding.values())

    def of(self, owner: Hashable) -> Pending | None:
        """The outstanding request of this owner."""
        return next((p for p in self._outstanding.values() if p.owner == owner), None)

    def abandon(self, owner: Hashable) -> None:
        """Ignore the reply to this owner's request, if there is one under way."""
        pending = self.of(owner)
        if pending is not None:
            del self._outstanding[pending.request.identification & _LOW]

    def free_at(self, departure: bool) -> float:
        """When the next request, or the next deregistration, may go out."""
        ends = [p.sent + p.window for p in self.outstanding if p.departure or not departure]
        return max((self._last_departure if departure else self._last_sent) + PACING, *ends, -math.inf)

    def send(
        self, request: RegistrationRequest, route: Route, owner: Hashable, window: float, now: Instant
    ) -> SendDatagram:
        """Give the request its Identification, sign it and remember it.

        It takes the place of the owner's former request. With nonces a retransmission is the same
        packet (RFC 5944 §3.6.3).
        """
        former = self.of(owner)
        self.abandon(owner)
        identification = None
        if former is not None and self.identifications.repeatable(former.request.identification):
            identification = former.request.identification
            if replace(request, identification=identification) != former.request:
                identification = None
        if identification is None:
            in_use = list(self._outstanding)
            if former is not None:
                in_use.append(former.request.identification & _LOW)
            identification = self.identifications.next(now.unix, in_use)
        request = replace(request, identification=identification)
        self._outstanding[identification & _LOW] = Pending(owner, request, route, now.monotonic, window)
        self._last_sent = now.monotonic
        if request.lifetime == 0:
            self._last_departure = now.monotonic
        foreign = self._associations(route)
        return SendDatagram(
            payload=sign_request(request, self._profile, self._home[0], foreign[0] if foreign else None),
            source=route.source,
            source_port=MOBILE_IP_PORT,
            destination=route.destination,
            destination_port=MOBILE_IP_PORT,
            interface=route.interface,
            ttl=_TTL,
            link_destination=route.link_destination,
        )

    def _associations(self, route: Route) -> tuple[SecurityAssociation, ...]:
        for address in route.foreign_agent:
            if address in self._foreign:
                return self._foreign[address]
        return ()

    def receive(self, datagram: Datagram, now: Instant) -> tuple[Pending, RegistrationReply, Verdict]:
        """Find the request a datagram answers and settle it.

        :raises WireError: if it is not a registration message.
        :raises ReplyError: if it must be silently discarded.
        """
        reply = decode_registration(datagram.payload, self._profile)
        if not isinstance(reply, RegistrationReply):
            raise ReplyError("not-a-reply")
        pending = self._outstanding.get(reply.identification & _LOW)
        if (
            pending is None
            or pending.route.interface != datagram.interface
            or reply.home_address != pending.request.home_address
        ):
            raise ReplyError("no-matching-request")
        verdict = check_reply(datagram.payload, reply, self._home, self._associations(pending.route))
        if verdict is Verdict.DENIED_BY_FOREIGN_AGENT:
            # Not authenticated, so it counts only from the agent that was asked (FACTS G17).
            if datagram.source not in pending.route.foreign_agent:
                raise ReplyError("denial-from-elsewhere", security=True)
        elif reply.code == ReplyCode.HA_IDENTIFICATION_MISMATCH:
            self.identifications.rejected(reply.identification, now.unix)
        else:
            self.identifications.answered(reply.identification)
            if verdict is Verdict.ACCEPTED:
                self.identifications.accepted(pending.request.identification)
        del self._outstanding[reply.identification & _LOW]
        return pending, reply, verdict
