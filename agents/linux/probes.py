# SPDX-License-Identifier: GPL-2.0-or-later
"""Liveness probes on the wire: one raw ICMP socket, and the counters of each way.

A probe carries the mark of its way and the bit ``PROBE``, so that it leaves by that way and takes
no slot of the traffic's. Its answer counts for the way by whose device it came.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from agents.effects import AccessLink, Encapsulation, SendProbe
from agents.link_load import Traffic
from agents.linux import udp_tunnels
from agents.linux.path_selection import PROBE
from agents.linux.ways import Way, Ways

_SOL_RAW, _ICMP_FILTER = 255, 1
_ONLY_ECHO_REPLIES = struct.pack("=I", 0xFFFFFFFF ^ (1 << 0))
_SO_MARK = 36
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=i4s4s")
_COUNTERS = Path("/proc/net/dev")
"""Of the process's own network namespace, and all devices in one reading."""
_COLUMNS = (0, 1, 8, 9)
"""Of octets and packets, received and sent."""
_ETHERNET_HEADER = 14
_OUTER_HEADERS = {Encapsulation.IPIP: 20, Encapsulation.GRE: 24, Encapsulation.UDP: udp_tunnels.OVERHEAD}
"""Octets; a GRE key has four more."""
_LARGEST = 65_535
_AT_ONCE = 256
"""Messages taken in one go; a flood of answers must not stop everything else."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An ICMP echo reply that arrived."""

    payload: bytes
    """From the ICMP type on."""
    source: IPv4Address
    way: Way | None
    """By whose device it came, if it is one of ours."""
    interface: str


class Probes:
    """The probes of one mobile node."""

    def __init__(self, ways: Ways) -> None:
        """Open the socket.

        :raises OSError: if the right is missing.
        """
        self._ways = ways
        self._socket = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
        )
        self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, _ONLY_ECHO_REPLIES)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def send(self, effect: SendProbe) -> None:
        """Send a probe. What cannot be sent stays unanswered, and that says all there is to say."""
        try:
            mark = index = 0
            if effect.through is None:
                index = socket.if_nametoindex(effect.interface)
            else:
                device = self._ways.get(effect.through)
                if device is None:
                    return
                mark = device.number | PROBE
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
            source = _PKTINFO.pack(index, effect.source.packed, bytes(4))
            self._socket.sendmsg(
                [effect.payload], [(socket.IPPROTO_IP, _IP_PKTINFO, source)], 0, (str(effect.destination), 0)
            )
        except OSError:
            return

    def answers(self) -> Iterator[Answer]:
        """The answers that have come; all at once, so that none is thought missing that is there."""
        for _ in range(_AT_ONCE):
            try:
                packet, ancillary, _, (host, _) = self._socket.recvmsg(_LARGEST, 64)
                index = next(
                    _PKTINFO.unpack(data[: _PKTINFO.size])[0]
                    for level, kind, data in ancillary
                    if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO)
                )
                interface = socket.if_indextoname(index)
            except BlockingIOError:
                return
            except (OSError, StopIteration):  # the interface has gone meanwhile
                continue
            header = (packet[0] & 0x0F) * 4
            yield Answer(packet[header:], IPv4Address(host), self._ways.at(index), interface)

    def carried(self) -> dict[Way, Traffic]:
        """What each way has carried since its device was made."""
        counters = {}
        for line in _COUNTERS.read_text(encoding="ascii").splitlines()[2:]:
            name, _, numbers = line.partition(":")
            counters[name.strip()] = [int(number) for number in numbers.split()]
        return {
            way: _on_the_link(way, counters[device.name])
            for way, device in self._ways.items()
            if device.name in counters
        }


def _on_the_link(way: Way, counters: list[int]) -> Traffic:
    """What a device has counted as the access link counts it: a tunnel's device knows only what is inside."""
    octets_in, packets_in, octets_out, packets_out = (counters[column] for column in _COLUMNS)
    headers = 0
    if not isinstance(way, AccessLink):
        headers = _ETHERNET_HEADER + _OUTER_HEADERS[way.encapsulation]
    return Traffic(packets_in, octets_in + headers * packets_in, octets_out + headers * packets_out)
