# SPDX-License-Identifier: GPL-2.0-or-later
"""``distributions.json``: what figures need beyond means. All runs of a cell together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.limits import links_of
from experiments.plan import Plan, Treatment
from experiments.summary import Outcomes, Run, runs_of
from experiments.traffic import SAMPLE

SCHEMA = 1
_COUNTED = ("extents", "displacements", "buffer_occupancy")


def distributions(plan: Plan, outcomes: Outcomes) -> dict[str, Any]:
    """Frequencies of reordering extents, displacements and buffer occupancy, and links' rates in time."""
    good = [(batch, outcome) for batch, outcome in outcomes if outcome["problem"] is None]
    return {
        "schema": SCHEMA,
        "experiment": plan.experiment,
        "cells": [_cell(plan, treatment, good) for treatment in plan.treatments()],
    }


def _cell(plan: Plan, treatment: Treatment, outcomes: Outcomes) -> dict[str, Any]:
    runs = list(runs_of(treatment, outcomes).values())
    return {
        "figure": treatment.figure,
        "policy": treatment.policy.value,
        "flows": treatment.flows,
        "n": len(runs),
        "received": sum(run["packets"]["received"] for run in runs),
        **{name: _together([_frequencies(run, name) for run in runs]) for name in _COUNTED},
        "link_series": {
            "interval": SAMPLE,
            "warm_up": plan.warm_up,
            "mbps": {
                link.name: _means([run["link_series"][link.name] for run in runs])
                for link in links_of(plan, treatment.figure)
            },
        },
    }


def _frequencies(run: Run, name: str) -> Mapping[str, int]:
    packets: Mapping[str, Any] = run["packets"]
    found: Mapping[str, int] = packets["reordering"][name] if name == "extents" else packets[name]
    return found


def _together(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[int] = Counter()
    for part in parts:
        total.update({int(value): count for value, count in part.items()})
    return {str(value): total[value] for value in sorted(total)}


def _means(series: Sequence[Sequence[float]]) -> list[float]:
    """The mean of all runs at each moment."""
    return [math.fsum(moment) / len(moment) for moment in zip(*series, strict=True)]
