# SPDX-License-Identifier: GPL-2.0-or-later
"""The file in which an agent keeps its state over a restart (draft §8; FACTS G18, G25).

JSON that a person can read. The second line has the SHA-256 of all that follows, so a file that was
cut off or altered anywhere is noticed as a whole. A new content is written beside the old one, forced
to the disk and renamed over it, and then the folder is forced too: whatever happens, the file holds
the old content or the new one, and once :meth:`StateFile.write` has returned, the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import ValidationError

from agents.kept_state import KeptModel
from agents.linux.remains import KernelRecord

FORMAT: Literal["mip-agent-state"] = "mip-agent-state"
VERSION = 2
_FIRST_LINES = re.compile(rb'\{\n "checksum": "([0-9a-f]{64})",\n')
_log = logging.getLogger("agent")

State = TypeVar("State", bound=KeptModel)


class StateFileError(RuntimeError):
    """The file must not be used as it is, and a person has to decide; says what mends it."""


class _UnusableError(ValueError):
    """What is in the file is no state we can take up."""


class Document(KeptModel, Generic[State]):
    """The whole file but for its checksum."""

    format: Literal["mip-agent-state"] = FORMAT
    version: int = VERSION
    role: str
    identity: IPv4Address
    """The agent's own address: a state belongs to one agent."""
    agent: State
    kernel: KernelRecord


class StateFile(Generic[State]):
    """One agent's state file; without a path nothing is kept."""

    def __init__(self, path: Path | None, role: str, identity: IPv4Address, kind: type[State]) -> None:
        """Nothing is read yet.

        :param kind: the model of the agent's state.
        """
        self.path = path
        self._role = role
        self._identity = identity
        self._kind = Document[kind]  # type: ignore[valid-type]
        self.lost = False
        """There was a state, and it could not be used."""

    def read(self) -> Document[State] | None:
        """The state an earlier life has kept; None if there is none.

        A file that is damaged, or of another version, is set aside beside its place, with a warning.

        :raises StateFileError: if it is another agent's, or cannot be read or set aside.
        """
        if self.path is None:
            return None
        try:
            return self._decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateFileError(
                f"{self.path}: cannot be read: {error.strerror}; choose another state_file or mend it"
            ) from None
        except _UnusableError as error:
            self._set_aside(self.path, str(error))
            return None

    def write(self, agent: State, kernel: KernelRecord) -> None:
        """Replace the content, durably.

        :raises OSError: if that is not possible; the file then holds what it held before.
        """
        if self.path is None:
            return
        document = self._kind(role=self._role, identity=self._identity, agent=agent, kernel=kernel)
        octets = encode(document)
        part = self.path.with_name(self.path.name + ".part")
        try:
            _write_durably(part, octets)
            os.replace(part, self.path)
        except OSError:
            with contextlib.suppress(OSError):  # on a full disk it takes room
                os.unlink(part)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _decode(self, octets: bytes) -> Document[State]:
        first = _FIRST_LINES.match(octets)
        if first is None:
            raise _UnusableError("is not a state file, or damaged")
        rest = octets[first.end() :]
        if hashlib.sha256(rest).hexdigest().encode() != first[1]:
            raise _UnusableError("is damaged: its checksum is wrong")
        try:
            header = json.loads(b"{" + rest)
            version, role, identity = header["version"], header["role"], header["identity"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _UnusableError("is not a state file") from None
        if version != VERSION:
            raise _UnusableError(f"is of version {version!r}; this program knows version {VERSION}")
        if (role, identity) != (self._role, str(self._identity)):
            raise StateFileError(
                f"{self.path}: holds the state of the {role} {identity}, not of the "
                f"{self._role} {self._identity}; choose another state_file, or remove this one"
            )
        try:
            return self._kind.model_validate_json(b"{" + rest)
        except ValidationError as error:
            first_error = error.errors()[0]
            place = ".".join(str(part) for part in first_error["loc"])
            raise _UnusableError(f"cannot be understood: {place}: {first_error['msg']}") from None

    def _set_aside(self, path: Path, reason: str) -> None:
        aside = path.with_name(path.name + ".unusable")
        try:
            path.replace(aside)
        except OSError as error:
            raise StateFileError(
                f"{path}: {reason}, and cannot be set aside: {error.strerror}; move it away"
            ) from None
        self.lost = True
        _log.warning("%s: %s; set aside as %s", path, reason, aside.name)


def encode(document: KeptModel) -> bytes:
    """The octets of a file: the document's JSON with the checksum put in as its first key."""
    text = document.model_dump_json(indent=1).encode() + b"\n"
    rest = text.removeprefix(b"{\n")
    return b'{\n "checksum": "' + hashlib.sha256(rest).hexdigest().encode() + b'",\n' + rest


def _write_durably(path: Path, octets: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        while octets:  # a disk that is nearly full takes a part
            octets = octets[os.write(descriptor, octets) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
