# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 6 of the draft: everything but the home agent behind one NAT with one public address.

::

                 cn                      ha
                 |                       |
                 |          +--- home ---+ home link
                 |          |            |
               internet ----+            : (mn, when it returns home)
                   |                     one public address
                  nat                    masquerades
              /   |   |   \\              private addresses
             fa   |   |    |
             |    |   |    |
            wifi evdo wimax lte          layer-2, shaped both ways
              \\   |   |   /
                   mn

Four UDP tunnels (RFC 3519) end at the home agent: one at ``fa``, three at ``mn``. It tells them
apart by the port the NAT gives each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import ClassVar

from agents.effects import Encapsulation
from topologies.figure import FORWARD, TO_HOME, Edge, Figure

PUBLIC = IPv4Interface("203.0.113.50/28")
"""The NAT's one public address."""
_INTERNET_TO_NAT = IPv4Interface("203.0.113.49/28")
TIME_OUTS: Mapping[str, int] = {
    "net.netfilter.nf_conntrack_udp_timeout": 120,
    "net.netfilter.nf_conntrack_udp_timeout_stream": 120,
}
"""Seconds until the NAT forgets a mapping, answered once or often: the least RFC 4787 §4.3 allows."""


class Figure6(Figure):
    """WiFi leads to a foreign agent, the others are direct; a NAT is in front of all four."""

    BEHIND_FOREIGN_AGENT: ClassVar[frozenset[str] | None] = frozenset({"wifi"})
    EDGE = Edge(
        "nat",
        IPv4Network("192.168.0.0/24"),
        foreign_agent=IPv4Interface("192.168.1.2/28"),
        towards_foreign_agent=IPv4Interface("192.168.1.1/28"),
    )
    ENCAPSULATION = Encapsulation.UDP

    def add_core(self, routes: Sequence[tuple[str, str]]) -> None:
        """The NAT is between internet and access networks."""
        self.addRouter("internet", sysctls=FORWARD, routes=[TO_HOME])
        self.addRouter(
            "nat",
            sysctls={**FORWARD, **TIME_OUTS},
            masquerade="internet",
            routes=[("default", str(_INTERNET_TO_NAT.ip)), *routes],
        )
        self.connect("internet", _INTERNET_TO_NAT, "nat", PUBLIC)
