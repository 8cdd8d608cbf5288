# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 3 of the draft: four care-of addresses, all co-located.

::

                 cn                      ha
                 |                       |
                 |          +--- home ---+ home link
                 |          |            |
               internet ----+            : (mn, when it returns home)
              /   |   |   \\
          wifi  evdo wimax  lte          layer-2, shaped both ways
              \\   |   |   /
                   mn

Addresses are those of RFC 5737: 198.51.100.0/24 is the home network, 192.0.2.0/24 holds a /27
for each access network, 203.0.113.0/24 the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from ipmininet.iptopo import IPTopo

from agents.settings import Policy, Weights
from topologies.links import DEFAULT_LINKS, AccessLink, shaper
from topologies.mobile_ip import Access, MobileIPDomain
from topologies.network import Bridge

HOME_AGENT = IPv4Interface("198.51.100.1/24")
HOME_ADDRESS = IPv4Address("198.51.100.10")
HOME_ROUTER = IPv4Interface("198.51.100.254/24")
CORRESPONDENT = IPv4Interface("203.0.113.2/28")
_INTERNET_TO_CORRESPONDENT = IPv4Interface("203.0.113.1/28")
_INTERNET_TO_HOME = IPv4Interface("203.0.113.17/28")
_HOME_TO_INTERNET = IPv4Interface("203.0.113.18/28")
_ACCESS_NETWORKS = tuple(IPv4Network("192.0.2.0/24").subnets(new_prefix=27))


class Figure3(IPTopo):  # type: ignore[misc]
    """Figure 3 as an IPMininet topology."""

    def __init__(
        self,
        links: Sequence[AccessLink] = DEFAULT_LINKS,
        *,
        policy: Policy = Policy.PER_FLOW,
        weights: Weights = Weights.EQUAL,
        **params: object,
    ) -> None:
        self.links_of_figure = tuple(links)
        self.accesses = tuple(
            Access(
                link=link,
                binding_id=number + 1,
                address=IPv4Interface(f"{network[2]}/{network.prefixlen}"),
                gateway=network[1],
            )
            for number, (link, network) in enumerate(zip(links, _ACCESS_NETWORKS, strict=False))
        )
        self._policy = policy
        self._weights = weights
        super().__init__(**params)

    def build(self, *args: object, **kwargs: object) -> None:
        """Nodes, links and the overlay of the agents."""
        forward = {"net.ipv4.ip_forward": 1}
        self.addRouter("cn", routes=[("default", str(_INTERNET_TO_CORRESPONDENT.ip))])
        self.addRouter(
            "internet", sysctls=forward, routes=[(str(HOME_AGENT.network), str(_HOME_TO_INTERNET.ip))]
        )
        self.addRouter(
            "home",
            sysctls=forward,
            bridge=Bridge("lan", ["ha", "mn"], HOME_ROUTER),
            routes=[("default", str(_INTERNET_TO_HOME.ip))],
        )
        self.addRouter("ha", sysctls=forward, routes=[("default", str(HOME_ROUTER.ip))])
        self.addRouter("mn")
        self._connect("cn", CORRESPONDENT, "internet", _INTERNET_TO_CORRESPONDENT)
        self._connect("internet", _INTERNET_TO_HOME, "home", _HOME_TO_INTERNET)
        self._connect("home", None, "ha", HOME_AGENT)
        self._connect("home", None, "mn", None, down=True)
        for access in self.accesses:
            self._add_access(access)
        self.addOverlay(
            MobileIPDomain(
                home_agent="ha",
                mobile_node="mn",
                home_agent_address=HOME_AGENT,
                home_address=HOME_ADDRESS,
                accesses=self.accesses,
                policy=self._policy,
                weights=self._weights,
            )
        )
        super().build(*args, **kwargs)

    def _connect(
        self,
        node1: str,
        address1: IPv4Interface | None,
        node2: str,
        address2: IPv4Interface | None,
        *,
        down: bool = False,
        mtu: int | None = None,
    ) -> None:
        self.addLink(
            node1,
            node2,
            params1={"ip": str(address1) if address1 else None, "mtu": mtu},
            params2={"ip": str(address2) if address2 else None, "mtu": mtu, "down": down},
        )

    def _add_access(self, access: Access) -> None:
        link, links = access.link, self.links_of_figure
        self.addRouter(
            link.name,
            bridge=Bridge("bridge", ["internet", "mn"]),
            shapers={"mn": shaper(link, "down", links), "internet": shaper(link, "up", links)},
        )
        gateway = IPv4Interface(f"{access.gateway}/{access.address.network.prefixlen}")
        self._connect("internet", gateway, link.name, None, mtu=link.mtu)
        self._connect(link.name, None, "mn", access.address, mtu=link.mtu)
