# SPDX-License-Identifier: GPL-2.0-or-later
"""The home agent's mobility bindings, and what follows from them for the kernel.

:class:`BindingTable` holds the mobility binding lists (RFC 5944 §3.8.1) keyed by (home address,
Binding-Id) (FACTS G26). Its only way to change a list is :meth:`BindingTable.replace`: the whole
new list goes in, the effects that lead from the old to the new one come out. So whatever made the
change (a registration, an expiry, an operator), tunnels come before the paths that use them, and
go after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import chain
from math import inf
from typing import NamedTuple

from agents.effects import (
    AddTunnel,
    Effect,
    ForwardBroadcasts,
    Path,
    RemoveTunnel,
    SetPaths,
    StartInterception,
    StartTimer,
    StopInterception,
    StopTimer,
    Tunnel,
)
from agents.lifetimes import remaining
from agents.path_weights import Way, weigh
from agents.settings import Weights

BindingList = Mapping[int | None, "Binding"]
"""One mobile node's bindings by Binding-Id; None: registered without the extension (FACTS G8)."""


class BindingTimer(NamedTuple):
    """Key of the timer that ends a binding."""

    home_address: IPv4Address
    binding_id: int | None


@dataclass(frozen=True, slots=True)
class Binding:
    """One accepted registration (RFC 5944 §3.8.1, draft §5.3)."""

    home_address: IPv4Address
    binding_id: int | None
    care_of_address: IPv4Address
    """As registered; behind a NAT the tunnel goes elsewhere (FACTS G28)."""
    co_located: bool
    """D flag: the mobile node itself is the end of the tunnel."""
    identification: int
    tunnel: Tunnel | None
    """None: half bound, the end point is not known yet (RFC 3519 §4.11)."""
    keepalive_source: IPv4Address | None
    """Half bound: the address from which the first keepalive must come (RFC 3519 §4.6)."""
    broadcasts: bool
    """B flag: wants the home network's broadcasts too."""
    reverse_tunnel: bool
    """T flag."""
    access_technology: int | None
    """If-Type of the request; None: registered without the extension."""
    announced_kbytes: int | None
    """Interface Bandwidth as the mobile node announced it; None: unknown (FACTS G3)."""
    bandwidth_kbytes: int | None
    """The same, unless an operator has set another since."""
    lifetime: int
    """Seconds granted."""
    expires: float
    """On the monotonic clock; infinity for a Lifetime of 65535."""
    since: float
    """When this binding was first accepted, seconds since 1970."""

    @property
    def end_point(self) -> tuple[IPv4Address, int] | None:
        """Effective outer address and UDP port (0 without UDP) of the far end, once known."""
        return None if self.tunnel is None else (self.tunnel.remote, self.tunnel.remote_port)

    def remaining(self, monotonic: float) -> int:
        """Whole seconds of lifetime left; 65535 for ever."""
        return remaining(self.expires, monotonic)


def paths(bindings: BindingList, weights: Weights) -> tuple[Path, ...]:
    """The ways to a home address: bindings with the same tunnel are one path (FACTS G28)."""
    return weigh(
        (
            Way(binding.tunnel, binding.binding_id, binding.bandwidth_kbytes)
            for binding in bindings.values()
            if binding.tunnel is not None
        ),
        weights,
    )


def broadcast_binding(bindings: BindingList) -> Binding | None:
    """The one by which a mobile node gets its copy of broadcasts: the lowest Binding-Id that asked, so that
    the node does not get one by each tunnel (FACTS G47)."""
    asked = [binding for binding in bindings.values() if binding.broadcasts and binding.tunnel is not None]
    return min(asked, key=lambda b: -1 if b.binding_id is None else b.binding_id, default=None)


def _name(binding: Binding) -> str:
    suffix = "" if binding.binding_id is None else f" bid {binding.binding_id}"
    return f"{binding.home_address}{suffix}"


