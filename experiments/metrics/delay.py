# SPDX-License-Identifier: GPL-2.0-or-later
"""Delays and how they vary, and how fairly flows share. Times are whole nanoseconds: sums are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from experiments.metrics.reordering import Numbers

_NANOSECONDS = 1_000_000
"""In a millisecond."""


def variations(delays: Numbers) -> Numbers:
    """By how much each delay differs from that of the packet before, in the order sent (RFC 3393).

    :param delays: of the packets that arrived.
    """
    found: Numbers = np.abs(np.diff(delays))
    return found


def percentile(values: Numbers, percent: int) -> int:
    """The nearest rank: the smallest value that at least so many per cent do not exceed.

    :raises ValueError: without values.
    """
    if not len(values):
        raise ValueError("a percentile of nothing")
    rank = max(1, -(-percent * len(values) // 100))
    return int(np.partition(values, rank - 1)[rank - 1])


def percentiles_ms(values: Numbers, percents: Sequence[int] = (50, 95, 99)) -> dict[str, float] | None:
    """Percentiles of times in nanoseconds as ``{"p50": milliseconds, …}``; None without values."""
    if not len(values):
        return None
    return {f"p{percent}": percentile(values, percent) / _NANOSECONDS for percent in percents}


def fairness(rates: Sequence[float]) -> float | None:
    """Jain's index of flows' rates: 1 all equal, 1/n one has all. None if nothing flowed."""
    squares = math.fsum(rate * rate for rate in rates)
    return math.fsum(rates) ** 2 / (len(rates) * squares) if squares else None
