#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Registration messages per hour against number of bindings, each renewed alone or in bulk (draft §4.1)."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.signalling")

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as TextTable

from experiments import signalling_figures
from experiments.arguments import Command, Reader, add_run_options, finish, new_parser, or_default
from experiments.command import Experiment, Outcomes
from experiments.estimates import paired, stat
from experiments.figure_batches import chance_of, draw_seed
from experiments.metrics.pcap import CaptureError, read_packets
from experiments.signalling_batch import CAPTURE
from experiments.summary_document import summary_document
from experiments.work import Outcome, Table
from topologies.lab.lab import Lab

RENEWALS = ("individual", "bulk")
MOST_BINDINGS = 8
"""As many access networks have addresses in the figures."""
HOUR = 3600
_UDP_AND_IP = 28
"""Octets of both headers."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """One cell."""

    bindings: int
    renewal: str


@dataclass(frozen=True, slots=True)
class SignallingBatch:
    """One guest boot: one network with one mobile node, for an hour."""

    treatment: Treatment
    repetition: int
    seed: int
    lifetime: int
    program: str = "experiments.signalling_batch"
    steps: int = 2
    network_seconds: float = HOUR / 20
    """An hour in which little happens takes no longer than minutes of traffic."""
    seconds_per_run: float = HOUR

    @property
    def name(self) -> str:
        """Names the batch's folder."""
        return f"{self.treatment.renewal}-{self.treatment.bindings}-run{self.repetition + 1:03d}"

    def job(self) -> dict[str, Any]:
        """What the program reads."""
        return {**asdict(self.treatment), "lifetime": self.lifetime, "duration": HOUR}


@dataclass(frozen=True, slots=True)
class SignallingPlan:
    """All arguments that decide about results."""

    experiment: str
    bindings: tuple[int, ...]
    lifetime: int
    """Seconds, as requested and granted."""
    runs: int
    seed: int

    def treatments(self) -> list[Treatment]:
        """The cells in the order in which results list them."""
        return [Treatment(bindings, renewal) for bindings in self.bindings for renewal in RENEWALS]

    def batches(self) -> Iterator[SignallingBatch]:
        """Every batch; those of one repetition share a seed, so that they can be compared."""
        for repetition in range(self.runs):
            for bindings in self.bindings:
                seed = draw_seed(chance_of(self.experiment, self.seed, bindings, repetition))
                for renewal in RENEWALS:
                    yield SignallingBatch(Treatment(bindings, renewal), repetition, seed, self.lifetime)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def parser() -> argparse.ArgumentParser:
    """The options; values are checked by :meth:`Signalling.read`."""
    made, value = new_parser("signalling.py", __doc__ or "")
    value("--bindings", default="1,2,4,8", metavar="N[,N…]", help=f"1 to {MOST_BINDINGS} access links")
    value("--lifetime", default="600", metavar="S", help="seconds requested")
    value("--runs", metavar="N", help="hours measured of each cell, by default 10")
    value("--seed", default="1", metavar="N", help="the same seed gives the same octets")
    add_run_options(made, value, "2 runs")
    return made


