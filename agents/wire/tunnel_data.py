# SPDX-License-Identifier: GPL-2.0-or-later
"""The Tunnel Data message: a packet inside UDP (RFC 3519 §3.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agents.wire.codes import MessageType
from agents.wire.errors import Malformed, Truncated
from agents.wire.framing import pack

_HEADER = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class TunnelData:
    """What stands between the UDP header and a tunnelled packet, and the packet."""

    next_header: int
    """IP protocol number of the payload: 4 IP in IP, 47 GRE, 55 minimal encapsulation."""
    payload: bytes

    def encode(self) -> bytes:
        """The UDP payload, reserved octets zero."""
        return pack(_HEADER, MessageType.TUNNEL_DATA, self.next_header, 0) + self.payload

    @classmethod
    def decode(cls, payload: bytes) -> TunnelData:
        """Read a UDP payload; the reserved octets are ignored.

        :raises WireError: ``truncated`` or ``unexpected-message-type``.
        """
        if len(payload) < _HEADER.size:
            raise Truncated(f"{len(payload)} octets, the header has {_HEADER.size}")
        if payload[0] != MessageType.TUNNEL_DATA:
            raise Malformed("unexpected-message-type", f"type {payload[0]}")
        return cls(payload[1], payload[_HEADER.size :])
