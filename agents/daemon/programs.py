# SPDX-License-Identifier: GPL-2.0-or-later
"""The three programs: which sockets each opens and what it watches."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from functools import partial
from ipaddress import IPv4Address
from random import Random
from typing import Any

from agents.daemon.control import Reply
from agents.daemon.shell import Shell
from agents.daemon.state_file import StateFile
from agents.effects import Effect, Instant, InterfaceState, SendDatagram, SetPaths
from agents.foreign_agent import ForeignAgent
from agents.foreign_agent_state import ForeignAgentState
from agents.home_agent import HomeAgent
from agents.home_agent_state import HomeAgentState
from agents.linux.discovery import DiscoverySocket
from agents.linux.interfaces import InterfaceMonitor
from agents.linux.kernel import Kernel
from agents.linux.probes import Probes
from agents.linux.sockets import ControlSocket, Unreachable
from agents.mobile_node import MobileNode
from agents.mobile_node_liveness import PROBES
from agents.mobile_node_state import MobileNodeState
from agents.settings import ForeignAgentSettings, HomeAgentSettings, MobileNodeSettings

OTHER_END_TIME = 0.1
"""Seconds in which the other end has made its side of a tunnel, once it has the reply."""
_DESTINATION_UNREACHABLE = 3


class HomeAgentShell(Shell):
    """``mip-home-agent``."""

    machine: HomeAgent

    def __init__(self, settings: HomeAgentSettings, random: Random) -> None:
        state = StateFile(settings.state_file, "home-agent", settings.address, HomeAgentState)
        kept = state.read()
        record = None if kept is None else kept.kernel
        kernel = Kernel("home-agent", settings.path_selection, settings.home_link, record)
        super().__init__(HomeAgent(settings, random), kernel, settings.control_socket, state, kept)
        self._settings = settings

    def begin(self, now: Instant) -> list[Effect]:
        """One socket for all interfaces; router discovery on the home link."""
        self._control_socket = self.open_control()
        if self._settings.home_link is not None:
            self.open_discovery(self._settings.home_link)
            self.open_link_sources(self._settings.home_link)
        return self.machine.start(now)

    def socket_for(self, effect: SendDatagram) -> ControlSocket:  # noqa: ARG002
        """The only one."""
        return self._control_socket

    def touch_kernel(self, effect: Any) -> None:
        """As the base class; but where a binding gets another tunnel, its former one is used a little longer.

        The other end makes its own side when it gets the reply: what is sent before comes too early.
        """
        if isinstance(effect, SetPaths):
            self.forget(effect.home_address)
            if self.kernel.replaces_tunnel(effect):
                self.kernel.admit(effect)
                later = partial(super().touch_kernel, effect)
                self.do_later(effect.home_address, OTHER_END_TIME, later)
                return
        super().touch_kernel(effect)


class ForeignAgentShell(Shell):
    """``mip-foreign-agent``."""

    machine: ForeignAgent

    def __init__(self, settings: ForeignAgentSettings, random: Random) -> None:
        identity = settings.care_of_addresses[0]
        state = StateFile(settings.state_file, "foreign-agent", identity, ForeignAgentState)
        kept = state.read()
        record = None if kept is None else kept.kernel
        kernel = Kernel("foreign-agent", settings.path_selection, None, record)
        super().__init__(ForeignAgent(settings, random), kernel, settings.control_socket, state, kept)
        self._settings = settings

    def begin(self, now: Instant) -> list[Effect]:
        """One socket for all interfaces; router discovery and link addresses where nodes visit."""
        self._control_socket = self.open_control()
        for interface in self._settings.interface:
            self.open_discovery(interface.name)
            self.open_link_sources(interface.name)
        return self.machine.start(now)

    def socket_for(self, effect: SendDatagram) -> ControlSocket:  # noqa: ARG002
        """The only one."""
        return self._control_socket

    def unreachable(self, error: Unreachable, now: Instant) -> list[Effect]:
        """A home agent cannot be reached: its pending requests fail."""
        if error.kind != _DESTINATION_UNREACHABLE:
            return []
        return self.machine.unreachable(error.destination, error.code, now, error.quoted)


class MobileNodeShell(Shell):
    """``mip-mobile-node``."""

    machine: MobileNode

    def __init__(self, settings: MobileNodeSettings, random: Random) -> None:
        state = StateFile(settings.state_file, "mobile-node", settings.home_address, MobileNodeState)
        kept = state.read()
        record = None if kept is None else kept.kernel
        kernel = Kernel("mobile-node", settings.path_selection, settings.home_link, record)
        super().__init__(MobileNode(settings, random), kernel, settings.control_socket, state, kept)
        self._settings = settings
        self._accesses = {access.name: access for access in settings.interface}
        names = [*self._accesses, *([settings.home_link] if settings.home_link else [])]
        self._monitor = InterfaceMonitor(names)
        self._by_interface: dict[str, ControlSocket] = {}

    def begin(self, now: Instant) -> list[Effect]:
        """A socket per interface, so that each request leaves by its own."""
        self.kernel.own_addresses.own(self._settings.home_address)
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._interfaces_changed)
        for name, state in self._monitor.states.items():
            self._follow(name, state)
        if self.kernel.probes is not None:
            asyncio.get_running_loop().add_reader(self.kernel.probes.fileno(), self._probes_answered)
        return self.machine.start(self._monitor.states, now)

    def socket_for(self, effect: SendDatagram) -> ControlSocket | None:
        """The interface's own socket."""
        return self._by_interface.get(effect.interface or "")

    def ended(self) -> bool:
        """Whether the deregistrations have been answered or given up."""
        return self.machine.stopped

    def command(self, request: dict[str, Any]) -> Reply:
        """The commands a mobile node has beside the common ones."""
        now = self.now()
        match request:
            case {"command": "reregister", "bulk": bool(bulk)}:
                self.perform(self.machine.reregister(now, bulk))
            case {
                "command": "set-care-of-address",
                "binding_id": int(binding_id),
                "address": str() | None as address,
            }:
                wanted = None if address is None else IPv4Address(address)
                self.perform(self.machine.set_care_of_address(binding_id, wanted, now))
            case {"command": "deregister", "binding_id": int() | None as binding_id}:
                self.perform(self.machine.deregister(binding_id, now))
            case _:
                return super().command(request)
        return {}

    def endpoints(self) -> list[ControlSocket | DiscoverySocket | Probes]:
        """Adds the socket of the probes."""
        return [*super().endpoints(), *([self.kernel.probes] if self.kernel.probes is not None else [])]

    def timer(self, key: Hashable, now: Instant) -> list[Effect]:
        """Probing needs to know what the tunnels have carried."""
        if key == PROBES and self.kernel.probes is not None:
            return self.machine.probe(self.kernel.probes.carried(), now)
        return super().timer(key, now)

    def status(self, now: Instant) -> dict[str, Any]:
        """Adds whether every usable interface has its binding."""
        return {**super().status(now), "registered": self.machine.registered}

    async def run(self) -> None:
        """As the base class; the monitor is closed with the rest."""
        try:
            await super().run()
        finally:
            self._monitor.close()

    def _interfaces_changed(self) -> None:
        for name, state in self._monitor.changes().items():
            self._follow(name, state)
            self.perform(self.machine.interface_changed(name, state, self.now()))

    def _probes_answered(self) -> None:
        assert self.kernel.probes is not None
        for answer in self.kernel.probes.answers():
            self.perform(
                self.machine.probe_answered(
                    answer.payload, answer.source, answer.way, answer.interface, self.now()
                )
            )

    def _follow(self, name: str, state: InterfaceState) -> None:
        """Sockets and the care-of address's own route follow the interface."""
        if state.up and name not in self._by_interface:
            self._by_interface[name] = self.open_control(name)
            self.open_discovery(name)
        access = self._accesses.get(name)
        if access is not None:
            co_located = state.up and access.care_of == "co-located"
            own = [address.ip for address in state.addresses if address.ip != self._settings.home_address]
            self.kernel.own_addresses.set_access(name, own if co_located else [], access.gateway)
