# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands ``failover`` and ``handover`` have in common: plan, table, figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as ScreenTable

from experiments.arguments import Command
from experiments.command import Experiment
from experiments.disturbed import drawing
from experiments.disturbed.arguments import read
from experiments.disturbed.plan import DisturbedBatch, DisturbedPlan
from experiments.disturbed.summary import Outcomes, samples, summarise, wanted_outage
from experiments.work import Table
from topologies.lab.lab import Lab


class DisturbedExperiment(Experiment[DisturbedPlan, DisturbedBatch]):
    """An experiment that disturbs a running network."""

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self._description = description

    def read(self, words: Sequence[str]) -> Command[DisturbedPlan]:
        """Check a command line."""
        return read(words, self.name, self._description)

    def show_plan(self, console: Console, plan: DisturbedPlan) -> None:
        """What a dry run would do."""
        batches = list(plan.batches())
        runs = sum(len(batch.order) for batch in batches)
        console.print(f"{len(batches)} batches, {runs} runs in all", highlight=False)
        for treatment in plan.treatments():
            console.print(
                f"figure {treatment.figure}, {treatment.case}, {treatment.policy}: {plan.runs} runs",
                highlight=False,
            )

    def summarise(self, command: Command[DisturbedPlan], lab: Lab, outcomes: Outcomes) -> dict[str, Any]:
        """``summary.json``."""
        return summarise(
            command.plan, outcomes, kernel=lab.kernel, clock=lab.clock.value, quick=command.quick
        )

    def samples(self, plan: DisturbedPlan, outcomes: Outcomes) -> Table:
        """One row per run."""
        return samples(plan, outcomes)

    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:
        """A cumulative distribution of the outage per figure and case."""
        return drawing.draw(summary, folder)

    def show(self, console: Console, summary: dict[str, Any]) -> None:
        """The table at the end; seconds and packets."""
        table = ScreenTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("fig", "case", "policy", "n"):
            table.add_column(column, no_wrap=True)
        for column in ("outage ms", "lost", "reordered", "back s", "TCP stall s", "TCP again", "alarms"):
            table.add_column(column, justify="right", no_wrap=True)
        for cell in summary["cells"]:
            table.add_row(*_row(cell))
        console.print(table)
        console.print("each number: median/95th percentile of the runs", highlight=False)
        for line in _bounds(summary["cells"]):
            console.print(line, highlight=False)
        if not summary["valid"]:
            console.print("INVALID: something that must hold did not; see the problems below")


def _bounds(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What was wanted beside what was measured, where there is a bound."""
    for cell in cells:
        name = f"figure {cell['figure']}, {cell['case']}, {cell['policy']}"
        outage, lost = cell["outage_s"], cell["lost_packets"]
        if cell["case"] == "silent-loss" and cell["probe_timeout_s"] and outage:
            time_out = cell["probe_timeout_s"]["p95"]
            wanted = wanted_outage(time_out)
            yield (
                f"{name}: probe time-out {1000 * time_out:.0f} ms; outage p95 {1000 * outage['p95']:.0f} ms, "
                f"wanted at most {1000 * wanted:.0f}"
            )
        if cell["bound_packets"] and lost:
            yield (
                f"{name}: queue {cell['queued_packets']['max']:.0f} packets; at most {lost['max']:.0f} lost, "
                f"wanted at most {cell['bound_packets']['max']:.0f}"
            )


def _row(cell: Mapping[str, Any]) -> list[str]:
    def shown(name: str, form: str, factor: float = 1) -> str:
        found = cell[name]
        if found is None:
            return "-"
        return "/".join(format(factor * found[key], form) for key in ("p50", "p95"))

    return [
        str(cell["figure"]),
        cell["case"],
        cell["policy"],
        str(cell["n"]),
        shown("outage_s", ".0f", 1000),
        shown("lost_packets", ".0f"),
        shown("reordered_packets", ".0f"),
        shown("recovery_s", ".2f"),
        shown("tcp_stall_s", ".2f"),
        shown("tcp_retransmits", ".0f"),
        str(cell["false_alarms"]),
    ]
