# SPDX-License-Identifier: GPL-2.0-or-later
"""What an attack must not touch: the whole state of an agent, before and after."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from agents.effects import Datagram, SendDatagram
from tests.unit.foreign_agent.foreign_agent_lab import Lab as ForeignAgentLab
from tests.unit.home_agent.home_agent_lab import HOME, HOME_AGENT, KEY, OTHER_HOME, SPI, WIFI, Lab
from tests.unit.mobile_node.mobile_node_lab import Lab as MobileNodeLab

INSIDER_KEY = b"the insider's key"
"""Of ``OTHER_HOME``, which has a mobility security association of its own and attacks ``HOME``."""


def home_agent(**changes: Any) -> Lab:
    """A home agent whose two mobile nodes have keys of their own, under the same SPI."""
    nodes = [
        {"home_address": address, "security_association": [{"spi": SPI, "key": key}]}
        for address, key in ((HOME, KEY), (OTHER_HOME, INSIDER_KEY))
    ]
    return Lab(**{"mobile_node": nodes, **changes})


def at_home_agent(lab: Lab) -> str:
    """Bindings, replay protection and kernel of a home agent; only time may change it."""
    nodes = {
        str(address): (node.replay, node.answered, node.binding_ids)
        for address, node in lab.agent._nodes.items()
    }
    return repr((lab.agent._table.all(), nodes, lab.kernel))


def at_foreign_agent(lab: ForeignAgentLab) -> str:
    """Visitors, pending requests and kernel of a foreign agent."""
    return repr((lab.agent._table.all(), lab.agent._pending.all(), lab.kernel))


def at_mobile_node(lab: MobileNodeLab) -> str:
    """Bindings, outstanding requests, Identifications, agents heard and kernel of a mobile node."""
    node = lab.machine
    bindings = {name: link.binding for name, link in node._links.items()}
    agents = {name: discovery.agents for name, discovery in node._discoveries.items()}
    requests = node._requests
    return repr(
        (
            bindings,
            agents,
            requests.outstanding,
            vars(requests.identifications),
            sorted(map(repr, lab.tunnels)),
            lab.paths,
            lab.neighbours,
        )
    )


def send(lab: Lab, payload: bytes, source: IPv4Address = WIFI, port: int = 434) -> int | None:
    """The code of the reply to a datagram, whoever can read it; None: silence."""
    datagram = Datagram(payload, source, port, HOME_AGENT, "eth1", ttl=255)
    effects = lab.apply(lab.agent.receive(datagram, lab.now))
    codes = [effect.payload[1] for effect in effects if isinstance(effect, SendDatagram)]
    assert len(codes) <= 1
    return codes[0] if codes else None
