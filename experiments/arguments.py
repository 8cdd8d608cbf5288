# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of an experiment, with every problem said at once."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from agents.settings import Policy, Weights
from experiments.plan import DIRECTIONS, ENCAPSULATIONS, FIGURES, PROTOCOLS, Plan
from experiments.store import StoreError, check_parent
from experiments.traffic import INTERVAL
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import KernelChoice
from topologies.links import DEFAULT_LINKS, LinkError, parse_links

QUICK_RUNS = 2
QUICK_DURATION = 3.0
_Value = TypeVar("_Value")
# Python reads more as a number than a person means: other scripts' digits, "1_0", "nan", "1e400".
_WHOLE = re.compile(r"[0-9]{1,19}")
_DECIMAL = re.compile(r"[0-9]{1,19}(\.[0-9]{1,19})?")


class UsageError(ValueError):
    """A command line that cannot be carried out; one line per problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError([message])


@dataclass(frozen=True, slots=True)
class Command:
    """A checked command line."""

    plan: Plan
    kernel: KernelChoice
    clock: Clock | None
    jobs: int
    out: Path
    quick: bool
    dry_run: bool
    json: bool
    verbose: bool


def parser(description: str) -> argparse.ArgumentParser:
    """The options of ``aggregate``; values are checked by :func:`read`."""
    made = _Parser(
        "aggregate.py",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    # A missing value is an empty one: a problem like any other, not the end of reading.
    value = partial(add, nargs="?", const="")
    figures = ",".join(str(figure) for figure in FIGURES)
    value("--figure", default="all", metavar="N[,N…]|all", help=f"figures of the draft: {figures}")
    value("--policy", default="per-flow,per-packet", metavar="NAME[,…]", help=", ".join(Policy))
    value("--weights", default="bandwidth", metavar="NAME", help=" or ".join(Weights))
    value("--protocol", default="tcp", metavar="NAME", help=" or ".join(PROTOCOLS))
    value("--udp-rate", metavar="MBPS", help="offered payload in all; without it 1.2 times the ceiling")
    value("--flows", default="1,8", metavar="N[,N…]", help="parallel flows")
    value("--direction", default="down", metavar="NAME", help="down (to the mobile node) or up")
    value("--runs", metavar="N", help="runs of each cell, by default 10")
    value("--duration", metavar="S", help="seconds measured, by default 10")
    value("--warm-up", default="2", metavar="S", help="seconds before that")
    value("--seed", default="1", metavar="N", help="the same seed gives the same octets")
    value("--encapsulation", default="ipip", metavar="NAME", help=", ".join(ENCAPSULATIONS))
    value("--link", action="append", default=[], metavar="NAME=DOWN/UP:DELAY[,…]", help="change a link")
    value("--kernel", default="auto", metavar="NAME", help="auto, guest or host")
    value("--clock", metavar="NAME", help="virtual or real")
    value("--jobs", metavar="N", help="batches at once, by default one per core")
    value("--out", default=str(ROOT / "results"), metavar="DIR", help="parent folder of the results")
    add("--quick", action="store_true", help=f"{QUICK_RUNS} runs of {QUICK_DURATION:g} s")
    add("--dry-run", action="store_true", help="print the plan and run nothing")
    add("--json", action="store_true", help="print summary.json alone on stdout")
    add("-v", "--verbose", action="store_true", help="say more")
    return made


class _Reader:
    """Collects problems while values are read."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def say(self, option: str, text: str, allowed: str) -> None:
        self.problems.append(f"{option} {text or repr(text)}: allowed is {allowed}")

    def choice(self, option: str, text: str, allowed: Sequence[str]) -> str:
        if text not in allowed:
            self.say(option, text, ", ".join(allowed))
            return allowed[0]
        return text

    def whole(self, option: str, text: str, low: int, high: int) -> int:
        if not (_WHOLE.fullmatch(text) and low <= int(text) <= high):
            self.say(option, text, f"a whole number from {low} to {high}")
            return low
        return int(text)

    def seconds(self, option: str, text: str, low: float, high: float) -> float:
        """A number of seconds in steps of the receiver's reports."""
        value = Decimal(text) if _DECIMAL.fullmatch(text) else None
        if value is None or not low <= value <= high or value % Decimal(str(INTERVAL)):
            self.say(option, text, f"{low:g} to {high:g} seconds in steps of {INTERVAL:g}")
            return low
        return float(value)

    def rate(self, option: str, text: str) -> float:
        if not (_DECIMAL.fullmatch(text) and 0 < float(text) <= 10_000):
            self.say(option, text, "a rate above 0 and up to 10000 Mbit/s")
            return 1.0
        return float(text)

    def each(self, option: str, text: str, one: Callable[[str], _Value]) -> tuple[_Value, ...]:
        before = len(self.problems)
        values = [one(word.strip()) for word in text.split(",")]
        if len(self.problems) == before:  # what stands in for a bad value is no repetition
            for value in dict.fromkeys(values):
                if values.count(value) > 1:
                    self.problems.append(f"{option} {text}: {value} stands there {values.count(value)} times")
        return tuple(dict.fromkeys(values))


