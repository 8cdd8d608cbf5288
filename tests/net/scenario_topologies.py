# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures as the scenarios want them: with a second foreign agent and a second mobile node."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from ipmininet.iptopo import IPTopo
from ipmininet.router.config.base import NodeConfig

from tests.net.scenario_stage import Scene
from topologies.figure import HOME_AGENT, Figure
from topologies.figure4 import Figure4
from topologies.links import DEFAULT_LINKS
from topologies.mobile_ip import ACCESS_PREFIX_LENGTH, LIFETIME, ForeignAgentDaemon, MobileNodeDaemon

SECOND_HOME_ADDRESS = IPv4Address("198.51.100.11")
SECOND_KEY = "0f0e0d0c0b0a09080706050403020100"
SECOND_FOREIGN_AGENT = IPv4Interface("203.0.113.50/28")
SECOND_ON_WIFI = IPv4Interface("192.0.2.30/27")
_INTERNET_TO_SECOND = IPv4Interface("203.0.113.49/28")
_SECOND_LINKS = ("wifi", "lte")


class _Seconds(IPTopo):  # type: ignore[misc]
    """``fa2`` and ``mn2``, cabled but not plugged in: :func:`plug` joins them to an access network."""

    def build(self, *args: object, **kwargs: object) -> None:
        """After the figure's own nodes, before the overlays."""
        assert isinstance(self, Figure)
        self.addRouter(
            "fa2",
            sysctls={"net.ipv4.ip_forward": 1},
            routes=[("default", str(_INTERNET_TO_SECOND.ip))],
        )
        self.connect("internet", _INTERNET_TO_SECOND, "fa2", SECOND_FOREIGN_AGENT)
        self.connect("fa2", SECOND_ON_WIFI, "wifi", None)
        self.addRouter("mn2")
        for name in _SECOND_LINKS:
            self.connect(name, None, "mn2", None)
        self.addDaemon("fa2", ForeignAgentDaemon, default_cfg_class=NodeConfig, settings=_FOREIGN_AGENT)
        self.addDaemon("mn2", MobileNodeDaemon, default_cfg_class=NodeConfig, settings=_MOBILE_NODE)
        super().build(*args, **kwargs)


class WithSeconds(Figure4, _Seconds):
    """Figure 4 with a second foreign agent for WiFi and a second mobile node for WiFi and LTE."""


_FOREIGN_AGENT: dict[str, Any] = {
    "care_of_addresses": [str(SECOND_FOREIGN_AGENT.ip)],
    "uplink": "internet",
    "maximum_lifetime": LIFETIME,
    "interface": [{"name": "wifi", "address": str(SECOND_ON_WIFI.ip), "prefix_length": ACCESS_PREFIX_LENGTH}],
}
_MOBILE_NODE: dict[str, Any] = {
    "home_address": str(SECOND_HOME_ADDRESS),
    "home_agent": str(HOME_AGENT.ip),
    "home_prefix_length": HOME_AGENT.network.prefixlen,
    "lifetime": LIFETIME,
    "security_association": [{"spi": 257, "key": SECOND_KEY}],
    "interface": [
        {
            "name": link.name,
            "binding_id": number,
            "care_of": "foreign-agent",
            "access_technology": link.access_technology,
            "downlink_kbit": round(link.down * 1000),
        }
        for number, link in enumerate(DEFAULT_LINKS, 1)
        if link.name in _SECOND_LINKS
    ],
}


def expect_second_mobile_node(scene: Scene) -> None:
    """Before the start: the home agent knows ``mn2``."""
    entry = {
        "home_address": str(SECOND_HOME_ADDRESS),
        "security_association": [{"spi": 257, "key": SECOND_KEY}],
    }
    scene.settings("ha")["mobile_node"].append(entry)


def plug(scene: Scene, node: str, link: str, plugged: bool = True) -> None:
    """Join a node to an access network, or part it from it."""
    namespace = scene.node(link).namespace
    bridge = namespace.index("bridge") if plugged else 0
    namespace.netlink.link("set", index=namespace.index(node), master=bridge)
