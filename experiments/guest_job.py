# SPDX-License-Identifier: GPL-2.0-or-later
"""The inside of a batch: its job, its progress, and what it leaves, as files that the host reads."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from topologies.lab.leftovers import working_folder
from topologies.signals import end_on_signals


class GuestJob:
    """A batch's folder as the program inside the lab kernel sees it."""

    def __init__(self, folder: Path) -> None:
        """Read ``job.json`` in ``folder``."""
        self.folder = folder
        self.document: dict[str, Any] = json.loads((folder / "job.json").read_text())
        self._said: dict[str, Any] = {"done": 0, "of": 0, "what": ""}

    def begin(self, steps: int, what: str) -> None:
        """Say how many steps there will be, and what the first one is."""
        self._said["of"] = steps
        self.progress(0, what)

    def progress(self, done: int, what: str) -> None:
        """Say how many steps are done, and what comes now."""
        self._said |= {"done": done, "what": what}
        _write(self.folder / "progress.json", self._said)

    def rates(self, mbps: Mapping[str, float]) -> None:
        """Say what each link carries now, for whoever looks on."""
        _write(self.folder / "progress.json", {**self._said, "mbps": mbps})

    def leave(self, outcome: Mapping[str, Any]) -> None:
        """Write what came of the batch; the end."""
        _write(self.folder / "outcome.json", outcome)
        self.progress(self._said["of"], "done")


def _write(path: Path, document: object) -> None:
    """Write so that the host sees all of it at once."""
    part = path.with_suffix(".part")
    with part.open("w") as file:
        json.dump(document, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def perform(execute: Callable[[GuestJob, Path], None]) -> None:
    """``python -m PROGRAM FOLDER [WORKING_FOLDER]``: execute FOLDER's job with a folder for the agents."""
    logging.basicConfig(level=logging.WARNING)
    # A worker of a sweep's cluster leaves Ctrl-C to the command, and what it starts would inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGHUP])
    end_on_signals()
    with working_folder(sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        execute(GuestJob(Path(sys.argv[1])), folder)
