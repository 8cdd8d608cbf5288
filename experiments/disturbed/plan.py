# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command of these experiments will do. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from agents.settings import Policy
from experiments.figure_batches import FigureBatch, plan_values, shuffled
from topologies.links import AccessLink

RUN_SECONDS = 30.0
"""Network time a run is expected to take at most."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """One cell."""

    figure: int
    case: str
    """Name of the disturbance."""
    policy: Policy


@dataclass(frozen=True, slots=True)
class DisturbedPlan:
    """All arguments that decide about results."""

    experiment: str
    figures: tuple[int, ...]
    policies: tuple[Policy, ...]
    cases: tuple[tuple[int, str], ...]
    """(figure, case) in the order of results: not every figure can have every case."""
    weights: str
    direction: str
    runs: int
    seed: int
    encapsulation: str
    links: tuple[AccessLink, ...]

    def treatments(self) -> list[Treatment]:
        """The cells in the order in which results list them."""
        return [Treatment(figure, case, policy) for figure, case in self.cases for policy in self.policies]

    def batches(self) -> Iterator[DisturbedBatch]:
        """Every batch, figure by figure within each repetition."""
        for figure, repetition, seed, order in shuffled(self):
            yield DisturbedBatch(self, figure, repetition, seed, order)

    def as_json(self) -> dict[str, Any]:
        """For the manifest and for the guest."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> DisturbedPlan:
        """The inverse of :meth:`as_json`."""
        values = plan_values(document)
        values["cases"] = tuple((figure, case) for figure, case in values["cases"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class DisturbedBatch(FigureBatch[DisturbedPlan, Treatment]):
    """One guest boot."""

    @property
    def program(self) -> str:
        """The module that runs inside the guest."""
        return "experiments.disturbed.batch"

    @property
    def steps(self) -> int:
        """Building, one per run."""
        return len(self.order) + 1

    @property
    def seconds_per_run(self) -> float:
        """Seconds of network time, at most in ordinary runs."""
        return RUN_SECONDS

    @property
    def network_seconds(self) -> float:
        """Seconds of network time of all runs."""
        return len(self.order) * RUN_SECONDS

    def job(self) -> dict[str, Any]:
        """What the program reads."""
        order = [
            {"figure": treatment.figure, "case": treatment.case, "policy": treatment.policy.value}
            for treatment in self.order
        ]
        return {"plan": self.plan.as_json(), "order": order, "seed": self.seed}
