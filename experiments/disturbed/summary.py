# SPDX-License-Identifier: GPL-2.0-or-later
"""From the outcomes of all batches to ``summary.json`` and ``samples.csv``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.disturbed.plan import DisturbedBatch, DisturbedPlan, Treatment
from experiments.summary_document import summary_document
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
    "probe_timeout_s": "probe_timeout",
    "bound_packets": "bound",
}
"""Quantities of a cell, each with the key that a run has it under."""
_COLUMNS = (
    "busiest",
    "queued",
    "probe_timeout",
    "sent",
    "lost",
    "duplicates",
    "reordered",
    "outage",
    "recovery",
    "tcp_stall",
)


OUTAGE_WANTED, SHORT_TIME_OUT = 0.45, 0.1
"""Seconds: what a silent failure may cost where the probe's time-out is short; else that time-out more."""


def wanted_outage(probe_timeout: float) -> float:
    """Seconds of outage that a silent failure may cost at a probe's time-out under load."""
    return OUTAGE_WANTED if probe_timeout <= SHORT_TIME_OUT else OUTAGE_WANTED + probe_timeout


def bound_of(run: Mapping[str, Any], direction: str) -> float | None:
    """Packets of 1,000/s that a lost carrier may cost; None: another fault.

    Upward the mobile node knows at once. Downward what the link's queue held is lost, and what
    the home agent sends until it hears of it over the fastest other link.
    """
    if run["case"] != "carrier-loss":
        return None
    return 1.0 if direction == "up" else float(run["queued"] + run["next_delay_ms"] + 2)


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
    cells = [_cell(plan, treatment, outcomes) for treatment in plan.treatments()]
    return summary_document(plan, problems, cells, kernel=kernel, clock=clock, quick=quick)


def _cell(plan: DisturbedPlan, treatment: Treatment, outcomes: Outcomes) -> dict[str, Any]:
    wanted = (treatment.figure, treatment.case, treatment.policy)
    runs = [
        {**run, "bound": bound_of(run, plan.direction)}
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
