# SPDX-License-Identifier: GPL-2.0-or-later
"""What every experiment's command does: check its words, run its batches, store, draw and show."""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from rich.console import Console

from experiments import terminal
from experiments.arguments import Command, UsageError, lasting, read_resume
from experiments.runner import Finished, run
from experiments.store import ResultFolder, StoreError, as_text, commit, write_json
from experiments.summary_document import invalid
from experiments.unfinished import Unfinished
from experiments.work import Batch, Outcome, Plan, Table
from topologies.lab.guest import GuestError
from topologies.lab.lab import Lab, LabError, choose
from topologies.signals import end_on_signals

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PlanT = TypeVar("PlanT", bound=Plan[Batch])
BatchT = TypeVar("BatchT", bound=Batch)
Outcomes = Sequence[tuple[BatchT, Outcome]]
"""What each batch of a plan left, in its order."""


class Experiment(ABC, Generic[PlanT, BatchT]):
    """What one experiment adds to the command."""

    name: str
    """Also the folder of its results."""

    @abstractmethod
    def read(self, words: Sequence[str]) -> Command[PlanT]:
        """Check a command line.

        :raises UsageError: with every problem.
        """

    @abstractmethod
    def show_plan(self, console: Console, plan: PlanT) -> None:
        """What a dry run would do."""

    @abstractmethod
    def summarise(self, command: Command[PlanT], lab: Lab, outcomes: Outcomes[BatchT]) -> dict[str, Any]:
        """``summary.json``."""

    @abstractmethod
    def samples(self, plan: PlanT, outcomes: Outcomes[BatchT]) -> Table:
        """One row per run."""

    def digest(self, command: Command[PlanT], folder: Path, outcome: Outcome) -> Outcome:  # noqa: ARG002
        """What is kept of what a batch left in its folder; done once, when it has ended."""
        return outcome

    def documents(self, plan: PlanT, outcomes: Outcomes[BatchT]) -> dict[str, Any]:  # noqa: ARG002
        """What else is stored as JSON, by file name."""
        return {}

    @abstractmethod
    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:
        """The figures of a summary.

        :param folder: ``figures`` in the result's folder.
        """

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

        unfinished = None
        try:
            resume = read_resume(words)
            if resume is not None:
                unfinished = Unfinished.read(resume[0], self.name)
                words = [*unfinished.words, *resume[1]]
            command = self.read(words)
            if command.dry_run:
                self.show_plan(console, command.plan)
                terminal.estimate(console, list(command.plan.batches()), command.jobs)
                return OK
            lab = choose(command.kernel, command.clock)
            made_with = {"kernel_key": lab.kernel_key, "clock": lab.clock.value, "commit": commit()}
            if unfinished is not None:
                unfinished.check(made_with)
            end_on_signals()
            if unfinished is None:
                folder = ResultFolder.new(command.out, self.name)
                unfinished = Unfinished.begin(folder, self.name, lasting(words), made_with)
            summary, folder = self._execute(command, lab, console, unfinished)
        except (UsageError, LabError) as error:
            return refuse(error.problems)
        except (StoreError, GuestError) as error:
            return refuse([str(error)])
        except KeyboardInterrupt:  # before anything was begun
            return INTERRUPTED
        finally:
            if unfinished is not None:
                unfinished.release()
        self.show(console, summary)
        for problem in summary["problems"]:
            console.print(f"{self.name}: {problem}", markup=False, soft_wrap=True)
        if command.json:
            sys.stdout.write(as_text(summary))
            sys.stdout.flush()
        console.print(f"result: {folder.path}", markup=False, soft_wrap=True)
        return OK if summary["valid"] else FAILED

    def _execute(
        self, command: Command[PlanT], lab: Lab, console: Console, unfinished: Unfinished
    ) -> tuple[dict[str, Any], ResultFolder]:
        """Run every batch that is not done yet and store what came of all."""
        plan, folder = command.plan, unfinished.folder
        begun = time.time()
        try:
            # A plan makes batches of its experiment; Python has no type that could say so.
            batches = cast(list[BatchT], list(plan.batches()))
            done = {batch.name: unfinished.finished(batch) for batch in batches}
            left = [batch for batch in batches if done[batch.name] is None]
            if len(left) < len(batches):
                console.print(f"{self.name}: {len(batches) - len(left)} of {len(batches)} batches are done")
            with terminal.Display(console, left) as display:
                ran = run(
                    lab,
                    left,
                    folder.batch_folder,
                    command.jobs,
                    display.show,
                    lambda _, place, outcome: self._digested(command, place, outcome),
                    lambda one: unfinished.add(one.batch, one.outcome, one.wall_seconds),
                )
            new = {one.batch.name: one for one in ran}
            finished = [
                new[batch.name] if before is None else Finished(batch, *before)
                for batch, before in ((batch, done[batch.name]) for batch in batches)
            ]
            outcomes = [(batch, one.outcome) for batch, one in zip(batches, finished, strict=True)]
            summary = self.summarise(command, lab, outcomes)
            wall_clock = _wall_clock(command.jobs, finished, begun)
            folder.finish(
                plan,
                lab,
                outcomes,
                self.samples(plan, outcomes),
                summary,
                wall_clock,
                self.documents(plan, outcomes),
            )
            self.draw(summary, folder.path / "figures")
            unfinished.complete()
            for row in wall_clock["batches"]:
                console.print(
                    f"{row['name']}: {row['traffic_seconds']:.0f} s of traffic in "
                    f"{row['wall_seconds']:.0f} s, emulation speed {row['emulation_speed']:.2f}",
                    highlight=False,
                )
        except GuestError:  # nothing was run
            self._leave(unfinished)
            raise
        except SystemExit:  # told to end: half a result is none, but what is done need not be done again
            kept = self._leave(unfinished)
            console.print(f"{self.name}: interrupted; nothing is left running, {kept}", soft_wrap=True)
            raise
        finally:
            folder.release()
        return summary, folder

    def _digested(self, command: Command[PlanT], folder: Path, outcome: Outcome) -> Outcome:
        """Put what is kept of a batch in the place of what it left."""
        found = self.digest(command, folder, outcome)
        write_json(folder / "outcome.json", found)
        return found

    def _leave(self, unfinished: Unfinished) -> str:
        """Keep finished batches, if there are any; what is kept, for a person."""
        if not unfinished.any_finished:
            unfinished.folder.discard()
            return "no result is kept"
        unfinished.keep_batches()
        return f"finished batches are kept; go on with: --resume {unfinished.folder.path}"


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
