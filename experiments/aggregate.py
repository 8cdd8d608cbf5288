#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Aggregate throughput over several tunnels, by policy and number of flows (draft §1, §7)."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.aggregate")

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments import figures, terminal
from experiments.arguments import Command, read
from experiments.command import Experiment
from experiments.digest import digest
from experiments.distributions import distributions
from experiments.plan import Batch, Plan
from experiments.stored import read_distributions
from experiments.summary import Outcomes, samples, summarise
from experiments.work import Outcome, Table
from topologies.lab.lab import Lab


class Aggregate(Experiment[Plan, Batch]):
    """Goodput of iperf flows."""

    name = "aggregate"

    def read(self, words: Sequence[str]) -> Command[Plan]:
        """Check a command line."""
        return read(words, self.name, __doc__ or "")

    def show_plan(self, console: Console, plan: Plan) -> None:
        """What a dry run would do."""
        terminal.plan_table(console, plan)

    def summarise(self, command: Command[Plan], lab: Lab, outcomes: Outcomes) -> dict[str, Any]:
        """``summary.json``."""
        return summarise(
            command.plan, outcomes, kernel=lab.kernel, clock=lab.clock.value, quick=command.quick
        )

    def samples(self, plan: Plan, outcomes: Outcomes) -> Table:
        """One row per run."""
        return samples(plan, outcomes)

    def digest(self, command: Command[Plan], folder: Path, outcome: Outcome) -> Outcome:
        """Reads the captures, and removes them unless they are to be kept."""
        return digest(folder, outcome, command.plan.direction, keep_captures=command.keep_captures)

    def documents(self, plan: Plan, outcomes: Outcomes) -> dict[str, Any]:
        """What figures need beyond the summary."""
        return {"distributions.json": distributions(plan, outcomes)}

    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:
        """Goodput, what each link carried, and how packets were reordered."""
        return figures.aggregate(summary, read_distributions(folder.parent), folder)

    def show(self, console: Console, summary: dict[str, Any]) -> None:
        """The table at the end."""
        terminal.results(console, summary)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    return Aggregate().main(argv)


if __name__ == "__main__":
    sys.exit(main())
