# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever ends a run, and whenever: nothing stays behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.net.aggregate_commands import SLOW_LINKS, Command, within
from tests.net.leftovers import guest_folders

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

WORDS = (
    "--figure",
    "3",
    "--policy",
    "per-flow",
    "--flows",
    "1",
    "--runs",
    "1",
    "--duration",
    "600",
    *SLOW_LINKS,
)
SHORT = (
    "--figure",
    "3",
    "--policy",
    "per-flow",
    "--flows",
    "1",
    "--runs",
    "1",
    "--duration",
    "0.5",
    *SLOW_LINKS,
)
_COMES = 200.0
"""Wall-clock seconds until a moment must have come."""
_GOES = 10.0
"""Wall-clock seconds a command may take to undo everything."""


def _started(command: Command) -> bool:
    return bool(guest_folders(str(command.out)))


def _doing(what: str) -> Callable[[Command], bool]:
    return lambda command: any(what in said for said in command.progress())


def _summary_written(command: Command) -> bool:
    return bool(list(command.out.glob("aggregate/*/summary.json")))


MOMENTS = {
    "starting the guests": _started,
    "building the network": _doing("building"),
    "measuring": _doing("flows"),
}


def _namespaces_and_mounts() -> tuple[list[str], str]:
    named = Path("/run/netns")
    names = sorted(os.listdir(named)) if named.exists() else []
    return names, Path("/proc/self/mounts").read_text()


def _interrupt(
    out: Path,
    words: tuple[str, ...],
    moment: Callable[[Command], bool],
    number: int,
    times: int = 1,
    kept: bool = False,
) -> int:
    before = _namespaces_and_mounts()
    command = Command(out, *words)
    try:
        assert within(_COMES, lambda: moment(command) or command.process.poll() is not None)
        assert command.process.poll() is None, command.wait().stderr
        for _ in range(times):
            command.signal(number)
        result = command.wait(_GOES)
    finally:
        command.process.kill()
    assert within(_GOES, lambda: not command.survivors()), command.survivors()
    assert guest_folders(str(out)) == []
    left = [path for path in out.rglob("*") if path.is_file()]
    if kept:
        (record,) = out.glob("aggregate/*/unfinished.json")
        assert {path.name for path in record.parent.iterdir()} == {"raw", "unfinished.json"}
    else:
        assert left == []
    assert _namespaces_and_mounts() == before
    assert "Traceback" not in result.stderr, result.stderr
    assert result.stdout == b""
    return result.code


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing(tmp_path: Path, moment: str) -> None:
    assert _interrupt(tmp_path, WORDS, MOMENTS[moment], signal.SIGINT) == 128 + signal.SIGINT


def _second_batch_runs(command: Command) -> bool:
    return bool(list(command.out.glob("aggregate/*/raw/figure3-run002/progress.json")))


def _everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "wallclock.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.timeout(900)
def test_what_was_interrupted_twice_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    words = (*SHORT, "--runs", "2", "--jobs", "1")
    out = tmp_path / "interrupted"
    assert _interrupt(out, words, _second_batch_runs, signal.SIGINT, kept=True) == 128 + signal.SIGINT
    (folder,) = out.glob("aggregate/*")
    # Once more, while figures are drawn: half a result is none, but no batch is lost.
    resume = Command(out, "--resume", str(folder), bare=True)
    assert within(_COMES, lambda: _summary_written(resume) or resume.process.poll() is not None)
    resume.signal(signal.SIGINT)
    assert resume.wait(_GOES).code == 128 + signal.SIGINT
    assert {path.name for path in folder.iterdir()} == {"raw", "unfinished.json"}
    result = Command(out, "--resume", str(folder), bare=True).wait()
    assert result.code == 0, result.stderr
    assert "2 of 2 batches are done" in result.stderr
    whole = Command(tmp_path / "whole", *words).wait()
    assert whole.folder is not None
    assert result.stdout == whole.stdout
    assert _everything(folder) == _everything(whole.folder)


def test_an_impatient_second_ctrl_c_changes_nothing(tmp_path: Path) -> None:
    assert _interrupt(tmp_path, WORDS, _doing("building"), signal.SIGINT, times=3) == 128 + signal.SIGINT


def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    assert _interrupt(tmp_path, WORDS, _doing("building"), signal.SIGTERM) == 128 + signal.SIGTERM


def test_guests_end_by_themselves_when_their_parent_is_killed(tmp_path: Path) -> None:
    command = Command(tmp_path, *WORDS)
    assert within(_COMES, lambda: _doing("building")(command))
    command.signal(signal.SIGKILL)
    command.wait(_GOES)
    assert within(_GOES, lambda: not command.survivors()), command.survivors()
    assert not list(tmp_path.glob("aggregate/*/summary.json"))
    for folder in guest_folders(str(tmp_path)):  # nobody was left to remove them
        shutil.rmtree(folder)
