# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell whose state machine, kernel and sockets only take notes, on a clock that only tests move."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from agents.daemon.shell import Shell
from agents.daemon.state_file import StateFile
from agents.effects import Datagram, Effect, Encapsulation, Instant, SendDatagram, Tunnel
from agents.kept_state import KeptModel, KeptSetting
from agents.linux.remains import KernelRecord
from agents.linux.sockets import ControlSocket
from agents.linux.ways import WayError
from agents.settings import PathSelection, Policy

HOME = IPv4Address("198.51.100.10")
CARE_OF = IPv4Address("192.0.2.2")
TUNNEL = Tunnel(Encapsulation.IPIP, IPv4Address("198.51.100.1"), CARE_OF)
DATAGRAM = SendDatagram(b"reply", IPv4Address("198.51.100.1"), 434, CARE_OF, 434)
Got = TypeVar("Got")


class FakeState(KeptModel):
    """A number."""

    generation: int


class FakeMachine:
    """Notes its inputs; answers each with prepared effects."""

    def __init__(self) -> None:
        self.inputs: list[tuple[Any, ...]] = []
        self.effects: dict[Hashable, list[Effect]] = {}
        self.generation = 0

    def _note(self, *what: Any) -> list[Effect]:
        self.inputs.append(what)
        return self.effects.get(what[0], [])

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]:  # noqa: ARG002
        return self._note("receive", datagram)

    def receive_icmp(
        self,
        payload: bytes,
        source: IPv4Address,
        interface: str,
        link_source: str | None,
        now: Instant,  # noqa: ARG002
    ) -> list[Effect]:
        return self._note("icmp", payload, source, interface, link_source)

    def timer(self, key: Hashable, now: Instant) -> list[Effect]:
        return self._note("timer", key, now.monotonic)

    def set_multiple_tunnel_support(self, enabled: bool, now: Instant) -> list[Effect]:  # noqa: ARG002
        return self._note("support", enabled)

    def set_bandwidth(self, binding_id: int, kbytes: int, now: Instant) -> list[Effect]:  # noqa: ARG002
        if kbytes < 0:
            raise ValueError("bandwidth -1: choose 0 or more")
        return self._note("bandwidth", binding_id, kbytes)

    def stop(self, now: Instant) -> list[Effect]:  # noqa: ARG002
        return self._note("stop")

    def status(self, now: Instant) -> dict[str, Any]:  # noqa: ARG002
        return {"role": "fake", "bindings": []}

    def snapshot(self, now: Instant) -> FakeState:  # noqa: ARG002
        return FakeState(generation=self.generation)

    def restore(self, state: FakeState, now: Instant) -> list[Effect]:  # noqa: ARG002
        return self._note("restore", state.generation)

    def state_lost(self, now: Instant) -> None:  # noqa: ARG002
        self._note("state-lost")


class FakeKernel:
    """Notes what it is to do; refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.refuses: Effect | None = None
        self.selection = PathSelection()
        self.pinned: int | None = None
        self.generation = 0
        self.left_for: float | None = None

    def apply(self, effect: Effect) -> None:
        if effect == self.refuses:
            raise WayError("the kernel refuses")
        self.log.append(effect)

    def begun(self) -> float | None:
        return self.left_for

    def delete_left(self) -> None:
        self.log.append("left deleted")

    def delete_retired(self, tunnel: Tunnel) -> None:
        self.log.append(("delete", tunnel))

    def set_selection(self, selection: PathSelection, pinned: int | None) -> None:
        self.selection, self.pinned = selection, pinned
        self.generation += 1

    def snapshot(self) -> KernelRecord:
        return KernelRecord(
            policy=KeptSetting(configured=Policy.PER_FLOW, current=self.selection.policy), ways=()
        )

    def devices(self) -> list[dict[str, Any]]:
        return [{"device": "mip1"}]

    def drops(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.log.append("closed")


class FakeSocket:
    """Sends nothing; says why not when told to."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel
        self.reason: str | None = None

    def send(self, effect: SendDatagram) -> str | None:
        self._kernel.log.append(effect)
        return self.reason


class FakeShell(Shell):
    """A shell whose machine, kernel and socket are fakes."""

    machine: FakeMachine

    def __init__(self, control_socket: Path | None = None, state_file: Path | None = None) -> None:
        self.notes = FakeKernel()
        self.socket = FakeSocket(self.notes)
        self.first: Callable[[], list[Effect]] = list
        self.waits = 0
        state = StateFile(state_file, "fake", HOME, FakeState)
        super().__init__(FakeMachine(), self.notes, control_socket, state, state.read())  # type: ignore[arg-type]

    def begin(self, now: Instant) -> list[Effect]:  # noqa: ARG002
        return self.first()

    def socket_for(self, effect: SendDatagram) -> ControlSocket | None:
        return None if effect.interface == "gone" else self.socket  # type: ignore[return-value]

    def ended(self) -> bool:
        self.waits -= 1
        return self.waits < 0


class _Waits(selectors.DefaultSelector):
    """Where a real selector would wait, its loop's clock goes on by as much."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer: something from outside must come
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which a timer runs out at its very moment, however busy the machine is."""

    def __init__(self) -> None:
        self._waits = _Waits()
        super().__init__(self._waits)

    def time(self) -> float:
        """Seconds since the loop was made: those it would have waited."""
        return self._waits.passed


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, Got]]) -> Got:
    """Run to the end in a new virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def live(work: Callable[[FakeShell], Awaitable[Got]]) -> Got:
    """Run work on a new shell, in virtual time."""

    async def main() -> Got:
        return await work(FakeShell())

    return in_virtual_time(main)


def performed(*effects: Effect, refuses: Effect | None = None, reason: str | None = None) -> FakeShell:
    """A shell that has carried out effects."""

    async def work(shell: FakeShell) -> FakeShell:
        shell.notes.refuses = refuses
        shell.socket.reason = reason
        shell.perform(effects)
        return shell

    return live(work)


def events(shell: FakeShell) -> list[str]:
    return [event["event"] for event in shell._events]
