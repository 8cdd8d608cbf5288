# SPDX-License-Identifier: GPL-2.0-or-later
"""Outside the guest: hours of network time in one, with a look at its samples meanwhile."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tests.net.guests import job
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import find
from topologies.lab.lab import Lab

SAMPLES = "samples.jsonl"
"""Each line has ``hour``, of network time since the beginning."""


def new_parser(program: str, description: str, hours: float) -> argparse.ArgumentParser:
    """The options that all soaks have."""
    parser = argparse.ArgumentParser(program, description=description)
    parser.add_argument("--hours", type=float, default=hours, help=f"of network time (default: {hours:g})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wall-hours", type=float, default=12.0, help="give up after so long")
    parser.add_argument("--out", type=Path, help="folder for samples and logs (default: a new one in /tmp)")
    return parser


def read(path: Path) -> list[dict[str, Any]]:
    """The samples there are; the guest may be writing the last line."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def play(
    parser: argparse.ArgumentParser, options: argparse.Namespace, module: str, *words: str
) -> tuple[Path, list[str]]:
    """Run ``module FOLDER HOURS WORDS…`` in a guest; the folder, and what went wrong with the guest."""
    kernel = find()
    if kernel is None:
        parser.error("there is no guest kernel; make one with: make setup")
    folder = (options.out or Path(tempfile.mkdtemp(prefix="mip4-soak-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / SAMPLES).exists():
        parser.error(f"{folder}: holds the samples of another soak; choose another --out")
    argv = ("python", "-P", "-m", module, str(folder), str(options.hours), *words)
    wall_limit = options.wall_hours * 3600
    deadline = time.monotonic() + wall_limit
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        Lab(Clock.VIRTUAL, kernel).start(
            job(argv, folder), seed=options.seed, wall_limit=wall_limit
        ) as running,
    ):
        task = progress.add_task("hours of network time", total=options.hours)
        while not running.poll():
            samples = read(folder / SAMPLES)
            progress.update(task, completed=samples[-1]["hour"] if samples else 0.0)
            if time.monotonic() > deadline:
                return folder, [f"not over after {options.wall_hours:g} h of wall-clock time"]
            time.sleep(1.0)
        if running.exit_code() != 0:
            said = running.output("stderr")[-2000:]
            return folder, [f"the guest ended with {running.exit_code()}: {said}"]
    return folder, []
