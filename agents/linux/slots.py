# SPDX-License-Identifier: GPL-2.0-or-later
"""Who gets the next flow, who the next packet: cycles of slots apportioned by weight.

A new policy that is a cycle of tunnels needs no more than a function here and a word in
``agents.settings.Policy``; ``path_selection`` turns the cycle into a kernel map.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

LONGEST_CYCLE = 256
"""Slots of a per-packet cycle at most; weights are rounded to fit."""


def flow_cycle(weights: Sequence[float], rates: Sequence[float] | None = None) -> list[int]:
    """The order in which new flows take the tunnels, as indices into ``weights``.

    2n slots for n tunnels, apportioned by weight (highest averages) with at least one slot
    each. Every tunnel comes once, largest first, before any comes again: few flows use the
    best tunnels, and any 2n consecutive flows use all.

    :param rates: break ties between equal weights, fastest first.
    """
    count = len(weights)
    slots = [1] * count
    while sum(slots) < 2 * count:
        slots[max(range(count), key=lambda i: (weights[i] / slots[i], -i))] += 1
    rates = rates or [0.0] * count
    order = sorted(range(count), key=lambda i: (-weights[i], -rates[i], i))
    cycle: list[int] = []
    for turn in range(max(slots, default=0)):
        cycle += [i for i in order if slots[i] > turn]
    return cycle


def packet_cycle(weights: Sequence[float]) -> list[int]:
    """Smooth weighted round robin over one period, as indices into ``weights``.

    No tunnel is ever a whole packet ahead of its share, so its packets come spread: a burst on
    one link would wait in its queue while the others idle.
    """
    whole = _whole_numbers(weights) if weights else []
    total = sum(whole)
    credit = [0] * len(whole)
    cycle = []
    for _ in range(total):
        credit = [have + weight for have, weight in zip(credit, whole, strict=True)]
        best = max(range(len(credit)), key=lambda i: credit[i])
        credit[best] -= total
        cycle.append(best)
    return cycle


def _whole_numbers(weights: Sequence[float]) -> list[int]:
    """The weights as the smallest whole numbers in (nearly) the same ratio, each at least 1."""
    exact = [Fraction(weight).limit_denominator(1000) for weight in weights]
    smallest = min((weight for weight in exact if weight > 0), default=Fraction(1))
    scaled = [max(weight, smallest / LONGEST_CYCLE) for weight in exact]
    total = sum(scaled)
    best: list[int] = []
    least = None
    # The shortest cycle with the least error: 20, 10 and 40 need 7 slots, not 256.
    for length in range(len(scaled), LONGEST_CYCLE + 1):
        candidate = [max(1, round(weight * length / total)) for weight in scaled]
        slots = sum(candidate)
        if best and slots > LONGEST_CYCLE:  # rounded up to one slot each
            continue
        error = max(abs(have / slots - want / total) for have, want in zip(candidate, scaled, strict=True))
        if least is None or error < least:
            best, least = candidate, error
        if error == 0:
            break
    return best
