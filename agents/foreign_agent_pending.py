# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests the foreign agent has relayed and that have no reply so far (RFC 5944 §3.7.1, §3.7.2).

Each is the pending part of a visitor list entry, apart from the current part: nothing that happens to
it, short of success, touches that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import NamedTuple

from agents.associations import Peer
from agents.effects import Effect, StartTimer, StopTimer
from agents.foreign_agent_request import Asked
from agents.lifetimes import expiry
from agents.visitors import Attachment, VisitorKey
from agents.wire import RegistrationRequest

_LOW = 0xFFFF_FFFF


class PendingKey(NamedTuple):
    """What a reply is found by (RFC 5944 §3.7.3.1); also the key of the pending part's timer."""

    home_address: IPv4Address
    identification: int
    """The low-order 32 bits, the ones that the reply repeats."""


def pending_key(home_address: IPv4Address, identification: int) -> PendingKey:
    """The key for the whole Identification of a request or reply."""
    return PendingKey(home_address, identification & _LOW)


@dataclass(frozen=True, slots=True)
class Pending:
    """One relayed request."""

    request: RegistrationRequest
    asked: Asked
    visitor: VisitorKey
    """The entry it would become, or end."""
    attachment: Attachment
    relay_source: IPv4Address
    """Our care-of address from which it was relayed."""
    mobile_node: Peer | None
    home_agent: Peer | None
    """With which the Foreign-Home Authentication was added; None: it was not, so the reply needs none."""
    udp_asked: bool
    """A UDP Tunnel Request was added."""
    deadline: float
    """When it is given up, on the monotonic clock."""
    ends_unheard: bool
    """What ends at ``deadline`` is the requested lifetime: nothing is sent then (RFC 5944 §3.7.2.2)."""

    @property
    def key(self) -> PendingKey:
        """What its reply is found by."""
        return pending_key(self.request.home_address, self.request.identification)


def deadline(lifetime: int, pending_time: float, monotonic: float) -> tuple[float, bool]:
    """When a request relayed now is given up, and whether its own lifetime is over then."""
    limit = monotonic + pending_time
    ends = expiry(lifetime, monotonic) if lifetime else limit
    return min(limit, ends), ends < limit


def quotes(quoted: bytes, request: RegistrationRequest) -> bool:
    """Whether an ICMP error may be about this request, by what it sends back of it."""
    fixed = replace(request, extensions=()).encode()
    return fixed.startswith(quoted[: len(fixed)])


class PendingTable:
    """All pending parts."""

    def __init__(self) -> None:
        self._parts: dict[PendingKey, Pending] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def all(self) -> list[Pending]:
        """Every pending part, the oldest first."""
        return list(self._parts.values())

    def find(self, key: PendingKey) -> Pending | None:
        """The pending part that a reply with this key answers."""
        return self._parts.get(key)

    def superseded_by(self, new: Pending) -> list[Pending]:
        """Older requests of the same sender that a newer one replaces.

        They are for the same entry, or their replies could not be told apart. Only from the same link
        address: nobody else can push a request aside.
        """
        return [
            part
            for part in self._parts.values()
            if part.request.home_address == new.request.home_address
            and part.attachment.place == new.attachment.place
            and (part.visitor == new.visitor or part.key == new.key)
        ]

    def add(self, part: Pending) -> list[Effect]:
        """Wait for the reply to a request."""
        self._parts[part.key] = part
        return [StartTimer(part.key, part.deadline)]

    def remove(self, part: Pending) -> list[Effect]:
        """Wait no longer."""
        del self._parts[part.key]
        return [StopTimer(part.key)]

    def clear(self) -> list[Effect]:
        """Wait for nothing any more."""
        effects: list[Effect] = [StopTimer(key) for key in self._parts]
        self._parts.clear()
        return effects
