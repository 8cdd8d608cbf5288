# SPDX-License-Identifier: GPL-2.0-or-later
"""The Mobile IP port: UDP sockets that know where a datagram came in and choose where it leaves."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.effects import MOBILE_IP_PORT, Datagram, SendDatagram

_SO_BINDTODEVICE = socket.SO_BINDTODEVICE
_IP_PKTINFO = 8
_IP_RECVTTL = 12
_IP_RECVERR = 11
_EXTENDED_ERROR = struct.Struct("=IBBBxI")
_FROM_ICMP = 2
_IP_TTL = socket.IP_TTL
_PKTINFO = struct.Struct("=i4s4s")
_LARGEST = 65_535
_RECEIVE_BUFFER = 1 << 20
"""Octets as the kernel counts them, some 1500 datagrams: a burst waits; more would only make all wait."""
_SO_RCVBUFFORCE = 33


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An ICMP error about a datagram we sent."""

    destination: IPv4Address
    """Where that datagram was going."""
    kind: int
    """ICMP type: 3 is destination unreachable."""
    code: int
    quoted: bytes
    """Its payload, as far as it came back."""
    port: int = 0
    """UDP port it was going to."""
    mtu: int = 0
    """What would have passed, in octets, if it was too big (code 4)."""


class ControlSocket:
    """One UDP socket on the Mobile IP port, of all interfaces or of one."""

    def __init__(self, interface: str | None = None, port: int = MOBILE_IP_PORT) -> None:
        """Bind it.

        :param interface: receive only what comes by this interface and send only by it.
        :raises OSError: if the port is taken or the interface does not exist.
        """
        self.interface = interface
        self._names: dict[int, str] = {}
        """Of interfaces by index, which the kernel does not give twice; to ask costs three system calls."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if interface is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            with contextlib.suppress(PermissionError):  # without the right it is as large as the system's
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
            self._socket.bind(("", port))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> Datagram | None:
        """The next datagram; None if there is none, or an error report instead of one."""
        try:
            payload, ancillary, _, (host, port) = self._socket.recvmsg(_LARGEST, 256)
        except OSError:  # includes ICMP errors the kernel reports for an earlier datagram
            return None
        interface, destination, ttl = self.interface or "", IPv4Address(0), 64
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                index, _, header_destination = _PKTINFO.unpack(data[: _PKTINFO.size])
                destination = IPv4Address(header_destination)
                interface = self._name(index) or interface
            elif level == socket.IPPROTO_IP and kind == _IP_TTL:
                ttl = int.from_bytes(data[:4], "little")
        return Datagram(payload, IPv4Address(host), port, destination, interface, ttl)

    def _name(self, index: int) -> str:
        name = self._names.get(index)
        if name is None:
            try:
                name = self._names[index] = socket.if_indextoname(index)
            except OSError:  # the interface is gone already
                return ""
        return name

    def errors(self) -> list[Unreachable]:
        """The ICMP errors that came for datagrams sent by this socket."""
        found: list[Unreachable] = []
        while True:
            try:
                quoted, ancillary, _, (host, port) = self._socket.recvmsg(_LARGEST, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return found
            for level, kind, data in ancillary:
                if level == socket.IPPROTO_IP and kind == _IP_RECVERR:
                    _, origin, icmp_type, code, mtu = _EXTENDED_ERROR.unpack_from(data)
                    if origin == _FROM_ICMP:
                        error = Unreachable(IPv4Address(host), icmp_type, code, quoted, port, mtu)
                        found.append(error)

    def send(self, effect: SendDatagram) -> str | None:
        """Send; the kernel's reason if it cannot (no route, interface down), else None."""
        try:
            # A socket of all interfaces leaves by the one named, whatever the routing table says.
            named = effect.interface if self.interface is None else None
            index = 0 if named is None else socket.if_nametoindex(named)
            source = _PKTINFO.pack(index, effect.source.packed, b"\0" * 4)
            self._socket.sendmsg(
                [effect.payload],
                [
                    (socket.IPPROTO_IP, _IP_PKTINFO, source),
                    (socket.IPPROTO_IP, _IP_TTL, struct.pack("=i", effect.ttl)),
                ],
                0,
                (str(effect.destination), effect.destination_port),
            )
        except OSError as error:
            return error.strerror or str(error)
        return None
