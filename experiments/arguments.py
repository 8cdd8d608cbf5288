# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of an experiment, with every problem said at once.

The options all experiments share, and those of ``aggregate``.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from agents.settings import Policy, Weights
from experiments.plan import DIRECTIONS, ENCAPSULATIONS, FIGURES, PROTOCOLS, Plan
from experiments.store import StoreError, check_parent
from experiments.traffic import INTERVAL
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import KernelChoice
from topologies.links import DEFAULT_LINKS, AccessLink, LinkError, parse_links

DURATION = 6.0
"""Seconds measured by default: with 10 runs of every cell, two slow cores need less than 20 minutes."""
QUICK_FIGURE = "3"
QUICK_RUNS = 2
QUICK_DURATION = 3.0
_Value = TypeVar("_Value")
PlanT = TypeVar("PlanT")
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


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells an option's default, where it has one that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help


@dataclass(frozen=True, slots=True)
class Command(Generic[PlanT]):
    """A checked command line."""

    plan: PlanT
    kernel: KernelChoice
    clock: Clock | None
    jobs: int
    out: Path
    quick: bool
    dry_run: bool
    json: bool
    verbose: bool
    keep_captures: bool = False
    scheduler: str | None = None
    """Of the cluster that runs a sweep; None: one of this machine's own."""


AddValue = Callable[..., Any]
"""Adds an option with a value. A missing value is an empty one: a problem like any other."""


