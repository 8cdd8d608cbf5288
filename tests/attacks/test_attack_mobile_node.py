# SPDX-License-Identifier: GPL-2.0-or-later
"""Against a mobile node: false denials, false acceptances, false advertisements.

The attacker is on a visited link. He hears all there, and sends what he likes from any address.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.effects import Encapsulation
from tests.attacks.attacked import at_mobile_node
from tests.unit.mobile_node.mobile_node_lab import (
    AGENT_KEY,
    AGENT_SPI,
    DOWN,
    EVDO,
    FOREIGN_AGENT,
    FOREIGN_CARE_OF,
    H_BIT,
    HOME_AGENT,
    TYPE,
    Lab,
    advertisement,
    authentication,
    interface,
    keep_hearing,
    lab,
    registered,
    reply_to,
    up,
    visiting,
    visitor,
)

ATTACKER, ATTACKERS_CARE_OF = IPv4Address("192.0.2.66"), IPv4Address("203.0.113.66")
DENIED_BY_HOME_AGENT, DENIED_BY_FOREIGN_AGENT = 192, 127
OF_FOREIGN_AGENTS = (64, 66, 77, 78, 80, DENIED_BY_FOREIGN_AGENT)


def asking(**settings: Any) -> Lab:
    """A mobile node that waits for the reply to a request on wifi."""
    node = lab(interface("wifi", 1), interface("evdo", 2), **settings)
    node.start("wifi", "evdo")
    return node


@pytest.mark.parametrize("code", [0, 1, 129, 131, 133, 136, DENIED_BY_HOME_AGENT])
def test_a_reply_in_the_home_agents_name(code: int) -> None:
    """Denials too need the home agent's authenticator (FACTS G17), and so does the clock of a 133."""
    node = asking()
    request = node.take()
    before = at_mobile_node(node)
    bare = reply_to(request, code=code, authenticated=False)
    for forged in (bare, bare + authentication(bare, key=b"guessed"), bare + authentication(bare, spi=300)):
        node.deliver(forged, "wifi", HOME_AGENT)
        assert at_mobile_node(node) == before
    node.answer(request)
    assert len(node.paths) == 1


@pytest.mark.parametrize("code", OF_FOREIGN_AGENTS)
def test_a_denial_in_a_foreign_agents_name_for_a_request_that_passed_none(code: int) -> None:
    node = asking()
    request = node.take()
    before = at_mobile_node(node)
    for source in (HOME_AGENT, FOREIGN_AGENT, ATTACKER):
        node.deliver(reply_to(request, code=code, authenticated=False), "wifi", source)
        assert at_mobile_node(node) == before


def visiting_asks(**settings: Any) -> Lab:
    """A mobile node whose request on wifi went to a foreign agent."""
    node = visitor(**settings)
    node.do(node.machine.start({"wifi": up(), "evdo": DOWN}, node.now))
    node.hear(advertisement())
    return node


@pytest.mark.parametrize("code", OF_FOREIGN_AGENTS)
def test_a_denial_by_an_agent_that_was_not_asked(code: int) -> None:
    node = visiting_asks()
    request = node.wait()
    assert request.packet.interface == "wifi"
    before = at_mobile_node(node)
    node.deliver(reply_to(request, code=code, authenticated=False), "wifi", ATTACKER)
    assert node.discards() == ["denial-from-elsewhere"]
    node.deliver(reply_to(request, code=code, authenticated=False), "evdo", FOREIGN_AGENT)
    node.deliver(
        reply_to(request, code=code, authenticated=False, identification=request.identification ^ 1),
        "wifi",
        FOREIGN_AGENT,
    )
    assert at_mobile_node(node) == before


@pytest.mark.parametrize("code", OF_FOREIGN_AGENTS)
def test_a_denial_by_one_without_the_foreign_agents_key(code: int) -> None:
    """With a Mobile-Foreign association nothing else is believed, from whatever address it comes."""
    association = {
        "address": FOREIGN_AGENT,
        "security_association": [{"spi": AGENT_SPI, "key": AGENT_KEY.hex()}],
    }
    node = visiting_asks(foreign_agent=[association])
    request = node.wait()
    before = at_mobile_node(node)
    for key in (None, b"guessed"):
        forged = reply_to(request, code=code, authenticated=False, foreign_key=key)
        node.deliver(forged, "wifi", FOREIGN_AGENT)
        assert at_mobile_node(node) == before


