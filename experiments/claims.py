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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments import terminal
from experiments.reference import REFERENCES, load
from experiments.store import StoreError
from topologies.lab.guest_kernel import ROOT

PAGE = ROOT / "docs" / "claims.md"
OK, STALE, USAGE = 0, 1, 2
Stored = Mapping[str, Mapping[str, Any]]
"""Summaries by name of their reference."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the draft says and what was measured."""

    section: str
    words: str
    """The claim, in our words."""
    references: tuple[str, ...]
    answer: Callable[[Stored], str]


def _cell(stored: Stored, reference: str, **keys: object) -> Mapping[str, Any]:
    (found,) = (
        cell for cell in stored[reference]["cells"] if all(cell[key] == value for key, value in keys.items())
    )
    cell: Mapping[str, Any] = found
    return cell


def _interval(stat: Mapping[str, Any], digits: int, unit: str = "") -> str:
    """A mean with its confidence interval."""
    low, high = stat["ci95"]
    return f"{stat['mean']:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"


def _aggregated(stored: Stored) -> str:
    one, cell = (_cell(stored, "unequal-links", policy="per-flow", flows=flows) for flows in (1, 8))
    gain = cell["goodput_mbps"]["mean"] / cell["best_single_link_mbps"]
    return (
        f"**Yes.** Eight TCP flows, per-flow: {_interval(cell['goodput_mbps'], 2, ' Mbit/s')}, "
        f"{gain:.2f} times the best link alone ({cell['best_single_link_mbps']:.2f}); "
        f"efficiency {_interval(cell['efficiency'], 4)} of the ceiling {cell['ceiling_mbps']:.2f}. "
        f"One flow keeps to one link: {one['goodput_mbps']['mean']:.2f} Mbit/s."
    )


def _shares(stored: Stored) -> str:
    cell = _cell(stored, "unequal-links", policy="per-flow", flows=8)
    shares = ", ".join(f"{name} {share:.3f}" for name, share in cell["link_share"].items())
    return f"**Yes**, with weights by announced bandwidth: shares of the octets are {shares}."


def _in_order(stored: Stored) -> str:
    cells = [_cell(stored, "unequal-links", policy="per-flow", flows=flows) for flows in (1, 8)]
    worst = max(value for cell in cells for value in cell["reordering"]["ratio"]["samples"])
    runs = sum(cell["n"] for cell in cells)
    verdict = "**Yes.**" if worst == 0 else "**No.**"
    return f"{verdict} The largest reordered ratio (RFC 4737) of any of {runs} runs is {worst:g}."


def _per_packet(stored: Stored) -> str:
    eight, one = (_cell(stored, "unequal-links", policy="per-packet", flows=flows) for flows in (8, 1))
    flow = _cell(stored, "unequal-links", policy="per-flow", flows=8)
    equal = _cell(stored, "equal-links", policy="per-packet", flows=1)
    return (
        f"**Only where links are equal.** Over the default links eight flows get an efficiency of "
        f"{_interval(eight['efficiency'], 3)}, per-flow {_interval(flow['efficiency'], 3)}; one flow gets "
        f"{_interval(one['goodput_mbps'], 2, ' Mbit/s')}, less than the best link alone "
        f"({one['best_single_link_mbps']:.2f}). Over four equal links one flow reaches "
        f"{_interval(equal['efficiency'], 3)}, which no policy that keeps flows together can: "
        f"its best link gives "
        f"{equal['best_single_link_mbps'] / equal['ceiling_mbps']:.3f}."
    )


