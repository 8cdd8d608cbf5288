# SPDX-License-Identifier: GPL-2.0-or-later
"""Proof that the attack tests bite: each defence switched off by one change, and the test that must fail.

    python -m tests.attacks.mutants [--only WORD] [--without-guest] [--jobs N]

The tree is copied, once for each job; a mutant is applied to the copy, its tests run there, and the change
is taken back. Each of its tests must fail; if one passes, the mutant has survived it. Exit code 1 then.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.attacks.mutant import Mutant
from tests.attacks.mutant_list import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
KILLED, SURVIVED, BROKEN = "killed", "survived", "broken"
_TESTS_FAILED = 1
"""pytest's exit code for failed tests; any other but 0 means that they could not be run."""
_LIMIT = 600.0
"""Seconds for the tests of one mutant, most of them for those in the guest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    verdict: str
    detail: str


def faults(mutant: Mutant, root: Path = ROOT) -> list[str]:
    """Why a mutant cannot be used: its text must stand once, and its tests must exist."""
    found = []
    text = (root / mutant.file).read_text(encoding="utf-8")
    if (count := text.count(mutant.before)) != 1:
        found.append(f"{mutant.file}: stands {count} times: {mutant.before!r}")
    if mutant.before == mutant.after:
        found.append("changes nothing")
    for test in mutant.tests:
        file, _, name = test.partition("::")
        path = root / file
        if not path.exists() or f"def {name.partition('[')[0]}(" not in path.read_text(encoding="utf-8"):
            found.append(f"{test}: no such test")
    return found


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of what git knows of this tree, with its environment."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    with tempfile.TemporaryDirectory(prefix="mip4-mutants-") as folder:
        copy = Path(folder)
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        (copy / ".venv").symlink_to((ROOT / ".venv").resolve(), target_is_directory=True)
        yield copy


def _run(copy: Path, tests: Sequence[str]) -> tuple[int, set[str], str]:
    """pytest's exit code for these tests in a copy, those that failed, and how its output ends."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rf", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, set(), f"not over after {_LIMIT:.0f} s"
    lines = ended.stdout.splitlines()
    failed = {line.split()[1].partition("[")[0] for line in lines if line.startswith("FAILED ")}
    return ended.returncode, failed, ended.stdout[-500:]


def attack(mutant: Mutant, copy: Path) -> Outcome:
    """Apply one mutant to a copy and run its tests there."""
    problems = faults(mutant, copy)
    if problems:
        return Outcome(mutant, BROKEN, "; ".join(problems))
    path = copy / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        code, failed, said = _run(copy, mutant.tests)
    finally:
        path.write_text(text, encoding="utf-8")
    if code not in (0, _TESTS_FAILED):
        return Outcome(mutant, BROKEN, said)
    passed = [_name(test) for test in mutant.tests if test not in failed]
    if passed:
        return Outcome(mutant, SURVIVED, "passes: " + ", ".join(passed))
    return Outcome(mutant, KILLED, ", ".join(map(_name, mutant.tests)))


def _name(test: str) -> str:
    return test.rpartition("::")[2]


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table("defence", "file", "mutant", "by", box=None)
    for outcome in outcomes:
        table.add_row(outcome.mutant.defence, outcome.mutant.file, outcome.verdict, outcome.detail)
    return table


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser("python -m tests.attacks.mutants", description="switch each defence off")
    parser.add_argument("--only", metavar="WORD", default="", help="only defences or files with this word")
    parser.add_argument("--without-guest", action="store_true", help="leave out what the kernel defends")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    arguments = parser.parse_args(words)
    chosen = [
        mutant
        for mutant in MUTANTS
        if (arguments.only in mutant.defence or arguments.only in mutant.file)
        and not (arguments.without_guest and mutant.needs_guest)
    ]
    if not chosen:
        parser.error(f"no mutant has {arguments.only!r} in its defence or file")
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    console = Console(stderr=True)

    def one(mutant: Mutant) -> Outcome:
        copy = copies.get()
        try:
            return attack(mutant, copy)
        finally:
            copies.put(copy)

    jobs = max(1, min(arguments.jobs, len(chosen)))
    with ExitStack() as stack:
        folders = [stack.enter_context(copied()) for _ in range(jobs)]
        for folder in folders:
            copies.put(folder)
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        code, _, said = _run(folders[0], tests)
        if code != 0:
            console.print(f"the tests do not pass without a mutant either: {said}", markup=False)
            return 1
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        progress = stack.enter_context(Progress(console=console, transient=True))
        outcomes = list(progress.track(pool.map(one, chosen), total=len(chosen), description="mutants"))
    Console(width=None if console.is_terminal else 200).print(_table(outcomes))
    bad = [outcome for outcome in outcomes if outcome.verdict != KILLED]
    console.print(f"{len(outcomes) - len(bad)} of {len(outcomes)} mutants killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
