# SPDX-License-Identifier: GPL-2.0-or-later
"""When the shell writes the state file, and what it does if it cannot."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.daemon import shell as shell_module
from agents.daemon import state_file
from agents.daemon.state_file import StateFile, StateFileError
from agents.effects import AddTunnel
from agents.settings import Policy
from tests.unit.agents.shell_lab import DATAGRAM, HOME, TUNNEL, FakeShell, FakeState, in_virtual_time


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state"


def kept(place: Path) -> FakeState | None:
    """What the file holds."""
    document = StateFile(place, "fake", HOME, FakeState).read()
    return None if document is None else document.agent


def live(place: Path, work: Callable[[FakeShell], Awaitable[None]]) -> None:
    """Run work on a new shell whose state is kept, once it has begun."""

    async def main() -> None:
        shell = FakeShell(state_file=place)
        running = asyncio.create_task(shell.run())
        await asyncio.sleep(0.01)
        try:
            await work(shell)
        finally:
            shell._ending.set()
            await running

    in_virtual_time(main)


def test_the_state_is_written_before_the_datagram_leaves(place: Path) -> None:
    async def work(shell: FakeShell) -> None:
        seen: list[FakeState | None] = []
        send = shell.socket.send

        def look(effect: Any) -> str | None:
            seen.append(kept(place))
            return send(effect)

        shell.socket.send = look  # type: ignore[method-assign]
        shell.machine.generation = 7
        shell.perform([DATAGRAM, AddTunnel(TUNNEL, "wifi")])
        assert seen == [FakeState(generation=7)]
        assert shell.notes.log[-2:] == [AddTunnel(TUNNEL, "wifi"), DATAGRAM]

    live(place, work)


def test_nothing_is_written_while_nothing_changes(place: Path) -> None:
    async def work(shell: FakeShell) -> None:
        written = place.stat().st_mtime_ns, place.stat().st_ino
        shell.perform([DATAGRAM, AddTunnel(TUNNEL, "wifi")])
        assert (place.stat().st_mtime_ns, place.stat().st_ino) == written
        shell.machine.generation += 1
        shell.perform([])
        assert place.stat().st_ino != written[1]

    live(place, work)


def test_the_policy_is_kept(place: Path) -> None:
    async def work(shell: FakeShell) -> None:
        shell.command({"command": "set-policy", "policy": "per-packet"})
        document = StateFile(place, "fake", HOME, FakeState).read()
        assert document is not None
        assert document.kernel.policy.current is Policy.PER_PACKET

    live(place, work)


def test_the_next_life_takes_it_up(place: Path) -> None:
    async def first(shell: FakeShell) -> None:
        shell.machine.generation = 7
        shell.perform([])

    async def second(shell: FakeShell) -> None:
        assert shell.machine.inputs[0] == ("restore", 7)

    live(place, first)
    live(place, second)


def test_the_machine_is_told_that_its_state_is_lost(place: Path) -> None:
    async def work(shell: FakeShell) -> None:
        assert shell.machine.inputs[0] == ("state-lost",)
        assert kept(place) == FakeState(generation=0)

    place.write_text("what is this")
    live(place, work)


def test_without_a_state_there_is_nothing_to_tell(place: Path) -> None:
    async def work(shell: FakeShell) -> None:
        assert shell.machine.inputs == []

    live(place, work)


def test_a_place_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        await FakeShell(state_file=tmp_path / "missing" / "state").run()

    with pytest.raises(StateFileError, match=r"missing/state: cannot be written: No such file .*; choose"):
        asyncio.run(main())


class Full:
    """``os``, but the disk is full while :attr:`full` says so."""

    def __init__(self, original: Any) -> None:
        self._original = original
        self.full = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def write(self, descriptor: int, octets: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        count: int = self._original.write(descriptor, octets)
        return count


def test_a_full_disk_stops_nobody_and_is_tried_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Full(os)
    monkeypatch.setattr(state_file, "os", full)
    monkeypatch.setattr(shell_module, "WRITE_AGAIN", 0.02)

    async def work(shell: FakeShell) -> None:
        problem = f"{place}: cannot be written: No space left on device"
        shell.machine.generation = 7
        shell.perform([DATAGRAM])
        assert shell.notes.log == [DATAGRAM]
        assert shell.command({"command": "status"})["state_not_kept"] == problem
        with pytest.raises(ValueError, match=r"set, but not kept over a restart: .*No space left"):
            shell.command({"command": "set-multiple-tunnel-support", "enabled": False})
        said = shell._counters["state-not-kept"]
        async with asyncio.timeout(10):
            while shell._counters["state-not-kept"] == said:  # it is tried again
                await asyncio.sleep(0.01)
        full.full = False
        async with asyncio.timeout(10):
            while shell.command({"command": "status"})["state_not_kept"] is not None:
                await asyncio.sleep(0.01)
        assert kept(place) == FakeState(generation=7)

    live(place, work)
