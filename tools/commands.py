# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command a user can call, with its options: for completion, the documentation and the tests."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agents import command_line as agent
from agents import mipctl
from experiments import (
    aggregate,
    arguments,
    asymmetry,
    claims,
    failover,
    handover,
    plot,
    reference,
    signalling,
    sweep,
)
from experiments.disturbed import arguments as disturbed
from experiments.disturbed.cases import FAILOVER, HANDOVER
from experiments.sweeps import command as sweeps
from topologies import command_line as topologies
from topologies import doctor


@dataclass(frozen=True, slots=True)
class Command:
    """A program, or one of the programs in one."""

    name: str
    """What stands after ``usage:``; also names its page."""
    line: tuple[str, ...]
    """The words that start it, in the checkout, with the environment's folder of programs on PATH."""
    purpose: str
    parser: Callable[[], argparse.ArgumentParser]
    installed: bool = False
    """Whether it is a console script, which a shell can complete."""


def _agent(name: str) -> Command:
    return Command(name, (name,), agent.DESCRIPTIONS[name], partial(agent.parser, name), installed=True)


COMMANDS = (
    Command(
        "aggregate.py",
        ("python", "experiments/aggregate.py"),
        "Measure how well tunnels add up",
        partial(arguments.parser, aggregate.__doc__ or ""),
    ),
    Command(
        "failover.py",
        ("python", "experiments/failover.py"),
        "Measure what is lost when links, agents or registrations fail",
        partial(disturbed.parser, FAILOVER, failover.__doc__ or ""),
    ),
    Command(
        "handover.py",
        ("python", "experiments/handover.py"),
        "Measure what is lost when a care-of address is replaced",
        partial(disturbed.parser, HANDOVER, handover.__doc__ or ""),
    ),
    Command(
        "asymmetry.py",
        ("python", "experiments/asymmetry.py"),
        "Find where spreading packets stops paying",
        asymmetry.parser,
    ),
    Command(
        "signalling.py",
        ("python", "experiments/signalling.py"),
        "Count registration messages against bindings",
        signalling.parser,
    ),
    Command(
        "sweep.py",
        ("python", "experiments/sweep.py"),
        "Run every combination of parameters, on this machine or a cluster",
        partial(sweeps.parser, sweep.__doc__ or ""),
    ),
    Command(
        "reference.py",
        ("python", "experiments/reference.py"),
        "Measure the stored reference results again, and compare",
        reference.parser,
    ),
    Command(
        "claims.py",
        ("python", "experiments/claims.py"),
        "Answer the draft's claims with the stored reference results",
        claims.parser,
    ),
    Command(
        "plot.py",
        ("python", "experiments/plot.py"),
        "Draw the figures of a stored result again",
        plot.parser,
    ),
    Command(
        "topologies",
        ("python", "-m", "topologies"),
        "Bring a figure up and look into it",
        topologies.parser,
    ),
    Command(
        "topologies-doctor",
        ("python", "-m", "topologies", "doctor"),
        "What works on this machine, and what mends the rest",
        doctor.parser,
    ),
    *(_agent(name) for name in agent.DESCRIPTIONS),
    Command("mipctl", ("mipctl",), "Look at and change a running agent", mipctl.parser, installed=True),
)
