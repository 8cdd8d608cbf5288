# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person can order a mobile node to do, and ask it."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import pytest

from agents.effects import AddTunnel, RemoveTunnel, SetPaths
from tests.unit.mobile_node.mobile_node_lab import (
    DOWN,
    EVDO,
    HOME,
    WIFI,
    D,
    T,
    interface,
    lab,
    registered,
    up,
)


def test_register_anew_by_order() -> None:
    node = registered()
    node.do(node.machine.reregister(node.now))
    node.advance(1)
    seen = node.accept_all()
    assert sorted(r.binding_id or 0 for r in seen) == [1, 2, 3]
    assert not any(r.bulk for r in seen)


def test_register_anew_in_bulk_by_order() -> None:
    node = registered(bulk_renewal=False)
    node.do(node.machine.reregister(node.now, bulk=True))
    (request,) = node.accept_all()
    assert request.bulk


def test_bulk_by_order_needs_two_bindings() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.accept_all()
    node.do(node.machine.reregister(node.now, bulk=True))
    (request,) = node.accept_all()
    assert not request.bulk


def test_deregister_one_by_order() -> None:
    node = registered()
    node.do(node.machine.deregister(2, node.now))
    request = node.take()
    assert (request.lifetime, request.binding_id, request.care_of_address) == (0, 2, EVDO)
    assert (request.packet.interface, request.packet.source) == ("evdo", EVDO)
    assert request.types == [127, 32]
    assert (request.bulk, request.overwrite, request.flags) == (False, False, D | T)
    assert any(isinstance(effect, RemoveTunnel) for effect in node.effects)
    node.answer(request, lifetime=0)
    node.advance(900)
    assert node.states()["evdo"] == "deregistered"
    assert all(r.binding_id != 2 for r in node.sent)
    node.sent.clear()
    node.do(node.machine.reregister(node.now))
    node.accept_all()
    assert node.states()["evdo"] == "registered"


def test_deregister_all_by_order() -> None:
    node = registered()
    node.do(node.machine.deregister(None, node.now))
    request = node.take()
    assert (request.lifetime, request.care_of_address, request.flags) == (0, HOME, 0)
    assert request.types == [32]
    assert request.packet.source == WIFI
    assert node.paths == ()
    node.answer(request, lifetime=0)
    node.advance(2000)
    assert node.sent == []
    assert not node.machine.registered


def test_deregister_what_is_not_there() -> None:
    node = registered()
    node.do(node.machine.deregister(77, node.now))
    assert node.sent == []
    assert node.events("unknown-binding")


def test_rate_of_registrations_by_order_is_limited() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take())
    for _ in range(10):
        node.do(node.machine.reregister(node.now))
        node.advance(0.21)
    assert [r.time for r in node.sent] == pytest.approx([1001, 1002])


def test_link_events_are_exempt_from_the_rate() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take())
    node.advance(0.1)
    node.change("wifi", DOWN)
    node.change("wifi", up(WIFI))
    assert node.take().time == pytest.approx(1000.1)


def test_status_is_json() -> None:
    node = registered()
    text = json.dumps(node.machine.status(node.now))
    assert json.loads(text)["bindings"][0]["tunnel"]["local"] == str(WIFI)


def test_another_care_of_address_by_order_while_the_old_one_is_used() -> None:
    node = registered()
    other = IPv4Address("192.0.3.61")
    node.change("evdo", up(EVDO, other))
    assert node.sent == []
    node.do(node.machine.set_care_of_address(2, other, node.now))
    request = node.take()
    assert (request.binding_id, request.care_of_address) == (2, other)
    node.effects.clear()
    node.answer(request)
    assert [e.tunnel.local for e in node.effects if isinstance(e, AddTunnel)] == [other]
    assert [e.tunnel.local for e in node.effects if isinstance(e, RemoveTunnel)] == [EVDO]
    assert [type(e) for e in node.effects if isinstance(e, AddTunnel | SetPaths | RemoveTunnel)] == [
        AddTunnel,
        SetPaths,
        RemoveTunnel,
    ]


@pytest.mark.parametrize(("binding_id", "address"), [(9, "192.0.2.61"), (2, "192.0.2.62")])
def test_a_care_of_address_that_is_not_there_is_refused(binding_id: int, address: str) -> None:
    node = registered()
    with pytest.raises(ValueError, match=r"there is no binding 9|evdo has "):
        node.machine.set_care_of_address(binding_id, IPv4Address(address), node.now)
    assert node.sent == []