def test_a_perfect_false_denial_costs_one_interface_only() -> None:
    """Without a Mobile-Foreign association it cannot be told from a true one: its reach is that link."""
    node = visiting_asks()
    request = node.wait()
    node.change("evdo", up(EVDO))
    node.deliver(reply_to(request, code=DENIED_BY_FOREIGN_AGENT, authenticated=False), "wifi", FOREIGN_AGENT)
    node.accept_all()
    assert node.states()["evdo"] == "registered"
    assert [path.binding_id for path in node.paths] == [2]
    node.advance(301.0)
    keep_hearing(node, 15.0)
    assert node.machine.registered, "and after the hold-down the link is tried again"


def test_an_extension_in_the_reply_that_nobody_vouches_for() -> None:
    """Behind the home agent's authenticator anybody may add what he likes, such as a UDP tunnel."""
    node = lab(interface("wifi", 1, encapsulation="udp"))
    node.start("wifi")
    request = node.take()
    udp = bytes([44, 6, 0, 0, 0, 0, 0, 110])
    node.answer(request, after=udp + bytes([TYPE, 10, 0, 4, 0, 9, 0x40, 0, 0, 0, 0, 0]))
    assert [getattr(path.tunnel, "encapsulation", None) for path in node.paths] == [Encapsulation.IPIP]
    assert [path.binding_id for path in node.paths] == [1]


def test_the_home_agents_advertisement_on_a_visited_link() -> None:
    """The attacker feigns the home link: the node would give up all it has, and wait there."""
    node = visiting(home_link="home0")
    before = node.paths
    for _ in range(20):
        node.hear(advertisement(flags=H_BIT, care_of=[]), "evdo", HOME_AGENT, "02::66")
        node.hear(advertisement(flags=H_BIT, care_of=[]), "wifi", HOME_AGENT, "02::66")
        node.hear(advertisement())
        node.advance(1.0)
    assert node.machine.status(node.now)["at_home"] is None
    assert [request for request in node.sent if request.lifetime == 0] == []
    assert node.paths == before


def test_a_false_agent_beside_the_true_one() -> None:
    """The agent in use stays as long as it is heard, whatever else is promised."""
    node = visiting()
    before = node.paths
    for _ in range(20):
        node.hear(advertisement(care_of=[ATTACKERS_CARE_OF]), source=ATTACKER, link="02::66")
        node.hear(advertisement(care_of=[ATTACKERS_CARE_OF], prefix=8), source=ATTACKER, link="02::66")
        node.hear(advertisement())
        asked = {request.packet.destination for request in node.accept_all(limit=3)}
        assert ATTACKER not in asked
    assert node.paths == before
    assert node.row("wifi")["care_of_address"] == str(FOREIGN_CARE_OF)


def test_a_flood_of_false_agents() -> None:
    """Each takes a place in a short list; the one in use keeps its own."""
    node = visiting()
    before = node.paths
    for number in range(1000):
        node.hear(advertisement(care_of=[ATTACKERS_CARE_OF]), source=ATTACKER + number, link="02::66")
    assert len(node.machine._discoveries["wifi"].agents) <= 8
    assert FOREIGN_AGENT in node.machine._discoveries["wifi"].agents
    assert node.paths == before


def test_false_farewells_of_the_agent_cost_one_link_and_end_with_the_attack() -> None:
    """An advertisement has no authenticator; the other links are not touched, the link comes back."""
    node = visiting()
    for _ in range(10):
        node.hear(advertisement(lifetime=0))
        node.accept_all(limit=1)
        assert node.states()["evdo"] == "registered"
    keep_hearing(node, 30.0)
    assert node.machine.registered


def test_false_restarts_of_the_agent_do_not_make_a_storm_of_requests() -> None:
    """Each sequence number that begins again asks for a registration; they stay a second apart."""
    node = visiting()
    node.sent.clear()
    begun = node.time
    for number in range(200):
        node.hear(advertisement(sequence=1 + number % 2 * 300))
        node.accept_all(limit=0.1)
    wifi = [request for request in node.reports if request.event in ("renewed", "registered")]
    assert len(wifi) <= 1.5 * (node.time - begun) + 3
    assert node.machine.registered


def test_broken_advertisements() -> None:
    node = visiting()
    before = at_mobile_node(node)
    good = advertisement(sequence=9)
    for length in range(len(good)):
        node.hear(good[:length])
    for position in range(len(good)):
        node.hear(good[:position] + bytes([good[position] ^ 0x5A]) + good[position + 1 :])
    assert at_mobile_node(node) == before


def test_a_flood_of_false_replies_changes_nothing() -> None:
    node = registered()
    before = at_mobile_node(node)
    for number in range(2000):
        octets = number.to_bytes(8, "big")
        node.deliver(bytes([3, 0, 2, 88]) + bytes(8) + octets, "wifi", ATTACKER)
        node.deliver(bytes([number % 256]) + octets * (number % 30), "lte", ATTACKER)
    assert at_mobile_node(node) == before
    assert node.machine.registered
