#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the experiments of ``results/reference`` again and compares; with ``--renew`` keeps what came out."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.reference")

import argparse
import hashlib
import json
import math
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from experiments import terminal
from experiments.store import StoreError, write_json
from topologies.lab.bytecode import PACKAGES
from topologies.lab.guest_kernel import ROOT

FOLDER = ROOT / "results" / "reference"
SCHEMA = 1
OK, DIFFERENT, USAGE = 0, 1, 2
RISK = 0.001
"""Probability of calling an unchanged value changed; small, because many are compared."""
RESOLUTION = 0.01
"""A relative difference below this is none: values that are the same in every run have no spread."""
_KEYS = ("figure", "case", "policy", "flows", "bindings", "renewal", "ratio", "spread_ms")
_EQUAL = tuple(word for name in ("wifi", "evdo", "wimax", "lte") for word in ("--link", f"{name}=10/10:15"))
_DELAYS = {"wifi": 5, "evdo": 40, "wimax": 25, "lte": 15}
_UNEQUAL = tuple(word for name, delay in _DELAYS.items() for word in ("--link", f"{name}=10/10:{delay}"))
_SHORT = ("--runs", "10", "--duration", "3", "--warm-up", "1")
_STREAM = ("--figure", "5", "--policy", "per-packet", "--protocol", "udp", "--udp-rate", "8", "--flows", "1")
_POINTS = ("--ratio", "1,4", "--spread", "0,30")
_LATER = ("--runs", "5", "--duration", "10", "--warm-up", "20", "--flows", "1")
_FROM_THE_START = ("--runs", "3", "--duration", "2", "--warm-up", "2", "--flows", "1,8")


@dataclass(frozen=True, slots=True)
class Reference:
    """A stored result and the command that makes it."""

    experiment: str
    words: tuple[str, ...]


_READ_ONLY = (
    "experiments/**/claims.py",
    "experiments/**/reference.py",
    "experiments/**/plot.py",
    "experiments/**/style.py",
    "experiments/**/drawing.py",
    "experiments/**/*figures.py",
    "topologies/doctor.py",
)
"""Modules that only read and draw what others have measured, or look at the machine."""

REFERENCES: Mapping[str, Reference] = {
    "unequal-links": Reference("aggregate", ("--figure", "3", *_SHORT)),
    "equal-links": Reference("aggregate", ("--figure", "5", "--policy", "per-packet", *_EQUAL, *_SHORT)),
    "stream-equal-links": Reference("aggregate", (*_STREAM, *_EQUAL, *_SHORT)),
    "stream-unequal-delays": Reference("aggregate", (*_STREAM, *_UNEQUAL, *_SHORT)),
    "unequal-links-later": Reference("aggregate", ("--figure", "3", "--policy", "per-packet", *_LATER)),
    "all-figures": Reference(
        "aggregate",
        ("--figure", "all", "--flows", "8", "--runs", "3", "--duration", "3", "--warm-up", "1"),
    ),
    "asymmetry": Reference("asymmetry", (*_POINTS, *_LATER)),
    "asymmetry-start": Reference("asymmetry", (*_POINTS, *_FROM_THE_START)),
    "signalling": Reference("signalling", ("--runs", "3")),
    "failover": Reference("failover", ("--figure", "3", "--runs", "10")),
    "handover": Reference("handover", ("--figure", "3", "--policy", "per-flow,per-packet", "--runs", "10")),
}
"""By name of the file."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of one cell, as stored and as found."""

    cell: str
    metric: str
    stored: float
    found: float
    verdict: str
    """``same``: to the last digit; ``within``: what chance explains; ``CHANGED``."""


