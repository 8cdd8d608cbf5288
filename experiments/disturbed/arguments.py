# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``failover`` and ``handover``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from experiments.arguments import (
    Command,
    Reader,
    add_network_options,
    add_run_options,
    finish,
    new_parser,
    or_default,
    read_network,
)
from experiments.disturbed.cases import CASES
from experiments.disturbed.plan import DisturbedPlan

RUNS, QUICK_RUNS = 20, 2


def parser(experiment: str, description: str) -> argparse.ArgumentParser:
    """The options; values are checked by :func:`read`."""
    made, value = new_parser(f"{experiment}.py", description)
    add_network_options(value)
    made.set_defaults(policy="per-flow")
    names = "; ".join(f"{case.name}: {case.what}" for case in CASES[experiment])
    value("--case", default="all", metavar="NAME[,…]|all", help=f"what happens. {names}")
    value("--runs", metavar="N", help=f"runs of each cell, by default {RUNS}")
    add_run_options(made, value, f"{QUICK_RUNS} runs")
    return made


def read(argv: Sequence[str], experiment: str, description: str) -> Command[DisturbedPlan]:
    """Parse and check a command line.

    :raises UsageError: with every problem and what is possible.
    """
    given, unknown = parser(experiment, description).parse_known_args(argv)
    r = Reader(unknown)
    network = read_network(r, given)
    everything = [case.name for case in CASES[experiment]]
    chosen: tuple[str, ...] = tuple(everything)
    if given.case != "all":
        chosen = r.each("--case", given.case, lambda word: r.choice("--case", word, everything))
    every_figure = given.figure == "all"
    cases = []
    for figure in network["figures"]:
        for case in CASES[experiment]:
            if case.name not in chosen:
                continue
            lacking = case.lacks(figure)
            if lacking is None:
                cases.append((figure, case.name))
            elif given.case != "all" and not every_figure:
                r.problems.append(f"--case {case.name}: {lacking}")
    if not cases and not r.problems:
        r.problems.append(f"--case {given.case}: none of the chosen figures can have it")
    plan = DisturbedPlan(
        experiment=experiment,
        **network,
        cases=tuple(cases),
        runs=r.whole("--runs", or_default(given.runs, QUICK_RUNS if given.quick else RUNS), 1, 1000),
    )
    return finish(r, given, plan)
