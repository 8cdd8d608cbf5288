# SPDX-License-Identifier: GPL-2.0-or-later
"""What a sweep will do: an ordinary plan for each point of a product of parameters. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.work import Batch, BatchOfPart, Plan

Value = int | float | str | tuple[str, ...]
"""Of a parameter at one point; several words only for an option that may be given several times."""


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of values."""

    number: int
    """From 1."""
    parameters: Mapping[str, Value]
    """As in the sweep's file."""
    plan: Plan[Batch] = field(compare=False, repr=False)
    """What the experiment would do with them."""

    @property
    def name(self) -> str:
        """Begins the names of its batches."""
        return f"point{self.number:04d}"


@dataclass(frozen=True, slots=True)
class SweepBatch(BatchOfPart):
    """A batch of one point: a task."""

    point: Point


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """All that decides about results."""

    swept: str
    """The experiment whose options are swept."""
    parameters: Mapping[str, Sequence[Value]]
    """The values of each option, as in the file."""
    points: Sequence[Point]
    quick: bool
    digest: str
    """SHA-256 of the file."""
    experiment: str = "sweep"

    @property
    def seed(self) -> int | Sequence[int]:
        """The only one, or all of them."""
        seeds = list(dict.fromkeys(seed for point in self.points for seed in _seeds(point.plan.seed)))
        return seeds[0] if len(seeds) == 1 else seeds

    def batches(self) -> Iterator[SweepBatch]:
        """Every batch, point by point. What is in it does not depend on the other points."""
        for point in self.points:
            for batch in point.plan.batches():
                yield SweepBatch(f"{point.name}-{batch.name}", batch, point)

    def varied(self) -> list[str]:
        """The options that have more than one value."""
        return [key for key, values in self.parameters.items() if len(values) > 1]

    def as_json(self) -> dict[str, Any]:
        """For the manifest; each task's ``job.json`` has all its arguments."""
        parameters = {key: list(values) for key, values in self.parameters.items()}
        return {"experiment": self.swept, "parameters": parameters, "quick": self.quick}


def _seeds(seed: int | Sequence[int]) -> Sequence[int]:
    return [seed] if isinstance(seed, int) else seed