def code() -> str:
    """Names what decides about results besides kernel, arguments and seed.

    With this and the kernel key the same, a result is the same to the last digit.
    """
    total = hashlib.sha256(platform.python_version().encode())  # Debian 13's gives other last digits
    sources = {path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    sources -= {path for pattern in _READ_ONLY for path in ROOT.glob(pattern)}
    for path in sorted(sources):
        total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    total.update((ROOT / "setup" / "requirements.lock").read_bytes())
    return total.hexdigest()[:16]


def load(name: str) -> dict[str, Any]:
    """A stored reference: ``words``, ``kernel_key``, ``code`` and ``summary``.

    :raises StoreError: if it is not there, not whole, or of another schema or command.
    """
    path = FOLDER / f"{name}.json"
    mend = f"mend it with: python experiments/reference.py --renew {name}"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA or tuple(document["words"]) != REFERENCES[name].words:
            raise StoreError(f"{path}: is of another schema or command; {mend}")
        if not document["summary"]["cells"]:
            raise StoreError(f"{path}: has no cells; {mend}")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; {mend}") from None
    except StoreError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: is no reference: {error!r}; {mend}") from None
    return document


def cell_name(cell: Mapping[str, Any]) -> str:
    """What tells a cell from the others of its result."""
    return ", ".join(f"{key} {cell[key]}" for key in _KEYS if key in cell)


def differences(stored: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    """Every number with samples in cells that both summaries have."""
    theirs = {cell_name(cell): cell for cell in stored["cells"]}
    for cell in found["cells"]:
        name = cell_name(cell)
        if name in theirs:
            for metric, new in _statistics(cell):
                old = dict(_statistics(theirs[name])).get(metric)
                if old is not None:
                    yield _difference(name, metric, old, new)


def _statistics(cell: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in cell.items():
        if isinstance(value, dict):
            if "samples" in value:
                yield prefix + key, value
            else:
                yield from _statistics(value, f"{prefix}{key}.")


def _difference(cell: str, metric: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    samples, others = old["samples"], new["samples"]
    means = _mean(samples), _mean(others)
    if samples[: len(others)] == others:
        verdict = "same"
    elif abs(means[1] - means[0]) <= max(
        _spread(samples, len(others)), RESOLUTION * abs(means[0])
    ) or _within_as_logarithms(samples, others):
        verdict = "within"
    else:
        verdict = "CHANGED"
    return Difference(cell, metric, *means, verdict)


def _mean(samples: Sequence[float]) -> float:
    return math.fsum(samples) / len(samples)


def _spread(samples: Sequence[float], count: int) -> float:
    """By how much the mean of ``count`` more runs may differ from that of the samples."""
    if len(samples) < 2:
        return 0.0
    mean = _mean(samples)
    variance = math.fsum((sample - mean) ** 2 for sample in samples) / (len(samples) - 1)
    quantile = float(stats.t.ppf(1 - RISK / 2, len(samples) - 1))
    return quantile * math.sqrt(variance * (1 / len(samples) + 1 / count))


def _within_as_logarithms(samples: Sequence[float], others: Sequence[float]) -> bool:
    """Delays, extents and counts of lost packets are skewed: one run in many is several times the others."""
    if min(*samples, *others) <= 0:
        return False
    old, new = ([math.log(sample) for sample in each] for each in (samples, others))
    return abs(_mean(new) - _mean(old)) <= _spread(old, len(new))


def measure(name: str, *more: str) -> tuple[dict[str, Any], str]:
    """Run a reference's command; its summary and the key of the kernel it ran on.

    :param more: words that come after the stored ones, such as ``--runs 1``.
    :raises StoreError: if it fails, with the end of what it said.
    """
    wanted = REFERENCES[name]
    with tempfile.TemporaryDirectory(prefix="reference-") as out:
        command = [sys.executable, "-P", "-m", f"experiments.{wanted.experiment}", *wanted.words, *more]
        done = subprocess.run(
            [*command, "--kernel", "guest", "--json", "--out", out],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=None if sys.stderr.isatty() else subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or b"").decode(errors="replace")[-1000:]
            raise StoreError(f"{name}: {wanted.experiment} ended with {done.returncode}: {said}")
        (manifest,) = Path(out).glob("*/*/manifest.json")
        return json.loads(done.stdout), str(json.loads(manifest.read_text())["kernel_key"])


def show(console: Console, name: str, found: Sequence[Difference]) -> None:
    """How many numbers are the same, and which are not."""
    counts = {
        verdict: sum(row.verdict == verdict for row in found) for verdict in ("same", "within", "CHANGED")
    }
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("cell", "number", "stored", "found"):
        table.add_column(column, justify="left" if column in ("cell", "number") else "right")
    for row in found:
        if row.verdict == "CHANGED":
            table.add_row(row.cell, row.metric, f"{row.stored:.5g}", f"{row.found:.5g}")
    if counts["CHANGED"]:
        console.print(table)
    console.print(f"{name}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("reference.py", description=__doc__)
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(REFERENCES)}; all by default")
    made.add_argument("--renew", action="store_true", help="store what comes out, and print what changed")
    made.add_argument("--runs", metavar="N", help="fewer runs, for a quick look; not with --renew")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    console = terminal.console()
    given = parser().parse_args(argv)
    names = given.names or list(REFERENCES)
    unknown = [name for name in names if name not in REFERENCES]
    if unknown or (given.renew and given.runs):
        for name in unknown:
            console.print(f"reference: there is no reference {name}; there are {', '.join(REFERENCES)}")
        if given.renew and given.runs:
            console.print("reference: --runs: not with --renew; a reference has all its runs")
        return USAGE
    changed = False
    try:
        for name in names:
            # Before it is measured for minutes: without a stored one there is nothing to compare with.
            stored = _replaced(name, console) if given.renew else load(name)
            summary, key = measure(name, *(("--runs", given.runs) if given.runs else ()))
            found = list(differences(stored["summary"], summary))
            show(console, name, found)
            changed |= any(row.verdict == "CHANGED" for row in found)
            if given.renew:
                keep(name, summary, key)
    except StoreError as error:
        console.print(f"reference: {error}", markup=False, soft_wrap=True)
        return USAGE
    return DIFFERENT if changed and not given.renew else OK


def _replaced(name: str, console: Console) -> dict[str, Any]:
    """The reference that a new one takes the place of; one without cells if it cannot be read."""
    try:
        return load(name)
    except StoreError as error:
        said = str(error).partition("; mend")[0]
        console.print(
            f"reference: {said}; the new one is compared with nothing", markup=False, soft_wrap=True
        )
        return {"summary": {"cells": []}}


def keep(name: str, summary: Mapping[str, Any], kernel_key: str) -> None:
    """Store a reference."""
    FOLDER.mkdir(exist_ok=True)
    words = list(REFERENCES[name].words)
    document = {
        "schema": SCHEMA,
        "words": words,
        "kernel_key": kernel_key,
        "code": code(),
        "summary": summary,
    }
    write_json(FOLDER / f"{name}.json", document)


if __name__ == "__main__":
    sys.exit(main())
