# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobile IP messages in a capture file: pcap and pcapng, read record by record.

pcap in either byte order with micro- or nanoseconds; pcapng with Enhanced and Simple Packet Blocks
(draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng). Link types: Ethernet with VLAN tags, raw IP, Linux
cooked, BSD loopback.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import BinaryIO

from agents.effects import MOBILE_IP_PORT

_LARGEST_RECORD = 1 << 24
"""Octets; a longer record is a damaged file, not a packet."""
_PCAP_FRACTIONS = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}
_PCAPNG_SECTION = 0x0A0D0D0A
_PCAPNG_MAGIC = 0x1A2B3C4D
_INTERFACE_BLOCK, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 3, 6
_OPTION_RESOLUTION = 9

_ETHERNET = 1
_LINK_HEADERS = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0}
"""Octets before the IP header, where nothing in them has to be read."""
_PROTOCOL_AND_HEADER = {113: (14, 16), 276: (0, 20)}
"""Linux cooked: where the protocol stands, and the octets before the IP header."""
_IPV4 = 0x0800
_VLAN_TAGS = frozenset({0x8100, 0x88A8})
_ICMP, _UDP = 1, 17
_IP_HEADER = struct.Struct("!BxHxxHxBxxII")
_UDP_HEADER = struct.Struct("!HHHxx")
_MORE_FRAGMENTS, _FRAGMENT_OFFSET = 0x2000, 0x1FFF
_ROUTER_DISCOVERY = (b"\x09", b"\x0a")
"""ICMP types."""


class CaptureError(ValueError):
    """A file that is no capture, or damaged from some point on."""


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """A UDP payload of port 434, or an ICMP router discovery message."""

    offset: int
    """Of its first octet in the file."""
    frame: int
    """Number of the packet, from 1."""
    time: float
    """Seconds since 1970."""
    source: str
    destination: str
    """Address, with ``:port`` for UDP."""
    payload: bytes
    icmp: bool
    fault: str | None
    """Why the payload is not complete."""


@dataclass(frozen=True, slots=True)
class _Frame:
    offset: int
    time: float
    link_type: int
    octets: bytes


