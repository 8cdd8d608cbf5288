# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves behind when its starter is killed, and how to find exactly that.

Every run has a folder of its own in ``/tmp``, and holds a lock in it for as long as its starter lives;
the kernel drops the lock when that ends, however it does. A folder of ours whose lock is free belongs
to a dead run. On this machine's own kernel everything the run has started has the folder's name in its
environment; the network namespaces, with all in them, go with these processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLACE = Path("/tmp")
WORKING_PLACE = Path("/run")
KINDS = ("guest", "host", "sweep")
TAG = "MIP4_RUN"
"""Name of the variable in the environment of what a run has started on this machine's own kernel."""
_LOCK = "owner.lock"
_END_LIMIT = 15.0
"""Seconds for processes to undo what they made after they were told to end."""
_POLL = 0.05


class RunFolder:
    """A run's folder, ours until :meth:`close` or our end."""

    def __init__(self, kind: str) -> None:
        """Make it.

        :param kind: ``guest``, ``host`` or ``sweep``, a part of its name.
        """
        self.path = Path(tempfile.mkdtemp(prefix=f"mip4-{kind}-", dir=PLACE))
        # Locked before it has its name: nobody ever finds it there and free.
        self._lock = os.open(self.path / f"{_LOCK}.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.replace(self.path / f"{_LOCK}.new", self.path / _LOCK)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


@contextlib.contextmanager
def working_folder(given: str | None) -> Iterator[Path]:
    """A folder for a run's agents, which goes at the end.

    :param given: in the guest, where it is always the same, so that runs are too. None, on this machine's
        own kernel: one whose name begins with the run's, by which :func:`remove` finds it after a kill.
    """
    if given is None:
        with tempfile.TemporaryDirectory(
            prefix=f"{os.environ.get(TAG, 'mip4')}-", dir=WORKING_PLACE
        ) as folder:
            yield Path(folder)
        return
    path = Path(given)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is left of one dead run."""

    folder: Path
    processes: tuple[int, ...]
    working_folders: tuple[Path, ...]
    """In ``/run``; their names begin with the run's."""


@contextlib.contextmanager
def _dead(folder: Path) -> Iterator[Leftover | None]:
    """What is left of a run if it is dead; nobody else takes it for dead meanwhile."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # somebody else's, or not made by this version
        yield None
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        working = tuple(sorted(WORKING_PLACE.glob(f"{folder.name}-*")))
        yield Leftover(folder, tuple(_tagged(folder.name)), working)
    except BlockingIOError:
        yield None
    finally:
        os.close(lock)


def find() -> list[Leftover]:
    """What dead runs have left, by folder."""
    found = []
    for folder in _folders():
        with _dead(folder) as leftover:
            if leftover is not None:
                found.append(leftover)
    return found


def remove() -> list[Leftover]:
    """Remove what dead runs have left; what that was.

    Processes are told to end first, so that they undo what they made, and killed if they do not.
    """
    removed = []
    for folder in _folders():
        with _dead(folder) as leftover:
            if leftover is None:
                continue
            _end(folder.name)
            for path in (*leftover.working_folders, folder):
                shutil.rmtree(path, ignore_errors=True)
            removed.append(leftover)
    return removed


def _folders() -> list[Path]:
    return sorted(path for kind in KINDS for path in PLACE.glob(f"mip4-{kind}-*"))


def _tagged(run: str) -> Iterator[int]:
    """Processes that carry a run's tag in their environment."""
    word = f"{TAG}={run}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def _end(run: str) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _END_LIMIT
        _signal_all(run, number)
        while any(_tagged(run)) and time.monotonic() < deadline:
            time.sleep(_POLL)
            if number == signal.SIGKILL:  # one may have started another meanwhile
                _signal_all(run, number)


def _signal_all(run: str, number: int) -> None:
    for pid in _tagged(run):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
            try:
                if pid in _tagged(run):  # still the same process, now that its number cannot be used again
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
