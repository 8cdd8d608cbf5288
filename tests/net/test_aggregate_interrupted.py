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
_COMES = 60.0
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
    out: Path, words: tuple[str, ...], moment: Callable[[Command], bool], number: int, times: int = 1
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
    assert [path for path in out.rglob("*") if path.is_file()] == []
    assert _namespaces_and_mounts() == before
    assert "Traceback" not in result.stderr, result.stderr
    assert result.stdout == b""
    return result.code


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing(tmp_path: Path, moment: str) -> None:
    assert _interrupt(tmp_path, WORDS, MOMENTS[moment], signal.SIGINT) == 128 + signal.SIGINT


def test_ctrl_c_while_figures_are_drawn_leaves_no_half_a_result(tmp_path: Path) -> None:
    assert _interrupt(tmp_path, SHORT, _summary_written, signal.SIGINT) == 128 + signal.SIGINT


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