def _or(given: str | None, default: float) -> str:
    """What was given, an empty word included, else the default."""
    return str(default) if given is None else given


def read(argv: Sequence[str], experiment: str, description: str) -> Command:
    """Parse and check a command line.

    :raises UsageError: with every problem and what is possible.
    """
    given, unknown = parser(description).parse_known_args(argv)
    r = _Reader()
    r.problems += [f"{word}: there is no such option; --help lists them" for word in unknown]
    figures = FIGURES
    if given.figure != "all":
        names = [str(figure) for figure in FIGURES]
        figures = r.each("--figure", given.figure, lambda word: int(r.choice("--figure", word, names)))
    try:
        links = parse_links(given.link)
    except LinkError as error:
        r.problems += error.problems
        links = DEFAULT_LINKS
    policies = r.each("--policy", given.policy, lambda word: Policy(r.choice("--policy", word, list(Policy))))
    protocol = r.choice("--protocol", given.protocol, PROTOCOLS)
    if given.udp_rate is not None and protocol != "udp":
        r.problems.append("--udp-rate: only with --protocol udp")
    quick = given.quick
    plan = Plan(
        experiment=experiment,
        figures=figures,
        policies=policies,
        weights=r.choice("--weights", given.weights, list(Weights)),
        protocol=protocol,
        udp_rate=None if given.udp_rate is None else r.rate("--udp-rate", given.udp_rate),
        flows=r.each("--flows", given.flows, lambda word: r.whole("--flows", word, 1, 1000)),
        direction=r.choice("--direction", given.direction, DIRECTIONS),
        runs=r.whole("--runs", _or(given.runs, QUICK_RUNS if quick else 10), 1, 1000),
        duration=r.seconds("--duration", _or(given.duration, QUICK_DURATION if quick else 10), 0.5, 3600),
        warm_up=r.seconds("--warm-up", given.warm_up, 0, 3600),
        seed=r.whole("--seed", given.seed, 0, 2**63 - 1),
        encapsulation=r.choice("--encapsulation", given.encapsulation, ENCAPSULATIONS),
        links=links,
    )
    kernel = KernelChoice(r.choice("--kernel", given.kernel, list(KernelChoice)))
    clock = None if given.clock is None else Clock(r.choice("--clock", given.clock, list(Clock)))
    if kernel is KernelChoice.HOST and clock is Clock.VIRTUAL:
        r.problems.append("--clock virtual: only the guest kernel has one")
    jobs = r.whole("--jobs", _or(given.jobs, os.cpu_count() or 1), 1, 256)
    out = Path(given.out)
    try:
        if not given.out:
            raise StoreError("--out '': allowed is a folder, or a path at which one can be made")
        check_parent(out)
    except StoreError as error:
        r.problems.append(str(error))
    if r.problems:
        raise UsageError(r.problems)
    return Command(plan, kernel, clock, jobs, out, quick, given.dry_run, given.json, given.verbose)
