# SPDX-License-Identifier: GPL-2.0-or-later
"""The command of a sweep: its words, what its cluster is given, its summary and table."""

from __future__ import annotations

import argparse
import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table as ScreenTable

from experiments import terminal
from experiments.arguments import Command, Reader, UsageError, add_run_options, finish, lasting, new_parser
from experiments.command import Experiment, Outcomes
from experiments.runner import Finished, Progress
from experiments.summary_document import summary_document
from experiments.sweeps import file
from experiments.sweeps.plan import Point, SweepBatch, SweepPlan
from experiments.sweeps.table import table, write_parquet
from experiments.work import Batch, Table
from topologies.lab.lab import Lab

if TYPE_CHECKING:
    from distributed import Client

    from experiments.sweeps.task import Task

_CELL = ("figure", "case", "policy", "flows")
"""What the experiments' own cells are named by."""


def parser(description: str) -> argparse.ArgumentParser:
    """The options; values are checked by :meth:`Sweep.read`."""
    made, value = new_parser("sweep.py", description)
    made.add_argument("file", nargs="?", metavar="FILE.toml", help="an experiment and lists of parameters")
    value("--scheduler", metavar="ADDRESS", help="of a Dask cluster, as in tcp://HOST:8786")
    add_run_options(made, value, "2 runs; of aggregate, 3 s each")
    return made


class Sweep(Experiment[SweepPlan, SweepBatch]):
    """Every combination of parameters of another experiment, a guest for each batch."""

    name = "sweep"

    def __init__(self, description: str) -> None:
        self._description = description

    def read(self, words: Sequence[str]) -> Command[SweepPlan]:
        """Check a command line, and the file it names."""
        given, unknown = parser(self._description).parse_known_args(words)
        r = Reader(unknown)
        if given.scheduler is not None and given.jobs is not None:
            r.problems.append("--jobs: with --scheduler, the cluster's workers decide how many run at once")
        if given.scheduler == "":
            r.problems.append("--scheduler '': allowed is an address, as in tcp://HOST:8786")
        plan = SweepPlan("", {}, (), given.quick, "")
        if not given.file:
            r.problems.append("FILE.toml is missing; docs/experiments/sweep.md has one")
        else:
            try:
                plan = file.read(Path(given.file), quick=given.quick)
            except UsageError as error:
                r.problems += error.problems
        return replace(finish(r, given, plan), scheduler=given.scheduler)

    def lasting(self, words: Sequence[str]) -> list[str]:
        """The words that decide about results; the file is found from everywhere."""
        named = parser("").parse_known_args(words)[0].file
        return [str(Path(word).absolute()) if word == named else word for word in lasting(words)]

    def made_with(self, command: Command[SweepPlan], lab: Lab) -> dict[str, str | None]:
        """The file must not change between two parts of one result."""
        return {**super().made_with(command, lab), "file": command.plan.digest}

    def show_plan(self, console: Console, plan: SweepPlan) -> None:
        """What a dry run would do."""
        tasks = len(list(plan.batches()))
        console.print(f"{plan.swept}: {len(plan.points)} points, {tasks} tasks", highlight=False)
        for point in plan.points:
            values = ", ".join(f"{key} {_shown(point.parameters[key])}" for key in plan.varied())
            console.print(f"{point.name}: {values}", markup=False, soft_wrap=True)

    def carry_out(
        self,
        command: Command[SweepPlan],
        lab: Lab,
        batches: Sequence[Batch],
        make_folder: Callable[[Batch], Path],
        report: Callable[[Progress], None],
        keep: Callable[[Finished], None],
    ) -> list[Finished]:
        """Let a cluster run them."""
        # They take a second to load, which nobody should wait for who asks for --help.
        from experiments.sweeps.dispatch import dispatch
        from experiments.sweeps.task import Task

        swept = file.EXPERIMENTS[command.plan.swept]
        fitting = super().made_with(command, lab)
        topic = f"sweep-{secrets.token_hex(8)}"  # of this run alone: a cluster may serve several
        tasks = [
            Task(swept, _of_point(command, batch.point), batch, fitting, topic)
            for batch in batches
            if isinstance(batch, SweepBatch)
        ]
        if not tasks:
            return []
        with self._cluster(command, tasks) as client:
            return dispatch(client, tasks, make_folder, report, keep)

    def _cluster(self, command: Command[SweepPlan], tasks: Sequence[Task]) -> AbstractContextManager[Client]:
        from experiments.sweeps import cluster

        if command.scheduler is not None:
            return cluster.existing(command.scheduler, tasks[0])
        return cluster.local(min(command.jobs, len(tasks)))

    def summarise(
        self, command: Command[SweepPlan], lab: Lab, outcomes: Outcomes[SweepBatch]
    ) -> dict[str, Any]:
        """``summary.json``: the experiment's cells of every point, with the parameters of the point."""
        swept = file.EXPERIMENTS[command.plan.swept]
        problems: list[str] = []
        cells: list[dict[str, Any]] = []
        of_point = itertools.groupby(outcomes, lambda one: one[0].point)
        for point, group in of_point:
            inner = [(batch.inner, outcome) for batch, outcome in group]
            found = swept.summarise(_of_point(command, point), lab, inner)
            problems += [f"{point.name}-{problem}" for problem in found["problems"]]
            cells += [
                {"point": point.name, "parameters": point.parameters, **cell} for cell in found["cells"]
            ]
        head = summary_document(
            command.plan, problems, cells, kernel=lab.kernel, clock=lab.clock.value, quick=command.quick
        )
        return {**head, "swept": command.plan.swept}

    def samples(self, plan: SweepPlan, outcomes: Outcomes[SweepBatch]) -> Table:
        """One row per run."""
        return table(file.EXPERIMENTS[plan.swept], plan, outcomes)

    def export(self, samples: Table, folder: Path) -> None:
        """The same table with types."""
        write_parquet(samples, folder / "samples.parquet")

    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:  # noqa: ARG002
        """None: which parameter belongs on which axis, the table's reader knows."""
        return []

    def show(self, console: Console, summary: dict[str, Any]) -> None:
        """A row per cell; rates in Mbit/s."""
        cells = summary["cells"]
        names = [key for key in _CELL if cells and key in cells[0]]
        first = cells[0]["parameters"] if cells else {}
        varied = [
            key
            for key in first
            if key not in names and any(c["parameters"][key] != first[key] for c in cells)
        ]
        quantities = _QUANTITIES[summary["swept"]]
        screen = ScreenTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("point", *names, *varied, "n", *quantities):
            screen.add_column(column, no_wrap=True)
        for cell in cells:
            screen.add_row(
                cell["point"],
                *(str(cell[key]) for key in names),
                *(_shown(cell["parameters"][key]) for key in varied),
                str(cell["n"]),
                *(show(cell) for show in quantities.values()),
            )
        terminal.print_table(console, screen)


