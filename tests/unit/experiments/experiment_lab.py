# SPDX-License-Identifier: GPL-2.0-or-later
"""A small plan, and a lab without a kernel that hands out prepared outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agents.settings import Policy
from experiments.distributions import distributions
from experiments.limits import ceiling_of
from experiments.plan import Batch, Plan
from experiments.summary import summarise
from topologies.lab.guest import Clock, GuestError, Job
from topologies.lab.lab import Lab
from topologies.links import DEFAULT_LINKS

PLAN = Plan(
    experiment="aggregate",
    figures=(3,),
    policies=(Policy.PER_FLOW, Policy.PER_PACKET),
    weights="bandwidth",
    protocol="tcp",
    udp_rate=None,
    flows=(1, 8),
    direction="down",
    runs=3,
    duration=10.0,
    warm_up=2.0,
    seed=1,
    encapsulation="ipip",
    links=DEFAULT_LINKS,
)
CEILING = ceiling_of(PLAN, 3, DEFAULT_LINKS)
"""Mbit/s; test_ceiling has it by hand."""
PACKETS: dict[str, Any] = {
    "sent": 1000,
    "received": 990,
    "lost": 10,
    "duplicated": 1,
    "reordering": {
        "ratio": 0.5,
        "n3_ratio": 0.25,
        "max_extent": 9,
        "mean_extent": 4.5,
        "extents": {"1": 3, "9": 2},
    },
    "late_time_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    "one_way_delay_ms": {"p50": 11.0, "p95": 12.0, "p99": 13.0},
    "jitter_ms": {"p50": 0.1, "p95": 0.2, "p99": 0.3},
    "rtt_ms": {"p50": 21.0, "p95": 22.0, "p99": 23.0},
    "displacements": {"-1": 2, "0": 986, "1": 2},
    "buffer_occupancy": {"0": 980, "1": 10},
    "retransmissions": 7,
    "spurious_retransmissions": 6,
}
"""What the captures of one run told."""
SHARES = {"wifi": 0.25, "evdo": 0.05, "wimax": 0.1, "lte": 0.6}


def run_of(policy: str, flows: int, goodput: float) -> dict[str, Any]:
    """What a batch notes of one run."""
    return {
        "figure": 3,
        "policy": policy,
        "flows": flows,
        "goodput": goodput,
        "per_flow": [goodput / flows] * flows,
        "problem": None,
        "packets": PACKETS,
        "link_series": {name: [20.0 * share * (i % 7) for i in range(60)] for name, share in SHARES.items()},
        "ceiling_mbps": CEILING,
        "link_share": SHARES,
        "retransmits": 7,
        "out_of_order": None,
        "lost": None,
    }


def outcome_of(
    batch: Batch, *, best: float = 37.0, problem: str | None = None, goodput: float = 60.0
) -> dict[str, Any]:
    """What a batch leaves; goodput grows by one with each repetition."""
    runs = [run_of(t.policy.value, t.flows, goodput + batch.repetition) for t in batch.order]
    return {"problem": problem, "best_single_link": {"wifi": 18.0, "lte": best}, "runs": runs}


def summary_of(plan: Plan = PLAN, **changes: Any) -> dict[str, Any]:
    """A valid summary."""
    outcomes = [(batch, outcome_of(batch, **changes)) for batch in plan.batches()]
    return summarise(plan, outcomes, kernel="guest", clock="virtual", quick=False)


def distributions_of(plan: Plan = PLAN) -> dict[str, Any]:
    """What figures need beyond a summary."""
    return distributions(plan, [(batch, outcome_of(batch)) for batch in plan.batches()])


Behaviour = Callable[[Path, Job], int | None]
"""What a job does in its folder, and its exit code; None: it hangs."""


def leave(outcome: Mapping[str, Any], code: int = 0) -> Behaviour:
    """A job that leaves this outcome."""

    def behave(folder: Path, job: Job) -> int:  # noqa: ARG001
        (folder / "outcome.json").write_text(json.dumps(outcome))
        return code

    return behave


class FakeRunning:
    """A job that has ended, or hangs."""

    def __init__(self, lab: FakeLab, job: Job, code: int | None) -> None:
        self._lab = lab
        self._job = job
        self._code = code
        self._polls = 0
        self.left = False

    def __enter__(self) -> FakeRunning:
        self._lab.entered += 1
        self._lab.most = max(self._lab.most, self._lab.entered)
        return self

    def __exit__(self, *_: object) -> None:
        self._lab.entered -= 1
        self.left = True

    def poll(self) -> bool:
        self._polls += 1
        return self._code is not None and self._polls >= self._lab.polls_to_end

    def wait(self) -> int:
        return self.exit_code()

    def exit_code(self) -> int:
        if self._code is None or self._code < 0:
            raise GuestError("the guest died:\nKernel panic")
        return self._code

    def kill(self) -> None:
        self._lab.killed.append(self._job)

    def output(self, stream: str) -> str:
        return f"said on {stream}\n"


class FakeLab:
    """Stands in for a ``Lab``: no kernel, jobs behave as they are told."""

    kernel = "guest"
    kernel_key = "fake-key"
    clock = Clock.VIRTUAL
    guest_kernel: SimpleNamespace | None = SimpleNamespace(key="fake-key")

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.started: list[tuple[Job, int | None]] = []
        self.killed: list[Job] = []
        self.entered = self.most = 0
        self.polls_to_end = 1

    def start(self, job: Job, *, seed: int | None = None, wall_limit: float | None = None) -> FakeRunning:
        """As :meth:`topologies.lab.lab.Lab.start`."""
        assert wall_limit is None  # the runner has its own
        # Without a guest the job gets the folder itself.
        folder = job.folders[0].source if self.guest_kernel is not None else Path(job.argv[-1])
        code = self._behaviour(folder, job)
        self.started.append((job, seed))
        return FakeRunning(self, job, code)

    def as_lab(self) -> Lab:
        """For the type checker."""
        return self  # type: ignore[return-value]


def by_plan(plan: Plan, change: Callable[[Batch], Mapping[str, Any]] = outcome_of) -> Behaviour:
    """Jobs that leave the outcome of their batch."""
    batches = {batch.name: batch for batch in plan.batches()}

    def behave(folder: Path, job: Job) -> int | None:
        return leave(change(batches[folder.name]))(folder, job)

    return behave
