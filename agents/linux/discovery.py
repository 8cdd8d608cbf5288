# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP router discovery on one interface: solicitations and advertisements (RFC 5944 §2).

A packet socket, because an advertisement's link-layer source is the agent's address on the
link (RFC 5944 §3.6.1.1), and a raw socket would not tell it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.effects import SendIcmp

_ETHERTYPE_IP = 0x0800
_SO_ATTACH_FILTER = 26
_ADVERTISEMENT, _SOLICITATION = 9, 10
# Accept unfragmented ICMP of types 9 and 10; offsets count from the IP header.
_FILTER = (
    (0x30, 0, 0, 9),  # ldb [9]            protocol
    (0x15, 0, 7, socket.IPPROTO_ICMP),  # jeq icmp, else drop
    (0x28, 0, 0, 6),  # ldh [6]            fragment offset
    (0x45, 5, 0, 0x1FFF),  # jset -> drop
    (0xB1, 0, 0, 0),  # ldxb 4*([0]&0xf)   header length
    (0x50, 0, 0, 0),  # ldb [x+0]          ICMP type
    (0x15, 1, 0, _ADVERTISEMENT),
    (0x15, 0, 1, _SOLICITATION),
    (0x06, 0, 0, 0xFFFF),  # accept
    (0x06, 0, 0, 0),  # drop
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
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            program = b"".join(struct.pack("=HBBI", *step) for step in _FILTER)
            buffer = ctypes.create_string_buffer(program)
            self._socket.setsockopt(
                socket.SOL_SOCKET,
                _SO_ATTACH_FILTER,
                struct.pack("HL", len(_FILTER), ctypes.addressof(buffer)),
            )
            self._socket.bind((interface, _ETHERTYPE_IP))
        except OSError:
            self._socket.close()
            raise

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
            link_source=":".join(f"{octet:02x}" for octet in link_source),
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
            self._socket.sendto(header + effect.payload, (self.interface, _ETHERTYPE_IP, 0, 0, target))
        except OSError as error:
            return error.strerror or str(error)
        return None


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
