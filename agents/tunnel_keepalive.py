# SPDX-License-Identifier: GPL-2.0-or-later
"""The keepalive of a UDP tunnel (RFC 3519 §4.9), as a mobile node and a foreign agent behind a NAT send it.

An ICMP echo request from the home address to the home agent, in the tunnel.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

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


def tunnelled_echo(
    home_address: IPv4Address, home_agent: IPv4Address, identifier: int, sequence: int
) -> bytes:
    """The Tunnel Data message; ``identifier`` and ``sequence`` have 16 bits."""
    echo = _ECHO.pack(_ECHO_REQUEST, 0, 0, identifier, sequence)
    echo = _ECHO.pack(_ECHO_REQUEST, 0, _checksum(echo), identifier, sequence)
    fields = (_VERSION_AND_LENGTH, 0, _IP_HEADER.size + _ECHO.size, 0, 0, _TTL, _ICMP)
    header = _IP_HEADER.pack(*fields, 0, home_address.packed, home_agent.packed)
    header = _IP_HEADER.pack(*fields, _checksum(header), home_address.packed, home_agent.packed)
    return TunnelData(_IP_IN_IP, header + echo).encode()