class BindingTable:
    """All mobility binding lists, the tunnels they share and the addresses that are intercepted."""

    def __init__(self, weights: Weights, intercepting: bool) -> None:
        """``intercepting``: there is a home link on which to use ARP for the mobile nodes."""
        self._weights = weights
        self._intercepting = intercepting
        self._lists: dict[IPv4Address, BindingList] = {}
        self._paths: dict[IPv4Address, tuple[Path, ...]] = {}
        self._uses: dict[Tunnel, int] = {}

    def of(self, home_address: IPv4Address) -> BindingList:
        """The bindings of one mobile node, empty when it is at home."""
        return self._lists.get(home_address, {})

    def all(self) -> list[Binding]:
        """Every binding, by home address and Binding-Id."""
        return sorted(
            chain.from_iterable(bindings.values() for bindings in self._lists.values()),
            key=lambda b: (b.home_address, -1 if b.binding_id is None else b.binding_id),
        )

    def tunnels(self) -> dict[Tunnel, int]:
        """Every tunnel with the number of bindings that use it."""
        return dict(self._uses)

    def replace(
        self, home_address: IPv4Address, new: BindingList, link_address: str | None = None
    ) -> list[Effect]:
        """Make ``new`` the binding list of a mobile node.

        :param link_address: the mobile node's, if it is back on its home link (RFC 5944 §4.6).
        """
        old = self.of(home_address)
        effects: list[Effect] = []
        leaving: list[Tunnel] = []
        gone = [binding for binding_id, binding in old.items() if binding_id not in new]
        rerouted = bool(gone)
        for binding_id, binding in new.items():
            before = old.get(binding_id)
            previous = before.tunnel if before is not None else None
            if previous is not binding.tunnel:
                if binding.tunnel is not None and self._acquire(binding.tunnel):
                    effects.append(AddTunnel(binding.tunnel, _name(binding)))
                if previous is not None:
                    leaving.append(previous)
                rerouted = True
            elif before is not None and before.bandwidth_kbytes != binding.bandwidth_kbytes:
                rerouted = True
        if rerouted:
            effects += self._set_paths(home_address, new)
            leaving += [binding.tunnel for binding in gone if binding.tunnel is not None]
        effects += self._forward_broadcasts(home_address, old, new)
        effects += [RemoveTunnel(tunnel) for tunnel in leaving if self._release(tunnel)]
        if self._intercepting and new and not old:
            effects.append(StartInterception(home_address))
        elif self._intercepting and not new and (old or link_address is not None):
            # Also if its bindings had ended already: the link is to learn where the node is now.
            effects.append(StopInterception(home_address, link_address))
        for binding in gone:
            effects.append(StopTimer(BindingTimer(home_address, binding.binding_id)))
        for binding_id, binding in new.items():
            before = old.get(binding_id)
            if before is None or before.expires != binding.expires:
                effects += self._timer(binding, running=before is not None and before.expires != inf)
        if new:
            self._lists[home_address] = new
        else:
            self._lists.pop(home_address, None)
        return effects

    def restore(self, lists: Mapping[IPv4Address, BindingList]) -> None:
        """Take lists over as they are; :meth:`install` brings the kernel to them."""
        self._lists = {address: bindings for address, bindings in lists.items() if bindings}

    def install(self) -> list[Effect]:
        """Bring kernel and timers to the table, after :meth:`release` or :meth:`restore`."""
        lists, self._lists = self._lists, {}
        return [effect for address, bindings in lists.items() for effect in self.replace(address, bindings)]

    def release(self) -> list[Effect]:
        """Take everything out of the kernel at once and stop the timers; the table stays as it is."""
        effects: list[Effect] = []
        for home_address, bindings in self._lists.items():
            effects += self._set_paths(home_address, {})
            effects += self._forward_broadcasts(home_address, bindings, {})
            if self._intercepting:
                effects.append(StopInterception(home_address))
            effects += [StopTimer(BindingTimer(home_address, binding_id)) for binding_id in bindings]
        effects += [RemoveTunnel(tunnel, drain=0.0) for tunnel in self._uses]
        self._uses.clear()
        return effects

    def _acquire(self, tunnel: Tunnel) -> bool:
        """Count one more binding on the tunnel; whether it is the first."""
        uses = self._uses.get(tunnel, 0)
        self._uses[tunnel] = uses + 1
        return uses == 0

    def _release(self, tunnel: Tunnel) -> bool:
        """Count one binding less on the tunnel; whether it was the last."""
        self._uses[tunnel] -= 1
        if self._uses[tunnel]:
            return False
        del self._uses[tunnel]
        return True

    def _set_paths(self, home_address: IPv4Address, bindings: BindingList) -> list[Effect]:
        wanted = paths(bindings, self._weights)
        if wanted == self._paths.get(home_address, ()):
            return []
        if wanted:
            self._paths[home_address] = wanted
        else:
            del self._paths[home_address]
        return [SetPaths(home_address, wanted)]

    def _forward_broadcasts(
        self, home_address: IPv4Address, old: BindingList, new: BindingList
    ) -> list[Effect]:
        """Lead broadcasts from one tunnel to another; without a home link there are none."""
        before, after = (
            None if binding is None else (binding.tunnel, not binding.co_located)
            for binding in map(broadcast_binding, (old, new))
        )
        if before == after or not self._intercepting:
            return []
        return [ForwardBroadcasts(home_address, *after) if after else ForwardBroadcasts(home_address, None)]

    @staticmethod
    def _timer(binding: Binding, running: bool) -> list[Effect]:
        key = BindingTimer(binding.home_address, binding.binding_id)
        if binding.expires != inf:
            return [StartTimer(key, binding.expires)]
        return [StopTimer(key)] if running else []