def new_parser(program: str, description: str) -> tuple[argparse.ArgumentParser, AddValue]:
    """A parser without options, and how to add one with a value; values are checked later."""
    made = _Parser(
        program,
        description=description,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    return made, partial(made.add_argument, nargs="?", const="")


def add_network_options(value: AddValue) -> None:
    """What is built: figures, policies, links."""
    figures = ",".join(str(figure) for figure in FIGURES)
    value("--figure", default="all", metavar="N[,N…]|all", help=f"figures of the draft: {figures} or all")
    value("--policy", default="per-flow,per-packet", metavar="NAME[,…]", help=", ".join(Policy))
    value("--weights", default="bandwidth", metavar="NAME", help=" or ".join(Weights))
    value("--direction", default="down", metavar="NAME", help="down (to the mobile node) or up")
    value("--seed", default="1", metavar="N", help="the same seed gives the same octets")
    tunnels = f"{', '.join(ENCAPSULATIONS)}; on Figure 6, behind a NAT, always udp"
    value("--encapsulation", default="ipip", metavar="NAME", help=tunnels)
    value("--link", action="append", default=[], metavar="NAME=DOWN/UP:DELAY[,…]", help="change a link")


def add_run_options(made: argparse.ArgumentParser, value: AddValue, quick: str) -> None:
    """Where and how it runs."""
    value("--kernel", default="auto", metavar="NAME", help="auto, guest or host")
    value("--clock", metavar="NAME", help="virtual or real")
    value("--jobs", metavar="N", help="batches at once, by default one per core")
    value("--out", default=str(ROOT / "results"), metavar="DIR", help="parent folder of the results")
    made.add_argument("--quick", action="store_true", help=quick)
    value("--resume", metavar="DIR", help="go on with an interrupted result; of the rest only --jobs, --json")
    made.add_argument("--dry-run", action="store_true", help="print plan and time, run nothing")
    made.add_argument("--json", action="store_true", help="print summary.json alone on stdout")
    made.add_argument("-v", "--verbose", action="store_true", help="say more")


def parser(description: str) -> argparse.ArgumentParser:
    """The options of ``aggregate``; values are checked by :func:`read`."""
    made, value = new_parser("aggregate.py", description)
    add_network_options(value)
    made.set_defaults(figure=None)
    value("--protocol", default="tcp", metavar="NAME", help=" or ".join(PROTOCOLS))
    value("--udp-rate", metavar="MBPS", help="offered payload in all; without it 1.2 times the ceiling")
    value("--flows", default="1,8", metavar="N[,N…]", help="parallel flows")
    value("--runs", metavar="N", help="runs of each cell, by default 10")
    value("--duration", metavar="S", help=f"seconds measured, by default {DURATION:g}")
    value("--warm-up", default="2", metavar="S", help="seconds before that")
    add_run_options(
        made, value, f"a first look: --figure {QUICK_FIGURE}, {QUICK_RUNS} runs of {QUICK_DURATION:g} s"
    )
    made.add_argument("--pcap", action="store_true", help="keep the captures of both ends")
    return made


class Reader:
    """Collects problems while values are read."""

    def __init__(self, unknown: Sequence[str]) -> None:
        """Begin with the words that are no option."""
        self.problems = [f"{word}: there is no such option; --help lists them" for word in unknown]

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


def or_default(given: str | None, default: str | float) -> str:
    """What was given, an empty word included, else the default."""
    return str(default) if given is None else given


def read_network(r: Reader, given: argparse.Namespace) -> dict[str, Any]:
    """The values of :func:`add_network_options`, named as the plans have them."""
    figures = FIGURES
    if given.figure != "all":
        names = [str(figure) for figure in FIGURES]
        figures = r.each("--figure", given.figure, lambda word: int(r.choice("--figure", word, names)))
    links: tuple[AccessLink, ...] = DEFAULT_LINKS
    try:
        links = parse_links(given.link)
    except LinkError as error:
        r.problems += error.problems
    return {
        "figures": figures,
        "policies": r.each(
            "--policy", given.policy, lambda word: Policy(r.choice("--policy", word, list(Policy)))
        ),
        "weights": r.choice("--weights", given.weights, list(Weights)),
        "direction": r.choice("--direction", given.direction, DIRECTIONS),
        "seed": r.whole("--seed", given.seed, 0, 2**63 - 1),
        "encapsulation": r.choice("--encapsulation", given.encapsulation, ENCAPSULATIONS),
        "links": links,
    }


def finish(r: Reader, given: argparse.Namespace, plan: PlanT) -> Command[PlanT]:
    """Read what :func:`add_run_options` has added, and be done.

    :raises UsageError: with every problem found, here and before.
    """
    kernel = KernelChoice(r.choice("--kernel", given.kernel, list(KernelChoice)))
    clock = None if given.clock is None else Clock(r.choice("--clock", given.clock, list(Clock)))
    if kernel is KernelChoice.HOST and clock is Clock.VIRTUAL:
        r.problems.append("--clock virtual: only the guest kernel has one")
    jobs = r.whole("--jobs", or_default(given.jobs, os.cpu_count() or 1), 1, 256)
    out = Path(given.out)
    try:
        if not given.out:
            raise StoreError("--out '': allowed is a folder, or a path at which one can be made")
        check_parent(out)
    except StoreError as error:
        r.problems.append(str(error))
    if r.problems:
        raise UsageError(r.problems)
    return Command(plan, kernel, clock, jobs, out, given.quick, given.dry_run, given.json, given.verbose)


def read(argv: Sequence[str], experiment: str, description: str) -> Command[Plan]:
    """Parse and check a command line of ``aggregate``.

    :raises UsageError: with every problem and what is possible.
    """
    given, unknown = parser(description).parse_known_args(argv)
    r = Reader(unknown)
    quick = given.quick
    given.figure = or_default(given.figure, QUICK_FIGURE if quick else "all")
    network = read_network(r, given)
    protocol = r.choice("--protocol", given.protocol, PROTOCOLS)
    if given.udp_rate is not None and protocol != "udp":
        r.problems.append("--udp-rate: only with --protocol udp")
    plan = Plan(
        experiment=experiment,
        **network,
        protocol=protocol,
        udp_rate=None if given.udp_rate is None else r.rate("--udp-rate", given.udp_rate),
        flows=r.each("--flows", given.flows, lambda word: r.whole("--flows", word, 1, 1000)),
        runs=r.whole("--runs", or_default(given.runs, QUICK_RUNS if quick else 10), 1, 1000),
        duration=r.seconds(
            "--duration", or_default(given.duration, QUICK_DURATION if quick else DURATION), 0.5, 3600
        ),
        warm_up=r.seconds("--warm-up", given.warm_up, 0, 3600),
    )
    return replace(finish(r, given, plan), keep_captures=given.pcap)


_FOR_ONE_COMMAND = {
    "--out": 1,
    "--jobs": 1,
    "--scheduler": 1,
    "--resume": 1,
    "--json": 0,
    "-v": 0,
    "--verbose": 0,
}
"""Options that do not decide about results, and how many words follow each."""


def lasting(words: Sequence[str]) -> list[str]:
    """The words that decide about results, for the record of an unfinished one."""
    kept = []
    skip = 0
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip -= 1
        elif name in _FOR_ONE_COMMAND:
            skip = 0 if equals else _FOR_ONE_COMMAND[name]
        else:
            kept.append(word)
    return kept


def read_resume(words: Sequence[str]) -> tuple[Path, list[str]] | None:
    """The folder of ``--resume`` and the words beside it; None without it.

    :raises UsageError: if a word beside it could change the result.
    """
    if not any(word.partition("=")[0] == "--resume" for word in words):
        return None
    made, value = new_parser("", "")
    value("--resume")
    value("--jobs")
    value("--scheduler")
    made.add_argument("--json", action="store_true")
    made.add_argument("-v", "--verbose", action="store_true")
    given, unknown = made.parse_known_args(words)
    problems = [f"{word}: --resume takes it from the result; leave it out" for word in unknown]
    if not given.resume:
        problems.append("--resume '': allowed is the folder of an interrupted result")
    if problems:
        raise UsageError(problems)
    chosen = {"--jobs": given.jobs, "--scheduler": given.scheduler}
    beside = [word for name, text in chosen.items() if text is not None for word in (name, text)]
    return Path(given.resume), beside + ["--json"] * given.json + ["-v"] * given.verbose
