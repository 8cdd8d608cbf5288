# SPDX-License-Identifier: GPL-2.0-or-later
"""Ended and resumed, the same octets: ends runs of the aggregate experiment at random moments, resumes them.

``.venv/bin/python -m tests.benchmarks.resume [--kills 10] [--seed N] [-- OPTIONS OF aggregate.py]``

One run is left alone. Each of the others is ended at a random moment of the time that one took, by SIGKILL,
SIGINT and SIGTERM in turn, then resumed; every second one is ended once more. Prints the MD5 sum of each
result folder (all but ``wallclock.json``) and what was done already, then a verdict. Exit code: 0 all the
same, 1 they differ or a run failed. That something is left running is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.determinism import AGGREGATE, checksum

OPTIONS = ("--figure", "3", "--flows", "8", "--runs", "4", "--duration", "2", "--warm-up", "1")
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_ENDS = 30.0
"""Wall-clock seconds in which a run that was told to end, and all it has started, must be gone."""
_MARK = "RESUME_BENCHMARK"


def start(out: Path, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """A run whose results go to ``out``, with a mark by which all that it starts is found."""
    return subprocess.Popen(
        ["/usr/bin/python3", str(AGGREGATE), *words],
        env={**os.environ, _MARK: str(out)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def running(out: Path) -> list[str]:
    """Processes with the mark, by id."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={out}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


def end_at(out: Path, words: Sequence[str], moment: float, number: signal.Signals) -> int | None:
    """Start a run and end it after so many seconds; its exit code if it was over before, else None.

    :raises RuntimeError: if something it has started goes on.
    """
    process = start(out, words)
    try:
        said = process.communicate(timeout=moment)[1]
        if process.returncode:
            sys.stderr.buffer.write(said)
        return process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    process.communicate(timeout=_ENDS)
    deadline = time.monotonic() + _ENDS
    while left := running(out):
        if time.monotonic() > deadline:
            raise RuntimeError(f"left running: {' '.join(left)}")
        time.sleep(0.1)
    return None


def finish(out: Path, words: Sequence[str]) -> str | None:
    """Run to the end; the sum of the result's folder, None if it failed."""
    process = start(out, words)
    said = process.communicate()[1]
    if process.returncode:
        sys.stderr.buffer.write(said)
        return None
    return result(out)


def result(out: Path) -> str:
    """The sum of the one complete folder in ``out``."""
    (summary,) = out.glob("aggregate/*/summary.json")
    return checksum(summary.parent)


def words_to_go_on(out: Path, words: Sequence[str]) -> tuple[Sequence[str], int]:
    """What resumes the run in ``out``, or begins it, and how many batches it has done."""
    for record in out.glob("aggregate/*/unfinished.json"):
        return ["--resume", str(record.parent)], len(json.loads(record.read_text())["finished"])
    return words, 0


def disturbed(options: Sequence[str], seconds: float, number: int, chance: random.Random) -> str | None:
    """The sum of a run that was ended, maybe twice, and resumed; prints how it went."""
    with tempfile.TemporaryDirectory(prefix="resume-", dir="/var/tmp") as folder:
        out = Path(folder)
        first: Sequence[str] = [*options, "--kernel", "guest", "--out", folder]
        words = first
        told = []
        code: int | None = None
        for _ in range(1 + number % 2):
            moment = chance.uniform(0.2, seconds)
            how = SIGNALS[number % len(SIGNALS)]
            code = end_at(out, words, moment, how)
            if code is not None:
                told.append(f"over before {moment:.1f} s")
                break
            words, done = words_to_go_on(out, first)
            told.append(f"{how.name} after {moment:.1f} s, {done} batches done")
        found = None  # it failed by itself
        if code is None:
            found = finish(out, words)
        elif code == 0:
            found = result(out)
        print(f"{number + 1:2} {found or 'failed':32} {'; '.join(told)}", flush=True)
        return found


def main() -> int:
    """Run one, end and resume the others, compare; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the moments")
    parser.add_argument("options", nargs="*", help=f"of aggregate.py, by default {' '.join(OPTIONS)}")
    given = parser.parse_args()
    options = given.options or list(OPTIONS)
    chance = random.Random(given.seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resume-", dir="/var/tmp") as out:
        alone = finish(Path(out), [*options, "--kernel", "guest", "--out", out])
    seconds = time.monotonic() - begun
    print(f" 0 {alone or 'failed':32} left alone, {seconds:.1f} s", flush=True)
    sums = {alone, *(disturbed(options, 0.95 * seconds, number, chance) for number in range(given.kills))}
    same = len(sums) == 1 and None not in sums
    print(
        f"verdict: {'all the same' if same else 'DIFFERENT or failed'}, {given.kills} runs ended and resumed"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
