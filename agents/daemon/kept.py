# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent was told at run time and keeps over a restart (draft §8, FACTS G18)."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

VERSION = 1
_log = logging.getLogger("agent")


class Kept:
    """The file with an agent's run-time settings; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def multiple_tunnel_support(self) -> bool | None:
        """EnableMultipleTunnelSupport as last set, None if it never was.

        A file that cannot be read is set aside beside its place, with a warning: an agent starts.
        """
        if self._path is None or not self._path.exists():
            return None
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            enabled = document["enable_multiple_tunnel_support"]
            if document["version"] != VERSION or not isinstance(enabled, bool):
                raise ValueError(f"not version {VERSION} of this file")
        except (OSError, ValueError, KeyError, TypeError) as error:
            aside = self._path.with_name(self._path.name + ".unusable")
            _log.warning("%s: cannot be used (%s); set aside as %s", self._path, error, aside.name)
            try:
                self._path.replace(aside)
            except OSError as second:
                _log.warning("%s: cannot be set aside: %s", self._path, second.strerror)
            return None
        return enabled

    def keep_multiple_tunnel_support(self, enabled: bool) -> None:
        """Write it so that after a crash the file holds either the old or the new value.

        :raises ValueError: if the file cannot be written; the setting holds until the next start.
        """
        if self._path is None:
            return
        part = self._path.with_name(self._path.name + ".part")
        document = {"version": VERSION, "enable_multiple_tunnel_support": enabled}
        try:
            with part.open("w", encoding="utf-8") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise ValueError(f"set, but not kept over a restart: {self._path}: {error.strerror}") from None
