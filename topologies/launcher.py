# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts a scene in the kernel of its choice, from outside."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from topologies.command_line import Request, UsageError, read
from topologies.lab.guest import Folder, GuestError, Job
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab, LabError, Running, choose
from topologies.signals import end, end_on_signals

USAGE, NOT_UP = 2, 125
SEED = 1
"""The same command in the guest gives the same octets; so do the experiments by default."""
_GUEST_WORKING_FOLDER = "/run/mip4"


def say(text: str) -> None:
    """Our words stand on stderr, each line marked as ours: the rest is the command's."""
    for line in text.splitlines():
        sys.stderr.write(f"topologies: {line}\n")


def job_of(request: Request, lab: Lab, folder: Path) -> Job:
    """The job that runs a scene's command in ``folder``."""
    argv = ["python", "-P", "-m", "topologies.exec", request.scene.as_json()]
    writable = folder != Path("/")  # the guest's own root stays read-only, whoever calls
    if lab.guest_kernel is not None:
        argv.append(_GUEST_WORKING_FOLDER)
    return Job(
        argv=argv,
        cwd=folder,
        folders=[Folder(folder, folder, writable=True)] if writable else [],
        environment={"PYTHONPATH": str(ROOT)},
        input=request.scene.cli,
    )


def _connect(running: Running, prompting: bool) -> None:
    """Our input is the prompt's; so is Ctrl-C if somebody types, else it ends everything as ever."""

    def copy() -> None:
        while octets := os.read(0, 4096):
            running.feed(octets)
        running.end_input()

    def interrupt(number: int, frame: object) -> None:
        if not running.interrupt():
            end(number, frame)

    if prompting:
        signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=copy, daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """``python -m topologies FIGURE …``; the exit code."""
    folder = Path.cwd()
    try:
        redirected = (not sys.stdout.isatty(), not sys.stderr.isatty())
        request = read(arguments, folder, redirected, sys.stdin is not None and sys.stdin.isatty())
        lab = choose(request.kernel, request.clock)
    except (UsageError, LabError) as error:
        say("\n".join(error.problems))
        return USAGE
    end_on_signals()
    if sys.stderr.isatty():
        say(f"bringing up figure {request.scene.figure} ({lab.kernel} kernel, {lab.clock} clock)")
    try:
        with lab.start(job_of(request, lab, folder), seed=SEED) as running:
            if request.scene.cli:
                _connect(running, request.scene.prompting)
            return running.wait()
    except GuestError as error:
        say(str(error))
        return NOT_UP
