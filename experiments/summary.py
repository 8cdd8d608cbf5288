# SPDX-License-Identifier: GPL-2.0-or-later
"""From the outcomes of all batches of ``aggregate`` to ``summary.json`` and ``samples.csv``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.estimates import paired, stat
from experiments.limits import ceiling_of, encapsulation_of, links_of
from experiments.metrics.delay import fairness
from experiments.plan import Batch, Plan, Treatment
from experiments.summary_document import summary_document

_REORDERING = ("ratio", "n3_ratio", "max_extent", "mean_extent")
_PERCENTILES = ("p50", "p95", "p99")
_TIMES = ("rtt_ms", "late_time_ms", "one_way_delay_ms", "jitter_ms")
Run = Mapping[str, Any]
Outcomes = Sequence[tuple[Batch, Mapping[str, Any]]]


def summarise(
    plan: Plan,
    outcomes: Sequence[tuple[Batch, Mapping[str, Any]]],
    *,
    kernel: str,
    clock: str,
    quick: bool,
) -> dict[str, Any]:
    """The summary of an experiment.

    :param outcomes: every batch of the plan with what it left; a batch or run whose ``problem`` is not
        None takes no part in the numbers and makes the result invalid.
    """
    problems = []
    for batch, outcome in outcomes:
        if outcome["problem"] is not None:
            problems.append(f"{batch.name}: {outcome['problem']}")
        problems += [
            f"{batch.name}, {run['policy']}, {run['flows']} flows: {run['problem']}"
            for run in outcome["runs"]
            if run["problem"] is not None
        ]
    good = [(batch, outcome) for batch, outcome in outcomes if outcome["problem"] is None]
    cells = [_cell(plan, treatment, good) for treatment in plan.treatments()]
    document = summary_document(plan, problems, cells, kernel=kernel, clock=clock, quick=quick)
    return {**document, "comparisons": _comparisons(plan, good)}


def runs_of(treatment: Treatment, outcomes: Outcomes) -> dict[int, Run]:
    """The good runs of a cell by repetition."""
    return {
        batch.repetition: run
        for batch, outcome in outcomes
        if batch.figure == treatment.figure
        for run in outcome["runs"]
        if run["policy"] == treatment.policy and run["flows"] == treatment.flows and run["problem"] is None
    }


def _cell(plan: Plan, treatment: Treatment, outcomes: Outcomes) -> dict[str, Any]:
    runs = list(runs_of(treatment, outcomes).values())
    packets = [run["packets"] for run in runs]
    best = [
        max(outcome["best_single_link"].values())
        for batch, outcome in outcomes
        if batch.figure == treatment.figure
    ]
    links = links_of(plan, treatment.figure)
    limit = ceiling_of(plan, treatment.figure, links)
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
        "link_share": {link.name: _mean([run["link_share"][link.name] for run in runs]) for link in links},
        "reordering": {key: stat([one["reordering"][key] for one in packets]) for key in _REORDERING},
        "retransmits": stat([run["retransmits"] for run in runs]),
        "rtt_ms": _times(packets, "rtt_ms", _PERCENTILES[:2]),
        "spurious_retransmits": stat([one["spurious_retransmissions"] for one in packets]),
        "late_time_ms": _times(packets, "late_time_ms", _PERCENTILES),
        "one_way_delay_ms": _times(packets, "one_way_delay_ms", _PERCENTILES),
        "jitter_ms": _times(packets, "jitter_ms", _PERCENTILES),
        "loss_ratio": stat([_ratio(one["lost"], one["sent"]) for one in packets]),
        "duplication_ratio": stat([_ratio(one["duplicated"], one["sent"]) for one in packets]),
        "fairness": stat([fairness(run["per_flow"]) for run in runs]),
    }


def _times(packets: Sequence[Mapping[str, Any]], key: str, percentiles: Sequence[str]) -> dict[str, Any]:
    """Percentiles over the packets of each run, then a statistic over runs; None if a run has none."""
    return {name: stat([one[key][name] if one[key] else None for one in packets]) for name in percentiles}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _comparisons(plan: Plan, outcomes: Outcomes) -> list[dict[str, Any]]:
    """Each policy against the first, run by run of the same batch."""
    found = []
    first = plan.policies[0]
    for treatment in plan.treatments():
        if treatment.policy == first:
            continue
        theirs = runs_of(treatment, outcomes)
        ours = runs_of(replace(treatment, policy=first), outcomes)
        both = sorted(ours.keys() & theirs.keys())
        pairs = [(theirs[number]["goodput"], ours[number]["goodput"]) for number in both]
        found.append(
            {
                "figure": treatment.figure,
                "flows": treatment.flows,
                "policies": [treatment.policy.value, first.value],
                "n": len(pairs),
                "goodput_mbps": paired(pairs),
            }
        )
    return found


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def samples(plan: Plan, outcomes: Outcomes) -> tuple[list[str], list[list[Any]]]:
    """One row per run, valid or not, for ``samples.csv``: header and rows."""
    links = list(dict.fromkeys(link.name for figure in plan.figures for link in links_of(plan, figure)))
    header = ["batch", "seed", "position", "figure", "policy", "flows", "goodput_mbps", "ceiling_mbps"]
    header += ["retransmits", "out_of_order", "lost", *(f"share_{name}" for name in links)]
    header += ["sent", "received", "duplicated", "spurious_retransmits"]
    header += [f"reordering_{key}" for key in _REORDERING]
    header += [f"{key}_{name}" for key in _TIMES for name in _PERCENTILES]
    header += ["problem", "valid"]
    rows = []
    for batch, outcome in outcomes:
        for position, run in enumerate(outcome["runs"]):
            problem = outcome["problem"] or run["problem"]
            rows.append(
                [
                    batch.name,
                    batch.seed,
                    position,
                    *(run[key] for key in ("figure", "policy", "flows", "goodput", "ceiling_mbps")),
                    *(run[key] for key in ("retransmits", "out_of_order", "lost")),
                    *(run["link_share"].get(name) for name in links),
                    *_packet_columns(run["packets"]),
                    problem,
                    problem is None,
                ]
            )
    return header, rows


def _packet_columns(packets: Mapping[str, Any] | None) -> list[Any]:
    """What the captures told, None where there are none to read."""
    if packets is None:
        return [None] * (4 + len(_REORDERING) + len(_TIMES) * len(_PERCENTILES))
    counts = [packets[key] for key in ("sent", "received", "duplicated", "spurious_retransmissions")]
    order = [packets["reordering"][key] for key in _REORDERING]
    return counts + order + [(packets[key] or {}).get(name) for key in _TIMES for name in _PERCENTILES]
