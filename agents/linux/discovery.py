# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP router discovery on one interface: solicitations and advertisements (RFC 5944 §2).

A packet socket, because an advertisement's link-layer source is the agent's address on the
link (RFC 5944 §3.6.1.1), and a raw socket would not tell it.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.effects import SendIcmp
from agents.linux.packet_filter import (
    ACCEPT,
    ANY_BIT,
    DROP,
    EQUAL,
    ETHERTYPE_IP,
    HEADER_LENGTH,
    LOAD_HALF,
    LOAD_OCTET,
    LOAD_OCTET_BEHIND,
    RETURN,
    link_address,
    open_filtered,
)

_ADVERTISEMENT, _SOLICITATION = 9, 10
_PROGRAM = (
    (LOAD_OCTET, 0, 0, 9),
    (EQUAL, 0, 7, socket.IPPROTO_ICMP),
    (LOAD_HALF, 0, 0, 6),
    (ANY_BIT, 5, 0, 0x1FFF),  # a later fragment
    HEADER_LENGTH,
    (LOAD_OCTET_BEHIND, 0, 0, 0),
    (EQUAL, 1, 0, _ADVERTISEMENT),
    (EQUAL, 0, 1, _SOLICITATION),
    (RETURN, 0, 0, ACCEPT),
    (RETURN, 0, 0, DROP),
)


@dataclass(frozen=True, slots=True)
class IcmpMessage:
    """A router-discovery message that arrived."""

    payload: bytes
    """From the ICMP type on."""
    source: IPv4Address
    interface: str
    link_source: str


class DiscoverySocket:
    """Router discovery on one interface."""

    def __init__(self, interface: str) -> None:
        """Open it; messages are filtered in the kernel.

        :raises OSError: if the interface does not exist or the right is missing.
        """
        self.interface = interface
        self._socket = open_filtered(interface, _PROGRAM)

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> IcmpMessage | None:
        """The next message from somebody else, or None."""
        try:
            packet, (_, _, kind, _, link_source) = self._socket.recvfrom(65_535)
        except OSError:
            return None
        if kind == socket.PACKET_OUTGOING or len(packet) < 20:
            return None
        header, total = (packet[0] & 0x0F) * 4, int.from_bytes(packet[2:4], "big")
        return IcmpMessage(
            payload=packet[header:total],
            source=IPv4Address(packet[12:16]),
            interface=self.interface,
            link_source=link_address(link_source),
        )

    def send(self, effect: SendIcmp) -> str | None:
        """Send with TTL 1 to the link address, or to all nodes; the kernel's reason if it cannot."""
        header = struct.pack(
            "!BBHHHBBH4s4s",
            0x45,
            0,
            20 + len(effect.payload),
            0,
            0,
            1,
            socket.IPPROTO_ICMP,
            0,
            effect.source.packed,
            effect.destination.packed,
        )
        header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
        if effect.link_destination is not None:
            target = bytes.fromhex(effect.link_destination.replace(":", ""))
        elif effect.destination.is_multicast:
            group = int(effect.destination) & 0x7FFFFF
            target = b"\x01\x00\x5e" + group.to_bytes(3, "big")
        else:
            target = b"\xff" * 6
        try:
            self._socket.sendto(header + effect.payload, (self.interface, ETHERTYPE_IP, 0, 0, target))
        except OSError as error:
            return error.strerror or str(error)
        return None


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
