# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person sees: progress while batches run, one table at the end. All of it on stderr."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from experiments.plan import Plan
from experiments.runner import Progress as Step
from experiments.work import Batch

WIDTH_WITHOUT_TERMINAL = 116
_BUILD_SECONDS = 10.0
"""Of wall-clock time, to start a guest, build and calibrate a network, measured on an idle core of 2020."""
_SLOWDOWN = 0.4
"""Seconds of wall-clock time for each of network time, as measured there with 8 flows."""


def console() -> Console:
    """Everything but results goes to stderr; a file or a pipe gets lines that are not folded."""
    made = Console(stderr=True, highlight=False)
    if not made.is_terminal:
        made.width = WIDTH_WITHOUT_TERMINAL
    return made


class Display:
    """Progress of all batches: bars on a terminal, a line per finished batch elsewhere."""

    def __init__(self, console: Console, batches: Sequence[Batch]) -> None:
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not self._live,
        )
        self._all = self._progress.add_task("all batches", total=sum(batch.steps for batch in batches))
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}
        self._batches = len(batches)
        self._ended = 0

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, step: Step) -> None:
        """Take note of how far a batch is."""
        name = step.batch.name
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=step.of)
        self._done[name] = step.done
        self._progress.update(self._tasks[name], completed=step.done, description=_said(step))
        self._progress.update(self._all, completed=sum(self._done.values()))
        if step.ended:
            self._ended += 1
            self._progress.update(self._tasks[name], visible=False)
            if not self._live:
                self._console.print(f"{name}: done ({self._ended} of {self._batches})", highlight=False)


def _said(step: Step) -> str:
    """What a batch does; while it measures, what each link carries."""
    rates = "  ".join(f"{link} {rate:.1f}" for link, rate in step.mbps.items())
    return f"{step.batch.name}: {step.what}" + (f"  [dim]{rates} Mbit/s[/dim]" if rates else "")


def print_table(console: Console, table: Table) -> None:
    """A table that fits; on a narrower terminal its rows as paragraphs, so that no number is cut off."""
    if console.measure(table, options=console.options.update(width=1000)).maximum <= console.width:
        console.print(table)
        return
    headings = [str(column.header).strip() for column in table.columns]
    longest = max(len(heading) for heading in headings)
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for heading, cell in zip(headings, row, strict=True):
            console.print(f"{heading:<{longest}}  {cell}", markup=False, soft_wrap=True)
        console.print()


def results(console: Console, summary: Mapping[str, Any]) -> None:
    """The table of a summary; rates in Mbit/s."""
    cells = summary["cells"]
    links = "/".join(max(cells, key=lambda cell: len(cell["link_share"]))["link_share"]) if cells else "links"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("fig", "policy", "flows", "n"):
        table.add_column(column, no_wrap=True)
    for column in ("goodput", "± 95 %", "ceiling", "best link", "efficiency", f"% {links}"):
        table.add_column(column, justify="right", no_wrap=True)
    for cell in cells:
        goodput, best = cell["goodput_mbps"], cell["best_single_link_mbps"]
        shares = cell["link_share"].values()
        high = goodput["ci95"][1] if goodput else None
        table.add_row(
            str(cell["figure"]),
            cell["policy"],
            str(cell["flows"]),
            str(cell["n"]),
            f"{goodput['mean']:.2f}" if goodput else "-",
            f"{high - goodput['mean']:.2f}" if high is not None else "-",
            f"{cell['ceiling_mbps']:.2f}",
            f"{best:.2f}" if best is not None else "-",
            f"{cell['efficiency']['mean']:.3f}" if goodput else "-",
            "-" if None in shares else "/".join(f"{100 * share:.0f}" for share in shares),
        )
    print_table(console, table)
    if not summary["valid"]:
        console.print("INVALID: at least one batch failed; it takes no part in the numbers")


def estimate(console: Console, batches: Sequence[Batch], jobs: int) -> None:
    """Say how long all batches may take on idle cores."""
    each = [_BUILD_SECONDS + _SLOWDOWN * batch.network_seconds for batch in batches]
    jobs = min(jobs, len(each), os.cpu_count() or 1)
    minutes = sum(each) / jobs / 60
    console.print(
        f"{len(each)} batches, {jobs} at once: some {max(1, math.ceil(minutes))} min on idle cores",
        highlight=False,
    )


def plan_table(console: Console, plan: Plan) -> None:
    """What a dry run would do."""
    batches = list(plan.batches())
    per_run = plan.warm_up + plan.duration
    network = sum(len(batch.order) for batch in batches) * per_run
    console.print(
        f"{len(batches)} batches, each one run of {len(batches[0].order)} cells; "
        f"{network:g} s of measured traffic in all",
        highlight=False,
    )
    for treatment in plan.treatments():
        console.print(
            f"figure {treatment.figure}, {treatment.policy}, {treatment.flows} flows: {plan.runs} runs",
            highlight=False,
        )
