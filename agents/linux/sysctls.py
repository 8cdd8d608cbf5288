# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of a node's kernel that an agent changes while it runs."""

from __future__ import annotations

import contextlib
from pathlib import Path


class Sysctls:
    """Remembers what it has changed."""

    def __init__(self) -> None:
        self._previous: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Change one setting.

        :raises OSError: if there is none of this name, or it may not be changed.
        """
        path = self._path_of(name)
        self._previous.setdefault(name, path.read_text())
        path.write_text(value)

    def restore(self) -> None:
        """Set everything back."""
        for name, value in self._previous.items():
            with contextlib.suppress(OSError):
                self._path_of(name).write_text(value)

    @staticmethod
    def _path_of(name: str) -> Path:
        return Path("/proc/sys", name.replace(".", "/"))
