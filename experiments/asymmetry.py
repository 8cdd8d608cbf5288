#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where spreading packets stops paying: per-packet against per-flow over unequal links (draft §7)."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.asymmetry")

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as TextTable

from agents.settings import Policy
from experiments import asymmetry_figures
from experiments.arguments import Command, Reader, add_run_options, finish, new_parser, or_default
from experiments.command import Experiment, Outcomes
from experiments.digest import digest
from experiments.estimates import paired, stat
from experiments.plan import Plan
from experiments.summary_document import summary_document
from experiments.work import BatchOfPart, Outcome, Table
from topologies.lab.lab import Lab
from topologies.links import AccessLink

FIGURE = 5
"""All four links lead to the foreign agent: none carries a header more than another."""
POLICIES = (Policy.PER_FLOW, Policy.PER_PACKET)
TOTAL_RATE = 40.0
"""Mbit/s of all links together, whatever their ratio."""
LEAST_DELAY = 15.0
"""Milliseconds one way, of the fastest link."""
_NAMES = ("wifi", "evdo", "wimax", "lte")


@dataclass(frozen=True, slots=True)
class Point:
    """How unequal the links are."""

    ratio: int
    """Rate of the fastest link over that of the slowest."""
    spread: int
    """Milliseconds by which the slowest link's delay exceeds the fastest one's."""

    @property
    def links(self) -> tuple[AccessLink, ...]:
        """Four links, from slow to fast in equal steps: rates by factors, delays by differences."""
        steps = [number / (len(_NAMES) - 1) for number in range(len(_NAMES))]
        parts = [self.ratio**step for step in steps]
        return tuple(
            AccessLink(
                name,
                down := round(TOTAL_RATE * part / sum(parts), 3),
                down,
                round(LEAST_DELAY + self.spread * (1 - step), 3),
            )
            for name, part, step in zip(_NAMES, parts, steps, strict=True)
        )


@dataclass(frozen=True, slots=True)
class AsymmetryBatch(BatchOfPart):
    """A batch of ``aggregate`` over the links of one point."""

    point: Point


@dataclass(frozen=True, slots=True)
class AsymmetryPlan:
    """All arguments that decide about results."""

    experiment: str
    ratios: tuple[int, ...]
    spreads: tuple[int, ...]
    flows: tuple[int, ...]
    runs: int
    duration: float
    warm_up: float
    seed: int

    def points(self) -> list[Point]:
        """Every combination, in the order in which results list them."""
        return [Point(ratio, spread) for spread in self.spreads for ratio in self.ratios]

    def inner(self, point: Point) -> Plan:
        """The plan of ``aggregate`` for one point."""
        return Plan(
            experiment=f"{self.experiment}-{point.ratio}-{point.spread}",
            figures=(FIGURE,),
            policies=POLICIES,
            weights="bandwidth",
            protocol="tcp",
            udp_rate=None,
            flows=self.flows,
            direction="down",
            runs=self.runs,
            duration=self.duration,
            warm_up=self.warm_up,
            seed=self.seed,
            encapsulation="ipip",
            links=point.links,
        )

    def batches(self) -> Iterator[AsymmetryBatch]:
        """Every batch, point by point."""
        for point in self.points():
            for batch in self.inner(point).batches():
                name = f"ratio{point.ratio}-spread{point.spread}-run{batch.repetition + 1:03d}"
                yield AsymmetryBatch(name, batch, point)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def parser() -> argparse.ArgumentParser:
    """The options; values are checked by :meth:`Asymmetry.read`."""
    made, value = new_parser("asymmetry.py", __doc__ or "")
    value("--ratio", default="1,2,4,8", metavar="N[,N…]", help="fastest over slowest link's rate")
    value("--spread", default="0,10,30", metavar="MS[,MS…]", help="slowest link's additional delay")
    value("--flows", default="1,8", metavar="N[,N…]", help="parallel flows")
    value("--runs", metavar="N", help="runs of each cell, by default 10")
    value("--duration", metavar="S", help="seconds measured, by default 5")
    value("--warm-up", default="2", metavar="S", help="seconds before that")
    value("--seed", default="1", metavar="N", help="the same seed gives the same octets")
    add_run_options(made, value, "2 runs of 3 s")
    return made


