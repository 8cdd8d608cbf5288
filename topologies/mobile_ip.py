# SPDX-License-Identifier: GPL-2.0-or-later
"""The agents as IPMininet daemons, and the overlay that gives them addresses, keys and BIDs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import tomli_w
from ipmininet.iptopo import IPTopo
from ipmininet.overlay import Overlay
from ipmininet.router.config.base import Daemon, NodeConfig

from agents.settings import Policy, Weights
from topologies.links import AccessLink

LIFETIME = 600
"""Seconds requested and granted (FACTS G37)."""
_KEY = "000102030405060708090a0b0c0d0e0f"
_SPI = 256


class Agent(Daemon):  # type: ignore[misc]
    """An agent program; its settings file is written from the ``settings`` option."""

    TABLE: str
    """The table of the settings file."""

    def set_defaults(self, defaults: Any) -> None:
        """No defaults: an agent without settings is an error of the topology."""

    @property
    def socket(self) -> Path:
        """Where this agent's control socket is."""
        return Path(self._file("sock"))

    @property
    def startup_line(self) -> str:
        """The command that starts the agent."""
        return f"{self.NAME} --config {shlex.quote(self.cfg_filename)}"

    @property
    def dry_run(self) -> str:
        """The command that checks the settings file."""
        return f"{self.startup_line} --check"

    def render(self, _cfg: object, **_kwargs: object) -> dict[str, str]:
        """The settings file."""
        self.files.append(self.cfg_filename)
        table = dict(self.options.settings, control_socket=str(self.socket))
        return {self.cfg_filename: tomli_w.dumps({self.TABLE: table})}

    def has_started(self, node_exec: object = None) -> bool:  # noqa: ARG002 - IPMininet's name
        """Whether the agent answers: it makes its control socket last."""
        return self.socket.exists()


class HomeAgentDaemon(Agent):
    """The home agent."""

    NAME = "mip-home-agent"
    TABLE = "home_agent"


class MobileNodeDaemon(Agent):
    """The mobile node. Starts after the agents it registers with."""

    NAME = "mip-mobile-node"
    TABLE = "mobile_node"
    PRIO = 20


@dataclass(frozen=True, slots=True)
class Access:
    """One interface of the mobile node as the domain configures it."""

    link: AccessLink
    binding_id: int
    address: IPv4Interface
    gateway: IPv4Address


class MobileIPDomain(Overlay):  # type: ignore[misc]
    """A home agent and a mobile node that trust each other, and all they must agree on."""

    def __init__(
        self,
        *,
        home_agent: str,
        mobile_node: str,
        home_agent_address: IPv4Interface,
        home_address: IPv4Address,
        accesses: Sequence[Access],
        policy: Policy = Policy.PER_FLOW,
        weights: Weights = Weights.EQUAL,
    ) -> None:
        """Describe the domain; ``addMobileIPDomain`` of a topology applies it."""
        super().__init__(nodes=[home_agent, mobile_node])
        self._home_agent = home_agent
        self._mobile_node = mobile_node
        association = [{"spi": _SPI, "key": _KEY}]
        selection = {"policy": policy.value, "weights": weights.value}
        self._settings: Mapping[str, dict[str, Any]] = {
            home_agent: {
                "address": str(home_agent_address.ip),
                "home_link": "home",
                "home_prefix_length": home_agent_address.network.prefixlen,
                "maximum_lifetime": LIFETIME,
                "path_selection": selection,
                "mobile_node": [{"home_address": str(home_address), "security_association": association}],
            },
            mobile_node: {
                "home_address": str(home_address),
                "home_agent": str(home_agent_address.ip),
                "home_prefix_length": home_agent_address.network.prefixlen,
                "lifetime": LIFETIME,
                "security_association": association,
                "path_selection": selection,
                "home_link": "home",
                "interface": [
                    {
                        "name": access.link.name,
                        "binding_id": access.binding_id,
                        "care_of_address": str(access.address.ip),
                        "gateway": str(access.gateway),
                        "access_technology": access.link.access_technology,
                        "downlink_kbit": round(access.link.down * 1000),
                        "uplink_kbit": round(access.link.up * 1000),
                    }
                    for access in accesses
                ],
            },
        }

    def apply(self, topo: IPTopo) -> None:
        """Give both nodes their daemon."""
        topo.addDaemon(
            self._home_agent,
            HomeAgentDaemon,
            default_cfg_class=NodeConfig,
            settings=self._settings[self._home_agent],
        )
        topo.addDaemon(
            self._mobile_node,
            MobileNodeDaemon,
            default_cfg_class=NodeConfig,
            settings=self._settings[self._mobile_node],
        )
        super().apply(topo)
