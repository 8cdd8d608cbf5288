# SPDX-License-Identifier: GPL-2.0-or-later
"""The foreign agent's visitor list, and what follows from it for the kernel.

:class:`VisitorTable` holds the current entries (RFC 5944 §3.7.1); pending parts are elsewhere, because
nothing follows from them. As with the home agent's bindings the only way to change a mobile node's
entries is :meth:`VisitorTable.replace`: the new list goes in, the effects that lead from the old to the
new one come out. A tunnel comes before whatever uses it, and goes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from math import inf
from typing import NamedTuple

from agents.effects import (
    AccessLink,
    AddTunnel,
    Effect,
    Encapsulation,
    Path,
    RemoveTunnel,
    SetEncapsulatedReversePath,
    SetNeighbour,
    SetPaths,
    SetReversePath,
    StartTimer,
    StopTimer,
    Tunnel,
)
from agents.lifetimes import remaining
from agents.path_weights import Way, weigh
from agents.settings import Weights


class VisitorKey(NamedTuple):
    """What tells the entries of the visitor list apart (FACTS G38, G50).

    With the Multiple Tunnel Request a binding is known by its Binding-Id, and where it is attached is
    an attribute. Without, there may be one for each attachment of the mobile node.
    """

    home_address: IPv4Address
    binding_id: int | None
    interface: str | None = None
    """None if there is a Binding-Id."""
    link_address: str | None = None
    """Likewise."""


@dataclass(frozen=True, slots=True)
class VisitorTimer:
    """Key of the timer that ends an entry."""

    visitor: VisitorKey


@dataclass(frozen=True, slots=True)
class KeepaliveTimer:
    """Key of the timer for the next keepalive of an entry with a UDP tunnel (RFC 3519 §4.9).

    No tuple, nor is :class:`VisitorTimer`: two tuples of the same content are the same key.
    """

    visitor: VisitorKey


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a request came from, and so where its answer goes (RFC 5944 §3.7.1, FACTS G38)."""

    interface: str
    link_address: str
    source: IPv4Address
    """IP source of the request: the home address, or a co-located care-of address."""
    source_port: int
    agent_address: IPv4Address
    """The foreign agent's own address, from which the answer comes (RFC 5944 §3.7.2.3)."""

    @property
    def place(self) -> tuple[str, str]:
        """Interface and link address: the mobile node's point of attachment."""
        return self.interface, self.link_address


@dataclass(frozen=True, slots=True)
class Visitor:
    """A current entry: a registration the home agent has accepted."""

    key: VisitorKey
    attachment: Attachment
    home_agent: IPv4Address
    care_of_address: IPv4Address
    identification: int
    requested_lifetime: int
    lifetime: int
    """Seconds granted here: never more than the home agent's reply or the request said."""
    expires: float
    """On the monotonic clock; infinity for a Lifetime of 65535."""
    since: float
    """When this entry was first accepted, seconds since 1970."""
    tunnel: Tunnel | None
    """To the home agent; None: the mobile node has a co-located care-of address and its own tunnel."""
    reverse_tunnel: bool
    """T flag."""
    delivery: Encapsulation | None
    """How the mobile node encapsulates what it delivers to us; None: direct delivery."""
    keepalive: int | None
    """Seconds between keepalives; None: the tunnel needs none."""
    access_technology: int | None
    announced_kbytes: int | None
    """Interface Bandwidth as announced; None: unknown (FACTS G3)."""
    bandwidth_kbytes: int | None
    """The same, unless an operator has set another since."""

    @property
    def link(self) -> AccessLink:
        """The way to the mobile node."""
        return AccessLink(self.attachment.interface, self.key.home_address)

    def remaining(self, monotonic: float) -> int:
        """Whole seconds of lifetime left; 65535 for ever."""
        return remaining(self.expires, monotonic)


VisitorList = Mapping[VisitorKey, Visitor]
"""The entries of one mobile node, the one registered last at the end."""


class Delivery(NamedTuple):
    """How a mobile node tunnels to us (RFC 3024 §5.2)."""

    encapsulation: Encapsulation
    agent_address: IPv4Address


class ReversePath(NamedTuple):
    """Where packets of a mobile node leave, and how they get here."""

    tunnel: Tunnel
    delivery: Delivery | None
    """None: bare."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the kernel does for one mobile node."""

    paths: tuple[Path, ...] = ()
    neighbours: Mapping[str, str] = field(default_factory=dict)
    """Link address by interface: a device has one for each address, so the latest entry's counts."""
    reverse: Mapping[str, ReversePath] = field(default_factory=dict)
    """By the interface where packets arrive."""


_NOTHING = Forwarding()


def _forwarding(visitors: VisitorList, weights: Weights) -> Forwarding:
    served = [visitor for visitor in visitors.values() if visitor.tunnel is not None]
    return Forwarding(
        weigh((Way(v.link, v.key.binding_id, v.bandwidth_kbytes) for v in served), weights),
        {v.attachment.interface: v.attachment.link_address for v in served},
        {
            v.attachment.interface: ReversePath(
                v.tunnel, None if v.delivery is None else Delivery(v.delivery, v.attachment.agent_address)
            )
            for v in served
            if v.tunnel is not None and v.reverse_tunnel
        },
    )


