# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker of a cluster does: one batch in one guest, in a folder that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distributed import get_worker

from experiments.arguments import Command
from experiments.command import Experiment, made_with
from experiments.runner import Progress, run
from experiments.store import ResultFolder
from experiments.work import Batch, Outcome
from topologies.lab.lab import Lab, choose
from topologies.lab.leftovers import RunFolder


class WrongWorkerError(RuntimeError):
    """A worker that would make something else of a batch than the others."""


@dataclass(frozen=True, slots=True)
class Task:
    """One batch, with all that a worker needs for it."""

    experiment: Experiment[Any, Any]
    command: Command[Any]
    """With the plan that the batch is of."""
    batch: Batch
    made_with: Mapping[str, str | None]
    topic: str
    """Under which its progress is told."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task; it is to be stored elsewhere, so its files are in it."""

    outcome: Outcome
    wall_seconds: float
    files: Mapping[str, bytes]
    """By their path in the batch's folder."""


def fitting_lab(task: Task) -> Lab:
    """The lab of this worker.

    :raises WrongWorkerError: if it makes other results than the one of the command.
    """
    lab = choose(task.command.kernel, task.command.clock)
    own = made_with(lab)
    wrong = [
        f"its {key} is {own[key]}, not {wanted}"
        for key, wanted in task.made_with.items()
        if own[key] != wanted
    ]
    if wrong:
        raise WrongWorkerError("; ".join(wrong))
    return lab


def perform(task: Task) -> Done:
    """Run the batch of a task."""
    lab = fitting_lab(task)
    run_folder = RunFolder("sweep")
    try:
        (run_folder.path / "raw").mkdir()
        folder = ResultFolder.reopen(run_folder.path)
        digest = partial(task.experiment.digested, task.command)
        (finished,) = run(lab, [task.batch], folder.batch_folder, 1, _Teller(task.topic), digest)
        files = _files(run_folder.path / "raw" / task.batch.name)
    finally:
        run_folder.close()
    return Done(finished.outcome, finished.wall_seconds, files)


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class _Teller:
    """Tells the command how far a batch is, when that has changed."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._last: dict[str, Any] = {}

    def __call__(self, step: Progress) -> None:
        said = {
            "batch": step.batch.name,
            "done": step.done,
            "of": step.of,
            "what": step.what,
            "mbps": dict(step.mbps),
        }
        if said != self._last:
            self._last = said
            get_worker().log_event(self._topic, said)
