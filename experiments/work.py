# SPDX-License-Identifier: GPL-2.0-or-later
"""What runner, store and display know of an experiment's plan: guest boots, each with a seed and a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Outcome = Mapping[str, Any]
"""What a batch left: ``problem`` (None: a good batch), ``runs``, and what the experiment adds."""


class Batch(Protocol):
    """One guest boot: the unit of seeding and comparing."""

    @property
    def name(self) -> str:
        """Names the batch's folder."""

    @property
    def seed(self) -> int:
        """Of the guest's random numbers."""

    @property
    def program(self) -> str:
        """The module that runs inside the guest."""

    @property
    def steps(self) -> int:
        """Steps of its progress."""

    @property
    def network_seconds(self) -> float:
        """Seconds of network time that all its runs may take."""

    @property
    def seconds_per_run(self) -> float:
        """Seconds of traffic in one run, as far as known beforehand."""

    def job(self) -> dict[str, Any]:
        """What the program reads as ``job.json``."""


@dataclass(frozen=True, slots=True)
class BatchOfPart:
    """A batch of one of several plans that are run as one, with a name that is no other's."""

    name: str
    """Names the batch's folder."""
    inner: Batch

    @property
    def seed(self) -> int:
        """Of the guest's random numbers."""
        return self.inner.seed

    @property
    def program(self) -> str:
        """The module that runs inside the guest."""
        return self.inner.program

    @property
    def steps(self) -> int:
        """Steps of its progress."""
        return self.inner.steps

    @property
    def network_seconds(self) -> float:
        """Seconds of network time of all runs."""
        return self.inner.network_seconds

    @property
    def seconds_per_run(self) -> float:
        """Seconds of traffic."""
        return self.inner.seconds_per_run

    def job(self) -> dict[str, Any]:
        """What the program reads."""
        return self.inner.job()


BatchT_co = TypeVar("BatchT_co", bound=Batch, covariant=True)


class Plan(Protocol[BatchT_co]):
    """All arguments of an experiment that decide about results."""

    @property
    def experiment(self) -> str:
        """Names the folder of the results."""

    @property
    def seed(self) -> int | Sequence[int]:
        """As given; of a sweep maybe several."""

    def batches(self) -> Iterator[BatchT_co]:
        """Every guest boot, in order."""

    def as_json(self) -> dict[str, Any]:
        """For the manifest and for the guest."""


Table = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""Header and rows."""
