# SPDX-License-Identifier: GPL-2.0-or-later
"""What a result folder holds until it is complete: enough to go on after a crash or Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from experiments.store import ResultFolder, StoreError
from experiments.work import Batch, Outcome

NAME = "unfinished.json"


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    schema_version: Literal[1]
    experiment: str
    words: list[str]
    """The command's, without those that do not decide about results."""
    made_with: dict[str, str | None]
    finished: dict[str, float]
    """Batches that are done and good, with their seconds of wall-clock time."""


class Unfinished:
    """The record of a run under way. Its file is locked, so that no two commands fill one folder."""

    def __init__(self, folder: ResultFolder, record: _Record) -> None:
        self.folder = folder
        self._record = record
        self._path = folder.path / NAME
        self._lock = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StoreError(f"--resume {folder.path}: another command is filling it") from None

    @classmethod
    def begin(
        cls, folder: ResultFolder, experiment: str, words: Sequence[str], made_with: Mapping[str, str | None]
    ) -> Unfinished:
        """The record of a new folder.

        :param made_with: what must not change between two parts of one result.
        """
        record = _Record(
            schema_version=1,
            experiment=experiment,
            words=list(words),
            made_with=dict(made_with),
            finished={},
        )
        begun = cls(folder, record)
        begun._write()
        return begun

    @classmethod
    def read(cls, path: Path, experiment: str) -> Unfinished:
        """The record in a folder that is to be completed.

        :raises StoreError: if there is none, it is complete, or another experiment's.
        """
        file = path / NAME
        try:
            record = _Record.model_validate_json(file.read_text(encoding="utf-8"))
        except OSError as error:
            if (path / "summary.json").exists():
                raise StoreError(f"--resume {path}: this result is complete") from None
            raise StoreError(f"--resume {path}: no result to go on with: {NAME}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise StoreError(f"--resume {path}: {NAME}: {place}: {first['msg']}") from None
        except ValueError as error:
            raise StoreError(f"--resume {path}: {NAME}: {error}") from None
        if record.experiment != experiment:
            raise StoreError(f"--resume {path}: is a result of {record.experiment}, not of {experiment}")
        return cls(ResultFolder.reopen(path), record)

    @property
    def words(self) -> list[str]:
        """The words of the command that began it."""
        return list(self._record.words)

    def check(self, made_with: Mapping[str, str | None]) -> None:
        """Make sure that what is made now fits what was made then.

        :raises StoreError: naming each difference.
        """
        changed = [
            f"{key} was {then}, is {made_with.get(key)}"
            for key, then in self._record.made_with.items()
            if then != made_with.get(key)
        ]
        if changed:
            raise StoreError(
                f"--resume {self.folder.path}: {'; '.join(changed)}; half a result of each is none"
            )

    def finished(self, batch: Batch) -> tuple[Outcome, float] | None:
        """What a batch left earlier and how long it took; None if it is still to be done."""
        seconds = self._record.finished.get(batch.name)
        folder = self.folder.path / "raw" / batch.name
        if seconds is None:
            return None
        try:
            job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
            outcome: dict[str, Any] = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"--resume {self.folder.path}: {batch.name}: {error}") from None
        if job != json.loads(json.dumps(batch.job())):
            raise StoreError(f"--resume {self.folder.path}: {batch.name}: job.json is not this command's")
        return outcome, seconds

    def add(self, batch: Batch, outcome: Outcome, seconds: float) -> None:
        """Take note of a batch that has ended; a failed one is done again."""
        if outcome["problem"] is None:
            self._record.finished[batch.name] = seconds
            self._write()

    @property
    def any_finished(self) -> bool:
        """Whether there is something to go on with."""
        return bool(self._record.finished)

    def keep_batches(self) -> None:
        """Leave the finished batches and this record, nothing else."""
        self.folder.prune({NAME}, set(self._record.finished))

    def complete(self) -> None:
        """The result is whole: the record goes."""
        self._path.unlink()

    def release(self) -> None:
        """Unlock the folder."""
        os.close(self._lock)

    def _write(self) -> None:
        part = self._path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            file.write(self._record.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.rename(self._path)
