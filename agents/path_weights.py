# SPDX-License-Identifier: GPL-2.0-or-later
"""What share of a home address's traffic each way to it gets (FACTS G3, G28, G43)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from agents.effects import AccessLink, Effect, Path, Report, Tunnel
from agents.settings import Weights

_KBIT_PER_KBYTE = 8
_MAXIMUM_KBYTES = 0xFFFF_FFFF
Entry = TypeVar("Entry")
"""A home agent's binding or a foreign agent's visitor."""


class Way(NamedTuple):
    """Where the traffic of one registration may go."""

    through: Tunnel | AccessLink
    binding_id: int | None
    bandwidth_kbytes: int | None
    """None: unknown."""


def weigh(ways: Iterable[Way], weights: Weights) -> tuple[Path, ...]:
    """The paths over some ways: those through the same tunnel or link are one path (FACTS G28).

    Its weight is their sum: 1 for each, or their bandwidth; one of unknown bandwidth counts as the
    mean of the known, and all are equal if none is known (FACTS G3).
    """
    in_order = sorted(ways, key=lambda way: -1 if way.binding_id is None else way.binding_id)
    known = [way.bandwidth_kbytes for way in in_order if way.bandwidth_kbytes]
    by_bandwidth = weights is Weights.BANDWIDTH and bool(known)
    unknown = sum(known) / len(known) if by_bandwidth else 1.0
    merged: dict[Tunnel | AccessLink, Path] = {}
    for way in in_order:
        weight = float(way.bandwidth_kbytes or unknown) if by_bandwidth else 1.0
        bandwidth = (way.bandwidth_kbytes or 0) * _KBIT_PER_KBYTE
        first = merged.get(way.through)
        if first is None:
            merged[way.through] = Path(way.through, weight, way.binding_id, bandwidth)
        else:
            merged[way.through] = Path(
                way.through,
                first.weight + weight,
                first.binding_id,
                first.bandwidth + bandwidth,
                (*first.shared_by, way.binding_id),
            )
    return tuple(merged.values())


def set_bandwidth(
    binding_id: int,
    kbytes: int,
    entries: Iterable[Entry],
    install: Callable[[Entry, int | None], list[Effect]],
    identity: Callable[[Entry], Mapping[str, str | int | float | bool | None]],
) -> list[Effect]:
    """Weigh the entries of a Binding-Id by another bandwidth, by order of an operator.

    :param kbytes: kilobytes per second; 0: unknown.
    :param entries: those with the Binding-Id that are meant.
    :param install: puts an entry with this bandwidth (None: unknown) in place of the former.
    :param identity: what a report calls an entry.
    :raises ValueError: if ``kbytes`` is negative or has more than 32 bits; nothing is changed then.
    """
    if not 0 <= kbytes <= _MAXIMUM_KBYTES:
        raise ValueError(f"bandwidth {kbytes}: choose 0 to {_MAXIMUM_KBYTES} kilobytes per second")
    effects: list[Effect] = []
    for entry in entries:
        effects += install(entry, kbytes or None)
        effects.append(Report("bandwidth-set", {**identity(entry), "kbytes": kbytes}))
    return effects or [Report("bandwidth-not-set", {"binding_id": binding_id}, warning=True)]
