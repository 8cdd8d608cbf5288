# SPDX-License-Identifier: GPL-2.0-or-later
"""The Identification field of a mobile node's requests (RFC 5944 §5.7).

One generator serves all interfaces, because the home agent keeps one replay space per mobile
node (FACTS G35).
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Literal

from agents.mobile_node_state import KeptIdentifications
from agents.wire import ntp_timestamp, unix_time

_LOW = 0xFFFFFFFF
_RANDOM_BITS = 22
"""Below a millisecond the time is no help. Random bits there keep the low halves apart, by which
replies are matched, even on a clock that only knows round times (§5.7.1 asks for them)."""
_CLOCK_QUANTUM = 1.5
"""A rejection carries whole seconds only; a smaller difference does not mean that the clocks differ."""


class Identifications:
    """Makes a new Identification for every request and learns from the replies."""

    def __init__(self, style: Literal["timestamps", "nonces"], random: random.Random) -> None:
        self._style = style
        self._random = random
        self._last = 0
        self._accepted = 0
        self._nonce: int | None = None
        self.offset = 0.0
        """Seconds by which the home agent's clock is ahead; the own clock is never set (§5.7.1)."""
        self.generation = 0
        """Counts the changes of what :meth:`snapshot` gives."""

    def snapshot(self) -> KeptIdentifications:
        """What is to be kept over a restart, before a request with the latest Identification leaves."""
        return KeptIdentifications(
            last=self._last, accepted=self._accepted, nonce=self._nonce, offset=self.offset
        )

    def restore(self, kept: KeptIdentifications) -> None:
        """Go on where an earlier life has ended: no Identification is used twice, none goes back."""
        self._last, self._accepted, self._nonce = kept.last, kept.accepted, kept.nonce
        self.offset = kept.offset

    def next(self, unix: float, in_use: Collection[int]) -> int:
        """A fresh 64-bit value whose low 32 bits are not among ``in_use``."""
        if self._style == "nonces":
            return self._next_nonce(unix, in_use)
        value = ntp_timestamp(unix + self.offset)
        value = value >> _RANDOM_BITS << _RANDOM_BITS
        value |= self._random.getrandbits(_RANDOM_BITS)
        if value <= self._last:
            value = self._last + 1
        while value & _LOW in in_use:
            value += 1
        self._last = value
        self.generation += 1
        return value

    def _next_nonce(self, unix: float, in_use: Collection[int]) -> int:
        high = ntp_timestamp(unix) >> 32 if self._nonce is None else self._nonce
        low = self._random.getrandbits(32)
        while low in in_use:
            low = (low + 1) & _LOW
        return high << 32 | low

    def repeatable(self, identification: int) -> bool:
        """Whether a retransmission keeps the Identification: with nonces, until a reply brings the next."""
        return self._style == "nonces" and self._nonce in (None, identification >> 32)

    def answered(self, reply: int) -> None:
        """Take the next nonce from an authenticated reply of the home agent."""
        self._nonce = reply >> 32
        self.generation += 1

    def accepted(self, request: int) -> None:
        """The home agent has accepted this request, so every later one must exceed it."""
        self._accepted = max(self._accepted, request)
        self.generation += 1

    def rejected(self, reply: int, unix: float) -> None:
        """Resynchronise by an authenticated reply with code 133 (RFC 5944 §5.7.1, §5.7.2).

        With timestamps a difference of whole seconds moves the offset. The next value may then be
        less than the last, but never less than one the home agent is known to have accepted.
        """
        self._nonce = reply >> 32
        self.generation += 1
        if self._style == "nonces":
            return
        difference = unix_time(reply >> 32 << 32) + 0.5 - (unix + self.offset)
        if abs(difference) > _CLOCK_QUANTUM:
            self.offset += difference
            self._last = self._accepted
