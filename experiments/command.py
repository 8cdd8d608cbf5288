# SPDX-License-Identifier: GPL-2.0-or-later
"""What every experiment's command does: check its words, run its batches, store, draw and show."""

from __future__ import annotations

import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from rich.console import Console

from experiments import terminal
from experiments.arguments import Command, UsageError, lasting, read_resume
from experiments.runner import Finished, NotRunError, Progress, run
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


def made_with(lab: Lab) -> dict[str, str | None]:
    """Kernel, clock and commit: parts of one result are made with the same."""
    return {"kernel_key": lab.kernel_key, "clock": lab.clock.value, "commit": commit()}


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

    def made_with(self, command: Command[PlanT], lab: Lab) -> dict[str, str | None]:  # noqa: ARG002
        """What must not change between two parts of one result."""
        return made_with(lab)

    def lasting(self, words: Sequence[str]) -> list[str]:
        """The words with which ``--resume`` makes the same plan again."""
        return lasting(words)

    def carry_out(
        self,
        command: Command[PlanT],
        lab: Lab,
        batches: Sequence[Batch],
        make_folder: Callable[[Batch], Path],
        report: Callable[[Progress], None],
        keep: Callable[[Finished], None],
    ) -> list[Finished]:
        """Run batches on this machine; what each left, in their order.

        :param keep: told of each batch as soon as it has ended.
        :raises GuestError: if nothing can be run.
        :raises NotRunError: if nothing can be run, or not the rest.
        """
        digest = partial(self.digested, command)
        return run(lab, batches, make_folder, command.jobs, report, digest, keep)

    def digested(self, command: Command[PlanT], _: Batch, folder: Path, outcome: Outcome) -> Outcome:
        """Put what is kept of a batch in the place of what it left."""
        found = self.digest(command, folder, outcome)
        write_json(folder / "outcome.json", found)
        return found

    def export(self, samples: Table, folder: Path) -> None:
        """Store the samples in other forms than ``samples.csv``."""

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
            made_with = self.made_with(command, lab)
            if unfinished is not None:
                unfinished.check(made_with)
            end_on_signals()
            if unfinished is None:
                folder = ResultFolder.new(command.out, self.name)
                unfinished = Unfinished.begin(folder, self.name, self.lasting(words), made_with)
            summary, folder = self._execute(command, lab, console, unfinished)
        except (UsageError, LabError, NotRunError) as error:
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
                ran = self.carry_out(
                    command,
                    lab,
                    left,
                    folder.batch_folder,
                    display.show,
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
            samples = self.samples(plan, outcomes)
            documents = self.documents(plan, outcomes)
            folder.finish(plan, lab, outcomes, samples, summary, wall_clock, documents)
            self.export(samples, folder.path)
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
        except NotRunError:
            console.print(f"{self.name}: stopped; {self._leave(unfinished)}", soft_wrap=True)
            raise
        except SystemExit:  # told to end: half a result is none, but what is done need not be done again
            kept = self._leave(unfinished)
            console.print(f"{self.name}: interrupted; nothing is left running, {kept}", soft_wrap=True)
            raise
        finally:
            folder.release()
        return summary, folder

    def _leave(self, unfinished: Unfinished) -> str:
        """Keep finished batches, if there are any; what is kept, for a person."""
        if not unfinished.any_finished:
            unfinished.folder.discard()
            return "no result is kept"
        unfinished.keep_batches()
        return f"finished batches are kept; go on with: --resume {unfinished.folder.path}"


def _measured_seconds(done: Finished) -> float:
    """Seconds of traffic; a run that ends by what happens says how long its own was."""
    return math.fsum(run.get("traffic_seconds", done.batch.seconds_per_run) for run in done.outcome["runs"])


def _wall_clock(jobs: int, finished: Sequence[Finished], begun: float) -> dict[str, Any]:
    return {
        "started_unix": begun,
        "wall_seconds": time.time() - begun,
        "jobs": jobs,
        "cores": os.cpu_count(),
        "host": os.uname().nodename,
        "host_kernel": os.uname().release,
        "phases": _phases(finished),
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


def _phases(finished: Sequence[Finished]) -> dict[str, float]:
    """Where the time of all batches that were run now went, the longest first."""
    total: Counter[str] = Counter()
    for done in finished:
        total.update(done.phases)
    return {phase: round(seconds, 1) for phase, seconds in total.most_common()}
