# SPDX-License-Identifier: GPL-2.0-or-later
"""What share of a home address's traffic each way to it gets (FACTS G3, G28, G43)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agents.effects import AccessLink, Path, Tunnel
from agents.settings import Weights

_KBIT_PER_KBYTE = 8


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
                way.through, first.weight + weight, first.binding_id, first.bandwidth + bandwidth
            )
    return tuple(merged.values())
