# SPDX-License-Identifier: GPL-2.0-or-later
"""What the draft's figures have in common; each ``figureN`` module adds what is its own.

::

                 cn                      ha
                 |                       |
                 |          +--- home ---+ home link
                 |          |            |
               internet ----+            : (mn, when it returns home)
               :  :  :  :
               access networks (layer 2, shaped both ways), some behind a foreign agent
               :  :  :  :
                   mn

Addresses are those of RFC 5737: 198.51.100.0/24 is the home network, 192.0.2.0/24 holds a /27
for each access network, 203.0.113.0/24 the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, ClassVar

from ipmininet.iptopo import IPTopo

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from topologies.links import DEFAULT_LINKS, AccessLink, shaper
from topologies.mobile_ip import Access, ForeignAgentSite, MobileIPDomain
from topologies.network import Bridge

HOME_AGENT = IPv4Interface("198.51.100.1/24")
HOME_ADDRESS = IPv4Address("198.51.100.10")
HOME_ROUTER = IPv4Interface("198.51.100.254/24")
CORRESPONDENT = IPv4Interface("203.0.113.2/28")
FOREIGN_AGENT = IPv4Interface("203.0.113.34/28")
"""The foreign agent towards the internet, unless it is behind a NAT."""
_INTERNET_TO_CORRESPONDENT = IPv4Interface("203.0.113.1/28")
_INTERNET_TO_HOME = IPv4Interface("203.0.113.17/28")
_HOME_TO_INTERNET = IPv4Interface("203.0.113.18/28")
_ACCESS_PREFIX_LENGTH = 27
TO_HOME = (str(HOME_AGENT.network), str(_HOME_TO_INTERNET.ip))
"""The internet's route to the home network."""
FORWARD = {"net.ipv4.ip_forward": 1}
"""What makes a node a router."""


@dataclass(frozen=True, slots=True)
class _Network:
    """One access network's addresses."""

    link: AccessLink
    router: IPv4Interface
    mobile_node: IPv4Interface


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the access networks and the foreign agent are attached."""

    node: str
    access_networks: IPv4Network
    """Holds a /27 for each."""
    foreign_agent: IPv4Interface
    """The foreign agent's address towards the node."""
    towards_foreign_agent: IPv4Interface


INTERNET = Edge("internet", IPv4Network("192.0.2.0/24"), FOREIGN_AGENT, IPv4Interface("203.0.113.33/28"))


