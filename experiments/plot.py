#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws the figures of a stored result again, from its folder alone."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.plot")

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments import asymmetry_figures, figures, signalling_figures
from experiments.disturbed import drawing
from experiments.store import StoreError
from experiments.stored import (
    experiment_of,
    read_asymmetry,
    read_distributions,
    read_disturbed,
    read_signalling,
    read_summary,
)

OK, USAGE = 0, 2


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("plot.py", description=__doc__)
    made.add_argument("result", type=Path, metavar="RESULT_DIR", help="a folder with a summary.json")
    return made


def _aggregate(folder: Path) -> list[Path]:
    return figures.aggregate(read_summary(folder), read_distributions(folder), folder / "figures")


def _signalling(folder: Path) -> list[Path]:
    return signalling_figures.draw(read_signalling(folder), folder / "figures")


def _asymmetry(folder: Path) -> list[Path]:
    return asymmetry_figures.draw(read_asymmetry(folder), folder / "figures")


def _disturbed(folder: Path) -> list[Path]:
    return drawing.draw(read_disturbed(folder), folder / "figures")


_DRAWN_BY = {
    "aggregate": _aggregate,
    "asymmetry": _asymmetry,
    "failover": _disturbed,
    "handover": _disturbed,
    "signalling": _signalling,
}


def draw(folder: Path) -> list[Path]:
    """Draw all figures of the result in a folder.

    :raises StoreError: if there is none, or one that cannot be drawn.
    """
    return _DRAWN_BY[experiment_of(folder, tuple(_DRAWN_BY))](folder)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    folder: Path = parser().parse_args(argv).result
    console = Console(stderr=True, highlight=False)
    try:
        paths = draw(folder)
    except StoreError as error:
        console.print(f"plot: {error}", markup=False, soft_wrap=True)
        return USAGE
    except OSError as error:
        console.print(f"plot: {error.filename}: {error.strerror}", markup=False, soft_wrap=True)
        return USAGE
    for path in paths:
        console.print(str(path), markup=False, soft_wrap=True)
    return OK


if __name__ == "__main__":
    sys.exit(main())
