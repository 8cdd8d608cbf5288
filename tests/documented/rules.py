# SPDX-License-Identifier: GPL-2.0-or-later
"""How the tests run each command of README and docs. The first rule that matches a command holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tests.documented.pages import Documented, commands


class Way(StrEnum):
    """How a command is run."""

    AS_IT_STANDS = "in a copy of the checkout"
    IN_PLACE = "in the checkout itself: it changes nothing, and looks at whose environment that is"
    DRY_RUN = "in a copy of the checkout with --dry-run, because it measures for minutes"
    PROMPT = "as a line of one prompt that is open on Figure 3: they share a network"
    BLOCK = "with its block, in order, in a copy of the checkout"
    TEST = "by a test of its own"
    ELSEWHERE = "not by pytest"


@dataclass(frozen=True, slots=True)
class Rule:
    """Commands, and how they are run."""

    pattern: str
    """Matches the whole command."""
    way: Way
    by: str = ""
    """The test that runs it (``TEST``), or that measures with the program (``DRY_RUN``); else who runs it."""


_BARE = "make test-bare: it sets a machine up"
_VAGRANT = "make test-vagrant: it needs a virtual machine"
_CHANGES = "a person: it changes the machine, here its kernel's modules, packages or services"

RULES = (
    # --- what changes the machine, or needs another one
    Rule(r"sudo make (aggregate|test|setup)|make setup|rm -r \.venv; make setup", Way.ELSEWHERE, _BARE),
    Rule(
        r"(MIP4_\S+ )*vagrant .*|make test-vagrant|tests/vagrant/run --published-box", Way.ELSEWHERE, _VAGRANT
    ),
    Rule(r"sudo (modprobe|sysctl|apt-get) .*|pre-commit install", Way.ELSEWHERE, _CHANGES),
    Rule(r"(sudo )?rm -r (/var/cache|~/\.cache)/mip4-multiple-tunnels", Way.ELSEWHERE, _CHANGES),
    Rule(r".*/etc/(mip4|systemd)\b.*|.*/opt/mip4/.*|systemctl .*", Way.ELSEWHERE, _CHANGES),
    Rule(r"podman .*", Way.ELSEWHERE, "a person: it needs podman and some 10 minutes"),
    Rule(r"wireshark .*", Way.ELSEWHERE, "a person: it needs a screen; tshark takes the same words"),
    # --- what takes too long, or is what is running now
    Rule(
        r"make (soak|mutants|audit)( ARGS=.*)?|python -m tests\.soak\.alarms.*",
        Way.ELSEWHERE,
        "a person: hours, or the net; parts are in tests/",
    ),
    Rule(
        r"make lint|\.venv/bin/python -m pytest .*",
        Way.ELSEWHERE,
        "make test: it runs all the others",
    ),
    Rule(r"python tests/benchmarks/flood\.py", Way.ELSEWHERE, "a person: real time, on an idle machine"),
    # --- what a test of its own runs
    Rule(
        r"make docs",
        Way.TEST,
        "tests/unit/project/test_documentation.py::test_the_site_builds_without_a_warning",
    ),
    Rule(
        r"python experiments/reference\.py",
        Way.TEST,
        "tests/net/test_reference.py::test_what_is_stored_is_measured_again",
    ),
    Rule(
        r"python experiments/aggregate\.py --resume FOLDER",
        Way.TEST,
        "tests/net/test_aggregate_interrupted.py::test_what_was_interrupted_twice_ends_as_if_nothing_had_been",
    ),
    Rule(
        r"\.venv/bin/dask .*",
        Way.TEST,
        "tests/unit/project/test_documented_commands.py::test_the_words_for_programs_of_others_are_theirs",
    ),
    Rule(
        r"sudo mn --custom .*",
        Way.TEST,
        "tests/net/test_mininet_command.py::test_every_figure",
    ),
    Rule(
        r".*/capture\.sh figure3",
        Way.TEST,
        "tests/net/test_examples.py::test_the_captures_can_be_taken_again",
    ),
    Rule(
        r"\.venv/bin/python docs/examples/round_trips\.py 3",
        Way.TEST,
        "tests/net/test_examples.py::test_an_experiment_of_ones_own",
    ),
    Rule(
        r"sudo \.venv/bin/python docs/examples/own_network\.py",
        Way.TEST,
        "tests/net/test_examples.py::test_an_ipmininet_script_of_ones_own",
    ),
    Rule(
        r"sudo sh docs/examples/three_machines\.sh",
        Way.TEST,
        "tests/net/test_examples.py::test_the_agents_outside_mininet",
    ),
    Rule(r"mipctl set (care-of-address|pin)( BID ADDRESS)?", Way.TEST, "tests/net/test_disturbed.py"),
    Rule(
        r"sudo \.venv/bin/python -m topologies\.features --lines",
        Way.TEST,
        "tests/net/test_doctor_features.py",
    ),
    Rule(r"python -m topologies cleanup", Way.TEST, "tests/net/test_cleanup.py"),
    # --- in the lab kernel
    Rule(r"python -m topologies (figure)?3 --cli", Way.PROMPT),
    Rule(r"python -m topologies (figure)?3 --exec .*", Way.PROMPT),
    Rule(r"mipctl (bindings|status|tunnels|reregister|deregister)", Way.PROMPT),
    Rule(r"cp docs/examples/figure7\.py topologies/|git apply docs/examples/best-only\.patch", Way.BLOCK),
    Rule(r"python -m topologies \d .*--exec .*", Way.BLOCK),
    # --- on this machine
    Rule(r".* (--help|--dry-run)|(sudo )?python3? -m topologies doctor.*|make clean", Way.AS_IT_STANDS),
    Rule(r"make doctor", Way.IN_PLACE),
    Rule(r"(sudo )?python experiments/aggregate\.py.*", Way.DRY_RUN, "tests/net/test_scenarios_aggregate.py"),
    Rule(r"(sudo )?python experiments/(failover|handover)\.py.*", Way.DRY_RUN, "tests/net/test_disturbed.py"),
    Rule(r"(sudo )?python experiments/sweep\.py.*", Way.DRY_RUN, "tests/net/test_sweep.py"),
    Rule(r"(sudo )?python experiments/signalling\.py.*", Way.DRY_RUN, "tests/net/test_signalling.py"),
    Rule(
        r"(sudo )?python experiments/asymmetry\.py.*",
        Way.DRY_RUN,
        "tests/unit/experiments/test_asymmetry.py",
    ),
    Rule(r"python experiments/(plot\.py (FOLDER|DIR)|claims\.py --write)", Way.AS_IT_STANDS),
    Rule(r"\.venv/bin/python -m tests\.conformance --write", Way.AS_IT_STANDS),
    Rule(r"\.venv/bin/python docs/examples/paper\.py .*", Way.AS_IT_STANDS),
    Rule(
        r"tshark .*|\.venv/bin/mipctl decode .*|(mkdir|python tools/completion\.py) .*/bash-completion/.*",
        Way.AS_IT_STANDS,
    ),
)


def rule_for(documented: Documented) -> Rule | None:
    """The rule that holds for a command."""
    return next((rule for rule in RULES if re.fullmatch(rule.pattern, documented.command)), None)


def chosen(*ways: Way) -> list[Documented]:
    """The commands that are run in one of these ways, each once; sudo makes no other one of it."""
    found: dict[str, Documented] = {}
    for documented in commands():
        rule = rule_for(documented)
        if rule is not None and rule.way in ways:
            same = documented.command.removeprefix("sudo ").replace("python3 ", "python ")
            found.setdefault(same, documented)
    return list(found.values())
