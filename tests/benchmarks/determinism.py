# SPDX-License-Identifier: GPL-2.0-or-later
"""Same seed, same octets: repeats one run of the aggregate experiment and compares its results.

``python tests/benchmarks/determinism.py [--repeats 10] [--beside-hogs 5] [-- OPTIONS OF aggregate.py]``

Half of the repeats run beside a process per core that never sleeps. Prints the MD5 sum of each
``summary.json``, then a verdict. Exit code: 0 all the same, 1 they differ or a run failed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

AGGREGATE = Path(__file__).resolve().parents[2] / "experiments" / "aggregate.py"
OPTIONS = ("--figure", "3", "--policy", "per-flow,per-flow-hash,per-packet", "--flows", "8", "--quick")


@contextlib.contextmanager
def hogs(count: int) -> Iterator[None]:
    """So many processes that never sleep."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in running:
            hog.kill()
            hog.wait()


def run(options: list[str]) -> bytes | None:
    """The ``summary.json`` of one run; None if it failed."""
    with tempfile.TemporaryDirectory(prefix="determinism-") as out:
        command = [sys.executable, str(AGGREGATE), *options, "--kernel", "guest", "--json", "--out", out]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            sys.stderr.buffer.write(done.stderr)
            return None
        (stored,) = Path(out).glob("aggregate/*/summary.json")
        return stored.read_bytes()


def main() -> int:
    """Repeat, print, compare; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, metavar="N")
    parser.add_argument("--beside-hogs", type=int, default=5, metavar="N", help="how many of them")
    parser.add_argument("options", nargs="*", help=f"of aggregate.py, by default {' '.join(OPTIONS)}")
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    sums = set()
    for number in range(given.repeats):
        loaded = number >= given.repeats - given.beside_hogs
        begun = time.monotonic()
        with hogs(cores if loaded else 0):
            summary = run(given.options or list(OPTIONS))
        found = None if summary is None else hashlib.md5(summary).hexdigest()
        sums.add(found)
        beside = f"beside {cores} hogs" if loaded else "idle"
        print(
            f"{number + 1:2} {found or 'failed':32} {beside:15} {time.monotonic() - begun:6.1f} s", flush=True
        )
    same = len(sums) == 1 and None not in sums
    print(f"verdict: {'all the same' if same else 'DIFFERENT or failed'}, {given.repeats} runs")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
