# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``aggregate`` will do: its treatments and batches. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from agents.settings import Policy
from experiments.figure_batches import FigureBatch, plan_values, shuffled
from topologies.encapsulations import BUILT_ENCAPSULATIONS
from topologies.figures import available
from topologies.links import AccessLink

FIGURES = available()
"""The figures of the draft that can be built."""
DIRECTIONS = ("down", "up")
PROTOCOLS = ("tcp", "udp")
ENCAPSULATIONS = tuple(encapsulation.value for encapsulation in BUILT_ENCAPSULATIONS)
_PAUSE = 2.0
"""Seconds between two runs, rounded up."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """One cell of an experiment."""

    figure: int
    policy: Policy
    flows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All arguments that decide about results."""

    experiment: str
    figures: tuple[int, ...]
    policies: tuple[Policy, ...]
    weights: str
    protocol: str
    udp_rate: float | None
    """Mbit/s of payload offered in all; None: 1.2 times the ceiling."""
    flows: tuple[int, ...]
    direction: str
    runs: int
    duration: float
    """Seconds measured."""
    warm_up: float
    """Seconds before that."""
    seed: int
    encapsulation: str
    links: tuple[AccessLink, ...]

    def treatments(self) -> list[Treatment]:
        """The cells in the order in which results list them."""
        return [
            Treatment(figure, policy, flows)
            for figure in self.figures
            for policy in self.policies
            for flows in self.flows
        ]

    def batches(self) -> Iterator[Batch]:
        """Every batch, figure by figure within each repetition."""
        for figure, repetition, seed, order in shuffled(self):
            yield Batch(self, figure, repetition, seed, order)

    def as_json(self) -> dict[str, Any]:
        """For the manifest and for the guest."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Plan:
        """The inverse of :meth:`as_json`."""
        return cls(**plan_values(document))


@dataclass(frozen=True, slots=True)
class Batch(FigureBatch[Plan, Treatment]):
    """One guest boot."""

    @property
    def program(self) -> str:
        """The module that runs inside the guest."""
        return "experiments.batch"

    @property
    def steps(self) -> int:
        """Building, calibrating, one per run."""
        return len(self.order) + 2

    @property
    def seconds_per_run(self) -> float:
        """Seconds of traffic."""
        return self.plan.warm_up + self.plan.duration

    @property
    def network_seconds(self) -> float:
        """Seconds of network time of all runs."""
        return len(self.order) * (self.seconds_per_run + _PAUSE)

    def job(self) -> dict[str, Any]:
        """What the program reads."""
        order = [
            {"figure": treatment.figure, "policy": treatment.policy.value, "flows": treatment.flows}
            for treatment in self.order
        ]
        return {"plan": self.plan.as_json(), "order": order}
