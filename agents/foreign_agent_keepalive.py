# SPDX-License-Identifier: GPL-2.0-or-later
"""Keepalives of a foreign agent behind a NAT (RFC 3519 §4.9).

An ICMP echo request from the mobile node's home address to its home agent, in the UDP tunnel. Its
answer goes on to the mobile node, which did not ask and ignores it.
"""

from __future__ import annotations

import struct

from agents.effects import MOBILE_IP_PORT, SendDatagram
from agents.visitors import Visitor
from agents.wire import TunnelData

_IP_HEADER = struct.Struct("!BBHHHBBH4s4s")
_ECHO = struct.Struct("!BBHHH")
_VERSION_AND_LENGTH = 0x45
_TTL = 64
_ICMP = 1
_ECHO_REQUEST = 8
_IP_IN_IP = 4


def _checksum(octets: bytes) -> int:
    # Modulo 0xffff the digits to the base 2**16 add up with the end-around carry of RFC 1071.
    return -int.from_bytes(octets, "big") % 0xFFFF


def keepalive(visitor: Visitor, sequence: int) -> SendDatagram:
    """The next keepalive of an entry with a UDP tunnel; ``sequence`` has 16 bits."""
    home_address, home_agent = visitor.key.home_address, visitor.home_agent
    identifier = (visitor.key.binding_id or 0) & 0xFFFF
    echo = _ECHO.pack(_ECHO_REQUEST, 0, 0, identifier, sequence)
    echo = _ECHO.pack(_ECHO_REQUEST, 0, _checksum(echo), identifier, sequence)
    fields = (_VERSION_AND_LENGTH, 0, _IP_HEADER.size + _ECHO.size, 0, 0, _TTL, _ICMP)
    header = _IP_HEADER.pack(*fields, 0, home_address.packed, home_agent.packed)
    header = _IP_HEADER.pack(*fields, _checksum(header), home_address.packed, home_agent.packed)
    return SendDatagram(
        payload=TunnelData(_IP_IN_IP, header + echo).encode(),
        source=visitor.care_of_address,
        source_port=MOBILE_IP_PORT,
        destination=home_agent,
        destination_port=MOBILE_IP_PORT,
    )
