# SPDX-License-Identifier: GPL-2.0-or-later
"""Registering through foreign agents (RFC 5944 §3.6, FACTS G12 to G17, G24)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agents.effects import AccessLink
from tests.unit.mobile_node.mobile_node_lab import (
    AGENT_KEY,
    AGENT_SPI,
    BUSY,
    EVDO,
    F_BIT,
    FOREIGN_AGENT,
    FOREIGN_CARE_OF,
    G_BIT,
    HOME,
    HOME_AGENT,
    M_BIT,
    OTHER_AGENT,
    OTHER_CARE_OF,
    R_BIT,
    T_BIT,
    WIFI,
    D,
    G,
    Lab,
    M,
    S,
    T,
    advertisement,
    authentication,
    interface,
    lab,
    reply_to,
    up,
    visiting,
    visitor,
)


def test_flags_of_other_encapsulations_only_if_offered() -> None:
    for encapsulation, bit, flag in (("gre", G_BIT, G), ("minimal", M_BIT, M)):
        for offered in (0, bit):
            node = lab(interface("wifi", 1, care_of="foreign-agent", encapsulation=encapsulation))
            node.change("wifi", up())
            node.hear(advertisement(flags=F_BIT | offered))
            assert node.take().flags == T | (flag if offered else 0)


def test_udp_is_left_to_the_foreign_agent() -> None:
    node = lab(interface("wifi", 1, care_of="foreign-agent", encapsulation="udp"))
    node.change("wifi", up())
    node.hear(advertisement())
    request = node.take()
    assert request.types == [127, 32]
    assert request.lifetime == 600


def test_care_of_address_of_the_configuration_is_preferred() -> None:
    node = lab(interface("wifi", 1, care_of="foreign-agent", care_of_address=OTHER_CARE_OF))
    node.change("wifi", up())
    node.hear(advertisement(care_of=[FOREIGN_CARE_OF, OTHER_CARE_OF]))
    assert node.take().care_of_address == OTHER_CARE_OF


def test_invalid_care_of_address_tries_the_next() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(care_of=[FOREIGN_CARE_OF, OTHER_CARE_OF], lifetime=60))
    node.answer(node.take(), code=77, authenticated=False)
    request = node.wait(1.1)
    assert request.care_of_address == OTHER_CARE_OF


def test_lifetime_too_long() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=60))
    node.answer(node.take(), code=69, lifetime=90, authenticated=False)
    request = node.wait(1.1)
    assert request.lifetime == 90
    node.answer(request, code=69, lifetime=900, authenticated=False)
    assert node.wait().lifetime == 90, "a longer maximum makes no sense"


def test_denial_counts_only_from_the_agent_that_was_asked() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement())
    request = node.take()
    denial = reply_to(request, code=127, authenticated=False)
    node.deliver(denial, "wifi", OTHER_AGENT)
    assert node.discards() == ["denial-from-elsewhere"]
    node.deliver(denial, "wifi", FOREIGN_AGENT)
    assert node.row("wifi")["last_code"] == 127


def test_denied_by_the_foreign_agent_is_left_out_if_another_tunnel_is_up() -> None:
    node = visitor()
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO)}, node.now))
    node.hear(advertisement(lifetime=400))
    seen = []
    for _ in range(200):
        node.advance(0.02)
        waiting, node.sent = node.sent, []
        for request in waiting:
            seen.append(request)
            via_agent = request.packet.interface == "wifi"
            node.answer(request, code=127 if via_agent else 0, authenticated=not via_agent)
    assert [r.packet.interface for r in seen].count("wifi") == 1
    assert node.states() == {"wifi": "left-out", "evdo": "registered"}
    assert node.machine.registered
    # After the hold-down it is asked again.
    node.advance(297)
    assert any(r.packet.interface == "wifi" and r.binding_id == 1 for r in node.sent)


def test_denied_by_the_foreign_agent_registers_plainly_if_nothing_else_is_up() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=60))
    node.answer(node.take(), code=127, authenticated=False)
    request = node.wait(1.1)
    assert (request.types, request.packet.destination, request.flags & S) == ([32], FOREIGN_AGENT, 0)
    node.answer(request)
    assert node.machine.registered
    assert [path.binding_id for path in node.paths] == [None]
    # Another interface with the extension takes over.
    node.change("evdo", up(EVDO))
    request = node.wait(0.06)
    assert (request.binding_id, request.overwrite) == (2, True)
    node.answer(request)
    assert [path.binding_id for path in node.paths] == [2]
    assert node.states()["wifi"] == "left-out"


def test_denied_by_the_foreign_agent_tries_another_agent_then_the_own_address() -> None:
    node = visitor()
    node.change("wifi", up(WIFI))
    node.hear(advertisement(lifetime=600))
    node.hear(advertisement(care_of=[OTHER_CARE_OF], lifetime=600), source=OTHER_AGENT)
    node.answer(node.take(), code=127, authenticated=False)
    second = node.wait(1.1)
    assert second.care_of_address == OTHER_CARE_OF
    assert second.binding_id == 1
    node.answer(second, code=127, authenticated=False)
    third = node.wait(1.1)
    assert (third.care_of_address, third.packet.destination, third.flags & D) == (WIFI, HOME_AGENT, D)
    assert third.binding_id == 1


def test_order_to_register_forgives_a_refusing_agent() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=600))
    node.answer(node.take(), code=127, authenticated=False)
    node.answer(node.wait(1.1))
    node.advance(5)
    node.do(node.machine.reregister(node.now))
    assert node.wait(1).binding_id == 1


def test_legacy_foreign_agent_is_silent_but_alive() -> None:
    node = visitor()
    node.change("wifi", up())
    for _ in range(4):
        node.hear(advertisement())
        node.advance(2)
    requests = [(r.binding_id, r.time - 1000) for r in node.sent]
    # The plain request is a new question, so its retransmissions start anew.
    assert requests == [(1, 0), (1, 1), (1, 3), (None, 7), (None, 8)]
    assert node.events("foreign-agent-without-extension")


def test_legacy_foreign_agent_is_known_again_when_it_comes_back() -> None:
    node = visitor()
    node.change("wifi", up())
    for _ in range(2):
        node.hear(advertisement())
        node.advance(2)
    assert [r.binding_id for r in node.sent] == [1, 1, 1]
    node.sent.clear()
    node.hear(advertisement(lifetime=0))
    node.advance(5)
    node.hear(advertisement())
    assert node.events("foreign-agent-without-extension")
    assert [r.binding_id for r in node.sent] == [None]


def test_silent_agent_that_is_not_heard_is_dead_not_legacy() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=600))
    node.advance(60)
    assert {r.binding_id for r in node.sent} == {1}


def test_agent_that_let_it_pass_before_is_not_legacy() -> None:
    node = visiting(lifetime=30)
    for _ in range(40):
        node.hear(advertisement())
        node.advance(2)
    assert {r.binding_id for r in node.sent if r.packet.interface == "wifi"} == {1}
    node.hear(advertisement(0))
    assert not node.events("foreign-agent-without-extension")


def test_registration_required_bit_overrides_the_own_address() -> None:
    node = visitor()
    node.change("evdo", up(EVDO))
    node.answer(node.take())
    node.hear(advertisement(flags=F_BIT | T_BIT | R_BIT, lifetime=30), "evdo")
    request = node.wait(1.1)
    assert (request.care_of_address, request.packet.destination) == (FOREIGN_CARE_OF, FOREIGN_AGENT)
    assert request.flags & D == 0
    node.answer(request)
    assert [path.tunnel for path in node.paths] == [AccessLink("evdo", FOREIGN_AGENT)]
    request = node.wait(31)
    assert (request.care_of_address, request.packet.destination) == (EVDO, HOME_AGENT)


def test_agent_that_insists_but_refuses_is_not_circumvented() -> None:
    node = visitor()
    node.change("evdo", up(EVDO))
    node.sent.clear()
    node.hear(advertisement(flags=F_BIT | R_BIT | BUSY, lifetime=30), "evdo")
    node.advance(20)
    assert node.sent == []


def test_agent_without_the_bit_is_ignored_by_a_co_located_interface() -> None:
    node = visitor()
    node.change("evdo", up(EVDO))
    node.answer(node.take())
    node.hear(advertisement(), "evdo")
    node.advance(2)
    assert node.sent == []


def test_bulk_leaves_the_foreign_agents_binding_alone() -> None:
    node = lab(interface("wifi", 1, care_of="foreign-agent"), interface("evdo", 2), interface("lte", 3))
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO), "lte": up("192.0.4.10")}, node.now))
    seen = []
    for _ in range(240):
        node.hear(advertisement())
        seen += node.accept_all(limit=3)
    bulks = [r for r in seen if r.bulk]
    assert bulks
    assert all(r.binding_id != 1 for r in bulks)
    wifi = [r for r in seen if r.binding_id == 1]
    assert all(b.time - a.time <= 0.66 * 600 + 3 for a, b in pairwise(wifi))


def mobile_foreign() -> Lab:
    """A visitor that shares a security association with the foreign agent."""
    association = {"spi": AGENT_SPI, "key": AGENT_KEY.hex()}
    node = visitor(foreign_agent=[{"address": FOREIGN_AGENT, "security_association": [association]}])
    node.change("wifi", up())
    node.hear(advertisement(lifetime=60))
    return node


def test_mobile_foreign_authentication() -> None:
    node = mobile_foreign()
    request = node.take()
    assert request.types == [127, 32, 33]
    payload = request.packet.payload
    assert payload[-22:] == authentication(payload[:-22], 33, AGENT_SPI, AGENT_KEY)
    node.answer(request)
    assert node.discards() == ["mobile-foreign-authentication-not-once"]
    node.answer(request, foreign_key=b"another")
    assert node.discards()[-1] == "mobile-foreign-authentication-invalid"
    node.answer(request, code=127, authenticated=False)
    assert node.discards()[-1] == "mobile-foreign-authentication-not-once"
    node.answer(request, foreign_key=AGENT_KEY)
    assert node.states()["wifi"] == "registered"


def test_association_may_be_kept_under_the_care_of_address() -> None:
    association = {"spi": AGENT_SPI, "key": AGENT_KEY.hex()}
    node = visitor(foreign_agent=[{"address": FOREIGN_CARE_OF, "security_association": [association]}])
    node.change("wifi", up())
    node.hear(advertisement())
    assert node.take().types == [127, 32, 33]


OBJECTION = bytes([45, 2, 0, 68])
"""FA Error extension (RFC 4636 §3): the home agent failed authentication."""


def test_objection_of_the_foreign_agent_to_an_acceptance() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=60))
    node.answer(node.take(), after=OBJECTION)
    assert node.row("wifi")["last_code"] == 68
    assert node.paths == ()
    departure = node.wait(0.1)
    assert (departure.lifetime, departure.binding_id, departure.overwrite) == (0, 1, False)
    assert (departure.care_of_address, departure.packet.destination) == (FOREIGN_CARE_OF, FOREIGN_AGENT)
    node.answer(departure)
    assert node.events("deregistered")
    node.answer(node.wait(), after=bytes([45, 2, 0, 200]))
    assert node.paths, "a status that is no foreign agent's means nothing"


def test_objection_to_a_renewal_ends_the_binding() -> None:
    node = visiting()
    node.hear(advertisement(lifetime=1800))
    while (request := node.wait()).packet.interface != "wifi":
        node.answer(request)
    node.answer(request, after=OBJECTION)
    assert [path.binding_id for path in node.paths] == [2]
    assert (node.wait(0.1).lifetime, node.states()["wifi"]) == (0, "denied")


def test_objection_to_what_has_replaced_all_other_bindings() -> None:
    node = visiting()
    node.hear(advertisement(lifetime=600))
    while (request := node.wait()).packet.interface != "wifi":
        node.answer(request)
    node.answer(request, code=1, after=OBJECTION)
    assert node.paths == (), "code 1: the home agent has no other binding left"


def test_objection_to_a_denial_says_nothing_new() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=60))
    node.answer(node.take(), code=130, after=OBJECTION)
    assert node.row("wifi")["last_code"] == 130
    node.advance(4)
    assert node.sent == [], "there is no binding to be ended"


def test_other_denial_by_the_foreign_agent_is_repeated() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(lifetime=60))
    first = node.take()
    node.answer(first, code=66, authenticated=False)
    second = node.wait()
    assert second.time - first.time == pytest.approx(5)
    assert second.binding_id == 1


def test_departure_through_its_own_agent() -> None:
    node = visiting()
    node.do(node.machine.deregister(1, node.now))
    request = node.take()
    assert (request.lifetime, request.care_of_address) == (0, FOREIGN_CARE_OF)
    assert (request.packet.interface, request.packet.destination) == ("wifi", FOREIGN_AGENT)
    assert request.packet.link_destination == "02::fa"


def test_stop_deregisters_at_the_foreign_agent_and_then_the_rest() -> None:
    node = visiting()
    node.do(node.machine.stop(node.now))
    first = node.take()
    assert (first.binding_id, first.lifetime, first.packet.destination) == (1, 0, FOREIGN_AGENT)
    node.answer(first, lifetime=0)
    second = node.wait(0.1)
    assert (second.types, second.care_of_address, second.packet.destination) == ([32], HOME, HOME_AGENT)
    node.answer(second, lifetime=0)
    assert node.machine.stopped
    assert node.neighbours == {}


def test_stop_with_foreign_agents_only_needs_no_other_request() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement())
    node.answer(node.take())
    node.do(node.machine.stop(node.now))
    node.answer(node.take(), lifetime=0)
    assert node.machine.stopped
    assert node.sent == []
