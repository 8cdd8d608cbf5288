# SPDX-License-Identifier: GPL-2.0-or-later
"""The event loop around a state machine: inputs go in, effects are carried out in order.

The effects of one input are carried out before the next is read (of the datagrams that wait at one
moment: before the next moment), so the state machine, the kernel and the sockets never disagree about
what came first. Datagrams leave last, once the state that they speak of is kept over a restart.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol

from agents.daemon.control import ControlServer, Reply
from agents.daemon.state_file import Document, StateFile, StateFileError
from agents.effects import (
    Datagram,
    Effect,
    Instant,
    RemoveTunnel,
    Report,
    SendDatagram,
    SendIcmp,
    SetNeighbour,
    StartTimer,
    StopTimer,
    Tunnel,
)
from agents.linux.discovery import DiscoverySocket
from agents.linux.kernel import PATH_MTU_AGE, Kernel
from agents.linux.link_sources import LinkSources
from agents.linux.probes import Probes
from agents.linux.sockets import ControlSocket, Unreachable
from agents.linux.ways import WayError
from agents.settings import PathSelection, Policy

EVENTS_KEPT = 1000
WARNINGS_PER_SECOND = 10
"""Logged and kept as events; beyond that they are only counted."""
DATAGRAMS_TOGETHER = 32
"""Of those that wait: the state is written once for all, and writing takes far longer than deciding."""
WRITE_AGAIN = 1.0
"""Seconds until the state is written again after that has failed."""
_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Faults of a disk that need nobody to change the settings."""
_WRITE_AGAIN, _DELETE_LEFT = object(), object()
_log = logging.getLogger("agent")


class StateMachine(Protocol):
    """What home agent and mobile node have in common."""

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]: ...
    def receive_icmp(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]: ...
    def timer(self, key: Hashable, now: Instant) -> list[Effect]: ...
    def set_multiple_tunnel_support(self, enabled: bool, now: Instant) -> list[Effect]: ...
    def set_bandwidth(self, binding_id: int, kbytes: int, now: Instant) -> list[Effect]: ...
    def stop(self, now: Instant) -> list[Effect]: ...
    def status(self, now: Instant) -> dict[str, Any]: ...
    @property
    def generation(self) -> int: ...
    def snapshot(self, now: Instant) -> Any: ...
    def restore(self, state: Any, now: Instant) -> list[Effect]: ...
    def state_lost(self, now: Instant) -> None: ...


