# SPDX-License-Identifier: GPL-2.0-or-later
"""What every experiment's command does: check its words, run its batches, store, draw and show."""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from rich.console import Console

from experiments import terminal
from experiments.arguments import Command, UsageError
from experiments.runner import Finished, run
from experiments.store import ResultFolder, StoreError, as_text
from experiments.summary import invalid
from experiments.work import Batch, Outcome, Plan, Table
from topologies.lab.guest import GuestError
from topologies.lab.lab import Lab, LabError, choose
from topologies.signals import end_on_signals

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PlanT = TypeVar("PlanT", bound=Plan)
Outcomes = Sequence[tuple[Batch, Outcome]]


class Experiment(ABC, Generic[PlanT]):
    """What one experiment adds to the command."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, words: Sequence[str]) -> Command[PlanT]:
        """Check a command line.

        :raises UsageError: with every problem.
        """

    @abstractmethod
    def show_plan(self, console: Console, plan: PlanT) -> None:
        """What a dry run would do."""

    @abstractmethod
    def summarise(self, command: Command[PlanT], lab: Lab, outcomes: Any) -> dict[str, Any]:
        """``summary.json``."""

    @abstractmethod
    def samples(self, plan: PlanT, outcomes: Any) -> Table:
        """One row per run."""

    @abstractmethod
    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:
        """The figures of a summary."""

    @abstractmethod
    def show(self, console: Console, summary: dict[str, Any]) -> None:
        """The table at the end."""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """The command; its exit code."""
        words = sys.argv[1:] if argv is None else argv
        console = terminal.console()

        def refuse(problems: Sequence[str]) -> int:
            for problem in problems:
                console.print(f"{self.name}: {problem}", markup=False, soft_wrap=True)
            if "--json" in words:
                sys.stdout.write(as_text(invalid(problems)))
            return USAGE

        try:
            command = self.read(words)
            if command.dry_run:
                self.show_plan(console, command.plan)
                return OK
            lab = choose(command.kernel, command.clock)
            end_on_signals()
            summary, folder = self._execute(command, lab, console)
        except (UsageError, LabError) as error:
            return refuse(error.problems)
        except (StoreError, GuestError) as error:
            return refuse([str(error)])
        except KeyboardInterrupt:  # before anything was begun
            return INTERRUPTED
        self.show(console, summary)
        for problem in summary["problems"]:
            console.print(f"{self.name}: {problem}", markup=False, soft_wrap=True)
        if command.json:
            sys.stdout.write(as_text(summary))
            sys.stdout.flush()
        console.print(f"result: {folder.path}", markup=False, soft_wrap=True)
        return OK if summary["valid"] else FAILED

    def _execute(
        self, command: Command[PlanT], lab: Lab, console: Console
    ) -> tuple[dict[str, Any], ResultFolder]:
        """Run every batch and store what came of it."""
        plan = command.plan
        batches = list(plan.batches())
        folder = ResultFolder(command.out, self.name)
        begun = time.time()
        try:
            with terminal.Display(console, batches) as display:
                finished = run(lab, batches, folder.batch_folder, command.jobs, display.show)
            outcomes = [(done.batch, done.outcome) for done in finished]
            summary = self.summarise(command, lab, outcomes)
            wall_clock = _wall_clock(command.jobs, finished, begun)
            folder.finish(plan, lab, outcomes, self.samples(plan, outcomes), summary, wall_clock)
            self.draw(summary, folder.path / "figures")
            for row in wall_clock["batches"]:
                console.print(
                    f"{row['name']}: {row['traffic_seconds']:.0f} s of traffic in "
                    f"{row['wall_seconds']:.0f} s, emulation speed {row['emulation_speed']:.2f}",
                    highlight=False,
                )
        except GuestError:  # nothing was run
            folder.discard()
            raise
        except SystemExit:  # told to end: half a result is none
            folder.discard()
            console.print(f"{self.name}: interrupted; nothing is left running, no result is kept")
            raise
        finally:
            folder.release()
        return summary, folder


def _measured_seconds(done: Finished) -> float:
    return len(done.outcome["runs"]) * done.batch.seconds_per_run


def _wall_clock(jobs: int, finished: Sequence[Finished], begun: float) -> dict[str, Any]:
    return {
        "started_unix": begun,
        "wall_seconds": time.time() - begun,
        "jobs": jobs,
        "cores": os.cpu_count(),
        "host": os.uname().nodename,
        "host_kernel": os.uname().release,
        "batches": [
            {
                "name": done.batch.name,
                "wall_seconds": done.wall_seconds,
                "traffic_seconds": _measured_seconds(done),
                "emulation_speed": _measured_seconds(done) / done.wall_seconds,
            }
            for done in finished
        ],
    }
