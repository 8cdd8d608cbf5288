# SPDX-License-Identifier: GPL-2.0-or-later
"""Same seed, same octets: whatever else the machine does, however many jobs, whoever runs it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.aggregate_commands import NOBODY, SLOW_LINKS, Result, aggregate
from topologies.lab.lab import Lab

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

WORDS = (
    *("--figure", "3", "--policy", "per-flow-hash,per-packet", "--flows", "3", "--runs", "2"),
    *("--duration", "1", "--warm-up", "1", *SLOW_LINKS),
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Result:  # noqa: ARG001 - a guest
    """What all others are compared with."""
    result = aggregate(tmp_path_factory.mktemp("first"), *WORDS, "--seed", "7")
    assert result.code == 0, result.stderr
    return result


@contextlib.contextmanager
def _hogs() -> Iterator[None]:
    """A process per core that never sleeps."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def test_the_same_beside_a_hog_on_every_core(first: Result, tmp_path: Path) -> None:
    with _hogs():
        again = aggregate(tmp_path, *WORDS, "--seed", "7")
    assert again.stdout == first.stdout


def test_the_same_as_an_ordinary_user_one_batch_after_the_other(first: Result) -> None:
    out = Path(tempfile.mkdtemp(prefix="aggregate-", dir="/var/tmp"))  # pytest's folders are root's alone
    become: tuple[str, ...] = ()
    if os.geteuid() == 0:
        os.chown(out, NOBODY, NOBODY)
        become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        become += ("env", "-u", "XDG_CACHE_HOME", f"HOME={out}")
    try:
        again = aggregate(out, *WORDS, "--seed", "7", "--jobs", "1", prefix=become)
        assert again.code == 0, again.stderr
        assert again.stdout == first.stdout
        assert {path.stat().st_uid for path in out.rglob("*")} == {out.stat().st_uid}
    finally:
        shutil.rmtree(out)


def test_another_seed_differs(first: Result, tmp_path: Path) -> None:
    other = aggregate(tmp_path, *WORDS, "--seed", "8")
    ours, theirs = (r.cell("per-flow-hash", 3)["goodput_mbps"]["samples"] for r in (first, other))
    assert len(ours) == len(theirs)
    assert ours != theirs
