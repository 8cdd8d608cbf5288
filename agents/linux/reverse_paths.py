# SPDX-License-Identifier: GPL-2.0-or-later
"""A foreign agent's way back: what comes from a visitor by an interface leaves by its tunnel."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import IPv4Address

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.effects import Tunnel
from agents.linux import policy_rules
from agents.linux.ways import TABLE_BASE, Ways

RULE_PRIORITY = 8_500
"""Before the marks: what a visitor sends is led by where it came in, not by whom it is for."""


class ReversePaths:
    """The policy rules of one foreign agent, by (home address, interface)."""

    def __init__(self, netlink: IPRoute, ways: Ways) -> None:
        self._netlink = netlink
        self._ways = ways
        self._rules: dict[tuple[IPv4Address, str], dict[str, object]] = {}

    def set(self, home_address: IPv4Address, interface: str, tunnel: Tunnel | None) -> None:
        """Lead packets from ``home_address`` that arrive by ``interface`` into ``tunnel``; None ends it."""
        former = self._rules.pop((home_address, interface), None)
        if tunnel is not None:
            rule: dict[str, object] = {
                "src": str(home_address),
                "src_len": 32,
                "iifname": interface,
                "table": TABLE_BASE + self._ways[tunnel].number,
                "priority": RULE_PRIORITY,
                "family": socket.AF_INET,
            }
            self._rules[home_address, interface] = rule
            if rule == former:
                return
            policy_rules.add(self._netlink, rule)
        if former is not None:  # after the new one is there: nothing falls through meanwhile
            self._remove(former)

    def rules(self) -> list[dict[str, object]]:
        """Every rule."""
        return list(self._rules.values())

    def close(self) -> None:
        """Remove every rule."""
        for rule in self._rules.values():
            self._remove(rule)
        self._rules.clear()

    def _remove(self, rule: dict[str, object]) -> None:
        with contextlib.suppress(NetlinkError):
            self._netlink.rule("del", **rule)
