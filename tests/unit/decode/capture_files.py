# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets and pcap files written with ``struct``, to be read by the code under test."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

RAW, ETHERNET, COOKED, COOKED_2, LOOPBACK = 101, 1, 113, 276, 0
MOBILE_NODE, HOME_AGENT = IPv4Address("192.0.2.10"), IPv4Address("10.0.0.1")
IPV4_TYPE = b"\x08\x00"


def ip(protocol: int, payload: bytes, *, fragment: int = 0, options: bytes = b"") -> bytes:
    """An IPv4 packet; its header checksum is left out."""
    header = struct.pack(
        "!BBHHHBBH",
        0x45 + len(options) // 4,
        0,
        20 + len(options) + len(payload),
        1,
        fragment,
        64,
        protocol,
        0,
    )
    return header + MOBILE_NODE.packed + HOME_AGENT.packed + options + payload


def udp(payload: bytes, source_port: int = 40000, destination_port: int = 434) -> bytes:
    """A UDP datagram in IPv4, without checksum."""
    return ip(17, struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload)


def link(link_type: int, packet: bytes) -> bytes:
    """The packet behind the header of a link."""
    header = {
        RAW: b"",
        ETHERNET: bytes(12) + IPV4_TYPE,
        COOKED: bytes(14) + IPV4_TYPE,
        COOKED_2: IPV4_TYPE + bytes(18),
        LOOPBACK: b"\x02\0\0\0",
    }
    return header[link_type] + packet


def pcap(
    packets: Iterable[bytes],
    link_type: int = RAW,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    cut: int = 65535,
) -> bytes:
    """A capture whose packets come half a second apart, cut at ``cut`` octets each."""
    half = 500_000 if magic == 0xA1B2C3D4 else 500_000_000
    octets = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, cut, link_type)
    for number, packet in enumerate(packets):
        kept = packet[:cut]
        octets += struct.pack(f"{order}IIII", number // 2, number % 2 * half, len(kept), len(packet)) + kept
    return octets
