# SPDX-License-Identifier: GPL-2.0-or-later
"""A day of faults on the virtual clock: ``python -m tests.soak --hours 24``.

Figure 3 in a guest, random faults, handovers, restarts and orders, a ping a second; with ``--full-load``
TCP that fills all links besides. After each fault
everything must be registered again, agents and kernels must agree, and nothing may be left over. A soak
with one seed is the same every time. Exit code 1: something leaked, disagreed or did not come back.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.soak.load import FLOWS
from tests.soak.playing import SAMPLES, new_parser, play, read
from tests.soak.verdict import EXACT, leaks


def table(samples: Sequence[dict[str, Any]]) -> Table:
    """What was counted at the beginning and at the end."""
    shown = Table("", "resident KiB", *EXACT, box=None)
    for word, sample in (("first", samples[0]), ("last", samples[-1])):
        for node, counts in sample["counts"].items():
            shown.add_row(f"{word} {node}", *(str(counts[name]) for name in ("resident_kib", *EXACT)))
    return shown


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = new_parser("python -m tests.soak", (__doc__ or "").partition("\n")[0], 24.0)
    parser.add_argument(
        "--full-load",
        action="store_true",
        help=f"{FLOWS} TCP flows all the time",
    )
    options = parser.parse_args(words)
    traffic = "full-load" if options.full_load else "light"
    folder, problems = play(parser, options, "tests.soak.inside", str(options.seed), traffic)
    samples = read(folder / SAMPLES)
    end = folder / "end.json"
    if end.exists():
        document = json.loads(end.read_text())
        problems += document["problems"]
        print(*document.get("traffic", []), sep="\n")  # noqa: T201
        if "received_octets" in document:
            megabits = document["received_octets"] * 8 / 1e6
            mean = megabits / (samples[-1]["hour"] * 3600) if samples else 0.0
            print(f"TCP: {megabits / 8000:.2f} GB received, {mean:.2f} Mbit/s of payload on average")  # noqa: T201
    console = Console(width=None if sys.stdout.isatty() else 120)
    if samples:
        console.print(table(samples))
        faults = Counter(sample["after"] for sample in samples[1:])
        console.print(
            f"{samples[-1]['hour']:.2f} h of network time, {len(samples) - 1} faults: {dict(faults)}"
        )
    problems += leaks(samples)
    for problem in problems:
        print(f"soak: {problem}", file=sys.stderr)  # noqa: T201
    print(f"result: {folder}", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