def _of_point(command: Command[SweepPlan], point: Point) -> Command[Any]:
    """The command that would do one point alone."""
    alone: Any = replace(command, plan=point.plan)  # type: ignore[arg-type]
    return alone  # type: ignore[no-any-return]


def _shown(value: object) -> str:
    return (" ".join(value) or "default") if isinstance(value, tuple) else str(value)


def _mean(name: str, form: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda cell: "-" if cell[name] is None else format(cell[name]["mean"], form)


def _half_width(cell: Mapping[str, Any]) -> str:
    found = cell["goodput_mbps"]
    return "-" if found is None or found["ci95"][1] is None else f"{found['ci95'][1] - found['mean']:.2f}"


def _percentiles(name: str, form: str, factor: float = 1) -> Callable[[Mapping[str, Any]], str]:
    def show(cell: Mapping[str, Any]) -> str:
        found = cell[name]
        return "-" if found is None else "/".join(format(factor * found[key], form) for key in ("p50", "p95"))

    return show


_DISTURBED = {
    "outage ms": _percentiles("outage_s", ".0f", 1000),
    "lost": _percentiles("lost_packets", ".0f"),
    "back s": _percentiles("recovery_s", ".2f"),
}
_QUANTITIES: Mapping[str, Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "aggregate": {
        "goodput": _mean("goodput_mbps", ".2f"),
        "± 95 %": _half_width,
        "efficiency": _mean("efficiency", ".3f"),
    },
    "failover": _DISTURBED,
    "handover": _DISTURBED,
}
"""The columns at the end, by experiment."""
