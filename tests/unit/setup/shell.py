# SPDX-License-Identifier: GPL-2.0-or-later
"""Running pieces of set-up in a shell of their own, and looking at what they leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCE_LIBRARIES = """
set -euo pipefail
. setup/lib/common.bash
. setup/lib/packages.bash
. setup/lib/environment.bash
. setup/lib/kernel.bash
"""
STUBBORN = "touch started; bash -c \"trap '' INT; sleep 300 & wait\""
"""A command that the keyboard's signal alone does not end, and that has a child."""


def copy_of_checkout(parent: Path) -> Path:
    """A checkout that holds what set-up needs, in a folder with a blank and an accent."""
    checkout = parent / "Prüf stand"
    shutil.copytree(ROOT / "setup", checkout / "setup")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    return checkout


def start(checkout: Path, text: str, **environment: str) -> subprocess.Popen[str]:
    """A shell at the head of a session, with the functions of set-up loaded."""
    return subprocess.Popen(
        ["bash", "-c", SOURCE_LIBRARIES + text],
        cwd=checkout,
        env={**os.environ, "TMPDIR": str(checkout), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(checkout: Path, text: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = start(checkout, text, **environment)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def interrupt(process: subprocess.Popen[str], started: Path, number: int, whole_group: bool) -> str:
    """Waits for the file `started`, sends the signal, and returns standard error."""
    deadline = time.monotonic() + 30
    while not started.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    if whole_group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(signal.Signals(number))
    return process.communicate(timeout=30)[1]


def survivors(session: int) -> list[int]:
    """Processes of a session that still run, in whatever group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
