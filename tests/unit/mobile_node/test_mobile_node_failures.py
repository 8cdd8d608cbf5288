# SPDX-License-Identifier: GPL-2.0-or-later
"""Links, addresses and tunnels that fail; the deregistrations that follow (FACTS G31, G51)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agents.effects import RemoveTunnel, SendDatagram, SetPaths
from tests.unit.mobile_node.mobile_node_lab import (
    DOWN,
    EVDO,
    FOREIGN_AGENT,
    HOME,
    LTE,
    WIFI,
    D,
    T,
    advertisement,
    interface,
    lab,
    registered,
    up,
    visiting,
)


def test_lost_link_is_left_at_once_and_deregistered_over_the_best_other() -> None:
    node = registered()
    node.change("wifi", DOWN)
    kinds = [type(effect) for effect in node.effects]
    assert kinds.index(SetPaths) < kinds.index(RemoveTunnel) < kinds.index(SendDatagram)
    assert [path.binding_id for path in node.paths] == [2, 3]
    request = node.take()
    assert (request.lifetime, request.binding_id, request.care_of_address) == (0, 1, WIFI)
    assert (request.packet.interface, request.packet.source) == ("evdo", EVDO)
    assert request.types == [127, 32]
    assert (request.overwrite, request.bulk, request.flags) == (False, False, D | T)
    node.answer(request, lifetime=0)
    node.advance(200)
    assert node.sent == []
    assert node.states() == {"wifi": "down", "evdo": "registered", "lte": "registered"}
    assert node.machine.registered, "what is down is not usable"


def test_a_foreign_agent_relays_the_deregistration_of_another_care_of_address() -> None:
    node = visiting()
    node.change("evdo", DOWN)
    request = node.take()
    assert (request.lifetime, request.binding_id, request.care_of_address) == (0, 2, EVDO)
    # RFC 5944 §3.6.1.1: not by its own co-located care-of address, so from the home address.
    packet = request.packet
    assert (packet.interface, packet.source, packet.destination) == ("wifi", HOME, FOREIGN_AGENT)


def test_of_two_ways_the_foreign_agents_is_taken_if_it_is_better() -> None:
    for priority, taken in ((10, "wifi"), (40, "evdo")):
        wifi = interface("wifi", 1, care_of="foreign-agent", priority=priority)
        node = lab(wifi, interface("evdo", 2), interface("lte", 3))
        node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO), "lte": up(LTE)}, node.now))
        node.hear(advertisement())
        node.accept_all()
        node.change("lte", DOWN)
        request = node.take()
        assert (request.lifetime, request.binding_id, request.packet.interface) == (0, 3, taken)


def test_the_end_of_all_bindings_goes_by_a_co_located_address() -> None:
    """A foreign agent would have to end its own entry for it before this node asks for that."""
    node = visiting()
    node.do(node.machine.deregister(None, node.now))
    first = node.take()
    assert (first.packet.interface, first.types) == ("wifi", [127, 32])
    node.answer(first, lifetime=0)
    assert (node.wait(0.06).packet.interface, node.sent) == ("evdo", [])


def test_udp_deregistration_asks_for_no_tunnel() -> None:
    node = lab(interface("wifi", 1, encapsulation="udp"), interface("evdo", 2))
    node.start("wifi", "evdo")
    node.accept_all()
    node.change("wifi", DOWN)
    assert node.take().types == [127, 32]


def test_deregistration_overtakes_a_request_on_the_dead_link() -> None:
    node = registered()
    renewal = node.wait()
    name = renewal.packet.interface
    assert name is not None
    node.advance(0.01)
    node.change(name, DOWN)
    departure = node.take()
    assert departure.time == node.time
    assert (departure.lifetime, departure.packet.interface != name) == (0, True)
    # The abandoned request's Identification stays used, its reply is ignored.
    assert departure.identification > renewal.identification
    node.deliver(b"", name)
    node.answer(renewal)
    assert node.discards()[-1] == "no-matching-request"


def test_deregistration_overtakes_a_request_on_a_live_link() -> None:
    node = registered()
    renewal = node.wait()
    other = next(n for n in ("wifi", "evdo", "lte") if n != renewal.packet.interface)
    node.change(other, DOWN)
    departure = node.take()
    assert departure.lifetime == 0
    # The renewal is still good, unless the home agent takes the newer one first.
    node.answer(renewal)
    assert node.states()[str(renewal.packet.interface)] == "registered"


def test_deregistrations_wait_for_each_other() -> None:
    node = registered()
    node.change("wifi", DOWN)
    node.change("evdo", DOWN)
    first = node.take()
    assert first.binding_id == 1
    assert first.packet.interface == "evdo", "it was still up then"
    node.advance(0.999)
    assert node.sent == []
    node.advance(0.001)
    second, third = node.wait(), node.wait()
    assert {second.binding_id, third.binding_id} == {1, 2}
    assert {second.packet.interface, third.packet.interface} == {"lte"}


def test_deregistration_is_repeated_and_given_up() -> None:
    node = registered()
    node.change("wifi", DOWN)
    node.advance(100)
    departures = [r for r in node.sent if r.lifetime == 0]
    assert [b.time - a.time for a, b in pairwise(departures)] == pytest.approx([1, 2, 4, 8, 16])
    assert len(node.events("deregistration-unanswered")) == 1
    node.sent.clear()
    node.advance(100)
    assert node.sent == []


def test_deregistration_ends_with_the_lifetime() -> None:
    node = registered(lifetime=10)
    node.advance(0.5)
    node.change("wifi", DOWN)
    node.advance(30)
    assert all(r.time < 1010 for r in node.sent if r.binding_id == 1)


def test_denied_deregistration_is_repeated() -> None:
    node = registered()
    node.change("wifi", DOWN)
    first = node.take()
    node.answer(first, code=133)
    second = node.wait(0.06)
    node.answer(second, code=133)
    third = node.wait()
    assert third.time - second.time >= 1
    node.answer(third, code=128)
    assert node.wait().binding_id == 1
    assert len(node.events("deregistration-denied")) == 3


def test_deregistration_waits_for_a_link() -> None:
    node = registered()
    for name in ("wifi", "evdo", "lte"):
        node.sent.clear()
        node.change(name, DOWN)
    assert node.paths == ()
    assert not node.machine.registered
    node.sent.clear()
    node.advance(10)
    assert node.sent == []
    # Its own link comes back first: registering supersedes it, the others are still owed.
    node.change("wifi", up(WIFI))
    seen = node.accept_all()
    assert [(r.binding_id, r.lifetime) for r in seen] == [(2, 0), (3, 0), (1, 600)]
    assert node.machine.status(node.now)["deregistrations_pending"] == 0


def test_link_that_returns_is_registered_again() -> None:
    node = registered()
    node.change("wifi", DOWN)
    node.sent.clear()
    node.advance(0.2)
    node.change("wifi", up(WIFI))
    seen = node.accept_all()
    assert seen[-1].binding_id == 1
    assert seen[-1].lifetime == 600
    assert seen[-1].overwrite is False
    assert node.machine.registered


def test_request_that_may_have_been_accepted_is_deregistered_too() -> None:
    node = lab()
    node.start("wifi")
    node.accept_all()
    node.change("evdo", up(EVDO))
    asked = node.take()
    assert asked.packet.interface == "evdo"
    node.change("evdo", DOWN)
    departure = node.take()
    assert (departure.lifetime, departure.binding_id, departure.packet.interface) == (0, 2, "wifi")


def test_first_request_is_not_deregistered_the_next_one_flushes() -> None:
    node = lab()
    node.start("wifi")
    node.take()
    node.change("evdo", up(EVDO))
    node.change("wifi", DOWN)
    (request,) = [node.wait(0.06)]
    assert (request.binding_id, request.overwrite, request.lifetime) == (2, True, 600)


def test_lost_address_without_another_is_a_lost_link() -> None:
    node = registered()
    node.change("lte", up())
    request = node.take()
    assert (request.lifetime, request.care_of_address) == (0, LTE)
    assert node.states()["lte"] == "searching"
    assert not node.machine.registered


def test_failed_tunnel_is_left_told_elsewhere_and_tried_again() -> None:
    node = registered()
    node.do(node.machine.tunnel_failed(1, node.now))
    assert [path.binding_id for path in node.paths] == [2, 3]
    departure = node.take()
    assert (departure.lifetime, departure.packet.interface) == (0, "evdo")
    node.answer(departure, lifetime=0)
    again = node.wait(1.01)
    assert (again.lifetime, again.binding_id, again.packet.interface) == (600, 1, "wifi")
    assert again.overwrite is False
    node.answer(again)
    assert node.machine.registered


def test_failing_tunnel_is_tried_less_and_less() -> None:
    node = registered()
    waits = []
    for _ in range(8):
        node.do(node.machine.tunnel_failed(1, node.now))
        start = node.time
        node.answer(node.take(), lifetime=0)
        again = node.wait()
        waits.append(again.time - start)
        node.answer(again)
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    for _ in range(7000):
        node.accept_all(limit=0.01)
    node.do(node.machine.tunnel_failed(1, node.now))
    start = node.time
    node.answer(node.take(), lifetime=0)
    assert node.wait().time - start == pytest.approx(1), "a long good time forgives"


def test_failed_tunnel_of_the_only_link_is_registered_again_there() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take())
    node.advance(5)
    node.do(node.machine.tunnel_failed(1, node.now))
    assert node.paths == ()
    assert node.sent == [], "its own way is the one that fails"
    request = node.wait(1.01)
    assert request.lifetime == 600
    assert node.machine.status(node.now)["deregistrations_pending"] == 0


def test_failed_tunnel_without_a_binding() -> None:
    node = registered()
    node.do(node.machine.tunnel_failed(9, node.now))
    assert node.effects == []


def test_departure_of_a_plain_binding() -> None:
    node = lab(enable_multiple_tunnel_support=False)
    node.start("wifi", "evdo")
    node.answer(node.take())
    node.do(node.machine.deregister(1, node.now))
    request = node.take()
    assert (request.lifetime, request.types, request.care_of_address) == (0, [32], WIFI)
    assert request.care_of_address != HOME


def test_nothing_to_deregister_after_the_lifetime_asked_for() -> None:
    node = lab(interface("wifi", 1), interface("evdo", 2), lifetime=1)
    node.start("wifi", "evdo")
    node.answer(node.take())
    node.wait(0.06)
    node.time += 1.01
    node.change("evdo", DOWN)
    assert all(r.lifetime for r in node.sent)
    assert node.machine.status(node.now)["deregistrations_pending"] == 0
