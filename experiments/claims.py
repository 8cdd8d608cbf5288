#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers the draft's claims with numbers from ``results/reference``: writes or checks docs/claims.md."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.claims")

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments import claim_answers as answers
from experiments import terminal
from experiments.claim_answers import Stored
from experiments.reference import REFERENCES, load
from experiments.store import StoreError
from topologies.lab.guest_kernel import ROOT

PAGE = ROOT / "docs" / "claims.md"
OK, STALE, USAGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Claim:
    """What the draft says and what was measured."""

    section: str
    words: str
    """The claim, in our words."""
    references: tuple[str, ...]
    answer: Callable[[Stored], str]


CLAIMS = (
    Claim(
        "§1, §3",
        "Per-flow load balancing uses all links and gives a larger aggregate throughput.",
        ("unequal-links",),
        answers.aggregated,
    ),
    Claim(
        "§3",
        "The home agent can use the announced properties of the interfaces for its policy.",
        ("unequal-links",),
        answers.shares,
    ),
    Claim(
        "§3, §6",
        "In each of the supported configurations all interfaces carry the mobile node's traffic.",
        ("all-figures",),
        answers.configurations,
    ),
    Claim(
        "§3",
        "The home address is reachable over any of the established tunnels.",
        ("failover",),
        answers.any_tunnel,
    ),
    Claim("§3", "The care-of address of an interface may keep changing.", ("handover",), answers.moving),
    Claim(
        "§5.3",
        "Traffic is distributed: no tunnel gets a copy of what another has (unlike simultaneous bindings).",
        ("unequal-links", "all-figures"),
        answers.no_copies,
    ),
    Claim("§7", "Per-flow forwarding eliminates reordering.", ("unequal-links",), answers.in_order),
    Claim(
        "§7",
        "Spreading packets uses all paths much more effectively.",
        ("unequal-links", "equal-links"),
        answers.per_packet,
    ),
    Claim(
        "§7",
        "Spreading packets may reorder them at the receiver.",
        ("unequal-links", "equal-links", "stream-equal-links", "stream-unequal-delays"),
        answers.reordering,
    ),
    Claim(
        "§7",
        "Per-flow is the better default.",
        ("asymmetry", "asymmetry-start", "unequal-links", "unequal-links-later"),
        answers.worth_it,
    ),
    Claim(
        "§4.1, §5.3",
        "One request with the B flag extends the lifetime of all bindings (so fewer messages are needed).",
        ("signalling",),
        answers.bulk,
    ),
)


def page(stored: Stored) -> str:
    """The page, made of the stored references."""
    lines = [
        "# The draft's claims, measured",
        "",
        "Each claim of draft-gundavelli-mip4-multiple-tunnel-support-02 that can be tested, and what the",
        "stored reference results say. Brackets are 95 % confidence intervals of the mean (Student's t).",
        "The page is made by `python experiments/claims.py --write`; `python experiments/reference.py`",
        "measures again and compares.",
        "",
    ]
    for claim in CLAIMS:
        lines += [f"## {claim.section}: {claim.words}", "", claim.answer(stored), ""]
        lines += [f"* Measured with `{_command(name)}`" for name in claim.references] + [""]
    lines += [
        "## Limits",
        "",
        "The numbers hold for TCP Cubic, for the links and queues of [the design](design.md), and on a",
        "virtual clock: no processor limits anything ([validity](validity.md)). Not tested: how policies are",
        "negotiated (the draft leaves it open), and radio links, whose rates vary. What the draft demands of",
        "each message (§5.3: the B and O flags, denials) is no number: tests prove it",
        "([conformance](conformance.md)).",
        "",
    ]
    return "\n".join(lines)


def _command(name: str) -> str:
    reference = REFERENCES[name]
    return f"python experiments/{reference.experiment}.py {shlex.join(reference.words)}"


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("claims.py", description=__doc__)
    made.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    given = parser().parse_args(argv)
    console = terminal.console()
    try:
        text = page({name: load(name)["summary"] for name in REFERENCES})
    except StoreError as error:
        console.print(f"claims: {error}", markup=False, soft_wrap=True)
        return USAGE
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        console.print(f"claims: {PAGE.relative_to(ROOT)} is out of date; mend it with: claims.py --write")
        return STALE
    return OK


if __name__ == "__main__":
    sys.exit(main())
