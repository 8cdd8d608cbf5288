# SPDX-License-Identifier: GPL-2.0-or-later
"""A mobile node's own addresses: the home address on no link in particular, and the care-of addresses,
from each of which packets leave by their own interface."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.linux import policy_rules
from agents.linux.ways import UNREACHABLE_METRIC

ACCESS_TABLE_BASE = 20_000
"""Route table of the access interface with index i is ``ACCESS_TABLE_BASE + i``."""
ACCESS_RULE_PRIORITY = 8_000
HOME_TABLE = 30_000
"""Route table of a mobile node's packets from its home address that no mark leads."""
HOME_RULE_PRIORITY = 9_500


def _rule(address: IPv4Address, table: int, priority: int) -> dict[str, object]:
    """What comes from an address looks into a table."""
    return {
        "src": str(address),
        "src_len": 32,
        "table": table,
        "priority": priority,
        "family": socket.AF_INET,
    }


class OwnAddresses:
    """The home address and the care-of addresses of one mobile node, as the kernel has them."""

    def __init__(self, netlink: IPRoute, home_link: str | None) -> None:
        self._netlink = netlink
        self._home_link = home_link
        self._home_address: IPv4Address | None = None
        self._access: dict[str, tuple[int, tuple[IPv4Address, ...]]] = {}
        """Index and care-of addresses of each interface."""

    def own(self, home_address: IPv4Address) -> None:
        """Have the home address, on no link in particular."""
        self._home_address = home_address
        with contextlib.suppress(NetlinkError):
            self._netlink.addr(
                "add", index=socket.if_nametoindex("lo"), address=str(home_address), prefixlen=32
            )
        # Never by the main table: its routes to the access networks would lead them out bare.
        self._netlink.route(
            "replace", dst="default", type="unreachable", table=HOME_TABLE, priority=UNREACHABLE_METRIC
        )
        policy_rules.add(self._netlink, _rule(home_address, HOME_TABLE, HOME_RULE_PRIORITY))

    def set_access(
        self, interface: str, addresses: Sequence[IPv4Address], gateway: IPv4Address | None
    ) -> None:
        """What comes from any of an interface's addresses leaves by it; without addresses nothing does.

        All of them, because the one in use may give way to another while packets are under way.
        """
        _, former = self._access.get(interface, (0, ()))
        if not addresses:
            self._forget_access(interface)
            return
        index = socket.if_nametoindex(interface)
        self._access[interface] = (index, tuple(addresses))
        next_hop = {"gateway": str(gateway)} if gateway is not None else {}
        table = ACCESS_TABLE_BASE + index
        self._netlink.route("replace", dst="default", oif=index, table=table, **next_hop)
        for address in addresses:
            if address not in former:
                policy_rules.add(self._netlink, _rule(address, table, ACCESS_RULE_PRIORITY))
        for address in former:
            if address not in addresses:
                self._end_rule(address, table)

    def live_on_home_link(self, home_address: IPv4Address, at_home: bool) -> None:
        """Answer ARP for the home address on the home link, and on no other (RFC 5944 §4.6)."""
        if self._home_link is None:
            return
        with contextlib.suppress(NetlinkError, OSError):  # as wanted already, or the link is gone
            self._netlink.addr(
                "add" if at_home else "del",
                index=socket.if_nametoindex(self._home_link),
                address=str(home_address),
                prefixlen=32,
            )

    def rules(self) -> list[dict[str, object]]:
        """The policy rules of all addresses."""
        found = [
            _rule(address, ACCESS_TABLE_BASE + index, ACCESS_RULE_PRIORITY)
            for index, addresses in self._access.values()
            for address in addresses
        ]
        if self._home_address is not None:
            found.append(_rule(self._home_address, HOME_TABLE, HOME_RULE_PRIORITY))
        return found

    def close(self) -> None:
        """Undo everything."""
        for interface in list(self._access):
            self._forget_access(interface)
        if self._home_address is None:
            return
        self.live_on_home_link(self._home_address, False)
        with contextlib.suppress(NetlinkError):
            self._netlink.rule("del", **_rule(self._home_address, HOME_TABLE, HOME_RULE_PRIORITY))
        with contextlib.suppress(NetlinkError):
            self._netlink.flush_routes(table=HOME_TABLE, family=socket.AF_INET)
        with contextlib.suppress(NetlinkError):
            self._netlink.addr(
                "del", index=socket.if_nametoindex("lo"), address=str(self._home_address), prefixlen=32
            )

    def _forget_access(self, interface: str) -> None:
        index, addresses = self._access.pop(interface, (0, ()))
        for address in addresses:
            self._end_rule(address, ACCESS_TABLE_BASE + index)
        if addresses:
            with contextlib.suppress(NetlinkError):
                self._netlink.flush_routes(table=ACCESS_TABLE_BASE + index, family=socket.AF_INET)

    def _end_rule(self, address: IPv4Address, table: int) -> None:
        with contextlib.suppress(NetlinkError):
            self._netlink.rule("del", **_rule(address, table, ACCESS_RULE_PRIORITY))
