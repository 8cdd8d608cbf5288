# SPDX-License-Identifier: GPL-2.0-or-later
"""From the outcomes of all batches to ``summary.json``: no path and no wall-clock time in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.estimates import stat
from experiments.limits import ceiling_of, encapsulation_of
from experiments.plan import Batch, Plan, Treatment

SCHEMA = 1
_REORDERING = ("ratio", "n3_ratio", "max_extent", "mean_extent")


def invalid(problems: Sequence[str]) -> dict[str, Any]:
    """What ``--json`` prints when nothing could be run."""
    return {"schema": SCHEMA, "valid": False, "problems": list(problems), "cells": []}


def summarise(
    plan: Plan,
    outcomes: Sequence[tuple[Batch, Mapping[str, Any]]],
    *,
    kernel: str,
    clock: str,
    quick: bool,
) -> dict[str, Any]:
    """The summary of an experiment.

    :param outcomes: every batch of the plan with what it left; one whose ``problem`` is not
        None takes no part in the numbers and makes the result invalid.
    """
    problems = [
        f"{batch.name}: {outcome['problem']}" for batch, outcome in outcomes if outcome["problem"] is not None
    ]
    good = [(batch, outcome) for batch, outcome in outcomes if outcome["problem"] is None]
    return {
        "schema": SCHEMA,
        "experiment": plan.experiment,
        "seed": plan.seed,
        "kernel": kernel,
        "clock": clock,
        "quick": quick,
        "valid": not problems,
        "problems": problems,
        "cells": [_cell(plan, treatment, good) for treatment in plan.treatments()],
    }


def _cell(
    plan: Plan, treatment: Treatment, outcomes: Sequence[tuple[Batch, Mapping[str, Any]]]
) -> dict[str, Any]:
    runs = [
        run
        for batch, outcome in outcomes
        if batch.figure == treatment.figure
        for run in outcome["runs"]
        if run["policy"] == treatment.policy and run["flows"] == treatment.flows
    ]
    best = [
        max(outcome["best_single_link"].values())
        for batch, outcome in outcomes
        if batch.figure == treatment.figure
    ]
    limit = ceiling_of(plan, treatment.figure, plan.links)
    return {
        "figure": treatment.figure,
        "policy": treatment.policy.value,
        "weights": plan.weights,
        "protocol": plan.protocol,
        "flows": treatment.flows,
        "direction": plan.direction,
        "encapsulation": encapsulation_of(plan, treatment.figure),
        "n": len(runs),
        "goodput_mbps": stat([run["goodput"] for run in runs]),
        "ceiling_mbps": limit,
        "best_single_link_mbps": _mean(best),
        "efficiency": stat([run["goodput"] / limit for run in runs]),
        "link_share": {
            link.name: _mean([run["link_share"][link.name] for run in runs]) for link in plan.links
        },
        "reordering": dict.fromkeys(_REORDERING),
        "retransmits": stat([run["retransmits"] for run in runs]),
        "rtt_ms": {"p50": None, "p95": None},
    }


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def samples(
    plan: Plan, outcomes: Sequence[tuple[Batch, Mapping[str, Any]]]
) -> tuple[list[str], list[list[Any]]]:
    """One row per run, valid or not, for ``samples.csv``: header and rows."""
    links = [link.name for link in plan.links]
    header = ["batch", "seed", "position", "figure", "policy", "flows", "goodput_mbps", "ceiling_mbps"]
    header += ["retransmits", "out_of_order", "lost", *(f"share_{name}" for name in links), "valid"]
    rows = []
    for batch, outcome in outcomes:
        for position, run in enumerate(outcome["runs"]):
            rows.append(
                [
                    batch.name,
                    batch.seed,
                    position,
                    *(run[key] for key in ("figure", "policy", "flows", "goodput", "ceiling_mbps")),
                    *(run[key] for key in ("retransmits", "out_of_order", "lost")),
                    *(run["link_share"][name] for name in links),
                    outcome["problem"] is None,
                ]
            )
    return header, rows