class Signalling(Experiment[SignallingPlan, SignallingBatch]):
    """Messages on UDP port 434, as the mobile node sends and receives them."""

    name = "signalling"

    def read(self, words: Sequence[str]) -> Command[SignallingPlan]:
        """Check a command line."""
        given, unknown = parser().parse_known_args(words)
        r = Reader(unknown)
        plan = SignallingPlan(
            self.name,
            r.each("--bindings", given.bindings, lambda word: r.whole("--bindings", word, 1, MOST_BINDINGS)),
            r.whole("--lifetime", given.lifetime, 10, 65534),
            r.whole("--runs", or_default(given.runs, 2 if given.quick else 10), 1, 1000),
            r.whole("--seed", given.seed, 0, 2**63 - 1),
        )
        return finish(r, given, plan)

    def show_plan(self, console: Console, plan: SignallingPlan) -> None:
        """What a dry run would do."""
        for treatment in plan.treatments():
            console.print(f"{treatment.bindings} bindings, {treatment.renewal}: {plan.runs} hours")

    def digest(self, command: Command[SignallingPlan], folder: Path, outcome: Outcome) -> Outcome:  # noqa: ARG002
        """Count the messages of the hour. The capture is small, and stays."""
        try:
            runs = [{**run, **count(folder / "raw" / CAPTURE, *run["window"])} for run in outcome["runs"]]
        except CaptureError as error:
            return {**outcome, "runs": [], "problem": str(error).replace(str(folder), folder.name)}
        return {**outcome, "runs": runs}

    def summarise(
        self, command: Command[SignallingPlan], lab: Lab, outcomes: Outcomes[SignallingBatch]
    ) -> dict[str, Any]:
        """``summary.json``."""
        problems = [
            f"{batch.name}: {outcome['problem']}" for batch, outcome in outcomes if outcome["problem"]
        ]
        plan = command.plan
        cells = [_cell(treatment, plan, outcomes) for treatment in plan.treatments()]
        document = summary_document(
            plan, problems, cells, kernel=lab.kernel, clock=lab.clock.value, quick=command.quick
        )
        return {**document, "savings": [_saving(bindings, outcomes) for bindings in plan.bindings]}

    def samples(self, plan: SignallingPlan, outcomes: Outcomes[SignallingBatch]) -> Table:  # noqa: ARG002
        """One row per run."""
        header = ["batch", "seed", "bindings", "renewal", "requests", "replies", "octets", "valid"]
        rows = [
            [
                batch.name,
                batch.seed,
                *asdict(batch.treatment).values(),
                *(run[key] for key in ("requests", "replies", "octets")),
                outcome["problem"] is None,
            ]
            for batch, outcome in outcomes
            for run in outcome["runs"]
        ]
        return header, rows

    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:
        """Messages per hour by number of bindings."""
        return signalling_figures.draw(summary, folder)

    def show(self, console: Console, summary: dict[str, Any]) -> None:
        """The table at the end."""
        table = TextTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("bindings", "renewal", "n", "messages/h", "± 95 %", "octets/h", "± 95 %"):
            table.add_column(column, justify="left" if column == "renewal" else "right")
        for cell in summary["cells"]:
            words = [str(cell["bindings"]), cell["renewal"], str(cell["n"])]
            for key in ("messages_per_hour", "octets_per_hour"):
                found = cell[key]
                known = found is not None and found["ci95"][1] is not None
                words.append("-" if found is None else f"{found['mean']:.1f}")
                words.append(f"{found['ci95'][1] - found['mean']:.1f}" if known else "-")
            table.add_row(*words)
        console.print(table)


def count(capture: Path, begin: int, end: int) -> dict[str, int]:
    """Messages in a window of nanoseconds, and their octets as IP packets.

    :raises CaptureError: if the capture cannot be read.
    """
    packets = read_packets(capture)
    inside = packets.where((packets.time >= begin) & (packets.time < end))
    return {
        "requests": int(np.count_nonzero(inside.outgoing)),
        "replies": int(np.count_nonzero(~inside.outgoing)),
        "octets": int(np.sum(inside.payload + _UDP_AND_IP)),
    }


def _runs(treatment: Treatment, outcomes: Outcomes[SignallingBatch]) -> dict[int, dict[str, float]]:
    """Messages and octets of a cell's good runs, by repetition."""
    return {
        batch.repetition: {
            "messages": float(run["requests"] + run["replies"]),
            "octets": float(run["octets"]),
        }
        for batch, outcome in outcomes
        if outcome["problem"] is None and batch.treatment == treatment
        for run in outcome["runs"]
    }


def _cell(treatment: Treatment, plan: SignallingPlan, outcomes: Outcomes[SignallingBatch]) -> dict[str, Any]:
    runs = list(_runs(treatment, outcomes).values())
    return {
        **asdict(treatment),
        "lifetime": plan.lifetime,
        "n": len(runs),
        "messages_per_hour": stat([run["messages"] for run in runs]),
        "octets_per_hour": stat([run["octets"] for run in runs]),
    }


def _saving(bindings: int, outcomes: Outcomes[SignallingBatch]) -> dict[str, Any]:
    """By how much bulk renewal needs less than individual renewal, hour by hour of the same seed."""
    individual, bulk = (_runs(Treatment(bindings, renewal), outcomes) for renewal in RENEWALS)
    both = sorted(individual.keys() & bulk.keys())
    found: dict[str, Any] = {"bindings": bindings, "n": len(both)}
    for key in ("messages", "octets"):
        found[f"{key}_share"] = stat([1 - bulk[number][key] / individual[number][key] for number in both])
        found[f"{key}_per_hour"] = paired([(individual[number][key], bulk[number][key]) for number in both])
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    return Signalling().main(argv)


if __name__ == "__main__":
    sys.exit(main())
