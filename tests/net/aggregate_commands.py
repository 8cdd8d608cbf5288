# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs ``experiments/aggregate.py`` as a person does, and watches what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.net.guests import SYSTEM_PYTHON
from tests.net.leftovers import TOKEN
from topologies.lab.guest_kernel import ROOT

WALL_LIMIT = 280.0
"""Seconds."""
NOBODY = 65534
SLOW_LINKS = (
    *("--link", "wifi=1/1:5", "--link", "evdo=0.5/0.5:40"),
    *("--link", "wimax=0.5/0.5:25", "--link", "lte=2/2:15"),
)
"""Few packets a second: such a run costs little more than building the network."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left."""

    code: int
    stdout: bytes
    stderr: str
    folder: Path | None
    """As the last line on stderr says."""

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    def cell(self, policy: str, flows: int) -> dict[str, Any]:
        """One cell of a valid summary."""
        assert self.code == 0, self.stderr
        (cell,) = (c for c in self.summary["cells"] if (c["policy"], c["flows"]) == (policy, flows))
        found: dict[str, Any] = cell
        return found


class Command:
    """One command, in a session of its own."""

    def __init__(self, out: Path, *words: str, prefix: Sequence[str] = (), bare: bool = False) -> None:
        """Start it.

        :param prefix: a program that runs it.
        :param bare: say neither which kernel nor where results go.
        """
        self._mark = f"AGGREGATE_TEST={uuid.uuid4()}".encode()
        name, _, value = self._mark.decode().partition("=")
        self.out = out
        self._sessions: set[int] = set()
        program = str(ROOT / "experiments/aggregate.py")
        usual: tuple[str, ...] = () if bare else ("--out", str(out))
        usual += () if bare or "--kernel" in words else ("--kernel", "guest")
        # It may outlast the test in which it happened to start: its own mark finds what it leaves.
        inherited = {key: word for key, word in os.environ.items() if key != TOKEN.partition("=")[0]}
        self.process = subprocess.Popen(
            [*prefix, SYSTEM_PYTHON, program, *words, *usual, "--json"],
            cwd=ROOT,
            env={**inherited, name: value, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def wait(self, limit: float = WALL_LIMIT) -> Result:
        """Its end."""
        stdout, stderr = self.process.communicate(timeout=limit)
        said = stderr.decode(errors="replace")
        lines = said.splitlines()
        folder = (
            Path(lines[-1].removeprefix("result: ")) if lines and lines[-1].startswith("result: ") else None
        )
        return Result(self.process.returncode, stdout, said, folder)

    def signal(self, number: int) -> None:
        """A signal to its whole process group, as a terminal sends it."""
        self.remember_sessions()
        os.killpg(self.process.pid, number)

    def remember_sessions(self) -> None:
        """Note the sessions it has processes in: guests have their own."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark in (process / "environ").read_bytes():
                    self._sessions.add(os.getsid(int(process.name)))
            except OSError:
                continue

    def survivors(self) -> list[str]:
        """Processes in any of its sessions."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(process.name)) in self._sessions and not _is_zombie(process):
                    found.append((process / "cmdline").read_text(errors="replace").replace("\0", " "))
            except OSError:
                continue
        return found

    def progress(self) -> list[str]:
        """What its batches say they are doing."""
        found = []
        for file in self.out.glob("aggregate/*/raw/*/progress.json"):
            try:
                found.append(str(json.loads(file.read_text())["what"]))
            except (OSError, ValueError):
                continue
        return found


def _is_zombie(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def aggregate(out: Path, *words: str, prefix: Sequence[str] = ()) -> Result:
    """Run a command to its end."""
    return Command(out, *words, prefix=prefix).wait()


def within(seconds: float, condition: Callable[[], object]) -> bool:
    """Poll until something is so, for at most so many seconds of wall-clock time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
