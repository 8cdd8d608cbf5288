# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``python -m topologies FIGURE``, with every problem said at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from topologies.encapsulations import BUILT_ENCAPSULATIONS
from topologies.figures import available, load
from topologies.lab.guest import Clock
from topologies.lab.lab import KernelChoice
from topologies.links import DEFAULT_LINKS, AccessLink, LinkError, parse_links

COMMANDS = ("doctor", "cleanup")
_EXEC = "--exec"
_SPECIAL_FOLDERS = ("/proc", "/sys", "/dev", "/run")
_Choice = TypeVar("_Choice", bound=StrEnum)


class UsageError(ValueError):
    """A command line that cannot be carried out; one line per problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is brought up inside the lab kernel, and the command then run there."""

    figure: str
    links: tuple[AccessLink, ...]
    policy: Policy
    weights: Weights
    encapsulation: Encapsulation
    node: str
    argv: tuple[str, ...]
    redirected: tuple[bool, bool]
    """Whether the caller's stdout and stderr are no terminal."""
    cli: bool = False
    """A prompt instead of the command."""
    prompting: bool = False
    """Whether the caller's stdin is a terminal."""

    def as_json(self) -> str:
        """One word that carries all of it into the lab kernel."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """The inverse of :meth:`as_json`."""
        values = json.loads(text)
        return cls(
            figure=values["figure"],
            links=tuple(AccessLink(**link) for link in values["links"]),
            policy=Policy(values["policy"]),
            weights=Weights(values["weights"]),
            encapsulation=Encapsulation(values["encapsulation"]),
            node=values["node"],
            argv=tuple(values["argv"]),
            redirected=(values["redirected"][0], values["redirected"][1]),
            cli=values["cli"],
            prompting=values["prompting"],
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A checked command line."""

    scene: Scene
    kernel: KernelChoice
    clock: Clock | None


def parser() -> argparse.ArgumentParser:
    """The options; values are checked by :func:`read`."""
    made = argparse.ArgumentParser(
        "python -m topologies",
        description="Bring up a figure of the draft, wait until every binding is registered, run a command "
        "on a node, and take everything down. Exit code: the command's; 125 if the network did not come up, "
        "2 for bad usage.",
        epilog="python -m topologies doctor [--json]: what works on this machine, and what mends the rest. "
        "python -m topologies cleanup [--json]: remove what killed runs have left.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("figure", nargs="?", metavar="FIGURE", help=", ".join(f"{f} or figure{f}" for f in available()))
    # nargs="?": a missing value is a problem like any other, not the end of reading.
    add("--kernel", nargs="?", default="auto", metavar="NAME", help=", ".join(KernelChoice))
    add("--clock", nargs="?", default="", metavar="NAME", help=", ".join(Clock))
    add("--link", nargs="?", action="append", default=[], metavar="NAME=DOWN/UP:DELAY[,…]", help="Mbit/s, ms")
    add("--policy", nargs="?", default=Policy.PER_FLOW.value, metavar="NAME", help=", ".join(Policy))
    add("--weights", nargs="?", default=Weights.EQUAL.value, metavar="NAME", help=", ".join(Weights))
    add(
        "--encapsulation",
        nargs="?",
        default=Encapsulation.IPIP.value,
        metavar="NAME",
        help=", ".join(BUILT_ENCAPSULATIONS),
    )
    add("--cli", action="store_true", help="a prompt for the nodes instead of a command; real clock")
    # For --help: read() cuts off the word and all that follows, which belongs to the command.
    add(_EXEC, nargs="?", metavar="NODE ARGV…", help="by default: mn mipctl bindings; takes all the rest")
    return made


def _choice(
    option: str,
    text: str | None,
    kind: type[_Choice],
    problems: list[str],
    some: Sequence[_Choice] | None = None,
) -> _Choice:
    allowed = list(some or kind)
    if text in allowed:
        return kind(text)
    given = "without a value" if text is None else repr(text)
    problems.append(f"{option} {given}: allowed is {', '.join(allowed)}")
    return allowed[0]


def _links(words: Sequence[str | None], problems: list[str]) -> tuple[AccessLink, ...]:
    if None in words:
        problems.append("--link without a value: give NAME=DOWN/UP:DELAY")
    try:
        return parse_links(word for word in words if word is not None)
    except LinkError as error:
        problems += error.problems
        return DEFAULT_LINKS


def _command(words: Sequence[str] | None, figure: str, problems: list[str]) -> tuple[str, ...]:
    """Node and words of the command."""
    if words is None:
        return ("mn", "mipctl", "bindings")
    if len(words) < 2:
        problems.append(f"{_EXEC}: give a node and a command")
    nodes = load(int(figure))().routers() if words and figure else ()
    if nodes and words[0] not in nodes:
        problems.append(f"{_EXEC} {words[0]}: figure {figure} has no such node; it has {', '.join(nodes)}")
    return tuple(words)


def read(
    argv: Sequence[str], folder: Path, redirected: tuple[bool, bool], prompting: bool = False
) -> Request:
    """Parse and check a command line.

    :param folder: the caller's current folder, where the command will run.
    :param redirected: whether the caller's stdout and stderr are no terminal.
    :param prompting: whether its stdin is one.
    :raises UsageError: with every problem and what is possible.
    """
    cut = argv.index(_EXEC) if _EXEC in argv else len(argv)
    given, unknown = parser().parse_known_args(argv[:cut])
    problems: list[str] = []
    figures = [str(number) for number in available()]
    figure = (given.figure or "").removeprefix("figure")
    if figure not in figures:
        said = f"figure {given.figure!r}" if given.figure else "which figure?"
        problems.append(f"{said}: there are {', '.join(figures)} (and the command {', '.join(COMMANDS)})")
        figure = ""
    problems += [f"{word}: there is no such option; --help lists them" for word in unknown]
    if given.exec is not None:
        problems.append(f"{_EXEC}={given.exec}: node and command are words of their own")
    kernel = _choice("--kernel", given.kernel, KernelChoice, problems)
    clock = None if given.clock == "" else _choice("--clock", given.clock, Clock, problems)
    if kernel is KernelChoice.HOST and clock is Clock.VIRTUAL:
        problems.append("--clock virtual: only the guest kernel has one")
    if given.cli:
        if cut < len(argv):
            problems.append(f"--cli and {_EXEC}: choose one of them")
        if clock is Clock.VIRTUAL:
            problems.append("--clock virtual with --cli: time would race while the prompt waits for you")
        clock = Clock.REAL
    links = _links(given.link, problems)
    policy = _choice("--policy", given.policy, Policy, problems)
    weights = _choice("--weights", given.weights, Weights, problems)
    encapsulation = _choice(
        "--encapsulation", given.encapsulation, Encapsulation, problems, BUILT_ENCAPSULATIONS
    )
    node, *command = _command(argv[cut + 1 :] if cut < len(argv) else None, figure, problems) or ("",)
    if any(folder.is_relative_to(special) for special in _SPECIAL_FOLDERS):
        # The guest has its own; the host's must not lie over them.
        problems.append(f"the current folder {folder} belongs to the system; call this from another one")
    if problems:
        raise UsageError(problems)
    scene = Scene(
        figure, links, policy, weights, encapsulation, node, tuple(command), redirected, given.cli, prompting
    )
    return Request(scene, kernel, clock)