class Figure(IPTopo):  # type: ignore[misc]
    """A figure of the draft as an IPMininet topology."""

    BEHIND_FOREIGN_AGENT: ClassVar[frozenset[str] | None] = frozenset()
    """Names of the links that lead to the foreign agent; None: all of them."""
    CARE_OF_ADDRESS_PER_INTERFACE: ClassVar[bool] = False
    """Whether the foreign agent offers an address per access network instead of one for all."""
    EDGE: ClassVar[Edge] = INTERNET
    ENCAPSULATION: ClassVar[Encapsulation | None] = None
    """The only one that works there; None: any."""

    def __init__(
        self,
        links: Sequence[AccessLink] = DEFAULT_LINKS,
        *,
        policy: Policy = Policy.PER_FLOW,
        weights: Weights = Weights.EQUAL,
        encapsulation: Encapsulation = Encapsulation.IPIP,
        mobile_node: Mapping[str, Any] | None = None,
        **params: object,
    ) -> None:
        """Describe the figure.

        :param mobile_node: settings of the mobile node that differ from its defaults.
        """
        self.links_of_figure = tuple(links)
        self._networks = tuple(
            _Network(
                link,
                IPv4Interface(f"{network[1]}/{network.prefixlen}"),
                IPv4Interface(f"{network[2]}/{network.prefixlen}"),
            )
            for link, network in zip(
                links, self.EDGE.access_networks.subnets(new_prefix=_ACCESS_PREFIX_LENGTH), strict=False
            )
        )
        self.accesses = tuple(
            Access(
                link=network.link,
                binding_id=number,
                address=None if self.behind_foreign_agent(network.link) else network.mobile_node,
                gateway=None if self.behind_foreign_agent(network.link) else network.router.ip,
            )
            for number, network in enumerate(self._networks, 1)
        )
        self.policy = policy
        self.weights = weights
        self.mobile_node_settings = mobile_node
        self.encapsulation = self.ENCAPSULATION or encapsulation
        super().__init__(**params)

    @classmethod
    def behind_foreign_agent(cls, link: AccessLink) -> bool:
        """Whether a link leads to the foreign agent; then it carries packets without tunnel header."""
        return cls.BEHIND_FOREIGN_AGENT is None or link.name in cls.BEHIND_FOREIGN_AGENT

    def uplink(self, link: AccessLink) -> str:
        """The node on the network's side of an access link."""
        return "fa" if self.behind_foreign_agent(link) else self.EDGE.node

    def build(self, *args: object, **kwargs: object) -> None:
        """Nodes, links and the overlay of the agents."""
        behind = [network for network in self._networks if self.behind_foreign_agent(network.link)]
        edge = self.EDGE
        routes = [(str(network.router.network), str(edge.foreign_agent.ip)) for network in behind]
        self.addRouter("cn", routes=[("default", str(_INTERNET_TO_CORRESPONDENT.ip))])
        self.add_core(routes)
        self.addRouter(
            "home",
            sysctls=FORWARD,
            bridge=Bridge("lan", ["ha", "mn"], HOME_ROUTER),
            routes=[("default", str(_INTERNET_TO_HOME.ip))],
        )
        self.addRouter("ha", sysctls=FORWARD, routes=[("default", str(HOME_ROUTER.ip))])
        self.addRouter("mn")
        self.connect("cn", CORRESPONDENT, "internet", _INTERNET_TO_CORRESPONDENT)
        self.connect("internet", _INTERNET_TO_HOME, "home", _HOME_TO_INTERNET)
        self.connect("home", None, "ha", HOME_AGENT)
        self.connect("home", None, "mn", None, down=True)
        if behind:
            self.addRouter("fa", sysctls=FORWARD, routes=[("default", str(edge.towards_foreign_agent.ip))])
            self.connect(edge.node, edge.towards_foreign_agent, "fa", edge.foreign_agent)
        for network, access in zip(self._networks, self.accesses, strict=True):
            self._add_access(network, access)
        self.addOverlay(
            MobileIPDomain(
                home_agent_address=HOME_AGENT,
                home_address=HOME_ADDRESS,
                accesses=self.accesses,
                foreign_agent=self._site(behind) if behind else None,
                policy=self.policy,
                weights=self.weights,
                encapsulation=self.encapsulation,
                uplink=edge.node,
                behind_nat=edge is not INTERNET,
                mobile_node=self.mobile_node_settings,
            )
        )
        super().build(*args, **kwargs)

    def add_core(self, routes: Sequence[tuple[str, str]]) -> None:
        """The node ``internet``, and what lies between it and the edge.

        :param routes: those of the edge's node to what is behind the foreign agent.
        """
        self.addRouter("internet", sysctls=FORWARD, routes=[TO_HOME, *routes])

    def connect(
        self,
        node1: str,
        address1: IPv4Interface | None,
        node2: str,
        address2: IPv4Interface | None,
        *,
        down: bool = False,
        mtu: int | None = None,
    ) -> None:
        """Link two nodes; each interface is named after the node at its other end.

        :param down: leave the second node's interface down.
        :param mtu: octets of the largest IP packet; None: Ethernet's.
        """
        self.addLink(
            node1,
            node2,
            params1={"ip": str(address1) if address1 else None, "mtu": mtu},
            params2={"ip": str(address2) if address2 else None, "mtu": mtu, "down": down},
        )

    def _add_access(self, network: _Network, access: Access) -> None:
        link, links = network.link, self.links_of_figure
        uplink = self.uplink(link)
        self.addRouter(
            link.name,
            bridge=Bridge("bridge", [uplink, "mn"]),
            shapers={"mn": shaper(link, "down", links), uplink: shaper(link, "up", links)},
        )
        self.connect(uplink, network.router, link.name, None, mtu=link.mtu)
        self.connect(link.name, None, "mn", access.address, mtu=link.mtu)

    def _site(self, behind: Sequence[_Network]) -> ForeignAgentSite:
        routers = {network.link.name: network.router.ip for network in behind}
        own = self.CARE_OF_ADDRESS_PER_INTERFACE
        care_of = {name: address if own else self.EDGE.foreign_agent.ip for name, address in routers.items()}
        return ForeignAgentSite(routers=routers, care_of_addresses=care_of)
