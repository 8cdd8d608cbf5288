# SPDX-License-Identifier: GPL-2.0-or-later
"""A running network as disturbances see it: what they may do to it, and what must hold again."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from agents.daemon.control import ControlError, ask
from agents.effects import MOBILE_IP_PORT
from topologies.figure import HOME_ADDRESS, HOME_AGENT, Figure
from topologies.links import AccessLink, shaper
from topologies.mobile_ip import Access, Agent
from topologies.network import LabNode
from topologies.registered import AgentNetwork

_ANSWER_LIMIT = 20.0
_POLL = 0.02


class BrokenError(RuntimeError):
    """Something that must hold does not; says what."""


class Site:
    """The network of one run."""

    def __init__(self, agents: AgentNetwork) -> None:
        self.agents = agents
        self.topology: Figure = agents.topology
        self.affected: set[int] = set()
        """Binding identifiers whose tunnels the disturbance may make fail."""
        self._loads: dict[str, int] = {}
        self._kept: list[tuple[int, str]] = []
        self._noted: dict[int, IPv4Address] = {}
        self.spare: IPv4Interface | None = None
        """One care-of address more than the foreign agent needs, if it has one."""
        self.offered: dict[str, IPv4Address] = {}
        """By link, the foreign agent's care-of address that the figure has there."""

    def node(self, name: str) -> LabNode:
        """A node of the network."""
        found: LabNode = self.agents.net[name]
        return found

    # ----- links -----

    def begin(self, loads: dict[str, int]) -> None:
        """A new run, in which the links have carried so many octets so far."""
        self._loads = loads
        self.affected = set()

    def busiest(self, rank: int = 0, *, among: Callable[[Access], bool] = lambda _: True) -> Access:
        """The access whose link has carried most; with ``rank`` 1 the one after it."""
        accesses = [access for access in self.topology.accesses if among(access)]
        return sorted(accesses, key=lambda access: -self._loads[access.link.name])[rank]

    def lose(self, access: Access, directions: Sequence[str] = ("down", "up"), percent: float = 100) -> None:
        """Lose packets on a link, silently; 0 per cent: as the link was declared."""
        if percent:
            self.affected.add(access.binding_id)
        links = self.topology.links_of_figure
        for direction in directions:
            wanted = shaper(access.link, direction, links)
            if percent:
                wanted = replace(wanted, loss=percent)
            port = self.port(access.link, direction)
            self.node(access.link.name).namespace.shape(port, wanted, again=True)

    def port(self, link: AccessLink, direction: str) -> str:
        """The interface of a link's node that shapes a direction."""
        return "mn" if direction == "down" else self.topology.uplink(link)

    def set_carrier(self, access: Access, up: bool) -> None:
        """Take the carrier of the mobile node's interface away, or give it back."""
        if not up:
            self.affected.add(access.binding_id)
        self.node(access.link.name).namespace.set_up("mn", up)

    def queued(self, link: AccessLink) -> dict[str, int]:
        """Packets that a link's shapers hold by direction, those merely in flight included."""
        queues = self.node(link.name).namespace.queues()
        return {
            direction: queues[self.port(link, direction)]["queued_packets"] for direction in ("down", "up")
        }

    def add_address(self, access: Access, address: IPv4Interface) -> None:
        """Give the mobile node's interface one more address."""
        self.affected.add(access.binding_id)
        namespace = self.node("mn").namespace
        # Otherwise the first address of a network takes the others along when it goes.
        namespace.sysctl(f"net.ipv4.conf.{access.link.name}.promote_secondaries", 1)
        namespace.add_address(access.link.name, address)

    def remove_address(self, access: Access, address: IPv4Address) -> None:
        """Take an address from the mobile node's interface."""
        assert access.address is not None
        self.affected.add(access.binding_id)
        whole = IPv4Interface(f"{address}/{access.address.network.prefixlen}")
        self.node("mn").namespace.remove_address(access.link.name, whole)

    def care_of_address(self, access: Access) -> IPv4Address:
        """The care-of address an access is registered with."""
        rows = self.agents.ask("mn", "status")["bindings"]
        (row,) = [row for row in rows if row["binding_id"] == access.binding_id]
        return IPv4Address(row["care_of_address"])

    def note_care_of_address(self, access: Access) -> IPv4Address:
        """The same, remembered for :meth:`noted_care_of_address`."""
        found = self._noted[access.binding_id] = self.care_of_address(access)
        return found

    def noted_care_of_address(self, access: Access) -> IPv4Address:
        """The care-of address before it was replaced."""
        return self._noted[access.binding_id]

    def order_care_of_address(self, access: Access, address: IPv4Address | None) -> None:
        """Have another care-of address registered; None: any there is."""
        text = None if address is None else str(address)
        self.agents.ask("mn", "set-care-of-address", binding_id=access.binding_id, address=text)

    def forget_mapping(self, access: Access) -> None:
        """Let the NAT forget what it knows of an access's co-located care-of address."""
        self.affected.add(access.binding_id)
        source = self.care_of_address(access)
        self.node("nat").namespace.forget_udp_flow(source, HOME_AGENT.ip, MOBILE_IP_PORT)

    def probe_time_out(self, access: Access) -> float | None:
        """Seconds after which a liveness probe of an access's tunnel counts as missed; None: not probed."""
        rows = self.agents.ask("mn", "status")["bindings"]
        (row,) = [row for row in rows if row["binding_id"] == access.binding_id]
        milliseconds = row.get("liveness", {}).get("time_out_ms")
        return None if milliseconds is None else float(milliseconds) / 1000

    # ----- agents -----

    def _daemon(self, node: str) -> Any:
        return next(d for d in self.node(node).nconfig.daemons if isinstance(d, Agent))

    def kill(self, node: str) -> None:
        """SIGKILL to a node's agent: what it made in the kernel stays."""
        daemon = self._daemon(node)
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
        daemon.socket.unlink()

    def launch(self, node: str) -> None:
        """Start a node's agent again and wait until it answers.

        :raises NetworkError: if it does not start.
        """
        daemon = self._daemon(node)
        self.node(node).launch(daemon)
        deadline = time.monotonic() + _ANSWER_LIMIT
        while True:
            with suppress(ControlError):
                ask(daemon.socket, "status")
                return
            if time.monotonic() > deadline:
                raise BrokenError(f"{node}: the agent does not answer {_ANSWER_LIMIT:.0f} s after its start")
            time.sleep(_POLL)

    # ----- what must hold -----

    def home_agent_bindings(self) -> list[tuple[int, str]]:
        """(binding identifier, care-of address) of every binding at the home agent, in order."""
        rows = self.agents.ask("ha", "status")["bindings"]
        return sorted(
            (row["binding_id"] or 0, row["care_of_address"])
            for row in rows
            if row["home_address"] == str(HOME_ADDRESS)
        )

    def note_bindings(self) -> None:
        """Remember the home agent's bindings for :meth:`check_bindings_kept`."""
        self._kept = self.home_agent_bindings()

    def check_bindings_kept(self) -> None:
        """The home agent has every binding it had.

        :raises BrokenError: naming those that are gone.
        """
        gone = [binding for binding in self._kept if binding not in self.home_agent_bindings()]
        if gone:
            raise BrokenError(f"the home agent lost {', '.join(f'binding {n} ({a})' for n, a in gone)}")

    def missing(self) -> str | None:
        """What is not back yet, None if every tunnel is up at both ends and every visitor known."""
        wanted = sorted(access.binding_id for access in self.topology.accesses)
        try:
            mobile_node = self.agents.ask("mn", "status")
            states = {row["binding_id"]: row["state"] for row in mobile_node["bindings"]}
            late = {number: state for number, state in states.items() if state != "registered"}
            if late:
                return ", ".join(f"binding {number} is {state}" for number, state in late.items())
            if mobile_node["deregistrations_pending"]:
                return "a deregistration is not answered"
            own = sorted((row["binding_id"], row["care_of_address"]) for row in mobile_node["bindings"])
            if self.home_agent_bindings() != own:
                return f"the home agent has {self.home_agent_bindings()}"
            if "fa" in self.agents.sockets:
                visitors = {row["binding_id"] for row in self.agents.ask("fa", "status")["visitors"]}
                behind = {a.binding_id for a in self.topology.accesses if a.address is None}
                if not behind <= visitors:
                    return f"the foreign agent knows only {sorted(visitors)}"
        except ControlError as error:
            return str(error)
        return None if sorted(states) == wanted else f"the mobile node has {sorted(states)}"

    def events(self, node: str, since: float) -> list[dict[str, Any]]:
        """What a node's agent has reported since a moment (seconds of the epoch)."""
        rows: list[dict[str, Any]] = self.agents.ask(node, "events")["events"]
        return [row for row in rows if row["time"] >= since]


def co_located(access: Access) -> bool:
    """Whether an access has an address of its own."""
    return access.address is not None


def other_address(access: Access, address: IPv4Address) -> IPv4Interface:
    """Another free address of the network of a co-located access; the same function leads back."""
    assert access.address is not None
    network = access.address.network
    other = next(host for host in itertools.islice(network.hosts(), 1, 3) if host != address)
    return IPv4Interface(f"{other}/{network.prefixlen}")
