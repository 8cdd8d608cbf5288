# SPDX-License-Identifier: GPL-2.0-or-later
"""Against a foreign agent: by a node on its visitor link, and by one that answers for a home agent."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.attacks.attacked import at_foreign_agent
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    CO_LOCATED,
    HOME,
    HOME_AGENT,
    HOME_ENTRY,
    NODE_ENTRY,
    OTHER_HOME_AGENT,
    STRANGER,
    WIFI_AGENT,
    Lab,
    T,
    authentic,
    reply_to,
    signed_for_agent,
)
from tests.unit.home_agent.home_agent_lab import multiple

PROHIBITED, INSUFFICIENT_RESOURCES = 65, 66


def test_a_stranger_repeats_anothers_request_to_get_its_reply() -> None:
    """He hears the request on the link and sends it again from his own link address."""
    lab = Lab()
    payload = lab.request(multiple(1))
    lab.relay(payload)
    before = at_foreign_agent(lab)
    assert lab.send(payload, link=STRANGER) is None
    assert lab.send(payload, interface="lte", link=STRANGER) is None
    assert at_foreign_agent(lab) == before


def test_a_stranger_does_not_move_a_visitor() -> None:
    """His request for the same entry goes to the home agent, and is denied for want of a key."""
    lab = Lab()
    lab.register(1)
    before = lab.status()["visitors"], repr(lab.kernel.paths), repr(lab.kernel.neighbours)
    relayed = lab.relay(lab.request(multiple(1)), link=STRANGER)
    assert lab.answer(reply_to(relayed.payload, code=131)) is not None
    assert (lab.status()["visitors"], repr(lab.kernel.paths), repr(lab.kernel.neighbours)) == before


@pytest.mark.parametrize("accepted", [True, False])
def test_a_home_agent_of_ones_own_for_anothers_home_address(accepted: bool) -> None:
    """The attacker's home agent would accept; the visitor has another one, so it is not asked."""
    lab = Lab()
    if accepted:
        lab.register(1)
    else:
        lab.relay(lab.request(multiple(1)))
    before = at_foreign_agent(lab)
    denial = lab.deny(lab.request(multiple(1), home_agent=OTHER_HOME_AGENT), link=STRANGER)
    assert denial.code == PROHIBITED
    assert at_foreign_agent(lab) == before


@pytest.mark.parametrize("address", [HOME_AGENT, CARE_OF, WIFI_AGENT])
def test_the_address_of_an_agent_as_home_address(address: IPv4Address) -> None:
    """A visitor's packets are led to its link: nobody may become the way to a home agent."""
    lab = Lab()
    lab.register(1)
    before = at_foreign_agent(lab)
    request = lab.request(multiple(1), home_address=address, home_agent=OTHER_HOME_AGENT)
    assert lab.deny(request, link=STRANGER).code == PROHIBITED
    assert at_foreign_agent(lab) == before


def test_a_forged_reply_from_the_visitor_link() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    before = at_foreign_agent(lab)
    for code in (0, 1, 131, 192):
        assert lab.answer(reply_to(relayed.payload, code=code), interface="wifi") is None
        assert at_foreign_agent(lab) == before


def test_a_forged_reply_without_the_identification() -> None:
    """From afar the attacker does not see the request; its low half has 32 unknown bits."""
    lab = Lab()
    payload = lab.request(multiple(1))
    relayed = lab.relay(payload).payload
    guess = relayed[:16] + bytes(octet ^ 1 for octet in relayed[16:24]) + relayed[24:]
    before = at_foreign_agent(lab)
    assert lab.answer(reply_to(guess)) is None
    assert at_foreign_agent(lab) == before


@pytest.mark.parametrize("key", [None, b"guessed"])
@pytest.mark.parametrize("code", [0, 136])
def test_a_forged_reply_where_the_home_agent_has_a_key(code: int, key: bytes | None) -> None:
    """With a Foreign-Home association even one who hears everything cannot make an entry."""
    lab = Lab(home_agent=[HOME_ENTRY])
    relayed = lab.relay(lab.request(multiple(1)))
    forged = reply_to(relayed.payload, code=code)
    if key is not None:
        forged = signed_for_agent(forged, key)
    lab.answer(forged)
    assert lab.rows() == {}
    assert lab.kernel.empty


