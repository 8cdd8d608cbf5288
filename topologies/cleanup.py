# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m topologies cleanup``: remove what runs have left whose starter was killed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from topologies.lab import leftovers
from topologies.lab.leftovers import Leftover


def _row(leftover: Leftover) -> dict[str, object]:
    return {
        "folder": str(leftover.folder),
        "working_folders": [str(path) for path in leftover.working_folders],
        "processes": len(leftover.processes),
    }


def _table(found: Sequence[Leftover], title: str) -> Table:
    table = Table("run", "working folders", "processes", title=title, title_justify="left")
    for leftover in found:
        working = "\n".join(str(path) for path in leftover.working_folders)
        table.add_row(str(leftover.folder), working, str(len(leftover.processes)))
    return table


def main(arguments: Sequence[str]) -> int:
    """The command; exit code 1 if something could not be removed."""
    parser = argparse.ArgumentParser(
        "python -m topologies cleanup",
        description="Remove what runs have left whose starter was killed (kill -9, lost power): their "
        "folders in /tmp and /run, and on this machine's own kernel their processes and network namespaces. "
        "Runs that are under way, and whatever is not a run's, are left alone.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    given = parser.parse_args(arguments)
    found = leftovers.find() if given.dry_run else leftovers.remove()
    still = [] if given.dry_run else leftovers.find()
    rows = [_row(leftover) for leftover in found]
    if given.json:
        left = [str(leftover.folder) for leftover in still]
        print(json.dumps({"schema": 1, "removed": not given.dry_run, "runs": rows, "still_there": left}))  # noqa: T201
    else:
        title = "would be removed" if given.dry_run else "removed"
        Console().print(_table(found, title) if found else "nothing was left behind")
        for leftover in still:
            sys.stderr.write(
                f"{leftover.folder}: cannot be removed; mend it with: sudo rm -r {leftover.folder}\n"
            )
    return 1 if still else 0
