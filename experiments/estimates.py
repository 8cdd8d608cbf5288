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
