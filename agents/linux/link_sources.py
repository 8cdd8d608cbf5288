# SPDX-License-Identifier: GPL-2.0-or-later
"""The link-layer source of control messages: what a UDP socket does not tell.

A foreign agent answers a mobile node at the link address its request came from, without ARP
(RFC 5944 §3.7.1, §4.6), and a home agent tells its link where a node that came home is.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from ipaddress import IPv4Address

from agents.effects import MOBILE_IP_PORT
from agents.linux.packet_filter import (
    ACCEPT,
    ANY_BIT,
    DROP,
    EQUAL,
    HEADER_LENGTH,
    LOAD_HALF,
    LOAD_HALF_BEHIND,
    LOAD_OCTET,
    RETURN,
    link_address,
    open_filtered,
)

REMEMBERED = 1024
"""Senders remembered per interface; older ones are forgotten."""
_HEADERS = 64
_PROGRAM = (
    (LOAD_OCTET, 0, 0, 9),
    (EQUAL, 0, 6, socket.IPPROTO_UDP),
    (LOAD_HALF, 0, 0, 6),
    (ANY_BIT, 4, 0, 0x1FFF),  # a later fragment
    HEADER_LENGTH,
    (LOAD_HALF_BEHIND, 0, 0, 2),
    (EQUAL, 0, 1, MOBILE_IP_PORT),
    (RETURN, 0, 0, ACCEPT),
    (RETURN, 0, 0, DROP),
)


class LinkSources:
    """Who sent the control messages that came by one interface."""

    def __init__(self, interface: str) -> None:
        """Begin to listen.

        :raises OSError: if the interface does not exist or the right is missing.
        """
        self._socket = open_filtered(interface, _PROGRAM)
        self._known: OrderedDict[tuple[IPv4Address, int], str] = OrderedDict()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def of(self, source: IPv4Address, port: int) -> str | None:
        """The link address the last message from this address and port came from.

        A packet socket gets a packet before the UDP socket does, so the answer is known by then.
        """
        while True:
            try:
                packet, (_, _, kind, _, sender) = self._socket.recvfrom(_HEADERS)
            except OSError:
                break
            header = (packet[0] & 0x0F) * 4
            if kind == socket.PACKET_OUTGOING or len(packet) < header + 2:
                continue
            key = IPv4Address(packet[12:16]), int.from_bytes(packet[header : header + 2], "big")
            self._known[key] = link_address(sender)
            self._known.move_to_end(key)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known.get((source, port))
