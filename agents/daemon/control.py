# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: ``mipctl`` asks, the agent answers.

One connection carries one request, a line of JSON ``{"version": 1, "command": …}``, and one
answer, ``{"version": 1, "ok": …}`` or ``{"version": 1, "error": …}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERSION = 1
LONGEST_REQUEST = 65_536
"""Octets."""
REQUEST_TIME = 5.0
"""Seconds a client may take to send its line."""

Reply = dict[str, Any]


class ControlError(RuntimeError):
    """The agent cannot be reached, or it refused."""


def ensure_free(path: Path) -> None:
    """Make sure that no other agent is running with this control socket.

    :raises ControlError: if one is, or if something stands there that is no socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlError(f"{path}: is not a socket; choose another control_socket or remove it")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return  # nothing there, or what a dead agent left
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror or error}") from None
    raise ControlError(f"{path}: another agent is running with this control socket")


class ControlServer:
    """Answers requests on a Unix socket that only its owner may use."""

    def __init__(self, path: Path, answer: Callable[[dict[str, Any]], Reply]) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; a socket that a dead agent left is replaced, that of a living one is not.

        :raises ControlError: if another agent answers at this path, or no socket can be there.
        """
        ensure_free(self._path)
        # It listens before it has its name: who finds the socket there is never refused. The
        # first name is as long, for what is too long for a socket to be so from the start.
        unnamed = self._path.with_name(str(os.getpid()).rjust(len(self._path.name), "."))
        previous = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(unnamed), limit=LONGEST_REQUEST)
            unnamed.replace(self._path)
        except OSError as error:  # does not name the path by itself
            raise ControlError(f"{self._path}: {error.strerror or error}") from None
        finally:
            os.umask(previous)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), REQUEST_TIME)
            reply = self._reply(line)
        except (TimeoutError, ValueError):
            reply = {
                "version": VERSION,
                "error": f"a request is one line of at most {LONGEST_REQUEST} octets",
            }
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    def _reply(self, line: bytes) -> Reply:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"version": VERSION, "error": "the request is not JSON"}
        version = request.get("version") if isinstance(request, dict) else None
        if type(version) is not int or version != VERSION:  # in Python True is 1 too
            return {
                "version": VERSION,
                "error": f"this agent speaks version {VERSION} of the control protocol",
            }
        try:
            return {"version": VERSION, "ok": self._answer(request)}
        except (ValueError, RuntimeError) as error:  # the request is wrong, or the kernel refuses
            return {"version": VERSION, "error": str(error)}


def ask(path: Path, command: str, **arguments: Any) -> Any:
    """Send one request to the agent at ``path``; what it answers.

    :raises ControlError: if nobody answers or the agent refuses; the message says which.
    """
    request = json.dumps({"version": VERSION, "command": command, **arguments})
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(REQUEST_TIME)
            client.connect(str(path))
            client.sendall(request.encode() + b"\n")
            with client.makefile("rb") as stream:
                reply = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise ControlError(f"{path}: no agent answers ({error})") from None
    if not isinstance(reply, dict) or not {"ok", "error"} & reply.keys():
        raise ControlError(f"{path}: what answers there is no agent")
    if "error" in reply:
        raise ControlError(f"{path}: the agent refuses: {reply['error']}")
    return reply["ok"]
