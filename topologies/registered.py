# SPDX-License-Identifier: GPL-2.0-or-later
"""A figure's network with its agents, brought up until every binding is registered.

Inside the lab kernel only: what uses a network (a batch of measurements, a command) starts here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from agents.daemon.control import ControlError, ask
from topologies.figure import CORRESPONDENT, HOME_ADDRESS, HOME_AGENT, Figure
from topologies.mobile_ip import Agent
from topologies.network import LabNet, LabNode, NetworkError

REGISTRATION_LIMIT = 30.0
"""Seconds of network time until every binding must be registered."""
_POLL = 0.05
_LOG_TAIL = 2000


class AgentNetworkError(RuntimeError):
    """The network did not come up or an agent does not answer; says which node and why."""


def addresses(net: LabNet) -> dict[str, str]:
    """The address each node is reached by; empty for one without, as an access network's."""
    known = {"mn": HOME_ADDRESS, "ha": HOME_AGENT.ip, "cn": CORRESPONDENT.ip}
    return {node.name: str(known.get(node.name) or _first_address(node)) for node in net.routers}


def _first_address(node: LabNode) -> str:
    found = (str(interface.ip) for interface in node.intfList() if interface.ip)
    return next((address for address in found if not address.startswith("127.")), "")


class AgentNetwork:
    """A network of nodes, with agents that answer."""

    def __init__(self, topology: Figure, working_folder: Path, net: LabNet | None = None) -> None:
        """Build nodes and links; :meth:`start` starts the agents.

        :param working_folder: where agents keep settings, logs and control sockets.
        :param net: the topology's network, if it is built already.
        """
        self.topology = topology
        self.net = net or LabNet(topology, working_folder=working_folder)
        self.sockets: dict[str, Path] = {}

    def start(self) -> None:
        """Start the agents and wait until every binding is registered.

        :raises AgentNetworkError: saying which node and binding, with the last reply code.
        """
        try:
            self.net.start()
        except NetworkError as error:
            raise AgentNetworkError(str(error)) from None
        self.await_bindings()

    def await_bindings(self) -> None:
        """Wait until every binding is registered; the agents run.

        :raises AgentNetworkError: saying which node and binding, with the last reply code.
        """
        self.sockets = {
            node.name: daemon.socket
            for node in self.net.routers
            for daemon in node.nconfig.daemons
            if isinstance(daemon, Agent)
        }
        deadline = time.monotonic() + REGISTRATION_LIMIT
        while not (status := self.ask("mn", "status"))["registered"]:
            if time.monotonic() > deadline:
                raise AgentNetworkError(self._unregistered(status))
            time.sleep(_POLL)

    def stop(self) -> None:
        """Take everything down; the agents' logs stay in the working folder."""
        self.net.stop()

    def ask(self, node: str, command: str, **arguments: Any) -> Any:
        """What a node's agent answers.

        :raises AgentNetworkError: if it does not answer or refuses; with the end of its log.
        """
        try:
            return ask(self.sockets[node], command, **arguments)
        except ControlError as error:
            raise AgentNetworkError(f"{node}: {error}; {self._log_end(node)}") from None

    def _unregistered(self, status: dict[str, Any]) -> str:
        lines = [
            f"mn: binding {row['binding_id']} ({row['interface']}) is {row['state']} after "
            f"{REGISTRATION_LIMIT:.0f} s; last reply: {row['last_code_text'] or 'none'}"
            for row in status["bindings"]
            if row["state"] != "registered"
        ]
        return "\n".join([*lines, self._log_end("mn")])

    def _log_end(self, node: str) -> str:
        log = self.net.working_folder / f"{node}.log"
        return f"{node}'s log ends:\n{log.read_text(errors='replace')[-_LOG_TAIL:]}"
