# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP echo messages, with which a mobile node probes its tunnels (RFC 792, FACTS G25)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agents.wire.errors import Malformed, Truncated

_HEADER = struct.Struct("!BBHHH")
_TYPE_REPLY, _TYPE_REQUEST = 0, 8


def _remainder(message: bytes) -> int:
    # Modulo 0xffff the digits to the base 2**16 add up with the end-around carry of RFC 1071.
    return int.from_bytes(message + b"\0" * (len(message) % 2), "big") % 0xFFFF


@dataclass(frozen=True, slots=True)
class EchoRequest:
    """An echo request; ``identifier`` and ``sequence`` have 16 bits."""

    identifier: int
    sequence: int
    data: bytes = b""

    def encode(self) -> bytes:
        """The ICMP message, checksum filled in."""
        message = _HEADER.pack(_TYPE_REQUEST, 0, 0, self.identifier, self.sequence) + self.data
        checksum = -_remainder(message) % 0xFFFF
        return message[:2] + checksum.to_bytes(2, "big") + message[4:]


@dataclass(frozen=True, slots=True)
class EchoReply:
    """The answer to an echo request: the same identifier, sequence number and data."""

    identifier: int
    sequence: int
    data: bytes

    @classmethod
    def decode(cls, message: bytes) -> EchoReply:
        """Read one.

        :raises Truncated: if it ends too early.
        :raises Malformed: ``unexpected-message-type``, ``bad-code`` or ``bad-checksum``.
        """
        if len(message) < _HEADER.size:
            raise Truncated(f"{len(message)} octets, an echo reply has {_HEADER.size} at least")
        kind, code, _, identifier, sequence = _HEADER.unpack_from(message)
        if kind != _TYPE_REPLY:
            raise Malformed("unexpected-message-type", f"ICMP type {kind}")
        if code:
            raise Malformed("bad-code", f"code {code} in an echo reply")
        if _remainder(message):
            raise Malformed("bad-checksum")
        return cls(identifier, sequence, message[_HEADER.size :])
