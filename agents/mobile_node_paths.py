# SPDX-License-Identifier: GPL-2.0-or-later
"""The mobile node's own ways out: tunnels, links to foreign agents, and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.effects import (
    AccessLink,
    AddTunnel,
    Effect,
    Path,
    RemoveTunnel,
    SetNeighbour,
    SetPaths,
    Tunnel,
)
from agents.settings import Weights


@dataclass(frozen=True, slots=True)
class Way:
    """One way the traffic of the home address may take."""

    through: Tunnel | AccessLink
    interface: str
    binding_id: int | None
    uplink_kbit: int
    """0: unknown."""
    link_address: str | None = None
    """Of the gateway of an :class:`AccessLink`, if it is to be pinned."""


class PathTable:
    """Turns the ways there are into the effects that lead from the former ones to them."""

    def __init__(self, home_address: IPv4Address, weights: Weights) -> None:
        self._home_address = home_address
        self._weights = weights
        self._paths: tuple[Path, ...] = ()
        self._neighbours: dict[tuple[IPv4Address, str], str] = {}

    def update(self, ways: Sequence[Way]) -> list[Effect]:
        """New tunnels and neighbours, then the paths, then what is no longer needed."""
        weights = self._weigh(ways)
        paths = tuple(
            Path(way.through, weight, way.binding_id, way.uplink_kbit)
            for way, weight in zip(ways, weights, strict=True)
        )
        before = [path.tunnel for path in self._paths if isinstance(path.tunnel, Tunnel)]
        after = [way.through for way in ways if isinstance(way.through, Tunnel)]
        effects: list[Effect] = [
            AddTunnel(way.through, _name(way))
            for way in ways
            if isinstance(way.through, Tunnel) and way.through not in before
        ]
        neighbours = {
            (way.through.gateway, way.through.interface): way.link_address
            for way in ways
            if isinstance(way.through, AccessLink) and way.link_address is not None
        }
        effects += [
            SetNeighbour(address, interface, link_address)
            for (address, interface), link_address in neighbours.items()
            if self._neighbours.get((address, interface)) != link_address
        ]
        if paths != self._paths:
            effects.append(SetPaths(self._home_address, paths))
        effects += [RemoveTunnel(tunnel) for tunnel in before if tunnel not in after]
        effects += [
            SetNeighbour(address, interface, None)
            for address, interface in self._neighbours
            if (address, interface) not in neighbours
        ]
        self._paths = paths
        self._neighbours = neighbours
        return effects

    def _weigh(self, ways: Sequence[Way]) -> list[float]:
        known = [way.uplink_kbit for way in ways if way.uplink_kbit]
        if self._weights is Weights.EQUAL or not known:
            return [1.0] * len(ways)
        mean = sum(known) / len(known)
        return [way.uplink_kbit or mean for way in ways]


def _name(way: Way) -> str:
    return way.interface if way.binding_id is None else f"{way.interface} bid {way.binding_id}"
