# SPDX-License-Identifier: GPL-2.0-or-later
"""Hours in which nothing is wrong: ``python -m tests.soak.alarms --full-load``, or ``--loss 5``.

Figure 3 with its default links and queues, on the virtual clock, every tunnel probed as by default; with
``--full-load`` eight TCP flows each way fill all links, with ``--loss`` each link loses packets each way.
Whatever tunnel is given up is a false alarm. Exit code 1: there was one, or a link was not full.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.soak.playing import SAMPLES, new_parser, play, read
from tests.soak.steady import ALARMS, FULL_LOAD
from topologies.links import DEFAULT_LINKS

FULL = 0.8
"""Share of its rate that a full link carries on average, each way. TCP both ways leaves some: the
acknowledgements of each wait in the queue of the other, and come in bursts."""


def table(sample: Mapping[str, Any]) -> Table:
    """What each link carried and how its tunnel's probes fared."""
    heads = ("link", "Mbit/s down", "up", "probes", "answered", "loss", "round trip ms", "time-out ms")
    shown = Table(*heads, box=None)
    for link in DEFAULT_LINKS:
        row = sample["tunnels"][link.name]
        numbers = [
            sample["mbps"]["down"][link.name],
            sample["mbps"]["up"][link.name],
            *(row[key] for key in ("probes_sent", "probes_answered", "loss")),
            *(row[key] for key in ("round_trip_ms", "time_out_ms")),
        ]
        shown.add_row(link.name, *(f"{n:.2f}" if isinstance(n, float) else str(n) for n in numbers))
    return shown


def not_full(sample: Mapping[str, Any]) -> list[str]:
    """Links that carried less than they could, one line each."""
    return [
        f"{link.name} carried {sample['mbps'][way][link.name]:.2f} of {link.rate(way):g} Mbit/s {way}"
        for link in DEFAULT_LINKS
        for way in ("down", "up")
        if sample["mbps"][way][link.name] < FULL * link.rate(way)
    ]


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = new_parser("python -m tests.soak.alarms", (__doc__ or "").partition("\n")[0], 1.0)
    parser.add_argument("--full-load", action="store_true", help="TCP flows fill all links each way")
    parser.add_argument("--loss", type=float, default=0.0, help="per cent of the packets, each way")
    options = parser.parse_args(words)
    traffic = FULL_LOAD if options.full_load else "none"
    folder, problems = play(parser, options, "tests.soak.steady", traffic, str(options.loss))
    samples, alarms = read(folder / SAMPLES), read(folder / ALARMS)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if samples:
        last = samples[-1]
        console.print(table(last))
        seconds = round(last["hour"] * 3600)
        console.print(f"{seconds} s ({last['hour']:.2f} h) of network time, {len(alarms)} false alarms")
        if options.full_load and not options.loss:
            problems += not_full(last)
    else:
        problems.append("no sample: nothing can be said")
    problems += [f"false alarm: {alarm}" for alarm in alarms]
    for problem in problems:
        print(f"alarms: {problem}", file=sys.stderr)  # noqa: T201
    print(f"result: {folder}", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
