# SPDX-License-Identifier: GPL-2.0-or-later
"""A figure as these experiments want it: care-of addresses that can be replaced while it runs."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from agents.effects import Encapsulation
from agents.settings import Weights
from experiments.disturbed.cases import HANDOVER
from experiments.disturbed.plan import DisturbedPlan
from experiments.disturbed.site import Site
from topologies.figures import load
from topologies.mobile_ip import Agent
from topologies.registered import AgentNetwork, AgentNetworkError


class Network:
    """A figure with its agents, for some runs."""

    def __init__(self, plan: DisturbedPlan, figure: int, raw: Path, working_folder: Path) -> None:
        """Build it and wait until every binding is registered.

        :param raw: where the agents' logs are kept in the end.
        :raises AgentNetworkError: if that does not happen.
        """
        working_folder.mkdir(exist_ok=True)
        self._raw = raw
        topology = load(figure)(
            plan.links, weights=Weights(plan.weights), encapsulation=Encapsulation(plan.encapsulation)
        )
        self._agents = AgentNetwork(topology, working_folder)
        self.site = Site(self._agents)
        try:
            self._let_addresses_change()
            if plan.experiment == HANDOVER and "fa" in self._agents.net:
                self._offer_another_care_of_address()
            self._agents.start()
        except AgentNetworkError:
            self.stop()
            raise

    def stop(self) -> None:
        """Take it down and keep the agents' logs."""
        self._agents.stop()
        for log in self._agents.net.working_folder.glob("*.log"):
            with (self._raw / log.name).open("ab") as sink:
                sink.write(log.read_bytes())
        shutil.rmtree(self._agents.net.working_folder)

    def _settings(self, node: str) -> dict[str, Any]:
        """What a node's agent will be told when it starts."""
        daemons = self.site.node(node).nconfig.daemons
        found: dict[str, Any] = next(d for d in daemons if isinstance(d, Agent)).options.settings
        return found

    def _let_addresses_change(self) -> None:
        """The mobile node takes any address its interface has."""
        for interface in self._settings("mn")["interface"]:
            if interface["care_of"] == "co-located":
                del interface["care_of_address"]

    def _offer_another_care_of_address(self) -> None:
        """The foreign agent has one care-of address more, and offers all it has on every link."""
        edge = self.site.topology.EDGE
        self.site.spare = IPv4Interface(f"{edge.foreign_agent.ip + 1}/{edge.foreign_agent.network.prefixlen}")
        self.site.node("fa").namespace.add_address(edge.node, self.site.spare)
        settings = self._settings("fa")
        settings["care_of_addresses"] = [*settings["care_of_addresses"], str(self.site.spare.ip)]
        offered = {entry["name"]: entry.pop("care_of_address") for entry in settings["interface"]}
        for interface in self._settings("mn")["interface"]:
            if interface["care_of"] == "foreign-agent":
                interface["care_of_address"] = offered[interface["name"]]
        self.site.offered = {name: IPv4Address(address) for name, address in offered.items()}
