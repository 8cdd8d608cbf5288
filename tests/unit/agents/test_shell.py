# SPDX-License-Identifier: GPL-2.0-or-later
"""The event loop around a state machine, with a machine and a kernel that only take notes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.daemon.control import ControlError, ask
from agents.daemon.shell import EVENTS_KEPT, WARNINGS_PER_SECOND
from agents.effects import (
    AddTunnel,
    Effect,
    RemoveTunnel,
    Report,
    SendDatagram,
    SetPaths,
    StartInterception,
    StartTimer,
    StopTimer,
)
from agents.settings import PathSelection, Policy
from tests.unit.agents.shell_lab import (
    CARE_OF,
    DATAGRAM,
    HOME,
    TUNNEL,
    FakeShell,
    events,
    in_virtual_time,
    live,
    performed,
)


def test_effects_are_carried_out_in_order_and_datagrams_last() -> None:
    first, second = DATAGRAM, replace(DATAGRAM, payload=b"second")
    rest: list[Effect] = [AddTunnel(TUNNEL, "wifi"), SetPaths(HOME, ()), StartInterception(HOME)]
    effects: list[Effect] = [*rest[:2], first, rest[2], second]
    assert performed(*effects).notes.log == [*rest, first, second]


def test_a_datagram_without_a_socket_is_let_go() -> None:
    nowhere = SendDatagram(b"", HOME, 434, CARE_OF, 434, interface="gone")
    assert performed(nowhere, DATAGRAM).notes.log == [DATAGRAM]


def test_what_the_kernel_refuses_is_reported_and_the_rest_done() -> None:
    bad = AddTunnel(TUNNEL, "wifi")
    shell = performed(bad, DATAGRAM, refuses=bad)
    assert shell.notes.log == [DATAGRAM]
    (event,) = shell._events
    assert (event["event"], event["reason"]) == ("way-failed", "the kernel refuses")


def test_what_cannot_be_sent_is_reported_and_the_rest_done() -> None:
    shell = performed(DATAGRAM, SetPaths(HOME, ()), reason="Network is unreachable")
    assert shell.notes.log == [SetPaths(HOME, ()), DATAGRAM]
    (event,) = shell._events
    assert event["event"] == "send-failed"
    assert (event["reason"], event["destination"]) == ("Network is unreachable", "192.0.2.2")


# --- timers ------------------------------------------------------------------------------


def timers(*plan: tuple[str, float]) -> list[Any]:
    """Start timers at these offsets in seconds; (key, inf) stops one. What ran, in order."""

    async def work(shell: FakeShell) -> list[Any]:
        now = shell.now().monotonic
        shell.perform(StopTimer(k) if at == float("inf") else StartTimer(k, now + at) for k, at in plan)
        await asyncio.sleep(0.06)
        return [what[1] for what in shell.machine.inputs]

    return live(work)


def test_timers_run_in_order_of_their_time() -> None:
    assert timers(("late", 0.03), ("early", 0.01), ("past", -5)) == ["past", "early", "late"]


def test_a_timer_of_the_same_key_is_replaced() -> None:
    assert timers(("a", 0.001), ("b", 0.01), ("a", 0.02)) == ["b", "a"]


def test_a_stopped_timer_does_not_run() -> None:
    assert timers(("a", 0.01), ("a", float("inf")), ("never", float("inf"))) == []


def test_a_timer_never_runs_early_and_its_effects_are_carried_out() -> None:
    async def work(shell: FakeShell) -> None:
        shell.machine.effects["timer"] = [DATAGRAM]
        at = shell.now().monotonic + 0.02
        shell.perform([StartTimer("renew", at)])
        await asyncio.sleep(0.019)
        assert shell.machine.inputs == []
        await asyncio.sleep(0.02)
        ((_, key, moment),) = shell.machine.inputs
        assert key == "renew"
        assert moment == pytest.approx(at, abs=1e-6)
        assert shell.notes.log == [DATAGRAM]

    live(work)


def test_a_timer_may_start_itself_again() -> None:
    async def work(shell: FakeShell) -> int:
        shell.machine.effects["timer"] = [StartTimer("again", 0)]
        shell.perform([StartTimer("again", 0)])
        for _ in range(10):  # turns of the loop; no time passes
            await asyncio.sleep(0)
        return len(shell.machine.inputs)

    assert live(work) > 3


# --- drains ------------------------------------------------------------------------------


def test_a_removed_tunnel_drains_before_it_is_deleted() -> None:
    async def work(shell: FakeShell) -> None:
        remove = RemoveTunnel(TUNNEL, 0.02)
        shell.perform([remove])
        assert shell.notes.log == [remove]
        await asyncio.sleep(0.05)
        assert shell.notes.log == [remove, ("delete", TUNNEL)]

    live(work)


def test_a_tunnel_removed_anew_drains_anew() -> None:
    # Removed, taken up again, removed again: the first drain must not cut the second short.
    async def work(shell: FakeShell) -> None:
        deleted = ("delete", TUNNEL)
        shell.perform([RemoveTunnel(TUNNEL, 0.04)])
        await asyncio.sleep(0.02)
        shell.perform([AddTunnel(TUNNEL, "again"), RemoveTunnel(TUNNEL, 0.1)])
        await asyncio.sleep(0.05)
        assert deleted not in shell.notes.log
        await asyncio.sleep(0.08)
        assert shell.notes.log.count(deleted) == 1
        assert shell._drains == {}

    live(work)


# --- reports -----------------------------------------------------------------------------


def test_reports_are_counted_and_kept_with_their_time() -> None:
    shell = performed(Report("bound", {"binding_id": 1}), Report("bound"), Report("lost", warning=True))
    assert events(shell) == ["bound", "bound", "lost"]
    assert shell._events[0]["binding_id"] == 1
    assert shell._events[0]["time"] > 1.7e9
    assert shell._counters == {"bound": 2, "lost": 1}


def test_only_the_latest_events_are_kept_but_all_are_counted() -> None:
    shell = performed(*(Report("n", {"n": n}) for n in range(EVENTS_KEPT + 5)))
    assert [event["n"] for event in shell._events] == list(range(5, EVENTS_KEPT + 5))
    assert shell._counters["n"] == EVENTS_KEPT + 5


def test_a_flood_of_warnings_is_logged_in_part(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "agent"):
        shell = performed(*(Report("denied", {"n": n}, warning=True) for n in range(500)), Report("bound"))
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == WARNINGS_PER_SECOND
    assert warned[0].getMessage() == "denied n=0"
    assert [r.getMessage().strip() for r in caplog.records if r.levelno == logging.INFO] == ["bound"]
    assert shell._counters["denied"] == 500


def test_a_flood_of_warnings_leaves_the_events_before_it() -> None:
    flood = (Report("denied", {"n": n}, warning=True) for n in range(2 * EVENTS_KEPT))
    shell = performed(Report("bound"), *flood, Report("moved"))
    assert events(shell) == ["bound", *["denied"] * WARNINGS_PER_SECOND, "moved"]


# --- commands ----------------------------------------------------------------------------


def commanded(*requests: dict[str, Any]) -> tuple[FakeShell, list[Any]]:
    async def work(shell: FakeShell) -> tuple[FakeShell, list[Any]]:
        return shell, [shell.command(request) for request in requests]

    return live(work)


def test_status_has_what_machine_and_kernel_know() -> None:
    _, (status,) = commanded({"command": "status"})
    assert status["role"] == "fake"
    assert status["devices"] == [{"device": "mip1"}]
    assert (status["policy"], status["weights"], status["pinned"]) == ("per-flow", "equal", None)
    assert status["events"] == {}


def test_commands_reach_the_machine() -> None:
    shell, replies = commanded(
        {"command": "set-multiple-tunnel-support", "enabled": False},
        {"command": "set-bandwidth", "binding_id": 3, "kbytes": 6250},
    )
    assert replies == [{}, {}]
    assert shell.machine.inputs == [("support", False), ("bandwidth", 3, 6250)]


def test_policy_and_pin_change_the_kernel_and_leave_each_other_alone() -> None:
    shell, _ = commanded(
        {"command": "set-policy", "policy": "per-packet"}, {"command": "pin", "binding_id": 2}
    )
    assert (shell.kernel.selection.policy, shell.kernel.pinned) == (Policy.PER_PACKET, 2)
    shell, _ = commanded({"command": "pin", "binding_id": 2}, {"command": "pin", "binding_id": None})
    assert (shell.kernel.selection.policy, shell.kernel.pinned) == (Policy.PER_FLOW, None)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"command": "dance"},
        {"command": None},
        {"command": ["status"]},
        {"command": "set-multiple-tunnel-support"},
        {"command": "set-multiple-tunnel-support", "enabled": 1},
        {"command": "set-bandwidth", "binding_id": "3", "kbytes": 5},
        {"command": "set-bandwidth", "binding_id": 3, "kbytes": 5.5},
        {"command": "set-bandwidth", "binding_id": 3, "kbytes": -1},
        {"command": "set-policy", "policy": "per-bit"},
        {"command": "set-policy", "policy": None},
        {"command": "pin", "binding_id": "all"},
        {"command": "pin"},
    ],
)
def test_a_bad_command_is_refused_and_changes_nothing(request_: dict[str, Any]) -> None:
    async def work(shell: FakeShell) -> None:
        with pytest.raises(ValueError, match=r"unknown command or wrong arguments|choose"):
            shell.command(request_)
        assert shell.machine.inputs == shell.notes.log == []
        assert (shell.kernel.selection, shell.kernel.pinned) == (PathSelection(), None)

    live(work)


# --- life --------------------------------------------------------------------------------


def run_and_end(path: Path, during: Callable[[FakeShell], Awaitable[None]]) -> FakeShell:
    """Run a shell, do something once it runs, then send it SIGTERM."""

    async def main() -> FakeShell:
        shell = FakeShell(path)
        shell.machine.effects["stop"] = [DATAGRAM]
        shell.first = lambda: [StartInterception(HOME)]
        shell.waits = 3  # its deregistrations are answered a little later
        running = asyncio.create_task(shell.run())
        async with asyncio.timeout(10):
            while not path.exists():
                await asyncio.sleep(0.01)
        await during(shell)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 5)
        return shell

    return asyncio.run(main())


def test_from_start_to_end(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"

    async def during(shell: FakeShell) -> None:
        status = await asyncio.to_thread(ask, path, "status")
        assert status["role"] == "fake"
        shell.perform([StartTimer("far", shell.now().monotonic + 1000), RemoveTunnel(TUNNEL, 1000)])

    shell = run_and_end(path, during)
    assert shell.machine.inputs == [("stop",)]
    assert shell.notes.log == [StartInterception(HOME), RemoveTunnel(TUNNEL, 1000), DATAGRAM, "closed"]
    assert shell.waits < 0
    assert not path.exists()
    assert all(h.cancelled() for h in (*shell._timers.values(), *shell._drains.values()))


def test_what_an_earlier_life_has_left_is_deleted_after_a_while() -> None:
    async def main() -> FakeShell:
        shell = FakeShell()
        shell.notes.left_for = 0.02
        running = asyncio.create_task(shell.run())
        await asyncio.sleep(0.019)
        assert shell.notes.log == []
        await asyncio.sleep(0.002)
        assert shell.notes.log == ["left deleted"]
        shell._ending.set()
        await running
        return shell

    assert in_virtual_time(main).notes.log == ["left deleted", "closed"]


def test_an_error_at_the_start_undoes_what_was_done(tmp_path: Path) -> None:
    def fail() -> Iterable[Effect]:
        raise OSError(98, "Address already in use")

    async def main() -> FakeShell:
        shell = FakeShell(tmp_path / "agent.sock")
        shell.first = fail  # type: ignore[assignment]
        with pytest.raises(OSError, match="Address already in use"):
            await shell.run()
        return shell

    assert asyncio.run(main()).notes.log == ["closed"]
    assert list(tmp_path.iterdir()) == []


def test_a_second_agent_at_the_same_socket_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"

    async def during(shell: FakeShell) -> None:
        second = FakeShell(path)
        with pytest.raises(ControlError, match="another agent is running"):
            await second.run()
        # Both live in this one process: give the first its signal back.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, shell._ending.set)
        assert second.notes.log == ["closed"]
        assert path.exists()

    run_and_end(path, during)
