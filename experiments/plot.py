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
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments import figures
from experiments.summary import SCHEMA

OK, USAGE = 0, 2


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser("plot.py", description=__doc__)
    parser.add_argument("result", type=Path, metavar="RESULT_DIR", help="a folder with a summary.json")
    folder: Path = parser.parse_args(argv).result
    console = Console(stderr=True, highlight=False)
    source = folder / "summary.json"
    try:
        summary = json.loads(source.read_text(encoding="utf-8"))
        if summary["schema"] != SCHEMA:
            raise ValueError(f"schema {summary['schema']}; this version reads schema {SCHEMA}")
        paths = figures.aggregate(summary, folder / "figures")
    except OSError as error:
        console.print(f"plot: {error.filename}: {error.strerror}", markup=False, soft_wrap=True)
        return USAGE
    except (ValueError, KeyError, TypeError) as error:
        console.print(f"plot: {source}: is not a summary of a result: {error}", markup=False, soft_wrap=True)
        return USAGE
    for path in paths:
        console.print(str(path), markup=False, soft_wrap=True)
    return OK


if __name__ == "__main__":
    sys.exit(main())
