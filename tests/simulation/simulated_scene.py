# SPDX-License-Identifier: GPL-2.0-or-later
"""The draft's Figure 1 without its foreign agent: four co-located interfaces and one home agent."""

from __future__ import annotations

import random
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from agents.effects import InterfaceState
from agents.home_agent import HomeAgent
from agents.home_agent_state import HomeAgentState
from agents.mobile_node import MobileNode
from agents.settings import HomeAgentSettings, MobileNodeSettings
from tests.simulation.simulated_network import Link, Network, Node

HOME_ADDRESS = IPv4Address("10.0.0.5")
HOME_AGENT = IPv4Address("10.0.0.1")
NAMES = ("wifi", "evdo", "wimax", "lte")
ASSOCIATION = {"spi": 256, "key": bytes(range(16)).hex()}
DOWN = InterfaceState(up=False)


def address(name: str, host: int = 10) -> IPv4Interface:
    """The mobile node's address on an access link."""
    return IPv4Interface(f"192.0.{NAMES.index(name) + 2}.{host}/24")


def up(name: str, host: int = 10) -> InterfaceState:
    """An interface with an address."""
    return InterfaceState(True, (address(name, host),), f"02:00:00:00:00:{NAMES.index(name):02x}")


class Scene:
    """A mobile node with all links up, its home agent, and the rules both must keep."""

    def __init__(
        self,
        seed: int = 0,
        links: Mapping[str, Link] | None = None,
        mobile_node: Mapping[str, Any] | None = None,
        home_agent: Mapping[str, Any] | None = None,
        names: tuple[str, ...] = NAMES,
        network: Network | None = None,
    ) -> None:
        self.names = names
        self.network = network or Network(seed)
        self.clock = self.network.clock
        self.network.links = {name: Link() for name in (*names, "home")} | dict(links or {})
        self.network.home_agent_address = HOME_AGENT
        self.settings = MobileNodeSettings.model_validate(
            {
                "home_address": HOME_ADDRESS,
                "home_agent": HOME_AGENT,
                "security_association": [ASSOCIATION],
                # Ten probes a second for hours: only the simulation of failures has them.
                "liveness": {"enabled": False},
                "home_link": "home",
                "interface": [
                    {"name": name, "binding_id": number, "access_technology": 4, "priority": 10 * number}
                    for number, name in enumerate(names, 1)
                ],
            }
            | dict(mobile_node or {})
        )
        self.home_settings = HomeAgentSettings.model_validate(
            {
                "address": HOME_AGENT,
                "home_link": "home0",
                "mobile_node": [{"home_address": HOME_ADDRESS, "security_association": [ASSOCIATION]}],
            }
            | dict(home_agent or {})
        )
        self.states = {name: up(name) for name in names} | {"home": DOWN}
        self.start_mobile_node(seed)
        self.start_home_agent(seed)

    def start_mobile_node(self, seed: int) -> None:
        """A mobile node that remembers nothing."""
        self.machine = MobileNode(self.settings, random.Random(seed))
        skew = self.network.mobile_node.skew if hasattr(self.network, "mobile_node") else 0.0
        self.node = self.network.mobile_node = Node("mn", self.machine, self.network, skew)
        self._locate()

    def start_home_agent(self, seed: int, skew: float = 0.0, kept: HomeAgentState | None = None) -> None:
        """A home agent that remembers only what is kept; a former one falls silent."""
        if hasattr(self.network, "home_agent"):
            self.network.home_agent.timers.clear()
        self.agent = HomeAgent(self.home_settings, random.Random(seed + 1))
        self.home = self.network.home_agent = Node("ha", self.agent, self.network, skew)
        if kept is not None:
            self.home.perform(self.agent.restore(kept, self.home.now))
        self.home.perform(self.agent.start(self.home.now))

    def start(self) -> None:
        """Start the mobile node."""
        self.node.perform(self.machine.start(self.states, self.node.now))

    def set(self, name: str, state: InterfaceState) -> None:
        """Change an interface."""
        self.states[name] = state
        self._locate()
        self.node.perform(self.machine.interface_changed(name, state, self.node.now))

    def _locate(self) -> None:
        self.network.addresses = {
            a.ip: name for name, state in self.states.items() if state.up for a in state.addresses
        }
        self.network.home_link = "home" if self.states["home"].up else None
        if self.network.home_link:
            self.network.addresses[HOME_ADDRESS] = "home"

    def run(self, seconds: float) -> int:
        """Let time pass; the number of events."""
        return self.clock.run(self.clock.now + seconds)

    def rows(self) -> list[dict[str, Any]]:
        """The mobile node's interfaces as its status has them."""
        rows = self.machine.status(self.node.now)["bindings"]
        assert isinstance(rows, list)
        return rows

    def at_mobile_node(self) -> dict[int | None, str]:
        """What the mobile node believes: care-of address by BID."""
        return {
            row["binding_id"] if row["multiple_tunnels"] else None: row["care_of_address"]
            for row in self.rows()
            if row["tunnel"] is not None
        }

    def at_home_agent(self) -> dict[int | None, str]:
        """What the home agent has."""
        rows = self.agent.status(self.home.now)["bindings"]
        return {row["binding_id"]: row["care_of_address"] for row in rows}
