# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads tcpdump's files into columns: IPv4 with TCP or UDP, by numpy, no object per packet."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.metrics.reordering import Flags, Numbers

_FILE_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_NANOSECOND_MAGIC = 0xA1B23C4D
_LINUX_SLL2 = 276
"""Link type of ``tcpdump -i any -y LINUX_SLL2``: 20 octets in front of the IP header."""
_LINK_HEADER = 20
_OUTGOING = 4
_TCP, _UDP = 6, 17
_ROOM = _LINK_HEADER + 60 + 60
"""Octets looked at: link header and the longest IP and TCP headers."""
_TIMESTAMP_FIRST = 0x0101080A
"""No-operation twice, then the timestamp option: how Linux begins its TCP options."""


class CaptureError(ValueError):
    """A capture that cannot be read; names the file and says what is wrong."""


@dataclass(frozen=True, slots=True)
class Packets:
    """The TCP and UDP packets of one capture, a column per field, in order of capture."""

    time: Numbers
    """Nanoseconds since 1970."""
    outgoing: Flags
    interface: Numbers
    """Index of the interface in its namespace."""
    source: Numbers
    destination: Numbers
    """IPv4 addresses as numbers."""
    source_port: Numbers
    destination_port: Numbers
    payload: Numbers
    """Octets of data after the TCP or UDP header."""
    tcp: Flags
    sequence: Numbers
    """TCP: sequence number. UDP: the first four octets of data, where iperf counts datagrams."""
    acknowledgement: Numbers
    timestamp: Numbers
    """TCP: the value of the timestamp option, 0 without one."""
    timestamp_echo: Numbers

    def where(self, chosen: NDArray[Any]) -> Packets:
        """These packets only: a mask or indexes."""
        return Packets(*(getattr(self, name)[chosen] for name in self.__slots__))


def read_packets(path: Path) -> Packets:
    """All complete TCP and UDP headers in a file of nanoseconds and link type LINUX_SLL2.

    :raises CaptureError: if it is another kind of file or ends in the middle of a packet.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror}") from None
    if len(data) < _FILE_HEADER.size:
        raise CaptureError(f"{path}: is no capture: {len(data)} octets")
    magic, *_, link_type = _FILE_HEADER.unpack_from(data)
    if magic != _NANOSECOND_MAGIC or link_type != _LINUX_SLL2:
        raise CaptureError(f"{path}: is no capture with nanoseconds and link type LINUX_SLL2")
    starts, times, captured = _records(path, data)
    return _columns(np.frombuffer(data + bytes(_ROOM), dtype=np.uint8), starts, times, captured)


def _records(path: Path, data: bytes) -> tuple[Numbers, Numbers, Numbers]:
    """Of each packet: where it starts in the file, its time, its octets in the file."""
    starts, times, captured = [], [], []
    position, end = _FILE_HEADER.size, len(data)
    while position < end:
        if position + _RECORD.size > end:
            raise CaptureError(f"{path}: ends in the middle of a packet")
        seconds, nanoseconds, length, _ = _RECORD.unpack_from(data, position)
        position += _RECORD.size
        if position + length > end:
            raise CaptureError(f"{path}: ends in the middle of a packet")
        starts.append(position)
        times.append(seconds * 1_000_000_000 + nanoseconds)
        captured.append(length)
        position += length
    return (np.array(starts, np.int64), np.array(times, np.int64), np.array(captured, np.int64))


def _columns(data: NDArray[np.uint8], starts: Numbers, times: Numbers, captured: Numbers) -> Packets:
    def number(at: Numbers, octets: int) -> Numbers:
        value = np.zeros(len(at), np.int64)
        for offset in range(octets):
            value = value << 8 | data[at + offset]
        return value

    internet = starts + _LINK_HEADER
    header = (data[internet].astype(np.int64) & 15) * 4
    protocol = data[internet + 9]
    transport = internet + header
    tcp = protocol == _TCP
    first = (number(internet + 6, 2) & 0x1FFF) == 0  # a later fragment has no transport header
    whole = transport + np.where(tcp, 20, 12) <= starts + captured
    ipv4 = (number(starts, 2) == 0x0800) & (data[internet] >> 4 == 4)
    chosen = np.flatnonzero(ipv4 & first & whole & (tcp | (protocol == _UDP)))
    starts, internet, transport, tcp = starts[chosen], internet[chosen], transport[chosen], tcp[chosen]
    transport_header = np.where(tcp, (data[transport + 12].astype(np.int64) >> 4) * 4, 8)
    stamped = (
        tcp
        & (transport_header >= 32)
        & (number(transport + 20, 4) == _TIMESTAMP_FIRST)
        & (transport + 32 <= starts + captured[chosen])
    )
    return Packets(
        time=times[chosen],
        outgoing=data[starts + 10] == _OUTGOING,
        interface=number(starts + 4, 4),
        source=number(internet + 12, 4),
        destination=number(internet + 16, 4),
        source_port=number(transport, 2),
        destination_port=number(transport + 2, 2),
        payload=number(internet + 2, 2) - header[chosen] - transport_header,
        tcp=tcp,
        sequence=number(np.where(tcp, transport + 4, transport + 8), 4),
        acknowledgement=np.where(tcp, number(transport + 8, 4), 0),
        timestamp=np.where(stamped, number(transport + 24, 4), 0),
        timestamp_echo=np.where(stamped, number(transport + 28, 4), 0),
    )
