# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command of these experiments will do. No I/O.

A batch is one guest boot: one run of every treatment of one figure, in random order. Its content
depends on the arguments and the seed only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.settings import Policy
from topologies.links import AccessLink

_SEED_BITS = 63
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
        for repetition in range(self.runs):
            for figure in self.figures:
                chance = random.Random(f"{self.experiment}/{self.seed}/{figure}/{repetition}")
                order = [treatment for treatment in self.treatments() if treatment.figure == figure]
                chance.shuffle(order)
                if order:
                    seed = chance.getrandbits(_SEED_BITS)
                    yield DisturbedBatch(self, figure, repetition, seed, tuple(order))

    def as_json(self) -> dict[str, Any]:
        """For the manifest and for the guest."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> DisturbedPlan:
        """The inverse of :meth:`as_json`."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
        }
        values["policies"] = tuple(Policy(policy) for policy in values["policies"])
        values["cases"] = tuple((figure, case) for figure, case in values["cases"])
        values["links"] = tuple(AccessLink(**link) for link in values["links"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class DisturbedBatch:
    """One guest boot."""

    plan: DisturbedPlan = field(compare=False, repr=False)
    figure: int
    repetition: int
    seed: int
    order: Sequence[Treatment]

    @property
    def name(self) -> str:
        """Names the batch's folder."""
        return f"figure{self.figure}-run{self.repetition + 1:03d}"

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
