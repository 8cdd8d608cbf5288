# SPDX-License-Identifier: GPL-2.0-or-later
"""What the links allow at most: the payload rate when every link is always full."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from topologies.links import ETHERNET_HEADER, AccessLink

IP_HEADER = 20
TCP_HEADER = 32
"""Octets, with the timestamp option that Linux always sends."""
UDP_HEADER = 8
TUNNEL_OVERHEAD = {"ipip": 20, "gre": 24, "udp": 32}
"""Octets each encapsulation puts in front of a packet (FACTS §12)."""


CORE_MTU = 1500
"""Octets of the largest IP packet between the agents."""


def payload(
    links: Iterable[AccessLink], protocol: str, encapsulation: str, bare: Collection[str] = ()
) -> int:
    """Octets of payload in a full packet: what fits through every tunnel and every link.

    :param bare: names of the links behind a foreign agent, which carry packets without tunnel header.
    """
    overhead = TUNNEL_OVERHEAD[encapsulation]
    room = [link.mtu - (0 if link.name in bare else overhead) for link in links]
    return min(CORE_MTU - overhead, *room) - IP_HEADER - (TCP_HEADER if protocol == "tcp" else UDP_HEADER)


def ceiling(
    used: Sequence[AccessLink],
    links: Iterable[AccessLink],
    direction: str,
    protocol: str,
    encapsulation: str,
    bare: Collection[str] = (),
) -> float:
    """Payload rate in Mbit/s with every link of ``used`` full.

    netem counts the Ethernet header of each packet; preamble, gap and checksum do not exist here.

    :param links: all links of the figure: the smallest room among them sets the packet size.
    :param bare: as for :func:`payload`.
    """
    data = payload(links, protocol, encapsulation, bare)
    headers = IP_HEADER + (TCP_HEADER if protocol == "tcp" else UDP_HEADER) + ETHERNET_HEADER
    overhead = TUNNEL_OVERHEAD[encapsulation]
    return sum(
        link.rate(direction) * data / (data + headers + (0 if link.name in bare else overhead))
        for link in used
    )
