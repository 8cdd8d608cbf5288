# SPDX-License-Identifier: GPL-2.0-or-later
"""Returning home and leaving again (RFC 5944 §2.4.3, §4.6, FACTS G32), and the end."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.effects import AccessLink, GratuitousArp, Path, SendDatagram, StopTimer
from tests.unit.mobile_node.mobile_node_lab import (
    DOWN,
    EVDO,
    F_BIT,
    H_BIT,
    HOME,
    HOME_AGENT,
    LTE,
    WIFI,
    Lab,
    advertisement,
    interface,
    lab,
    up,
)

ROUTER = IPv4Address("10.0.0.254")
AT_HOME = advertisement(flags=H_BIT, care_of=[], router=ROUTER)


def registered(**settings: Any) -> Lab:
    """Three interfaces registered, and a home link that is down."""
    node = lab(home_link="home0", **settings)
    node.start("wifi", "evdo", "lte")
    node.accept_all()
    assert node.machine.registered
    return node


def arrive(node: Lab, payload: bytes = AT_HOME) -> None:
    """The home link comes up and the home agent is heard for a while."""
    node.change("home0", up())
    node.advance(0.2)
    node.hear(payload, "home0", HOME_AGENT, "02::ha")
    assert node.sent == [], "debounced"
    node.advance(0.5)


def test_home_link_solicits() -> None:
    node = registered()
    node.change("home0", up())
    node.advance(0.2)
    assert [icmp.interface for _, icmp in node.solicited] == ["home0"]


def test_arrival_deregisters_all_in_the_base_form() -> None:
    node = registered()
    arrive(node)
    order = [type(effect) for effect in node.effects if isinstance(effect, GratuitousArp | SendDatagram)]
    assert order == [GratuitousArp, SendDatagram]
    request = node.take()
    packet = request.packet
    assert (packet.source, packet.destination, packet.ttl) == (HOME, HOME_AGENT, 255)
    assert (packet.interface, packet.link_destination) == ("home0", "02::ha")
    assert (request.flags, request.lifetime, request.types) == (0, 0, [32])
    assert (request.home_address, request.care_of_address) == (HOME, HOME)
    assert len(node.paths) == 3, "the tunnels stay until the home agent consents"
    assert not node.machine.registered
    node.answer(request, lifetime=0)
    assert list(node.paths) == [Path(AccessLink("home0", ROUTER), 1.0, None)]
    assert node.tunnels == set()
    assert node.machine.registered
    assert set(node.states().values()) == {"at-home"}
    assert node.machine.status(node.now)["at_home"] == {"interface": "home0", "deregistered": True}


@pytest.mark.parametrize(
    ("settings", "payload", "gateway"),
    [
        ({"home_gateway": "10.0.0.253"}, AT_HOME, "10.0.0.253"),
        ({}, advertisement(flags=H_BIT, care_of=[]), str(HOME_AGENT)),
    ],
)
def test_gateway_at_home(settings: dict[str, Any], payload: bytes, gateway: str) -> None:
    node = registered(**settings)
    arrive(node, payload)
    node.answer(node.take(), lifetime=0)
    assert node.paths[0].tunnel == AccessLink("home0", IPv4Address(gateway))


def test_at_home_nothing_registers_and_deregistration_is_repeated() -> None:
    node = registered()
    arrive(node)
    for _ in range(60):
        node.hear(AT_HOME, "home0", HOME_AGENT)
        node.advance(3)
    assert all(r.lifetime == 0 and r.packet.interface == "home0" for r in node.sent)
    gaps = [b.time - a.time for a, b in zip(node.sent, node.sent[1:], strict=False)]
    assert gaps[:7] == pytest.approx([1, 2, 4, 8, 16, 30, 30])


def test_other_agent_on_the_home_link_is_not_home() -> None:
    node = registered()
    node.change("home0", up())
    node.hear(advertisement(), "home0", IPv4Address("10.0.0.9"))
    node.advance(5)
    assert node.sent == []


def test_short_visit_is_not_home() -> None:
    node = registered()
    node.change("home0", up())
    node.hear(AT_HOME, "home0", HOME_AGENT)
    node.advance(0.4)
    node.change("home0", DOWN)
    node.advance(5)
    assert node.sent == []
    assert len(node.paths) == 3


def test_home_on_an_access_interface() -> None:
    node = lab()
    node.start("wifi", "evdo")
    node.accept_all()
    node.hear(AT_HOME, "wifi", HOME_AGENT)
    node.advance(0.5)
    request = node.take()
    assert (request.packet.interface, request.care_of_address) == ("wifi", HOME)


@pytest.mark.parametrize("how", ["link", "silence"])
def test_leaving_home_registers_everything(how: str) -> None:
    node = registered()
    arrive(node)
    node.answer(node.take(), lifetime=0)
    if how == "link":
        node.change("home0", DOWN)
    else:
        node.advance(8.5)
    assert node.paths == ()
    seen = node.accept_all()
    assert sorted(r.binding_id or 0 for r in seen) == [1, 2, 3]
    assert len(node.paths) == 3
    assert node.machine.status(node.now)["at_home"] is None


def test_leaving_before_the_answer_trusts_no_binding() -> None:
    node = registered()
    arrive(node)
    departure = node.take()
    node.change("home0", DOWN)
    assert node.paths == ()
    request = node.wait(0.06)
    assert request.lifetime == 600
    node.answer(departure, lifetime=0)
    assert node.discards()[-1] == "no-matching-request"


def test_arrival_forgets_pending_requests_and_departures() -> None:
    node = registered()
    node.change("wifi", DOWN)
    departure = node.take()
    arrive_without_look(node)
    assert node.machine.status(node.now)["deregistrations_pending"] == 1
    node.answer(departure, lifetime=0)
    assert node.discards()[-1] == "no-matching-request"


def arrive_without_look(node: Lab) -> None:
    """Arrive while other requests are under way."""
    node.change("home0", up())
    node.hear(AT_HOME, "home0", HOME_AGENT, "02::ha")
    node.advance(0.5)


def test_orders_at_home_send_nothing() -> None:
    node = registered()
    arrive(node)
    node.answer(node.take(), lifetime=0)
    node.do(node.machine.deregister(1, node.now))
    node.do(node.machine.reregister(node.now))
    node.do(node.machine.tunnel_failed(2, node.now))
    node.advance(2)
    assert node.sent == []
    node.change("home0", DOWN)
    assert len(node.accept_all()) == 3


def test_tunnel_failure_at_home_is_no_concern() -> None:
    node = registered()
    arrive(node)
    node.sent.clear()
    node.do(node.machine.tunnel_failed(1, node.now))
    assert node.sent == []
    assert len(node.paths) == 3


def test_stop_deregisters_all() -> None:
    node = registered()
    node.do(node.machine.stop(node.now))
    request = node.take()
    assert (request.lifetime, request.types, request.flags) == (0, [32], 0)
    assert (request.care_of_address, request.packet.source) == (HOME, WIFI)
    assert not node.machine.stopped
    assert len(node.paths) == 3
    assert node.machine.status(node.now)["stopping"] is True
    node.answer(request, lifetime=0)
    assert node.machine.stopped
    assert node.paths == ()
    assert node.tunnels == set()
    assert node.timers == {}
    # And nothing moves it any more.
    node.change("wifi", DOWN)
    node.change("wifi", up(WIFI))
    node.do(node.machine.timer("wake", node.now))
    node.do(node.machine.stop(node.now))
    node.hear(AT_HOME, "evdo", HOME_AGENT)
    assert node.sent == []
    assert node.timers == {}


def test_stop_is_limited() -> None:
    node = registered()
    node.do(node.machine.stop(node.now))
    node.advance(1.9)
    assert len(node.sent) == 2
    assert not node.machine.stopped
    node.advance(0.2)
    assert node.machine.stopped
    assert node.tunnels == set()
    assert node.timers == {}


def test_stop_without_a_link_is_immediate() -> None:
    node = registered()
    for name in ("wifi", "evdo", "lte"):
        node.change(name, DOWN)
    node.do(node.machine.stop(node.now))
    assert node.machine.stopped


def test_stop_before_the_first_reply_flushes_what_may_be_there() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.take()
    node.do(node.machine.stop(node.now))
    assert node.take().lifetime == 0


def test_stop_without_deregistration() -> None:
    node = registered(deregister_at_stop=False)
    node.do(node.machine.stop(node.now))
    assert node.sent == []
    assert node.machine.stopped
    assert node.tunnels == set()
    assert any(isinstance(effect, StopTimer) for effect in node.effects)


def test_stop_at_home_waits_for_the_deregistration_under_way() -> None:
    node = registered()
    arrive(node)
    request = node.take()
    node.do(node.machine.stop(node.now))
    assert not node.machine.stopped
    node.answer(request, lifetime=0)
    assert node.machine.stopped


def test_stop_after_coming_home() -> None:
    node = registered()
    arrive(node)
    node.answer(node.take(), lifetime=0)
    node.do(node.machine.stop(node.now))
    assert node.machine.stopped
    assert node.sent == []
    assert node.paths == ()


def test_home_is_not_noticed_while_stopping() -> None:
    node = registered()
    node.change("home0", up())
    node.do(node.machine.stop(node.now))
    node.sent.clear()
    node.hear(AT_HOME, "home0", HOME_AGENT)
    node.advance(0.7)
    assert node.machine.status(node.now)["at_home"] is None


def test_home_agent_that_is_also_a_foreign_agent_is_home() -> None:
    node = lab(interface("wifi", 1, care_of="foreign-agent"), interface("evdo", 2))
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO)}, node.now))
    node.accept_all()
    node.hear(advertisement(flags=H_BIT | F_BIT), "wifi", HOME_AGENT)
    node.advance(0.6)
    assert any(r.care_of_address == HOME for r in node.sent)
    assert LTE not in {r.care_of_address for r in node.sent}


def test_timer_of_somebody_else_does_no_harm() -> None:
    node = registered()
    timers = dict(node.timers)
    node.do(node.machine.timer("another", node.now))
    assert node.effects == []
    assert node.timers == timers


def test_from_one_home_link_to_another_without_a_registration_in_between() -> None:
    node = lab()  # without an interface of its own for it, any link may be the home link
    node.start("wifi", "evdo", "lte")
    node.accept_all()
    node.hear(AT_HOME, "lte", HOME_AGENT, "02::ha")
    node.advance(0.7)
    node.answer(node.take(), lifetime=0)
    node.hear(AT_HOME, "wifi", HOME_AGENT, "02::ha")
    node.advance(1.0)
    node.change("lte", DOWN)
    assert [(r.lifetime, r.packet.interface) for r in node.sent] == [(0, "wifi")]
    node.answer(node.take(), lifetime=0)
    assert node.machine.status(node.now)["at_home"] == {"interface": "wifi", "deregistered": True}