def test_an_acceptance_by_another_home_agent() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    lab.answer(reply_to(relayed.payload, home_agent=OTHER_HOME_AGENT))
    assert lab.rows() == {}
    assert lab.kernel.empty


def test_a_reply_without_the_home_agents_authenticator() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    lab.answer(reply_to(relayed.payload, sign=False))
    assert lab.rows() == {}
    assert lab.kernel.empty


def test_a_forged_request_where_the_mobile_node_has_a_key() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY])
    before = at_foreign_agent(lab)
    sent = lab.send(lab.request(multiple(1)), link=STRANGER)
    assert sent is not None
    assert sent.payload[:2] == bytes([3, 67])
    assert authentic(sent.payload, b"mobile-foreign key")
    assert at_foreign_agent(lab) == before


def test_a_request_from_beyond_the_link() -> None:
    """TTL 255 or nothing: a reverse tunnel is for nodes on the link (RFC 3024 §4.2.1)."""
    lab = Lab()
    before = at_foreign_agent(lab)
    for ttl in (254, 64, 1):
        lab.send(lab.request(multiple(1), flags=T), ttl=ttl)
        lab.wait(1.0)
    assert at_foreign_agent(lab) == before


def test_tunnel_data_at_a_foreign_agent() -> None:
    lab = Lab()
    before = at_foreign_agent(lab)
    for payload in (b"\4", b"\4\4\0\0", b"\4\4\0\0" + bytes(40)):
        assert lab.send(payload, link=STRANGER) is None
        assert at_foreign_agent(lab) == before


def test_a_flood_of_pending_requests_leaves_the_visitors() -> None:
    """Replies never come. The list of pending requests stays short, whoever is registered stays."""
    lab = Lab()
    lab.register(1)
    visitors, paths = repr(lab.agent._table.all()), repr(lab.kernel.paths)
    codes = []
    for number in range(2000):
        request = lab.request(home_address=CO_LOCATED + number, home_agent=IPv4Address("203.0.113.200"))
        sent = lab.send(request, link=STRANGER)
        codes.append(sent.payload[1] if sent is not None and sent.payload[0] == 3 else None)
        lab.wait(0.001)
    assert len(lab.pending()) <= 5
    assert codes.count(INSUFFICIENT_RESOURCES) >= 900
    assert (repr(lab.agent._table.all()), repr(lab.kernel.paths)) == (visitors, paths)
    lab.register(2)
    assert set(lab.rows()) == {1, 2}, "although the attacker's requests still wait"
    lab.wait(7.0)
    assert lab.pending() == []


def test_a_flood_of_pending_requests_does_not_stop_a_request_that_is_repeated() -> None:
    """A request that waits keeps its place, and may be repeated."""
    lab = Lab()
    own = lab.request(multiple(1))
    relayed = lab.relay(own)
    for number in range(100):
        stranger = f"02:00:00:00:01:{number % 4:02x}"
        lab.send(lab.request(home_address=CO_LOCATED + number), link=stranger)
    lab.relay(own)
    assert lab.answer(reply_to(relayed.payload)) is not None
    assert set(lab.rows()) == {1}


def test_a_flood_of_denials_is_bounded() -> None:
    """Requests that must be denied, each of another home address: answers and memory stay within bounds."""
    lab = Lab()
    answers = 0
    for number in range(5000):
        request = lab.request(lifetime=601, home_address=CO_LOCATED + number)
        answers += lab.send(request, link=STRANGER) is not None
    assert answers == 1000
    assert len(lab.agent._denials._mobile_nodes) <= 1000


def test_a_flood_of_visitors_of_ones_own_home_agent() -> None:
    """The attacker's home agent accepts whatever he asks: the list ends where the settings say."""
    lab = Lab(maximum_visitors=10)
    lab.register(1)
    for number in range(50):
        request = lab.request(home_address=CO_LOCATED + number, home_agent=OTHER_HOME_AGENT)
        sent = lab.send(request, link=STRANGER)
        if sent is not None and sent.payload[0] == 1:
            lab.answer(reply_to(sent.payload))
        lab.wait(1.0)
    assert len(lab.status()["visitors"]) == 10
    assert set(lab.rows()) == {1}
    lab.register(1)
    assert lab.rows()[1]["home_address"] == str(HOME)
