# SPDX-License-Identifier: GPL-2.0-or-later
"""A day of faults on the virtual clock: ``python -m tests.soak --hours 24``.

Figure 3 in a guest, random faults, handovers, restarts and orders, a ping a second; with ``--full-load``
TCP that fills all links besides. After each fault
everything must be registered again, agents and kernels must agree, and nothing may be left over. A soak
with one seed is the same every time. Exit code 1: something leaked, disagreed or did not come back.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.net.guests import job
from tests.soak.load import FLOWS
from tests.soak.verdict import EXACT, leaks
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import find
from topologies.lab.lab import Lab


def read(path: Path) -> list[dict[str, Any]]:
    """The samples there are; the guest may be writing the last line."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def play(lab: Lab, folder: Path, hours: float, seed: int, traffic: str, wall_limit: float) -> str | None:
    """Run the soak in a guest; what went wrong with the guest itself, if anything."""
    argv = ("python", "-P", "-m", "tests.soak.inside", str(folder), str(hours), str(seed), traffic)
    deadline = time.monotonic() + wall_limit
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        lab.start(job(argv, folder), seed=seed, wall_limit=wall_limit) as running,
    ):
        task = progress.add_task("hours of network time", total=hours)
        while not running.poll():
            samples = read(folder / "samples.jsonl")
            progress.update(task, completed=samples[-1]["hour"] if samples else 0.0)
            if time.monotonic() > deadline:
                return f"not over after {wall_limit / 3600:g} h of wall-clock time"
            time.sleep(1.0)
        if running.exit_code() != 0:
            return f"the guest ended with {running.exit_code()}: {running.output('stderr')[-2000:]}"
    return None


def table(samples: Sequence[dict[str, Any]]) -> Table:
    """What was counted at the beginning and at the end."""
    shown = Table("", "resident KiB", *EXACT, box=None)
    for word, sample in (("first", samples[0]), ("last", samples[-1])):
        for node, counts in sample["counts"].items():
            shown.add_row(f"{word} {node}", *(str(counts[name]) for name in ("resident_kib", *EXACT)))
    return shown


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser("python -m tests.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hours", type=float, default=24.0, help="of network time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--full-load",
        action="store_true",
        help=f"{FLOWS} TCP flows all the time",
    )
    parser.add_argument("--wall-hours", type=float, default=12.0, help="give up after so long")
    parser.add_argument("--out", type=Path, help="folder for samples and logs (default: a new one in /tmp)")
    options = parser.parse_args(words)
    kernel = find()
    if kernel is None:
        parser.error("there is no guest kernel; make one with: make setup")
    folder = (options.out or Path(tempfile.mkdtemp(prefix="mip4-soak-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "samples.jsonl").exists():
        parser.error(f"{folder}: holds the samples of another soak; choose another --out")
    traffic = "full-load" if options.full_load else "light"
    lab = Lab(Clock.VIRTUAL, kernel)
    said = play(lab, folder, options.hours, options.seed, traffic, options.wall_hours * 3600)
    samples = read(folder / "samples.jsonl")
    problems = [] if said is None else [said]
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
