# SPDX-License-Identifier: GPL-2.0-or-later
"""Watches network interfaces: carrier, administrative state, addresses."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection
from ipaddress import IPv4Interface

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_LINK

from agents.effects import InterfaceState

_IFF_UP, _IFF_RUNNING = 0x1, 0x40


class InterfaceMonitor:
    """The states of some interfaces, and a descriptor that becomes readable when one changes."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = tuple(names)
        self._events = IPRoute()
        self._events.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR)
        self._queries = IPRoute()
        self._known = {name: self._read(name) for name in self._names}

    @property
    def states(self) -> dict[str, InterfaceState]:
        """The states last seen, by name."""
        return dict(self._known)

    def fileno(self) -> int:
        """For the event loop."""
        return int(self._events.fileno())

    def close(self) -> None:
        """Close both netlink sockets."""
        self._events.close()
        self._queries.close()

    def changes(self) -> dict[str, InterfaceState]:
        """Consume what was announced; the new states of the interfaces that differ."""
        with contextlib.suppress(NetlinkError, OSError):
            self._events.get()
        changed = {}
        for name in self._names:
            state = self._read(name)
            if state != self._known[name]:
                changed[name] = self._known[name] = state
        return changed

    def _read(self, name: str) -> InterfaceState:
        try:
            index = socket.if_nametoindex(name)
            (link,) = self._queries.get_links(index)
            addresses = tuple(
                IPv4Interface(f"{message.get_attr('IFA_LOCAL')}/{message['prefixlen']}")
                for message in self._queries.get_addr(family=socket.AF_INET, index=index)
            )
        except (OSError, NetlinkError, ValueError):
            return InterfaceState(up=False)
        flags = link["flags"]
        return InterfaceState(
            up=bool(flags & _IFF_UP and flags & _IFF_RUNNING),
            addresses=addresses,
            link_address=link.get_attr("IFLA_ADDRESS"),
        )
