# SPDX-License-Identifier: GPL-2.0-or-later
"""A small plan of a disturbing experiment, and what its batches leave."""

from __future__ import annotations

from typing import Any

from agents.settings import Policy
from experiments.disturbed.plan import DisturbedBatch, DisturbedPlan
from topologies.links import DEFAULT_LINKS

PLAN = DisturbedPlan(
    experiment="failover",
    figures=(3,),
    policies=(Policy.PER_FLOW, Policy.PER_PACKET),
    cases=((3, "silent-loss"), (3, "carrier-loss")),
    weights="bandwidth",
    direction="down",
    runs=3,
    seed=1,
    encapsulation="ipip",
    links=DEFAULT_LINKS,
)


def run_of(case: str, policy: str, outage: float, **changes: Any) -> dict[str, Any]:
    """What a batch notes of one run."""
    return {
        "figure": 3,
        "case": case,
        "policy": policy,
        "busiest": "lte",
        "queued": 15,
        "next_delay_ms": 5,
        "probe_timeout": 0.1,
        "affected": [4],
        "recovery": 1.5,
        "failed_tunnels": [4],
        "false_alarms": 0,
        "sent": 5000,
        "lost": round(1000 * outage),
        "duplicates": 0,
        "reordered": 2,
        "outage": outage,
        "outage_began": 1.25,
        "resumed": True,
        "delay": [0.015, 0.04],
        "tcp_stall": 0.6,
        "tcp_octets": 32000,
        "retransmits": 4,
        "broken": [],
        **changes,
    }


def outcome_of(batch: DisturbedBatch, **changes: Any) -> dict[str, Any]:
    """What a batch leaves: the outage grows by 10 ms with each repetition."""
    outage = 0.4 + 0.01 * batch.repetition
    return {"problem": None, "runs": [run_of(t.case, t.policy.value, outage, **changes) for t in batch.order]}
