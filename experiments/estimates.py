# SPDX-License-Identifier: GPL-2.0-or-later
"""From samples to numbers with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scipy import stats

CONFIDENCE = 0.95

Stat = dict[str, Any]


def interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """Student's t confidence interval of the mean; None with fewer than two samples."""
    count = len(samples)
    if count < 2:
        return None
    mean = math.fsum(samples) / count
    deviation = math.sqrt(math.fsum((sample - mean) ** 2 for sample in samples) / (count - 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count)
    return mean - half, mean + half


def stat(samples: Sequence[float | None]) -> Stat | None:
    """Mean, 95 % confidence interval and the samples; None if it was not measured."""
    known = [sample for sample in samples if sample is not None]
    if not known or len(known) != len(samples):
        return None
    bounds = interval(known)
    return {
        "mean": math.fsum(known) / len(known),
        "ci95": [None, None] if bounds is None else list(bounds),
        "samples": known,
    }


def paired(pairs: Sequence[tuple[float, float]]) -> dict[str, Any] | None:
    """The difference within each pair, and how large it is; None without pairs.

    ``effect_size`` is Cohen's d of paired samples: mean over standard deviation of the differences; None
    with fewer than two pairs or when all differences are the same.
    """
    differences = [one - other for one, other in pairs]
    found = stat(differences)
    if found is None:
        return None
    deviation = 0.0
    if len(differences) > 1:
        squares = math.fsum((value - found["mean"]) ** 2 for value in differences)
        deviation = math.sqrt(squares / (len(differences) - 1))
    return {"difference": found, "effect_size": found["mean"] / deviation if deviation else None}
