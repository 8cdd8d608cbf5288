# SPDX-License-Identifier: GPL-2.0-or-later
"""Running things in a guest, and the programs of this project from outside."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topologies.lab.guest import Folder, Job
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

WALL_LIMIT = 120.0
"""Seconds; a guest takes one, a network in it about ten on a busy machine."""
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job or program left."""

    code: int
    stdout: str
    stderr: str


def job(argv: Sequence[str], folder: Path, *, live: bool = False) -> Job:
    """A job whose current folder is ``folder``, writable in the guest."""
    return Job(
        argv,
        cwd=folder,
        folders=[Folder(folder, folder, writable=True)],
        environment={"PYTHONPATH": str(ROOT)},
        live=live,
    )


def in_guest(lab: Lab, folder: Path, *argv: str, seed: int = 1, wall_limit: float = WALL_LIMIT) -> Ended:
    """Run a command in a guest to its end."""
    with lab.start(job(argv, folder), seed=seed, wall_limit=wall_limit) as running:
        code = running.wait()
        return Ended(code, running.output("stdout"), running.output("stderr"))


def python_in_guest(lab: Lab, folder: Path, program: str, *words: str) -> Ended:
    """Run a Python program in a guest, with the project's environment."""
    return in_guest(lab, folder, "python", "-P", "-c", program, *words)


def start(folder: Path, *words: str, root: Path = ROOT) -> subprocess.Popen[str]:
    """``python3 -m topologies WORDS`` in ``folder``, by the system's Python."""
    return subprocess.Popen(
        [SYSTEM_PYTHON, "-m", "topologies", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def topologies(folder: Path, *words: str, root: Path = ROOT) -> Ended:
    """Run ``python3 -m topologies WORDS`` to its end."""
    process = start(folder, *words, root=root)
    stdout, stderr = process.communicate(timeout=WALL_LIMIT)
    return Ended(process.returncode, stdout, stderr)
