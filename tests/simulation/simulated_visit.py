# SPDX-License-Identifier: GPL-2.0-or-later
"""A mobile node at a foreign agent on some of its links, as in the draft's Figures 3 to 5."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from agents.effects import AccessLink, SendDatagram, SendIcmp
from agents.foreign_agent import ForeignAgent
from agents.settings import ForeignAgentSettings
from tests.simulation.simulated_network import Link, Network, Node
from tests.simulation.simulated_scene import HOME_ADDRESS, Scene, address

VISITED = ("wifi", "lte")
UPLINK = "uplink"
CARE_OF_ADDRESSES = (IPv4Address("203.0.113.1"), IPv4Address("203.0.113.2"))


_FIRST_NAT_PORT = 40_000


def agent_address(name: str) -> IPv4Address:
    """The foreign agent's address on a link."""
    return address(name, 1).ip


def link_address(name: str) -> str:
    """The mobile node's on a link."""
    return f"mn-{name}"


class VisitedNetwork(Network):
    """Some access links end at a foreign agent, which a link of its own joins to the home agent."""

    foreign_agent: Node
    nat: IPv4Address | None = None
    """Public address of a NAT between foreign agent and home agent."""

    def up(self, name: str) -> bool:
        """Whether the mobile node's end of a link is up."""
        return name in self.addresses.values()

    def carry(self, sender: Node, packet: SendDatagram) -> None:
        """A datagram on its way, through the foreign agent where that is on it."""
        if sender is self.mobile_node and packet.destination != self.home_agent_address:
            name = packet.interface
            assert name is not None
            assert packet.destination == agent_address(name)
            self._travel(name, self.foreign_agent, name, packet, sender, link_address(name))
        elif sender.name == "fa" and (name := packet.interface) is not None:
            assert packet.link_destination == link_address(name)
            assert packet.source == agent_address(name)
            if self.up(name):
                self._travel(name, self.mobile_node, name, packet, sender)
        elif sender.name == "fa":
            if packet.destination != self.home_agent_address:
                return  # there is no other home agent
            if self.nat is not None:
                port = _FIRST_NAT_PORT + CARE_OF_ADDRESSES.index(packet.source)
                packet = replace(packet, source=self.nat, source_port=port)
            self._travel(UPLINK, self.home_agent, "eth0", packet, sender)
        elif packet.destination in (*CARE_OF_ADDRESSES, self.nat):
            if self.nat is not None:
                inside = CARE_OF_ADDRESSES[packet.destination_port - _FIRST_NAT_PORT]
                packet = replace(packet, destination=inside, destination_port=434)
            self._travel(UPLINK, self.foreign_agent, UPLINK, packet, sender)
        else:
            super().carry(sender, packet)

    def carry_icmp(self, sender: Node, packet: SendIcmp) -> None:
        """Router discovery between the mobile node and the foreign agent."""
        name = packet.interface
        if name not in VISITED or not self.up(name):
            return
        receiver = self.foreign_agent if sender is self.mobile_node else self.mobile_node
        source = link_address(name) if sender is self.mobile_node else "fa"
        for delay in self.links[name].arrivals(self.random):
            self.clock.at(
                self.clock.now + delay,
                lambda: receiver.perform(
                    receiver.machine.receive_icmp(packet.payload, packet.source, name, source, receiver.now)
                ),
            )


class Visit(Scene):
    """A scene with a foreign agent on ``VISITED``; other links lead to the home agent directly.

    ``each``: the foreign agent has a care-of address for each link (Figure 5), else one for all.
    """

    visited: Node
    visitor_agent: ForeignAgent

    def __init__(
        self,
        seed: int = 0,
        links: Mapping[str, Link] | None = None,
        names: tuple[str, ...] = VISITED,
        each: bool = False,
        mobile_node: Mapping[str, Any] | None = None,
        foreign_agent: Mapping[str, Any] | None = None,
        home_agent: Mapping[str, Any] | None = None,
    ) -> None:
        self.visit_network = VisitedNetwork(seed)
        interfaces = [
            {
                "name": name,
                "binding_id": number,
                "care_of": "foreign-agent" if name in VISITED else "co-located",
                "priority": number,
            }
            for number, name in enumerate(names, 1)
        ]
        self.visitor_settings = ForeignAgentSettings.model_validate(
            {
                "interface": [
                    {
                        "name": name,
                        "address": agent_address(name),
                        "care_of_address": CARE_OF_ADDRESSES[position if each else 0],
                    }
                    for position, name in enumerate(VISITED)
                ],
                "care_of_addresses": CARE_OF_ADDRESSES,
                "uplink": UPLINK,
            }
            | dict(foreign_agent or {})
        )
        super().__init__(
            seed,
            {UPLINK: Link()} | dict(links or {}),
            {"interface": interfaces} | dict(mobile_node or {}),
            home_agent,
            names=names,
            network=self.visit_network,
        )
        self.start_foreign_agent(seed)

    def start_foreign_agent(self, seed: int = 0) -> None:
        """A foreign agent that remembers nothing; a former one falls silent without a word."""
        if hasattr(self, "visitor_agent"):
            self.visitor_agent.stop(self.visited.now)
            self.visited.timers.clear()
        self.visitor_agent = ForeignAgent(self.visitor_settings, random.Random(seed + 2))
        self.visited = self.visit_network.foreign_agent = Node("fa", self.visitor_agent, self.network)
        self.visited.perform(self.visitor_agent.start(self.visited.now))

    def at_foreign_agent(self) -> dict[int | None, str]:
        """Interface by Binding-Id of the visitor list."""
        rows = self.visitor_agent.status(self.visited.now)["visitors"]
        return {row["binding_id"]: row["interface"] for row in rows}

    def through_foreign_agent(self) -> dict[int | None, str]:
        """The same, as the mobile node believes."""
        return {
            row["binding_id"] if row["multiple_tunnels"] else None: row["interface"]
            for row in self.rows()
            if row["tunnel"] is not None and row["foreign_agent"] is not None
        }

    def delivered_by(self) -> set[str]:
        """Interfaces by which the foreign agent sends the mobile node's packets."""
        paths = self.visited.paths.get(HOME_ADDRESS, ())
        return {path.tunnel.interface for path in paths if isinstance(path.tunnel, AccessLink)}

    def agree(self) -> bool:
        """All three have every binding that there can be, and have the same."""
        return (
            self.machine.registered
            and len(self.at_mobile_node()) == len(self.names)
            and self.at_mobile_node() == self.at_home_agent()
            and self.through_foreign_agent() == self.at_foreign_agent()
            and self.delivered_by() == set(self.at_foreign_agent().values())
        )