class _Reader:
    """Reads exactly as many octets as asked for, and knows where it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = 0

    def read(self, size: int) -> bytes:
        if size > _LARGEST_RECORD:
            raise CaptureError(f"damaged at octet {self.offset}: a record of {size} octets")
        octets = self._file.read(size)
        if len(octets) < size:
            raise CaptureError(f"truncated: ends inside a record, {len(octets)} of {size} octets")
        self.offset += size
        return octets

    def header(self, size: int) -> bytes:
        """The same, but at the end of the file nothing."""
        octets = self._file.read(size)
        if 0 < len(octets) < size:
            raise CaptureError(f"truncated: ends inside a header, {len(octets)} of {size} octets")
        self.offset += len(octets)
        return octets


def captured_messages(file: BinaryIO, icmp: bool) -> Iterator[CapturedMessage]:
    """All Mobile IP messages of a capture in its order; ``icmp``: router discovery too.

    :raises CaptureError: at the first octet that cannot be understood.
    """
    for number, frame in enumerate(_frames(file), 1):
        start = _ip_offset(frame)
        if start is not None:
            message = _message(frame, number, start, icmp)
            if message is not None:
                yield message


def _frames(file: BinaryIO) -> Iterator[_Frame]:
    reader = _Reader(file)
    magic = reader.header(4)
    for order in ("<", ">"):
        if len(magic) == 4:
            (number,) = struct.unpack(f"{order}I", magic)
            if number in _PCAP_FRACTIONS:
                return _pcap_frames(reader, order, _PCAP_FRACTIONS[number])
    if magic == _PCAPNG_SECTION.to_bytes(4, "big"):
        return _pcapng_frames(reader)
    raise CaptureError("not a capture: neither pcap nor pcapng")


def _pcap_frames(reader: _Reader, order: str, fraction: float) -> Iterator[_Frame]:
    (link_type,) = struct.unpack(f"{order}16xI", reader.read(20))
    record = struct.Struct(f"{order}IIII")
    while header := reader.header(record.size):
        seconds, parts, captured, _ = record.unpack(header)
        start = reader.offset
        yield _Frame(start, seconds + parts * fraction, link_type & 0xFFFF, reader.read(captured))


def _pcapng_frames(reader: _Reader) -> Iterator[_Frame]:
    order = ""
    interfaces: list[tuple[int, float]] = []
    section = _PCAPNG_SECTION.to_bytes(4, "big")
    kind_octets = section
    while kind_octets:
        if kind_octets == section:
            order = _section_order(reader)
            interfaces = []
        else:
            (kind,) = struct.unpack(f"{order}I", kind_octets)
            (length,) = struct.unpack(f"{order}I", reader.read(4))
            if length < 12 or length % 4:
                raise CaptureError(f"damaged at octet {reader.offset - 8}: a block of {length} octets")
            start = reader.offset
            body = reader.read(length - 8)[:-4]
            if kind == _INTERFACE_BLOCK:
                interfaces.append(_interface(body, order))
            elif kind in (_ENHANCED_PACKET, _SIMPLE_PACKET):
                yield _packet(kind, body, start, order, interfaces)
        kind_octets = reader.header(4)


def _section_order(reader: _Reader) -> str:
    head = reader.read(8)
    for order in ("<", ">"):
        length, magic = struct.unpack(f"{order}II", head)
        if magic == _PCAPNG_MAGIC and length >= 28:
            reader.read(length - 12)
            return order
    raise CaptureError(f"damaged at octet {reader.offset - 12}: no section header")


def _interface(body: bytes, order: str) -> tuple[int, float]:
    """Link type and seconds per unit of time."""
    if len(body) < 8:
        raise CaptureError("damaged: an interface block without its fixed part")
    (link_type,) = struct.unpack_from(f"{order}H", body)
    offset, unit = 8, 1e-6
    while offset + 4 <= len(body):
        option, length = struct.unpack_from(f"{order}HH", body, offset)
        if option == _OPTION_RESOLUTION and length == 1 and offset + 4 < len(body):
            exponent = body[offset + 4]
            unit = 2.0 ** -(exponent & 0x7F) if exponent & 0x80 else 10.0**-exponent
        offset += 4 + length + -length % 4
    return link_type, unit


def _packet(kind: int, body: bytes, start: int, order: str, interfaces: list[tuple[int, float]]) -> _Frame:
    fixed = 20 if kind == _ENHANCED_PACKET else 4
    if len(body) < fixed:
        raise CaptureError(f"damaged at octet {start}: a packet block without its fixed part")
    if kind == _ENHANCED_PACKET:
        interface, high, low, captured = struct.unpack_from(f"{order}IIII", body)
    else:
        interface, high, low = 0, 0, 0
        (captured,) = struct.unpack_from(f"{order}I", body)
        captured = min(captured, len(body) - fixed)  # the length is the one on the wire
    if interface >= len(interfaces) or captured > len(body) - fixed:
        raise CaptureError(f"damaged at octet {start}: a packet block that contradicts itself")
    link_type, unit = interfaces[interface]
    return _Frame(start + fixed, (high << 32 | low) * unit, link_type, body[fixed : fixed + captured])


def _ip_offset(frame: _Frame) -> int | None:
    """Where the IPv4 header begins; None: something else.

    :raises CaptureError: for a link type that is not known.
    """
    octets = frame.octets
    if frame.link_type in _LINK_HEADERS:
        start = _LINK_HEADERS[frame.link_type]
    elif frame.link_type == _ETHERNET:
        start = 14
        while int.from_bytes(octets[start - 2 : start], "big") in _VLAN_TAGS:
            start += 4
        if int.from_bytes(octets[start - 2 : start], "big") != _IPV4:
            return None
    elif frame.link_type in _PROTOCOL_AND_HEADER:
        protocol, start = _PROTOCOL_AND_HEADER[frame.link_type]
        if int.from_bytes(octets[protocol : protocol + 2], "big") != _IPV4:
            return None
    else:
        raise CaptureError(f"link type {frame.link_type} is not supported")
    complete = len(octets) >= start + _IP_HEADER.size and octets[start] >> 4 == 4
    return start if complete else None


def _message(frame: _Frame, number: int, start: int, icmp: bool) -> CapturedMessage | None:
    octets = frame.octets
    first, total, fragment, protocol, source, destination = _IP_HEADER.unpack_from(octets, start)
    begin, end = start + (first & 0x0F) * 4, start + total
    if fragment & _FRAGMENT_OFFSET:
        return None
    ends = [str(IPv4Address(source)), str(IPv4Address(destination))]
    if protocol == _UDP and len(octets) >= begin + _UDP_HEADER.size:
        source_port, destination_port, length = _UDP_HEADER.unpack_from(octets, begin)
        if MOBILE_IP_PORT not in (source_port, destination_port):
            return None
        ends = [f"{ends[0]}:{source_port}", f"{ends[1]}:{destination_port}"]
        end = begin + length
        begin += _UDP_HEADER.size
    elif not icmp or protocol != _ICMP or octets[begin : begin + 1] not in _ROUTER_DISCOVERY:
        return None
    payload = octets[begin : max(begin, end)]
    fault = None
    if fragment & _MORE_FRAGMENTS:
        fault = "fragmented: only the first fragment is read"
    elif end < begin:
        fault = "bad-length: the packet ends inside its headers"
    elif end > len(octets):
        fault = f"truncated: {len(payload)} of {end - begin} octets were captured"
    return CapturedMessage(
        frame.offset + begin, number, frame.time, ends[0], ends[1], payload, protocol == _ICMP, fault
    )
