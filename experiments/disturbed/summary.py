# SPDX-License-Identifier: GPL-2.0-or-later
"""From the outcomes of all batches to ``summary.json`` and ``samples.csv``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.disturbed.plan import DisturbedBatch, DisturbedPlan, Treatment
from experiments.summary import SCHEMA
from experiments.work import Outcome, Table
from topologies.figures import load

Outcomes = Sequence[tuple[DisturbedBatch, Outcome]]
_NUMBERS = {
    "outage_s": "outage",
    "lost_packets": "lost",
    "recovery_s": "recovery",
    "duplicate_packets": "duplicates",
    "reordered_packets": "reordered",
    "tcp_stall_s": "tcp_stall",
    "tcp_retransmits": "retransmits",
    "queued_packets": "queued",
}
"""Quantities of a cell, each with the key that a run has it under."""
_COLUMNS = ("busiest", "queued", "sent", "lost", "duplicates", "reordered", "outage", "recovery", "tcp_stall")


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least ``share`` of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def distribution(samples: Sequence[float | None]) -> dict[str, Any] | None:
    """Median, 95th percentile, largest, and the samples; None if one is missing or there is none."""
    known = [sample for sample in samples if sample is not None]
    if not known or len(known) != len(samples):
        return None
    return {
        "p50": quantile(known, 0.5),
        "p95": quantile(known, 0.95),
        "max": max(known),
        "samples": known,
    }


def summarise(
    plan: DisturbedPlan, outcomes: Outcomes, *, kernel: str, clock: str, quick: bool
) -> dict[str, Any]:
    """The summary: what did not hold is a problem and makes the result invalid."""
    problems = []
    for batch, outcome in outcomes:
        if outcome["problem"] is not None:
            problems.append(f"{batch.name}: {outcome['problem']}")
        for run in outcome["runs"]:
            problems += [f"{batch.name}: {run['case']}, {run['policy']}: {text}" for text in run["broken"]]
    return {
        "schema": SCHEMA,
        "experiment": plan.experiment,
        "seed": plan.seed,
        "kernel": kernel,
        "clock": clock,
        "quick": quick,
        "valid": not problems,
        "problems": problems,
        "cells": [_cell(plan, treatment, outcomes) for treatment in plan.treatments()],
    }


def _cell(plan: DisturbedPlan, treatment: Treatment, outcomes: Outcomes) -> dict[str, Any]:
    wanted = (treatment.figure, treatment.case, treatment.policy)
    runs = [
        run
        for _, outcome in outcomes
        for run in outcome["runs"]
        if (run["figure"], run["case"], run["policy"]) == wanted
    ]
    return {
        "figure": treatment.figure,
        "case": treatment.case,
        "policy": treatment.policy.value,
        "direction": plan.direction,
        "encapsulation": str(load(treatment.figure).ENCAPSULATION or plan.encapsulation),
        "n": len(runs),
        **{name: distribution([run[key] for run in runs]) for name, key in _NUMBERS.items()},
        "false_alarms": sum(run["false_alarms"] for run in runs),
        "broken": sum(bool(run["broken"]) for run in runs),
    }


def samples(plan: DisturbedPlan, outcomes: Outcomes) -> Table:  # noqa: ARG001 - as every experiment's
    """One row per run, header first."""
    header = ["batch", "seed", "position", "figure", "case", "policy"]
    header += [*_COLUMNS, "delay_min", "delay_max", "tcp_octets", "retransmits", "false_alarms", "valid"]
    rows = []
    for batch, outcome in outcomes:
        for position, run in enumerate(outcome["runs"]):
            rows.append(_row(batch, position, run))
    return header, rows


def _row(batch: DisturbedBatch, position: int, run: Mapping[str, Any]) -> list[Any]:
    return [
        batch.name,
        batch.seed,
        position,
        *(run[key] for key in ("figure", "case", "policy", *_COLUMNS)),
        *(run["delay"] or (None, None)),
        run["tcp_octets"],
        run["retransmits"],
        run["false_alarms"],
        not run["broken"],
    ]