def _reverse_effect(home_address: IPv4Address, interface: str, path: ReversePath, end: bool) -> Effect:
    tunnel = None if end else path.tunnel
    if path.delivery is None:
        return SetReversePath(home_address, interface, tunnel)
    encapsulation, agent_address = path.delivery
    return SetEncapsulatedReversePath(home_address, interface, agent_address, encapsulation, tunnel)


class VisitorTable:
    """All current entries, and the tunnels they share."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._lists: dict[IPv4Address, VisitorList] = {}
        self._forwardings: dict[IPv4Address, Forwarding] = {}
        self._uses: dict[Tunnel, int] = {}

    def __len__(self) -> int:
        return sum(len(visitors) for visitors in self._lists.values())

    def of(self, home_address: IPv4Address) -> VisitorList:
        """The entries of one mobile node."""
        return self._lists.get(home_address, {})

    def all(self) -> list[Visitor]:
        """Every entry, by home address and, within one, the order of registration."""
        return [visitor for _, visitors in sorted(self._lists.items()) for visitor in visitors.values()]

    def home_agents(self) -> set[IPv4Address]:
        """The home agents of all entries."""
        return {visitor.home_agent for visitors in self._lists.values() for visitor in visitors.values()}

    def tunnels(self) -> dict[Tunnel, int]:
        """Every tunnel with the number of entries that use it."""
        return dict(self._uses)

    def replace(self, home_address: IPv4Address, new: VisitorList, monotonic: float) -> list[Effect]:
        """Make ``new`` the entries of a mobile node."""
        old = self.of(home_address)
        gained = self._acquire(old, new)
        forward = self._forward(home_address, _forwarding(new, self._weights))
        effects = [*gained, *forward, *self._release(old, new)]
        for key, visitor in old.items():
            if key not in new:
                effects.append(StopTimer(VisitorTimer(key)))
            if visitor.keepalive and (key not in new or not new[key].keepalive):
                effects.append(StopTimer(KeepaliveTimer(key)))
        for key, visitor in new.items():
            if visitor is not old.get(key):
                effects += _timers(visitor, old.get(key), monotonic)
        if new:
            self._lists[home_address] = new
        else:
            self._lists.pop(home_address, None)
        return effects

    def restore(self, lists: Mapping[IPv4Address, VisitorList]) -> None:
        """Take entries over as they are; :meth:`install` brings the kernel to them."""
        self._lists = dict(lists)

    def install(self, monotonic: float) -> list[Effect]:
        """Bring kernel and timers to the table, after :meth:`restore`."""
        lists, self._lists = self._lists, {}
        return [
            effect
            for address, visitors in lists.items()
            for effect in self.replace(address, visitors, monotonic)
        ]

    def clear(self, monotonic: float) -> list[Effect]:
        """Remove every entry, and with it all it has in the kernel."""
        return [effect for address in list(self._lists) for effect in self.replace(address, {}, monotonic)]

    def _acquire(self, old: VisitorList, new: VisitorList) -> list[Effect]:
        effects: list[Effect] = []
        for key, visitor in new.items():
            tunnel = visitor.tunnel
            if tunnel is None or (key in old and old[key].tunnel == tunnel):
                continue
            self._uses[tunnel] = self._uses.get(tunnel, 0) + 1
            if self._uses[tunnel] == 1:
                effects.append(AddTunnel(tunnel, f"{tunnel.local} to {tunnel.remote}"))
        return effects

    def _release(self, old: VisitorList, new: VisitorList) -> list[Effect]:
        effects: list[Effect] = []
        for key, visitor in old.items():
            tunnel = visitor.tunnel
            if tunnel is None or (key in new and new[key].tunnel == tunnel):
                continue
            self._uses[tunnel] -= 1
            if not self._uses[tunnel]:
                del self._uses[tunnel]
                effects.append(RemoveTunnel(tunnel))
        return effects

    def _forward(self, home_address: IPv4Address, new: Forwarding) -> list[Effect]:
        """From the mobile node's present forwarding to another one."""
        old = self._forwardings.get(home_address, _NOTHING)
        effects: list[Effect] = [
            SetNeighbour(home_address, interface, link_address)
            for interface, link_address in new.neighbours.items()
            if old.neighbours.get(interface) != link_address
        ]
        if new.paths != old.paths:
            effects.append(SetPaths(home_address, new.paths))
        for interface, path in old.reverse.items():
            after = new.reverse.get(interface)
            # Another tunnel takes over in one go; another delivery is another effect, so the old one ends.
            if after is None or after.delivery != path.delivery:
                effects.append(_reverse_effect(home_address, interface, path, end=True))
        effects += [
            _reverse_effect(home_address, interface, path, end=False)
            for interface, path in new.reverse.items()
            if old.reverse.get(interface) != path
        ]
        effects += [
            SetNeighbour(home_address, interface, None)
            for interface in old.neighbours
            if interface not in new.neighbours
        ]
        if new == _NOTHING:
            self._forwardings.pop(home_address, None)
        else:
            self._forwardings[home_address] = new
        return effects


def _timers(visitor: Visitor, before: Visitor | None, monotonic: float) -> list[Effect]:
    effects: list[Effect] = []
    if visitor.expires != inf:
        effects.append(StartTimer(VisitorTimer(visitor.key), visitor.expires))
    elif before is not None and before.expires != inf:
        effects.append(StopTimer(VisitorTimer(visitor.key)))
    if visitor.keepalive:
        effects.append(StartTimer(KeepaliveTimer(visitor.key), monotonic + visitor.keepalive))
    return effects
