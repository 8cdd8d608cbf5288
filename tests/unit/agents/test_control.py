# SPDX-License-Identifier: GPL-2.0-or-later
"""The control socket: who may use it, and what a bad request gets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from agents.daemon import control
from agents.daemon.control import LONGEST_REQUEST, ControlError, ControlServer, ask, ensure_free

Answered = TypeVar("Answered")


class Agent:
    """Answers ``echo``, refuses the rest, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if request.get("command") != "echo":
            raise ValueError("unknown command or wrong arguments")
        return {"said": request.get("word")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def served(path: Path, agent: Agent) -> Iterator[Path]:
    """A server in a thread of its own, as a client sees it."""
    loop = asyncio.new_event_loop()
    server = ControlServer(path, agent.answer)
    loop.run_until_complete(server.open())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield path
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def exchange(path: Path, octets: bytes, end: bool = False) -> dict[str, Any]:
    """Send octets as they are; the answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(octets)
        if end:
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as stream:
            reply: dict[str, Any] = json.loads(stream.readline())
    return reply


def test_a_request_is_answered(served: Path, agent: Agent) -> None:
    assert ask(served, "echo", word="Grüße") == {"said": "Grüße"}
    assert agent.asked == [{"version": 1, "command": "echo", "word": "Grüße"}]


def test_the_protocol_is_a_line_of_json_each_way(served: Path) -> None:
    reply = exchange(served, b'{"version": 1, "command": "echo", "word": 5}\n')
    assert reply == {"version": 1, "ok": {"said": 5}}


def test_a_refusal_says_why_and_from_where(served: Path) -> None:
    with pytest.raises(
        ControlError, match=f"{served}: the agent refuses: unknown command or wrong arguments"
    ):
        ask(served, "dance")


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"\n", "the request is not JSON"),
        (b"status\n", "the request is not JSON"),
        (b"\xff\xfe\n", "the request is not JSON"),
        (b"[" * 60_000 + b"\n", "the request is not JSON"),
        (b"9" * 5000 + b"\n", "the request is not JSON"),
        (b'{"version": 1, "command": "echo"\n', "the request is not JSON"),
        (b"[]\n", "this agent speaks version 1"),
        (b"1\n", "this agent speaks version 1"),
        (b'{"command": "echo"}\n', "this agent speaks version 1"),
        (b'{"version": 2, "command": "echo"}\n', "this agent speaks version 1"),
        (b'{"version": true, "command": "echo"}\n', "this agent speaks version 1"),
        (b'{"version": 1.0, "command": "echo"}\n', "this agent speaks version 1"),
        (b'{"version": "1", "command": "echo"}\n', "this agent speaks version 1"),
        (b'{"version": null, "command": "echo"}\n', "this agent speaks version 1"),
        (b"x" * (LONGEST_REQUEST + 1000), "a request is one line of at most 65536 octets"),
        (b'{"version": 1, "word": "' + b"x" * LONGEST_REQUEST + b'"}\n', "a request is one line of at most"),
    ],
)
def test_a_bad_request_has_an_error_and_no_effect(
    served: Path, agent: Agent, octets: bytes, says: str
) -> None:
    reply = exchange(served, octets)
    assert reply["version"] == 1
    assert reply["error"].startswith(says)
    assert "ok" not in reply
    assert agent.asked == []
    assert ask(served, "echo", word="still here") == {"said": "still here"}


@pytest.mark.parametrize("octets", [b"", b'{"version": 1, "comm'])
def test_a_request_cut_off_has_no_effect(served: Path, agent: Agent, octets: bytes) -> None:
    assert exchange(served, octets, end=True)["error"] == "the request is not JSON"
    assert agent.asked == []


def test_an_unknown_command_is_refused(served: Path) -> None:
    reply = exchange(served, b'{"version": 1, "command": 17}\n')
    assert reply == {"version": 1, "error": "unknown command or wrong arguments"}


def test_a_client_that_says_nothing_is_sent_away(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_TIME", 0.05)
    assert exchange(served, b'{"version": 1').get("error", "").startswith("a request is one line")


def test_a_client_that_goes_away_harms_nobody(served: Path, agent: Agent) -> None:
    for octets in (b"", b'{"version"', b'{"version": 1, "command": "echo"}\n'):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(served))
            client.sendall(octets)
    assert ask(served, "echo", word="still here") == {"said": "still here"}
    assert all(request["command"] == "echo" for request in agent.asked)


def test_clients_side_by_side_get_their_own_answers(served: Path) -> None:
    with socket.socket(socket.AF_UNIX) as idle, ThreadPoolExecutor(16) as pool:
        idle.connect(str(served))  # holds nobody up
        answers = list(pool.map(lambda n: ask(served, "echo", word=n), range(60)))
    assert answers == [{"said": n} for n in range(60)]


# --- the socket's life -------------------------------------------------------------------


def live(work: Callable[[], Awaitable[Answered]]) -> Answered:
    async def main() -> Answered:
        return await work()

    return asyncio.run(main())


def test_only_the_owner_may_use_it(served: Path) -> None:
    mode = served.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_the_process_keeps_its_umask(path: Path, agent: Agent) -> None:
    before = os.umask(0o022)
    try:

        async def work() -> None:
            server = ControlServer(path, agent.answer)
            await server.open()
            await server.close()

        live(work)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_whoever_finds_it_is_never_refused(path: Path, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between ``bind`` and ``listen`` a client is refused: then it must not be there yet."""
    visible: list[bool] = []
    listen = socket.socket.listen

    def observed(itself: socket.socket, backlog: int) -> None:
        visible.append(path.exists())
        listen(itself, backlog)

    monkeypatch.setattr(socket.socket, "listen", observed)

    async def open_and_close() -> None:
        server = ControlServer(path, agent.answer)
        await server.open()
        assert [path] == list(path.parent.iterdir())
        await server.close()

    asyncio.run(open_and_close())
    assert visible == [False]


def test_it_goes_with_the_server(path: Path, agent: Agent) -> None:
    async def work() -> bool:
        server = ControlServer(path, agent.answer)
        await server.open()
        there = path.exists()
        await server.close()
        return there

    assert live(work)
    assert not path.exists()


def test_a_second_agent_is_refused_and_the_first_stays(served: Path, agent: Agent) -> None:
    second = ControlServer(served, agent.answer)

    async def work() -> None:
        try:
            await second.open()
        finally:
            await second.close()

    with pytest.raises(ControlError, match=f"{served}: another agent is running"):
        live(work)
    assert ask(served, "echo", word="first") == {"said": "first"}


def test_what_a_dead_agent_left_is_replaced(path: Path, agent: Agent) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()

    async def work() -> dict[str, Any]:
        server = ControlServer(path, agent.answer)
        await server.open()
        try:
            return await asyncio.to_thread(exchange, path, b'{"version": 1, "command": "echo"}\n')
        finally:
            await server.close()

    assert live(work) == {"version": 1, "ok": {"said": None}}


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_removed(path: Path, agent: Agent, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/nonexistent")
    else:
        path.write_text("precious")
    with pytest.raises(ControlError, match=f"{path}: is not a socket"):
        live(ControlServer(path, agent.answer).open)
    assert path.is_symlink() or path.exists()


def test_a_folder_that_is_missing_is_named(tmp_path: Path, agent: Agent) -> None:
    path = tmp_path / "gone" / "agent.sock"
    with pytest.raises(ControlError, match=f"{path}: No such file or directory"):
        live(ControlServer(path, agent.answer).open)


def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path, agent: Agent) -> None:
    path = tmp_path / ("x" * 200)
    with pytest.raises(ControlError, match=f"{path}: "):
        live(ControlServer(path, agent.answer).open)


def test_a_free_path_is_free(path: Path) -> None:
    ensure_free(path)
    assert not path.exists()


# --- the client --------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [b"", b"\n", b"{", b"[]\n", b"5\n", b"{}\n"])
def test_an_answer_that_is_none_is_an_error(path: Path, octets: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(octets)

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(ControlError, match=str(path)):
            ask(path, "status")
        thread.join()


def test_nobody_there(path: Path) -> None:
    with pytest.raises(ControlError, match=f"{path}: no agent answers"):
        ask(path, "status")
