# SPDX-License-Identifier: GPL-2.0-or-later
"""What the links allow at most: the payload rate when every link is always full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from topologies.links import ETHERNET_HEADER, AccessLink

IP_HEADER = 20
TCP_HEADER = 32
"""Octets, with the timestamp option that Linux always sends."""
UDP_HEADER = 8
TUNNEL_OVERHEAD = {"ipip": 20, "gre": 24, "udp": 32}
"""Octets each encapsulation puts in front of a packet (FACTS §12)."""


def payload(links: Iterable[AccessLink], protocol: str, encapsulation: str) -> int:
    """Octets of payload in a full packet: what fits through the tunnel with the smallest MTU."""
    headers = IP_HEADER + (TCP_HEADER if protocol == "tcp" else UDP_HEADER)
    return min(link.mtu for link in links) - TUNNEL_OVERHEAD[encapsulation] - headers


def ceiling(
    used: Sequence[AccessLink],
    links: Iterable[AccessLink],
    direction: str,
    protocol: str,
    encapsulation: str,
) -> float:
    """Payload rate in Mbit/s with every link of ``used`` full.

    netem counts the Ethernet header of each packet; preamble, gap and checksum do not exist here.

    :param links: all links of the figure: the smallest MTU among them sets the packet size.
    """
    data = payload(links, protocol, encapsulation)
    headers = IP_HEADER + (TCP_HEADER if protocol == "tcp" else UDP_HEADER)
    packet = data + headers + TUNNEL_OVERHEAD[encapsulation] + ETHERNET_HEADER
    return sum(link.rate(direction) for link in used) * data / packet
