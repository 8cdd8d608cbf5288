# SPDX-License-Identifier: GPL-2.0-or-later
"""Broadcasts and multicasts of the home link, for mobile nodes away from it (RFC 5944 §4.3, §4.4).

At the home agent an nft chain duplicates each of them into one tunnel of every mobile node that asked.
Where the tunnel ends at a foreign agent, the copy takes a device of its own on top of it, which puts the
datagram to the home address around it. What is forwarded: what arrived on the home link from another
node, has a source, may go one hop further and is not for one of the groups that never leave a link
(224.0.0.0/24). The kernel does not fragment a copy: one too big for the tunnel is lost.
"""

from __future__ import annotations

import contextlib
import socket
from ipaddress import IPv4Address, IPv4Network

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.effects import Encapsulation, ForwardBroadcasts, ReceiveBroadcasts, Tunnel
from agents.linux.ways import Ways

_LOCAL_TABLE = 255
_LINK_SCOPE = 253
_LONGEST_PREFIX = 30
"""A longer one has no broadcast address (RFC 3021)."""


class Broadcasts:
    """One agent's part in them: forwarding at a home agent, receiving at a mobile node."""

    def __init__(self, netlink: IPRoute, ways: Ways, home_link: str | None) -> None:
        self._netlink = netlink
        self._ways = ways
        self._home_link = home_link
        self._copies: dict[IPv4Address, tuple[Tunnel, bool]] = {}
        """By home address: the way of its copies, and whether it was made for them."""
        self._route: dict[str, object] | None = None

    @property
    def received(self) -> bool:
        """Whether tunnels may carry them to this node."""
        return self._route is not None

    def forward(self, effect: ForwardBroadcasts) -> None:
        """Lead the copies of a mobile node into another tunnel, or into none.

        :raises WayError: if there is no such tunnel; the node gets no copies then.
        """
        self._stop(effect.home_address)
        tunnel = effect.tunnel
        if tunnel is not None and effect.nested:
            below = self._ways[tunnel].name
            tunnel = Tunnel(Encapsulation.IPIP, tunnel.local, effect.home_address, interface=below)
            self._ways.add(tunnel, f"{effect.home_address} broadcasts")
        if tunnel is not None:
            self._copies[effect.home_address] = tunnel, effect.nested

    def receive(self, effect: ReceiveBroadcasts) -> None:
        """Know the home link's broadcast address, and open what comes encapsulated for the home address.

        :raises WayError: if the kernel refuses the tunnel.
        """
        network: IPv4Network = effect.home_network
        if network.prefixlen <= _LONGEST_PREFIX:
            self._route = {
                "dst": f"{network.broadcast_address}/32",
                "type": "broadcast",
                "oif": socket.if_nametoindex("lo"),
                "table": _LOCAL_TABLE,
                "scope": _LINK_SCOPE,
            }
            self._netlink.route("replace", **self._route)
        else:
            self._route = {}
        own = Tunnel(Encapsulation.IPIP, effect.home_address, effect.home_agent)
        self._ways.add(own, f"{effect.home_address} broadcasts")

    def chain(self) -> str:
        """The chain at ``prerouting`` that makes the copies, as nft text; empty without a taker."""
        devices = {address: self._ways.get(tunnel) for address, (tunnel, _) in self._copies.items()}
        copies = [
            f'    dup to {address} device "{device.name}"\n'
            for address, device in sorted(devices.items())
            if device is not None and self._ways.exists(device)
        ]
        if not copies:
            return ""
        return (
            "  chain broadcasts {\n    type filter hook prerouting priority mangle\n"
            f'    iifname != "{self._home_link}" return\n'
            # Not what this node sent itself, which comes back to it.
            "    fib saddr type local return\n"
            "    meta pkttype != { broadcast, multicast } return\n"
            "    fib daddr type != { broadcast, multicast } return\n"
            "    ip daddr 224.0.0.0/24 return\n"
            "    ip saddr 0.0.0.0 return\n"
            "    ip ttl < 2 return\n"
            f"{''.join(copies)}"
            "  }\n"
        )

    def close(self) -> None:
        """Forget the broadcast address; the devices go with the other ways."""
        self._copies.clear()
        if self._route:
            with contextlib.suppress(NetlinkError):
                self._netlink.route("del", **self._route)
        self._route = None

    def _stop(self, home_address: IPv4Address) -> None:
        tunnel, own = self._copies.pop(home_address, (None, False))
        if tunnel is not None and own:
            self._ways.delete(tunnel)
