# SPDX-License-Identifier: GPL-2.0-or-later
"""What an earlier life of an agent has left in its node's kernel.

An agent that is killed goes on forwarding: the kernel does it. Its successor takes up what its state
file knows of and what still is as it should be (:meth:`agents.linux.ways.Ways.adopt`), and, once its
own table is loaded, sweeps away the rest. What is swept is an agent's without doubt: devices by their
name, rules by their priority and the tables they lead to, routes by their protocol number, permanent
neighbours because such a route leads to them, proxy entries because such a route is for them.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from pydantic import Field
from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.effects import AccessLink, Tunnel
from agents.kept_state import KeptModel, KeptSetting
from agents.linux import neighbours
from agents.settings import Policy

PROTOCOL = 77
"""Of every route an agent makes outside tables of its own (``proto 77`` in ``ip route``)."""
DEFAULT = "default"
_NUD_PERMANENT = 0x80
_RULE_KEYS = {
    "priority": "FRA_PRIORITY",
    "table": "FRA_TABLE",
    "src": "FRA_SRC",
    "iifname": "FRA_IIFNAME",
    "fwmark": "FRA_FWMARK",
    "fwmask": "FRA_FWMASK",
}


class KeptWay(KeptModel):
    """A way, with the number by which marked packets and tracked connections know it."""

    way: Tunnel | AccessLink
    number: int
    home_addresses: tuple[IPv4Address, ...]


class KernelRecord(KeptModel):
    """What an agent keeps over a restart of its part of the kernel."""

    policy: KeptSetting[Policy]
    ways: tuple[KeptWay, ...]
    sysctls: dict[str, str] = Field(default_factory=dict)
    """What the node had before the agent's first life, by name: a life that is killed sets nothing back."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is not to be swept away."""

    rules: Collection[Mapping[str, object]] = ()
    destinations: Collection[str] = ()
    """Of routes: :data:`DEFAULT`, or a home address."""
    neighbours: Collection[tuple[IPv4Address, str]] = ()
    """Pinned, by address and interface."""
    proxies: Collection[IPv4Address] = ()
    proxy_link: str | None = None
    """Interface on which an agent of this role has proxy entries at all."""


def delete_devices(netlink: IPRoute, device: str, spared: Collection[str]) -> None:
    """Delete tunnel devices.

    :param device: the name of every one, before its number.
    :param spared: the names of those that stay.
    """
    numbered = re.compile(re.escape(device) + r"[0-9]+")
    for link in netlink.get_links():
        name = link.get_attr("IFLA_IFNAME")
        if numbered.fullmatch(name) and name not in spared:
            with contextlib.suppress(NetlinkError):
                netlink.link("del", index=link["index"])


def sweep(netlink: IPRoute, priorities: Collection[int], wanted: Wanted) -> None:
    """Remove rules, tables, routes, neighbours and proxy entries that are an agent's and not wanted.

    :param priorities: of an agent's rules.
    """
    tables = _sweep_rules(netlink, priorities, wanted.rules)
    routes = [
        route
        for route in netlink.get_routes(family=socket.AF_INET)
        if route["proto"] == PROTOCOL or _table_of(route) in tables
    ]
    next_hops = {hop for route in routes for hop in _next_hops(route)}
    pinned = {(str(address), _index(interface)) for address, interface in wanted.neighbours}
    for neighbour in netlink.get_neighbours(family=socket.AF_INET):
        entry = (neighbour.get_attr("NDA_DST"), neighbour["ifindex"])
        if neighbour["state"] & _NUD_PERMANENT and entry in next_hops - pinned:
            with contextlib.suppress(NetlinkError):
                netlink.neigh("del", dst=entry[0], ifindex=entry[1])
    served = {_destination(route) for route in routes}
    for address in served - {str(address) for address in wanted.proxies} - {DEFAULT}:
        if wanted.proxy_link is not None:
            neighbours.set_proxy(netlink, IPv4Address(address), wanted.proxy_link, False)
    kept = {rule["table"] for rule in wanted.rules}
    for table in tables - kept:
        with contextlib.suppress(NetlinkError):
            netlink.flush_routes(table=table, family=socket.AF_INET)
    for route in routes:
        destination, table = _destination(route), _table_of(route)
        if route["proto"] == PROTOCOL and destination not in wanted.destinations:
            with contextlib.suppress(NetlinkError):
                netlink.route("del", dst=destination, table=table, proto=PROTOCOL, type="unicast")


def _sweep_rules(
    netlink: IPRoute, priorities: Collection[int], wanted: Collection[Mapping[str, object]]
) -> set[int]:
    """Remove rules; the tables to which an agent's rules have led, wanted or not."""
    keys = [_key(rule) for rule in wanted]
    tables = set()
    for found in netlink.get_rules(family=socket.AF_INET):
        rule = {word: found.get_attr(name) for word, name in _RULE_KEYS.items()}
        if rule["priority"] not in priorities:
            continue
        tables.add(rule["table"])
        if _key(rule) not in keys:
            given = {word: value for word, value in rule.items() if value is not None}
            if "src" in given:
                given["src_len"] = 32
            with contextlib.suppress(NetlinkError):
                netlink.rule("del", family=socket.AF_INET, **given)
    return tables


def _key(rule: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(rule.get(word) for word in _RULE_KEYS)


def _table_of(route: Any) -> int:
    return int(route.get_attr("RTA_TABLE") or route["table"])


def _destination(route: Any) -> str:
    return str(route.get_attr("RTA_DST") or DEFAULT)


def _next_hops(route: Any) -> Iterator[tuple[str, int]]:
    """Gateway and interface index of each next hop that has both."""
    for hop in route.get_attr("RTA_MULTIPATH") or [route]:
        gateway = hop.get_attr("RTA_GATEWAY")
        if gateway is not None:
            yield gateway, hop.get_attr("RTA_OIF") or hop["oif"]


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0
