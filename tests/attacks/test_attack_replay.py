# SPDX-License-Identifier: GPL-2.0-or-later
"""Old messages again: recorded requests and replies, in any order, with all the flags of the draft.

The attacker reads and repeats everything, from wherever he likes; he has no key.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.attacks.attacked import at_home_agent, at_mobile_node, home_agent, send
from tests.unit.home_agent.home_agent_lab import EVDO, HOME, LTE, NAT, WIFI, Lab, multiple
from tests.unit.mobile_node.mobile_node_lab import registered, reply_to

ELSEWHERE = NAT
MISMATCH = 133
O_ALONE = multiple(1, overwrite=True)


def record(lab: Lab, binding_id: int, care_of_address: object, **flags: bool) -> bytes:
    """A genuine request, accepted; the attacker keeps a copy."""
    lab.wait(1.0)
    payload = lab.request(multiple(binding_id, **flags), care_of_address=care_of_address)
    assert send(lab, payload) == 0
    return payload


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_a_replayed_request_is_denied(scope: str) -> None:
    lab = home_agent(replay_scope=scope)
    old = record(lab, 1, WIFI)
    record(lab, 1, EVDO)
    before = at_home_agent(lab)
    for source in (WIFI, EVDO, ELSEWHERE):
        assert send(lab, old, source) == MISMATCH
        assert at_home_agent(lab) == before


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_the_very_last_request_again(scope: str) -> None:
    lab = home_agent(replay_scope=scope)
    last = record(lab, 1, WIFI)
    before = at_home_agent(lab)
    assert send(lab, last, ELSEWHERE) == MISMATCH
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
@pytest.mark.parametrize("seed", range(20))
def test_recorded_requests_in_any_order(scope: str, seed: int) -> None:
    lab = home_agent(replay_scope=scope)
    recorded = [
        record(lab, number, care_of) for number, care_of in ((1, WIFI), (2, EVDO), (3, LTE), (1, LTE))
    ]
    before = at_home_agent(lab)
    random = Random(seed)
    for payload in random.sample(recorded, len(recorded)) + random.choices(recorded, k=6):
        assert send(lab, payload, ELSEWHERE) == MISMATCH
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("binding_id", [1, 2])
def test_a_request_held_back_until_a_newer_one_has_passed(binding_id: int) -> None:
    """The attacker stops a genuine request on its way and lets it go after the next one."""
    lab = home_agent()
    held = lab.request(multiple(binding_id), care_of_address=WIFI)
    record(lab, 1, EVDO)
    before = at_home_agent(lab)
    assert send(lab, held) == MISMATCH
    assert at_home_agent(lab) == before


def test_a_request_held_back_for_longer_than_the_tolerance() -> None:
    """Nothing newer has passed; its age alone gives it away."""
    lab = home_agent()
    record(lab, 1, WIFI)
    held = lab.request(multiple(1), care_of_address=EVDO)
    lab.wait(8.0)
    before = at_home_agent(lab)
    assert send(lab, held) == MISMATCH
    assert at_home_agent(lab) == before


def test_a_denied_request_is_used_up() -> None:
    """What was denied for a reason that has gone since must not be accepted when it comes again."""
    lab = home_agent()
    lab.agent.set_multiple_tunnel_support(False, lab.now)
    payload = lab.request(multiple(1), care_of_address=WIFI)
    assert send(lab, payload) == 192
    lab.agent.set_multiple_tunnel_support(True, lab.now)
    assert send(lab, payload, ELSEWHERE) == MISMATCH
    assert lab.rows() == {}


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_a_stolen_overwrite_wipes_nothing(scope: str) -> None:
    """The first request after start carries O; recorded, it would delete all that came later."""
    lab = home_agent(replay_scope=scope)
    stolen = record(lab, 1, WIFI, overwrite=True)
    record(lab, 2, EVDO)
    record(lab, 3, LTE)
    before = at_home_agent(lab)
    assert send(lab, stolen, ELSEWHERE) == MISMATCH
    assert at_home_agent(lab) == before
    assert set(lab.rows()) == {1, 2, 3}


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_a_stolen_bulk_request_extends_nothing(scope: str) -> None:
    lab = home_agent(replay_scope=scope)
    record(lab, 1, WIFI)
    record(lab, 2, EVDO)
    stolen = record(lab, 1, WIFI, bulk=True)
    lab.wait(5.0)
    before = at_home_agent(lab)
    assert send(lab, stolen, ELSEWHERE) == MISMATCH
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_a_stolen_bulk_request_revives_nothing(scope: str) -> None:
    """B after the bindings were given up: neither its own nor another comes back."""
    lab = home_agent(replay_scope=scope)
    record(lab, 1, WIFI)
    record(lab, 2, EVDO)
    stolen = record(lab, 1, WIFI, bulk=True)
    lab.wait(1.0)
    assert send(lab, lab.request(lifetime=0, care_of_address=HOME)) == 0
    assert lab.rows() == {}
    before = at_home_agent(lab)
    assert send(lab, stolen, ELSEWHERE) == MISMATCH
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
@pytest.mark.parametrize("everything", [{"lifetime": 0, "care_of_address": HOME}, {"before": O_ALONE}])
def test_an_older_request_revives_nothing_after_all_were_given_up(
    scope: str, everything: dict[str, Any]
) -> None:
    """Held back on its way, for a Binding-Id that has never been heard of: its time alone tells."""
    lab = home_agent(replay_scope=scope)
    record(lab, 1, WIFI)
    held = lab.request(multiple(3), care_of_address=LTE)
    lab.wait(1.0)
    assert send(lab, lab.request(**everything)) == 0
    before = at_home_agent(lab)
    assert send(lab, held, LTE) == MISMATCH
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_a_stolen_deregistration_ends_nothing(scope: str) -> None:
    lab = home_agent(replay_scope=scope)
    record(lab, 1, WIFI)
    lab.wait(1.0)
    stolen = lab.request(lifetime=0, care_of_address=HOME)
    assert send(lab, stolen) == 0
    record(lab, 1, WIFI)
    record(lab, 2, EVDO)
    before = at_home_agent(lab)
    assert send(lab, stolen, ELSEWHERE) == MISMATCH
    assert at_home_agent(lab) == before


def test_with_nonces_a_repetition_does_not_extend_the_lifetime() -> None:
    """A retransmission may be answered like the first; it must not do anything again."""
    nodes = [
        {
            "home_address": HOME,
            "security_association": [{"spi": 256, "key": bytes(range(16)), "replay": "nonces"}],
        }
    ]
    lab = home_agent(mobile_node=nodes)
    first = lab.register(1, identification=1)
    assert first.code == MISMATCH
    nonce = first.identification >> 32
    payload = lab.request(multiple(1), care_of_address=WIFI, identification=nonce << 32 | 7)
    assert send(lab, payload) == 0
    before = repr(lab.agent._table.all())
    lab.wait(100.0)
    assert send(lab, payload, ELSEWHERE) == 0
    assert repr(lab.agent._table.all()) == before
    older = lab.request(multiple(1), care_of_address=ELSEWHERE, identification=1)
    assert send(lab, older, ELSEWHERE) == MISMATCH
    assert repr(lab.agent._table.all()) == before


def test_a_replayed_reply_is_discarded_by_the_mobile_node() -> None:
    """Old acceptances and denials, also with the home agent's own authenticator."""
    node = registered()
    node.do(node.machine.reregister(node.now))
    request = node.sent[0]
    node.answer(request)
    before = at_mobile_node(node)
    for code in (0, 133, 136, 192):
        node.deliver(reply_to(request, code=code), str(request.packet.interface))
        assert at_mobile_node(node) == before
    assert node.discards()[-4:] == ["no-matching-request"] * 4


def test_a_late_reply_does_not_bring_back_what_was_given_up() -> None:
    """The attacker holds an acceptance back until the mobile node has deregistered."""
    node = registered()
    node.do(node.machine.reregister(node.now))
    held = node.sent[0]
    node.sent.clear()
    node.do(node.machine.deregister(None, node.now))
    node.accept_all()
    before = at_mobile_node(node)
    node.deliver(reply_to(held), str(held.packet.interface))
    assert at_mobile_node(node) == before
    assert node.paths == ()