class Asymmetry(Experiment[AsymmetryPlan, AsymmetryBatch]):
    """Goodput of two policies over links of one total rate."""

    name = "asymmetry"

    def read(self, words: Sequence[str]) -> Command[AsymmetryPlan]:
        """Check a command line."""
        given, unknown = parser().parse_known_args(words)
        r = Reader(unknown)
        quick = given.quick
        plan = AsymmetryPlan(
            experiment=self.name,
            ratios=r.each("--ratio", given.ratio, lambda word: r.whole("--ratio", word, 1, 100)),
            spreads=r.each("--spread", given.spread, lambda word: r.whole("--spread", word, 0, 1000)),
            flows=r.each("--flows", given.flows, lambda word: r.whole("--flows", word, 1, 1000)),
            runs=r.whole("--runs", or_default(given.runs, 2 if quick else 10), 1, 1000),
            duration=r.seconds("--duration", or_default(given.duration, 3 if quick else 5), 0.5, 3600),
            warm_up=r.seconds("--warm-up", given.warm_up, 0, 3600),
            seed=r.whole("--seed", given.seed, 0, 2**63 - 1),
        )
        return finish(r, given, plan)

    def show_plan(self, console: Console, plan: AsymmetryPlan) -> None:
        """What a dry run would do."""
        for point in plan.points():
            rates = ", ".join(f"{link.down:g} Mbit/s {link.delay:g} ms" for link in point.links)
            console.print(f"ratio {point.ratio}, spread {point.spread} ms: {rates}")

    def digest(self, command: Command[AsymmetryPlan], folder: Path, outcome: Outcome) -> Outcome:  # noqa: ARG002
        """Reads the captures, and removes them."""
        return digest(folder, outcome, "down", keep_captures=False)

    def summarise(
        self, command: Command[AsymmetryPlan], lab: Lab, outcomes: Outcomes[AsymmetryBatch]
    ) -> dict[str, Any]:
        """``summary.json``."""
        problems = []
        for batch, outcome in outcomes:
            spoilt = [run["problem"] for run in outcome["runs"] if run["problem"] is not None]
            problems += [
                f"{batch.name}: {said}" for said in (outcome["problem"], *spoilt) if said is not None
            ]
        plan = command.plan
        cells = [_cell(point, flows, outcomes) for flows in plan.flows for point in plan.points()]
        return summary_document(
            plan, problems, cells, kernel=lab.kernel, clock=lab.clock.value, quick=command.quick
        )

    def samples(self, plan: AsymmetryPlan, outcomes: Outcomes[AsymmetryBatch]) -> Table:  # noqa: ARG002
        """One row per run."""
        header = ["batch", "seed", "policy", "flows", "goodput_mbps", "ceiling_mbps", "problem"]
        rows = [
            [
                batch.name,
                batch.seed,
                *(run[key] for key in ("policy", "flows", "goodput", "ceiling_mbps")),
                outcome["problem"] or run["problem"],
            ]
            for batch, outcome in outcomes
            for run in outcome["runs"]
        ]
        return header, rows

    def draw(self, summary: dict[str, Any], folder: Path) -> list[Path]:
        """Heat maps of what per-packet gains over per-flow."""
        return asymmetry_figures.draw(summary, folder)

    def show(self, console: Console, summary: dict[str, Any]) -> None:
        """The table at the end."""
        table = TextTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("flows", "ratio", "spread", "n", "per-flow", "per-packet", "gain", "reordered"):
            table.add_column(column, justify="right")
        for cell in summary["cells"]:
            numbers = (cell["per-flow"], cell["per-packet"], cell["gain"], cell["reordered_ratio"])
            table.add_row(
                *(str(cell[key]) for key in ("flows", "ratio", "spread_ms", "n")),
                *("-" if number is None else f"{number['mean']:.3f}" for number in numbers),
            )
        console.print(table)


def _cell(point: Point, flows: int, outcomes: Outcomes[AsymmetryBatch]) -> dict[str, Any]:
    """One point with so many flows: efficiency of both policies, and the gain of per-packet."""
    found: list[tuple[Any, Any]] = []
    for batch, outcome in outcomes:
        if outcome["problem"] is None and batch.point == point:
            runs = {
                run["policy"]: run
                for run in outcome["runs"]
                if run["flows"] == flows and run["problem"] is None
            }
            if len(runs) == len(POLICIES):
                found.append((runs[Policy.PER_FLOW], runs[Policy.PER_PACKET]))
    return {
        "flows": flows,
        "ratio": point.ratio,
        "spread_ms": point.spread,
        "n": len(found),
        "per-flow": stat([one["goodput"] / one["ceiling_mbps"] for one, _ in found]),
        "per-packet": stat([other["goodput"] / other["ceiling_mbps"] for _, other in found]),
        "gain": stat([other["goodput"] / one["goodput"] for one, other in found]),
        "goodput_mbps": paired([(other["goodput"], one["goodput"]) for one, other in found]),
        "reordered_ratio": stat([other["packets"]["reordering"]["ratio"] for _, other in found]),
        "n3_ratio": stat([other["packets"]["reordering"]["n3_ratio"] for _, other in found]),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    return Asymmetry().main(argv)


if __name__ == "__main__":
    sys.exit(main())
