# SPDX-License-Identifier: GPL-2.0-or-later
"""ARP on behalf of a mobile node: proxy entries, gratuitous announcements, pinned neighbours."""

from __future__ import annotations

import contextlib
import socket
import struct
from ipaddress import IPv4Address

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

_ETHERTYPE_ARP = 0x0806
_NTF_PROXY = 0x08
_NUD_PERMANENT = 0x80
_BROADCAST = b"\xff" * 6


def _octets(link_address: str) -> bytes:
    return bytes.fromhex(link_address.replace(":", ""))


def link_address_of(netlink: IPRoute, interface: str) -> str:
    """The link-layer address of one of our interfaces, ``aa:bb:…``."""
    (facts,) = netlink.get_links(socket.if_nametoindex(interface))
    return str(facts.get_attr("IFLA_ADDRESS"))


def announce(interface: str, address: IPv4Address, link_address: str) -> None:
    """Broadcast a gratuitous ARP Request: ``address`` is at ``link_address`` (RFC 5944 §4.6).

    The frame itself comes from our own link address, whomever it speaks for: a switch that saw
    another node's address here would lead that node's frames to us.
    """
    sender = _octets(link_address)
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, sender, address.packed, b"\0" * 6, address.packed)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet_socket:
        packet_socket.bind((interface, _ETHERTYPE_ARP))
        own: bytes = packet_socket.getsockname()[4]
        packet_socket.send(_BROADCAST + own + struct.pack("!H", _ETHERTYPE_ARP) + arp)


def set_proxy(netlink: IPRoute, address: IPv4Address, interface: str, proxy: bool) -> None:
    """Answer ARP requests for ``address`` on ``interface`` with our own link address, or stop."""
    with contextlib.suppress(NetlinkError):  # already as wanted
        netlink.neigh(
            "add" if proxy else "del",
            dst=str(address),
            ifindex=socket.if_nametoindex(interface),
            flags=_NTF_PROXY,
        )


def pin(netlink: IPRoute, address: IPv4Address, interface: str, link_address: str | None) -> None:
    """Fix a neighbour's link address, without ARP; None removes the entry."""
    index = socket.if_nametoindex(interface)
    if link_address is None:
        with contextlib.suppress(NetlinkError):
            netlink.neigh("del", dst=str(address), ifindex=index)
    else:
        netlink.neigh("replace", dst=str(address), lladdr=link_address, ifindex=index, state=_NUD_PERMANENT)
