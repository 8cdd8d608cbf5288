# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay protection of Registration Requests at the home agent (RFC 5944 §5.7, FACTS §4, G35).

One :class:`ReplayState` belongs to each mobile node, whatever security context (SPI) its
requests use: a timestamp must exceed *all* that were accepted from that node. An
Identification that passed is used up, also when the request is denied for another reason
later: replayed after the reason is gone, the denied request would otherwise be accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from agents.wire import ntp_timestamp

_LOW = 0xFFFF_FFFF
_HALF = 1 << 63
_WHOLE = 1 << 64
_SECOND = 1 << 32

REMEMBERED_BINDINGS = 64
"""Bindings per mobile node with a timestamp of their own (``replay_scope = "binding"``)."""


def timestamp_difference(one: int, other: int) -> int:
    """``one - other`` in units of 2^-32 s, right also across the wrap of NTP time in 2036."""
    return (one - other + _HALF) % _WHOLE - _HALF


def mismatch_identification(identification: int, unix: float) -> int:
    """Identification of a reply 133: our clock above, the request's low 32 bits below (§5.7.1)."""
    return ntp_timestamp(unix, identification & _LOW)


@dataclass(slots=True)
class ReplayState:
    """What is remembered of the Identifications of one mobile node; its size is bounded."""

    floor: int | None = None
    """Every new timestamp must exceed this one."""
    floors: dict[int | None, int] = field(default_factory=dict)
    """By Binding-Id, where ``replay_scope = "binding"``: last accepted, above ``floor``."""
    nonce: int | None = None
    """High 32 bits that the next request of a context with nonces must carry (§5.7.2)."""

    def timestamp_fault(
        self, identification: int, binding_id: int | None, unix: float, tolerance: float
    ) -> str | None:
        """Why the timestamp is not valid, or None (§5.7.1). Changes nothing.

        :param unix: our clock, seconds since 1970.
        :param tolerance: seconds by which the clocks may differ.
        """
        if abs(timestamp_difference(identification, ntp_timestamp(unix))) > tolerance * _SECOND:
            return "timestamp-outside-tolerance"
        for floor in (self.floor, self.floors.get(binding_id)):
            if floor is not None and timestamp_difference(identification, floor) <= 0:
                return "timestamp-not-increasing"
        return None

    def use_timestamp(self, identification: int, binding_id: int | None) -> None:
        """Nothing up to this timestamp is accepted any more for one binding (FACTS G35)."""
        last = self.floors.pop(binding_id, None)
        if last is not None and timestamp_difference(last, identification) > 0:
            identification = last
        if len(self.floors) >= REMEMBERED_BINDINGS:
            # A higher common floor only ever rejects more, so forgetting this way is safe.
            self.raise_floor(min(self.floors.values()))
        self.floors[binding_id] = identification

    def raise_floor(self, identification: int) -> None:
        """Nothing up to this timestamp is accepted any more, for no binding."""
        if self.floor is None or timestamp_difference(identification, self.floor) > 0:
            self.floor = identification
        if self.floors:
            self.floors = {
                binding_id: floor
                for binding_id, floor in self.floors.items()
                if timestamp_difference(floor, self.floor) > 0
            }

    def nonce_matches(self, identification: int) -> bool:
        """Whether the request carries the nonce of our last reply (§5.7.2)."""
        return self.nonce is not None and identification >> 32 == self.nonce

    def renew_nonce(self, random: Random) -> None:
        """Use the nonce up; the next request must carry another one."""
        last = self.nonce
        while self.nonce == last:
            self.nonce = random.getrandbits(32)

    def nonce_identification(self, identification: int) -> int:
        """Identification of a reply: the nonce to use next above, the request's low bits below."""
        high = identification >> 32 if self.nonce is None else self.nonce
        return high << 32 | identification & _LOW