def _reordering(stored: Stored) -> str:
    cells = [
        _cell(stored, reference, policy="per-packet", flows=flows)
        for flows in (1, 8)
        for reference in ("unequal-links", "equal-links")
    ]
    rows = [
        ("reordered ratio", [_interval(cell["reordering"]["ratio"], 3) for cell in cells]),
        ("3-reordered ratio", [_interval(cell["reordering"]["n3_ratio"], 4) for cell in cells]),
        ("mean extent, packets", [_interval(cell["reordering"]["mean_extent"], 1) for cell in cells]),
        ("95 % are at most so late, ms", [_interval(cell["late_time_ms"]["p95"], 2) for cell in cells]),
        ("retransmissions a run", [_interval(cell["retransmits"], 1) for cell in cells]),
        ("of these needless", [_interval(cell["spurious_retransmits"], 1) for cell in cells]),
    ]
    table = [
        "| per-packet | 1 flow, default links | 1, equal links | 8 flows, default links | 8, equal links |",
        "|---|---|---|---|---|",
        *(f"| {name} | {' | '.join(values)} |" for name, values in rows),
    ]
    return "\n".join(
        [
            "**Yes.**",
            "",
            *table,
            "",
            "Over equal links the ratio stays high while packets are hardly late: one small packet on one",
            "link (66 octets last 53 µs at 10 Mbit/s) shifts that link's queue against the others, and the",
            "ratio counts every inversion, however short. What differs is how late packets come, and what",
            "that does to TCP.",
            "",
            _stream(stored),
        ]
    )


def _stream(stored: Stored) -> str:
    equal, unequal = (
        _cell(stored, name, policy="per-packet", flows=1)["reordering"]["ratio"]
        for name in ("stream-equal-links", "stream-unequal-delays")
    )
    return (
        "A UDP stream of equal packets at a fifth of the links' rate has no such inversions: reordered "
        f"ratio {_interval(equal, 3)} over four equal links, {_interval(unequal, 3)} where only the delays "
        "differ (5, 15, 25 and 40 ms)."
    )


def _worth_it(stored: Stored) -> str:
    cells = stored["asymmetry"]["cells"]
    better = sum(cell["gain"]["ci95"][0] > 1 for cell in cells)
    worse = sum(cell["gain"]["ci95"][1] < 1 for cell in cells)
    rows = [
        f"| {cell['ratio']} | {cell['spread_ms']} | {_interval(cell['per-flow'], 3)} "
        f"| {_interval(cell['per-packet'], 3)} | {_interval(cell['gain'], 2)} |"
        for cell in cells
    ]
    return "\n".join(
        [
            "**It depends on the paths**, and on how long a flow lasts. One TCP flow, from 20 s after",
            f"its start: of {len(cells)} cases per-packet is better in {better}, worse in {worse}. Four",
            "links carry 40 Mbit/s in all; the ratio is that of the fastest rate to the slowest, the spread",
            "what the slowest link's delay exceeds the fastest one's by. In its first seconds a flow may",
            "get far less, probably because reordering that is taken for loss ends its slow start: at",
            "ratio 1 and spread 30 ms 0.18 of the ceiling from the second to the fourth second, 0.84",
            "after 20 s. Over the default links it does not recover: 6.7 Mbit/s after 20 s as well.",
            "",
            "| ratio | spread, ms | efficiency per-flow | efficiency per-packet | gain of per-packet |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _bulk(stored: Stored) -> str:
    rows = [
        f"{row['bindings']} bindings {_interval(row['messages_share'], 3)}"
        for row in stored["signalling"]["savings"]
        if row["bindings"] > 1
    ]
    return (
        "**Yes.** Share of the messages that bulk re-registration saves: "
        + ", ".join(rows)
        + ". It is less than "
        "all but one request: every second renewal of an interface is its own (FACTS G24, G25)."
    )


CLAIMS = (
    Claim(
        "§1, §3",
        "Per-flow load balancing uses all links and gives a larger aggregate throughput.",
        ("unequal-links",),
        _aggregated,
    ),
    Claim(
        "§3",
        "The home agent can use the announced properties of the interfaces for its policy.",
        ("unequal-links",),
        _shares,
    ),
    Claim("§7", "Per-flow forwarding eliminates reordering.", ("unequal-links",), _in_order),
    Claim(
        "§7",
        "Spreading packets uses all paths much more effectively.",
        ("unequal-links", "equal-links"),
        _per_packet,
    ),
    Claim(
        "§7",
        "Spreading packets may reorder them at the receiver.",
        ("unequal-links", "equal-links", "stream-equal-links", "stream-unequal-delays"),
        _reordering,
    ),
    Claim(
        "§7",
        "Per-flow is the better default.",
        ("asymmetry",),
        _worth_it,
    ),
    Claim(
        "§4.1, §5.3",
        "One request with the B flag extends the lifetime of all bindings (so fewer messages are needed).",
        ("signalling",),
        _bulk,
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
        "negotiated (the draft leaves it open), and radio links, whose rates vary.",
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
