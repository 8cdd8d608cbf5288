# SPDX-License-Identifier: GPL-2.0-or-later
"""The agents as IPMininet daemons, and the overlay that gives them addresses, keys and BIDs."""

from __future__ import annotations

import os
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

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from topologies.links import AccessLink

LIFETIME = 600
"""Seconds requested and granted (FACTS G37)."""
ACCESS_PREFIX_LENGTH = 27
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
        places = {"control_socket": str(self.socket), "state_file": self._file("state")}
        table = {**self.options.settings, **places}
        return {self.cfg_filename: tomli_w.dumps({self.TABLE: table})}

    def write(self, cfg: dict[str, str]) -> None:
        """Write the settings file; it holds keys, so nobody else may read it."""
        previous = os.umask(0o077)
        try:
            super().write(cfg)
        finally:
            os.umask(previous)

    def has_started(self, node_exec: object = None) -> bool:  # noqa: ARG002 - IPMininet's name
        """Whether the agent answers: it makes its control socket last."""
        return self.socket.exists()


class HomeAgentDaemon(Agent):
    """The home agent."""

    NAME = "mip-home-agent"
    TABLE = "home_agent"


class ForeignAgentDaemon(Agent):
    """The foreign agent."""

    NAME = "mip-foreign-agent"
    TABLE = "foreign_agent"


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
    address: IPv4Interface | None
    """Co-located care-of address; None: the foreign agent's is used."""
    gateway: IPv4Address | None


@dataclass(frozen=True, slots=True)
class ForeignAgentSite:
    """A foreign agent's place in a figure."""

    routers: Mapping[str, IPv4Address]
    """Its address on each access network, by the link's name."""
    care_of_addresses: Mapping[str, IPv4Address]
    """The care-of address it offers there."""


class MobileIPDomain(Overlay):  # type: ignore[misc]
    """Agents that trust each other, and all they must agree on: addresses, keys, BIDs."""

    def __init__(
        self,
        *,
        home_agent_address: IPv4Interface,
        home_address: IPv4Address,
        accesses: Sequence[Access],
        foreign_agent: ForeignAgentSite | None = None,
        policy: Policy = Policy.PER_FLOW,
        weights: Weights = Weights.EQUAL,
        encapsulation: Encapsulation = Encapsulation.IPIP,
        uplink: str = "internet",
        behind_nat: bool = False,
        mobile_node: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe the domain of the nodes ``ha``, ``mn`` and, with a site, ``fa``.

        :param uplink: the node at the other end of the foreign agent's link towards the home agent.
        :param mobile_node: settings of the mobile node that differ from its defaults.
        :param behind_nat: all but the home agent are; without a NAT, UDP tunnels are forced (RFC 3519 F).
        """
        self._encapsulation = encapsulation
        self._mobile_node = mobile_node or {}
        self._uplink = uplink
        self._udp = encapsulation is Encapsulation.UDP
        self._udp_forced = self._udp and not behind_nat
        self._selection = {"policy": policy.value, "weights": weights.value, "single_packets": True}
        self._association = [{"spi": _SPI, "key": _KEY}]
        self._home_agent = home_agent_address
        self._home_address = home_address
        daemons: dict[str, tuple[type[Agent], dict[str, Any]]] = {
            "ha": (HomeAgentDaemon, self._home_agent_settings()),
            "mn": (MobileNodeDaemon, self._mobile_node_settings(accesses)),
        }
        if foreign_agent is not None:
            daemons["fa"] = (ForeignAgentDaemon, self._foreign_agent_settings(foreign_agent))
        self._daemons = daemons
        super().__init__(nodes=list(daemons))

    def apply(self, topo: IPTopo) -> None:
        """Give each agent's node its daemon."""
        for node, (daemon, settings) in self._daemons.items():
            topo.addDaemon(node, daemon, default_cfg_class=NodeConfig, settings=settings)
        super().apply(topo)

    def _home_agent_settings(self) -> dict[str, Any]:
        node = {"home_address": str(self._home_address), "security_association": self._association}
        return {
            "address": str(self._home_agent.ip),
            "home_link": "home",
            "home_prefix_length": self._home_agent.network.prefixlen,
            "maximum_lifetime": LIFETIME,
            "path_selection": self._selection,
            "mobile_node": [node],
        }

    def _foreign_agent_settings(self, site: ForeignAgentSite) -> dict[str, Any]:
        return {
            "care_of_addresses": list(dict.fromkeys(str(a) for a in site.care_of_addresses.values())),
            "uplink": self._uplink,
            "behind_nat": self._udp,
            "udp_forced": self._udp_forced,
            "maximum_lifetime": LIFETIME,
            "path_selection": self._selection,
            "interface": [
                {
                    "name": name,
                    "address": str(address),
                    "prefix_length": ACCESS_PREFIX_LENGTH,
                    "care_of_address": str(site.care_of_addresses[name]),
                }
                for name, address in site.routers.items()
            ],
        }

    def _mobile_node_settings(self, accesses: Sequence[Access]) -> dict[str, Any]:
        return {
            "home_address": str(self._home_address),
            "home_agent": str(self._home_agent.ip),
            "home_prefix_length": self._home_agent.network.prefixlen,
            "lifetime": LIFETIME,
            "security_association": self._association,
            "path_selection": self._selection,
            "home_link": "home",
            "interface": [self._access_settings(access) for access in accesses],
            **self._mobile_node,
        }

    def _access_settings(self, access: Access) -> dict[str, Any]:
        care_of: dict[str, Any] = {"care_of": "foreign-agent"}
        if access.address is not None:
            care_of = {
                "care_of": "co-located",
                "care_of_address": str(access.address.ip),
                "gateway": str(access.gateway),
            }
        return {
            "name": access.link.name,
            "binding_id": access.binding_id,
            **care_of,
            "encapsulation": self._encapsulation.value,
            "udp_forced": self._udp_forced,
            "access_technology": access.link.access_technology,
            "downlink_kbit": round(access.link.down * 1000),
            "uplink_kbit": round(access.link.up * 1000),
        }