class Shell(ABC):
    """Runs one agent until SIGTERM or SIGINT."""

    def __init__(
        self,
        machine: StateMachine,
        kernel: Kernel,
        control_socket: Path | None,
        state: StateFile[Any],
        kept: Document[Any] | None,
    ) -> None:
        """Nothing runs yet.

        :param kept: what was found in the state file.
        """
        self.machine = machine
        self.kernel = kernel
        self._state = state
        self._kept = kept
        self._written: tuple[int, int] | None = None
        """Generations of machine and kernel that the state file holds."""
        self._starting = True
        self._not_kept: str | None = None
        """Why the state file does not hold the latest."""
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._drains: dict[object, asyncio.TimerHandle] = {}
        self._later: dict[Hashable, asyncio.TimerHandle] = {}
        """What the kernel must be told after a while."""
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._counters: Counter[str] = Counter()
        self._warnings: deque[float] = deque(maxlen=WARNINGS_PER_SECOND)
        self._sockets: list[ControlSocket] = []
        self._discovery: dict[str, DiscoverySocket] = {}
        self._link_sources: dict[str, LinkSources] = {}
        self._neighbours: dict[tuple[IPv4Address, str], str] = {}
        """Link addresses the state machine has fixed."""
        self._ending = asyncio.Event()
        self._control = ControlServer(control_socket, self.command) if control_socket else None

    @abstractmethod
    def begin(self, now: Instant) -> list[Effect]:
        """Open sockets and start the state machine."""

    @abstractmethod
    def socket_for(self, effect: SendDatagram) -> ControlSocket | None:
        """The socket a datagram leaves by."""

    def unreachable(self, error: Unreachable, now: Instant) -> list[Effect]:  # noqa: ARG002
        """An ICMP error came for something we sent; only a foreign agent acts on it."""
        return []

    def endpoints(self) -> list[ControlSocket | DiscoverySocket | Probes]:
        """All that is read from in the event loop."""
        return [*self._sockets, *self._discovery.values()]

    def timer(self, key: Hashable, now: Instant) -> list[Effect]:
        """A timer of the state machine's has run out."""
        return self.machine.timer(key, now)

    def ended(self) -> bool:
        """Whether the state machine has finished after ``stop``."""
        return True

    @staticmethod
    def now() -> Instant:
        """The current moment on both clocks."""
        return Instant(asyncio.get_running_loop().time(), time.time())

    async def run(self) -> None:
        """Run until told to end; then stop the machine and undo everything in the kernel."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        try:
            self.perform([*self._restore(), *self.begin(self.now())])
            self._starting = False
            left = self.kernel.begun()
            if left is not None:
                self.do_later(_DELETE_LEFT, left, self._delete_left)
            if self._control is not None:
                await self._control.open()
            await self._ending.wait()
            self.perform(self.machine.stop(self.now()))
            while not self.ended():  # the machine's own limit ends this
                await asyncio.sleep(0.01)
        finally:
            if self._control is not None:
                await self._control.close()
            for handle in (*self._timers.values(), *self._drains.values(), *self._later.values()):
                handle.cancel()
            for endpoint in self.endpoints():
                loop.remove_reader(endpoint.fileno())
                endpoint.close()
            for sources in self._link_sources.values():
                sources.close()
            self.kernel.close()

    def open_control(self, interface: str | None = None) -> ControlSocket:
        """Listen on the Mobile IP port.

        :raises OSError: if the port is taken or the interface does not exist.
        """
        control = ControlSocket(interface)
        self._sockets.append(control)
        asyncio.get_running_loop().add_reader(control.fileno(), self._datagrams, control)
        return control

    def open_discovery(self, interface: str) -> None:
        """Listen for router discovery on an interface.

        :raises OSError: if the interface does not exist.
        """
        discovery = DiscoverySocket(interface)
        self._discovery[interface] = discovery
        asyncio.get_running_loop().add_reader(discovery.fileno(), self._messages, discovery)

    def open_link_sources(self, interface: str) -> None:
        """From now on, datagrams that come by an interface carry their link-layer source.

        :raises OSError: if the interface does not exist.
        """
        self._link_sources[interface] = LinkSources(interface)

    def perform(self, effects: Iterable[Effect]) -> None:
        """Carry out effects in order, but datagrams last: what they promise must outlive us."""
        datagrams = []
        for effect in effects:
            if isinstance(effect, SendDatagram):
                datagrams.append(effect)
            else:
                self._carry_out(effect)
        self._keep()
        for datagram in datagrams:
            self._send(datagram)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SendIcmp():
                discovery = self._discovery.get(effect.interface)
                if discovery is not None:
                    self._failed("send-failed", discovery.send(effect), effect.destination)
            case StartTimer(key, at):
                self._start_timer(key, at)
            case StopTimer(key):
                handle = self._timers.pop(key, None)
                if handle is not None:
                    handle.cancel()
            case Report():
                self._report(effect)
            case RemoveTunnel(tunnel, drain):
                self.kernel.apply(effect)
                previous = self._drains.pop(tunnel, None)
                if previous is not None:  # taken up again meanwhile, and now given up anew
                    previous.cancel()
                self._drains[tunnel] = asyncio.get_running_loop().call_later(drain, self._drained, tunnel)
            case SetNeighbour(address, interface, link_address):
                self._neighbours.pop((address, interface), None)
                if link_address is not None:
                    self._neighbours[address, interface] = link_address
                self.touch_kernel(effect)
            case _:
                self.touch_kernel(effect)

    def command(self, request: dict[str, Any]) -> Reply:
        """Answer one request of ``mipctl``; an unknown or malformed one is refused."""
        now = self.now()
        match request:
            case {"command": "status"}:
                return {**self.status(now), "events": dict(sorted(self._counters.items()))}
            case {"command": "events"}:
                return {"events": list(self._events)}
            case {"command": "set-multiple-tunnel-support", "enabled": bool(enabled)}:
                self.perform(self.machine.set_multiple_tunnel_support(enabled, now))
            case {"command": "set-bandwidth", "binding_id": int(binding_id), "kbytes": int(kbytes)}:
                self.perform(self.machine.set_bandwidth(binding_id, kbytes, now))
            case {"command": "set-policy", "policy": str(policy)} if policy in list(Policy):
                selection = self.kernel.selection.model_copy(update={"policy": Policy(policy)})
                self._select(selection, self.kernel.pinned)
            case {"command": "pin", "binding_id": int() | None as binding_id}:
                self._select(self.kernel.selection, binding_id)
            case _:
                raise ValueError("unknown command or wrong arguments")
        if self._not_kept is not None:
            raise ValueError(f"set, but not kept over a restart: {self._not_kept}")
        return {}

    def status(self, now: Instant) -> dict[str, Any]:
        """The machine's status with what the kernel adds to it."""
        return {
            **self.machine.status(now),
            "policy": self.kernel.selection.policy.value,
            "weights": self.kernel.selection.weights.value,
            "pinned": self.kernel.pinned,
            "devices": self.kernel.devices(),
            "drops": self.kernel.drops(),
            "state_not_kept": self._not_kept,
        }

    def _select(self, selection: PathSelection, pinned: int | None) -> None:
        self.kernel.set_selection(selection, pinned)
        self._keep()

    def _restore(self) -> list[Effect]:
        if self._kept is not None:
            return self.machine.restore(self._kept.agent, self.now())
        if self._state.lost:
            self.machine.state_lost(self.now())
        return []

    def _keep(self) -> None:
        """Have the state file hold the present state; if it cannot, say so, go on and try again.

        :raises StateFileError: if it cannot from the start, and somebody must mend that.
        """
        generation = (self.machine.generation, self.kernel.generation)
        if generation == self._written:
            return
        try:
            self._state.write(self.machine.snapshot(self.now()), self.kernel.snapshot())
        except OSError as error:
            self._not_kept = f"{self._state.path}: cannot be written: {error.strerror}"
            if self._starting and error.errno not in _MAY_PASS:
                raise StateFileError(f"{self._not_kept}; choose another state_file or mend it") from None
            if _WRITE_AGAIN not in self._timers:
                self._report(Report("state-not-kept", {"reason": self._not_kept}, warning=True))
                again = asyncio.get_running_loop().call_later(WRITE_AGAIN, self._keep_again)
                self._timers[_WRITE_AGAIN] = again
            return
        self._written, self._not_kept = generation, None

    def _delete_left(self) -> None:
        self.kernel.delete_left()
        self._keep()

    def _keep_again(self) -> None:
        del self._timers[_WRITE_AGAIN]
        self._keep()

    def touch_kernel(self, effect: Any) -> None:
        """Carry out an effect in the kernel; a refusal is reported."""
        try:
            self.kernel.apply(effect)
        except WayError as error:
            self._failed("way-failed", str(error), None)

    def _datagrams(self, control: ControlSocket) -> None:
        for error in control.errors():
            self._learn_path_mtu(error)
            self.perform(self.unreachable(error, self.now()))
        effects: list[Effect] = []
        for _ in range(DATAGRAMS_TOGETHER):
            datagram = control.receive()
            if datagram is None:
                break
            known = self._link_sources.get(datagram.interface)
            if known is not None:
                found = known.of(datagram.source, datagram.source_port)
                datagram = replace(datagram, link_source=found)
            effects += self.machine.receive(datagram, self.now())
        if effects:
            self.perform(effects)

    def _learn_path_mtu(self, error: Unreachable) -> None:
        tunnel = self.kernel.learn_path_mtu(error)
        if tunnel is not None:
            fields: dict[str, str | int] = {
                "remote": str(tunnel.remote),
                "port": tunnel.remote_port,
                "mtu": error.mtu,
            }
            self._report(Report("path-mtu-learnt", fields))
            self.do_later(tunnel, PATH_MTU_AGE, lambda: self.kernel.forget_path_mtu(tunnel))

    def do_later(self, key: Hashable, seconds: float, action: Callable[[], object]) -> None:
        """Tell the kernel something after a while, in place of what else waits under this key."""
        self.forget(key)
        self._later[key] = asyncio.get_running_loop().call_later(seconds, self._do, key, action)

    def forget(self, key: Hashable) -> None:
        """Do not do it after all; no error if nothing waits."""
        waiting = self._later.pop(key, None)
        if waiting is not None:
            waiting.cancel()

    def _do(self, key: Hashable, action: Callable[[], object]) -> None:
        del self._later[key]
        action()

    def _messages(self, discovery: DiscoverySocket) -> None:
        message = discovery.receive()
        if message is not None:
            self.perform(
                self.machine.receive_icmp(
                    message.payload, message.source, message.interface, message.link_source, self.now()
                )
            )

    def _send(self, effect: SendDatagram) -> None:
        control = self.socket_for(effect)
        if control is None:
            return
        if effect.link_destination is None or effect.interface is None:
            self._failed("send-failed", control.send(effect), effect.destination)
            return
        # Away from home nobody asks ARP for a mobile node, nor does it ask (RFC 5944 §4.6).
        self.touch_kernel(SetNeighbour(effect.destination, effect.interface, effect.link_destination))
        self._failed("send-failed", control.send(effect), effect.destination)
        # For this datagram only: whoever gets a denial must not get a visitor's traffic too.
        fixed = self._neighbours.get((effect.destination, effect.interface))
        if fixed != effect.link_destination:
            self.touch_kernel(SetNeighbour(effect.destination, effect.interface, fixed))

    def _start_timer(self, key: Hashable, at: float) -> None:
        if key in self._timers:
            self._timers[key].cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(at, self._run_out, key)

    def _run_out(self, key: Hashable) -> None:
        del self._timers[key]
        self.perform(self.timer(key, self.now()))

    def _drained(self, tunnel: Tunnel) -> None:
        del self._drains[tunnel]
        self.kernel.delete_retired(tunnel)

    def _failed(self, event: str, reason: str | None, destination: IPv4Address | None) -> None:
        if reason is not None:
            fields = (
                {"reason": reason}
                if destination is None
                else {"reason": reason, "destination": str(destination)}
            )
            self._report(Report(event, fields, warning=True))

    def _report(self, report: Report) -> None:
        now = self.now()
        self._counters[report.event] += 1
        if report.warning:
            if len(self._warnings) >= WARNINGS_PER_SECOND and now.monotonic - self._warnings[0] < 1:
                return  # a flood must not push out of the list what happened before it
            self._warnings.append(now.monotonic)
        self._events.append({"time": now.unix, "event": report.event, **report.fields})
        words = " ".join(f"{key}={value}" for key, value in report.fields.items())
        _log.log(logging.WARNING if report.warning else logging.INFO, "%s %s", report.event, words)


def run(make: Callable[[], Shell]) -> None:
    """Run a shell in a new event loop until it ends."""

    async def main() -> None:
        await make().run()

    asyncio.run(main())
