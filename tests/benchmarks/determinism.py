# SPDX-License-Identifier: GPL-2.0-or-later
"""Same seed, same octets: repeats one run of the aggregate experiment and compares its results.

``python tests/benchmarks/determinism.py [--repeats 20] [--beside-hogs 10] [-- OPTIONS OF aggregate.py]``

Some repeats run beside a process per core that never sleeps; every third runs its batches one after the
other; as root, every fourth runs as an ordinary user. Prints the MD5 sum of each result folder (all but
``wallclock.json``), then a verdict. Exit code: 0 all the same, 1 they differ or a run failed.
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
NOBODY = 65534
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


def checksum(folder: Path) -> str:
    """Of names and octets of all files of a result that must not differ."""
    total = hashlib.md5()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name != "wallclock.json":
            total.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def run(options: list[str], *, as_user: bool, one_by_one: bool) -> str | None:
    """The sum of one run's folder; None if it failed."""
    become: list[str] = []
    with tempfile.TemporaryDirectory(prefix="determinism-", dir="/var/tmp") as out:
        if as_user:
            os.chown(out, NOBODY, NOBODY)
            become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            become += ["env", "-u", "XDG_CACHE_HOME", f"HOME={out}"]
        command = [*become, "/usr/bin/python3", str(AGGREGATE), *options, "--kernel", "guest", "--out", out]
        done = subprocess.run([*command, *(["--jobs", "1"] * one_by_one)], capture_output=True, check=False)
        if done.returncode:
            sys.stderr.buffer.write(done.stderr)
            return None
        (stored,) = Path(out).glob("aggregate/*")
        return checksum(stored)


def main() -> int:
    """Repeat, print, compare; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, metavar="N")
    parser.add_argument("--beside-hogs", type=int, default=10, metavar="N", help="how many of them")
    parser.add_argument("options", nargs="*", help=f"of aggregate.py, by default {' '.join(OPTIONS)}")
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    sums = set()
    for number in range(given.repeats):
        loaded = number >= given.repeats - given.beside_hogs
        begun = time.monotonic()
        as_user, one_by_one = number % 4 == 3 and os.geteuid() == 0, number % 3 == 2
        with hogs(cores if loaded else 0):
            found = run(given.options or list(OPTIONS), as_user=as_user, one_by_one=one_by_one)
        sums.add(found)
        how = [f"beside {cores} hogs" if loaded else "idle"]
        how += ["as an ordinary user"] * as_user + ["one batch after the other"] * one_by_one
        spent = time.monotonic() - begun
        print(f"{number + 1:2} {found or 'failed':32} {spent:6.1f} s  {', '.join(how)}", flush=True)
    same = len(sums) == 1 and None not in sums
    print(f"verdict: {'all the same' if same else 'DIFFERENT or failed'}, {given.repeats} runs")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
