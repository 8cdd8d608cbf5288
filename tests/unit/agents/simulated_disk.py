# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that stops at a chosen system call, and forgets at will whatever was not forced to it.

Stands in for the module ``os``. Until a file is forced (``fsync``) a loss of power leaves any part of
it, or zeros; until the folder is forced, each of its entries is the old one or the new one.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

FOLDER = -1


class Killed(BaseException):
    """The process ends here; nothing of it runs any more."""


class File:
    """Octets as programs see them, and as they are on the disk."""

    def __init__(self) -> None:
        self.seen = b""
        self.forced: bytes | None = None


class SimulatedDisk:
    """One folder with files; programs of one at a time."""

    O_WRONLY, O_CREAT, O_TRUNC = os.O_WRONLY, os.O_CREAT, os.O_TRUNC
    O_RDONLY, O_DIRECTORY = os.O_RDONLY, os.O_DIRECTORY

    def __init__(self, random: Random) -> None:
        self._random = random
        self._entries: dict[str, File] = {}
        self._forced: dict[str, File] = {}
        self._open: dict[int, File | None] = {}
        self.calls = 0
        self.kill_at: int | None = None
        """The system call, counted from now on, at which the process ends."""
        self.room: int | None = None
        """Octets that can still be written; None: as many as you like."""

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:  # noqa: ARG002
        self._call()
        descriptor = len(self._open)
        if flags & os.O_DIRECTORY:
            self._open[descriptor] = None
            return descriptor
        file = self._entries.setdefault(path.name, File())
        file.seen = b""
        self._open[descriptor] = file
        return descriptor

    def write(self, descriptor: int, octets: bytes) -> int:
        file = self._open[descriptor]
        assert file is not None
        count = self._random.randint(1, len(octets))  # a part, as a signal or a full disk may have it
        if self.room is not None:
            count = min(count, self.room)
            self.room -= count
            if not count:
                raise OSError(errno.ENOSPC, "No space left on device")
        try:
            self._call()
        except Killed:
            file.seen += octets[: self._random.randint(0, count)]
            raise
        file.seen += octets[:count]
        return count

    def fsync(self, descriptor: int) -> None:
        self._call()
        file = self._open[descriptor]
        if file is None:
            self._forced = dict(self._entries)
        else:
            file.forced = file.seen

    def close(self, descriptor: int) -> None:
        self._call()
        assert descriptor in self._open

    def replace(self, source: Path, target: Path) -> None:
        self._call()
        self._entries[target.name] = self._entries.pop(source.name)

    def unlink(self, path: Path) -> None:
        self._call()
        file = self._entries.pop(path.name)
        if self.room is not None:
            self.room += len(file.seen)

    def after_kill(self, name: str) -> bytes | None:
        """A file as the next process finds it when only the process has ended."""
        file = self._entries.get(name)
        return None if file is None else file.seen

    def after_power_loss(self, name: str) -> bytes | None:
        """A file as it is found when the power was cut."""
        file = self._random.choice([self._entries, self._forced]).get(name)
        if file is None:
            return None
        if file.forced == file.seen:
            return file.seen
        part = file.seen[: self._random.randint(0, len(file.seen))]
        return self._random.choice([file.forced or b"", part, bytes(len(file.seen))])

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.kill_at:
            raise Killed
