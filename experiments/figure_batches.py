# SPDX-License-Identifier: GPL-2.0-or-later
"""How seeds are drawn, and what batches over the draft's figures have in common. No I/O.

A batch is one guest boot: one run of every treatment of one figure, in random order. Its content
depends on the arguments and the seed only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from agents.settings import Policy
from topologies.links import AccessLink

_SEED_BITS = 63


class FigureTreatment(Protocol):
    """One cell of an experiment over figures."""

    @property
    def figure(self) -> int:
        """Number of the draft's figure."""


TreatmentT = TypeVar("TreatmentT", bound=FigureTreatment)
TreatmentT_co = TypeVar("TreatmentT_co", bound=FigureTreatment, covariant=True)
PlanT = TypeVar("PlanT")


class FigurePlan(Protocol[TreatmentT_co]):
    """A plan whose batches are figures."""

    @property
    def experiment(self) -> str:
        """Enters the seeds: two experiments with one seed have other random numbers."""

    @property
    def figures(self) -> tuple[int, ...]:
        """As given."""

    @property
    def runs(self) -> int:
        """Repetitions."""

    @property
    def seed(self) -> int:
        """As given."""

    def treatments(self) -> Sequence[TreatmentT_co]:
        """The cells in the order in which results list them."""


@dataclass(frozen=True, slots=True)
class FigureBatch(Generic[PlanT, TreatmentT]):
    """One guest boot; an experiment adds its program, how long it takes, and its job."""

    plan: PlanT = field(compare=False, repr=False)
    figure: int
    repetition: int
    seed: int
    order: Sequence[TreatmentT]

    @property
    def name(self) -> str:
        """Names the batch's folder."""
        return f"figure{self.figure}-run{self.repetition + 1:03d}"


def chance_of(experiment: str, seed: int, group: int, repetition: int) -> random.Random:
    """The random numbers of one repetition of a group (a figure, say), whatever else the plan holds."""
    return random.Random(f"{experiment}/{seed}/{group}/{repetition}")


def draw_seed(chance: random.Random) -> int:
    """A seed for a guest."""
    return chance.getrandbits(_SEED_BITS)


def shuffled(plan: FigurePlan[TreatmentT]) -> Iterator[tuple[int, int, int, tuple[TreatmentT, ...]]]:
    """Figure, repetition, seed and order of each batch, figure by figure within each repetition."""
    for repetition in range(plan.runs):
        for figure in plan.figures:
            chance = chance_of(plan.experiment, plan.seed, figure, repetition)
            order = [treatment for treatment in plan.treatments() if treatment.figure == figure]
            chance.shuffle(order)
            if order:  # not every figure has every case
                yield figure, repetition, draw_seed(chance), tuple(order)


def plan_values(document: dict[str, Any]) -> dict[str, Any]:
    """A plan's fields from its JSON: tuples, policies and links as they were."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    values["policies"] = tuple(Policy(policy) for policy in values["policies"])
    values["links"] = tuple(AccessLink(**link) for link in values["links"])
    return values
