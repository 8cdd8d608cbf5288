# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding, keeping and losing mobility agents (RFC 5944 §2.4)."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise

import pytest

from agents.effects import AccessLink, Path
from tests.unit.mobile_node.mobile_node_lab import (
    BUSY,
    DOWN,
    EVDO,
    F_BIT,
    FOREIGN_AGENT,
    FOREIGN_CARE_OF,
    HOME,
    HOME_AGENT,
    OTHER_AGENT,
    OTHER_CARE_OF,
    T_BIT,
    T,
    advertisement,
    keep_hearing,
    up,
    visiting,
    visitor,
)


def test_registration_through_a_foreign_agent() -> None:
    node = visitor()
    node.change("wifi", up())
    assert node.sent == []
    assert node.states()["wifi"] == "searching"
    node.hear(advertisement(registration_lifetime=300))
    request = node.take()
    packet = request.packet
    assert (packet.source, packet.destination, packet.ttl) == (HOME, FOREIGN_AGENT, 255)
    assert (packet.interface, packet.link_destination) == ("wifi", "02::fa")
    assert request.flags == T
    assert request.care_of_address == FOREIGN_CARE_OF
    assert request.lifetime == 300
    assert (request.types, request.binding_id, request.overwrite) == ([127, 32], 1, True)
    node.answer(request)
    assert node.paths == (Path(AccessLink("wifi", FOREIGN_AGENT), 1.0, 1),)
    assert node.neighbours == {(FOREIGN_AGENT, "wifi"): "02::fa"}
    assert node.tunnels == set()
    assert node.row("wifi")["tunnel"]["gateway"] == str(FOREIGN_AGENT)
    assert node.row("wifi")["foreign_agent"] == str(FOREIGN_AGENT)


def test_solicitations_slow_down_and_end() -> None:
    node = visitor()
    node.change("wifi", up())
    node.advance(400)
    times = [time for time, _ in node.solicited]
    assert times[0] - 1000 <= 0.1
    gaps = [b - a for a, b in pairwise(times)]
    for gap, nominal in zip(gaps, (1, 1, 1, 2, 4, 8, 16, 32, 64, 64), strict=False):
        assert nominal <= gap <= nominal * 1.1
    assert len(set(gaps)) == len(gaps), "randomised"
    icmp = node.solicited[0][1]
    assert (icmp.payload, icmp.source) == (bytes.fromhex("0a00f5ff00000000"), HOME)
    assert (str(icmp.destination), icmp.interface) == ("224.0.0.11", "wifi")
    node.hear(advertisement(lifetime=1000))
    node.solicited.clear()
    node.advance(900)
    assert node.solicited == []


def test_an_agent_in_use_that_is_overdue_is_asked_before_it_counts_as_gone() -> None:
    """5 % loss takes three advertisements in a row every few hours."""
    node = visiting()
    node.hear(advertisement(sequence=2))
    heard = node.time
    node.advance(5.9)
    assert node.solicited == []
    node.advance(3.0)
    times = [time - heard for time, _ in node.solicited]
    assert times == pytest.approx([6.0, 7.0, 8.1], abs=0.2)
    node.hear(advertisement(sequence=3))
    node.solicited.clear()
    node.advance(5.9)
    assert node.states()["wifi"] == "registered"
    assert node.solicited == []


def test_who_has_an_agent_solicits_three_times_and_no_more() -> None:
    node = visiting()
    node.hear(advertisement(sequence=2, lifetime=200))
    node.advance(199)
    assert len(node.solicited) == 3
    assert node.states()["wifi"] == "registered"
    node.advance(10)
    assert node.states()["wifi"] == "searching"
    assert len(node.solicited) > 5


def test_advertisements_of_others_neither_put_off_nor_multiply_the_question() -> None:
    node = visiting()
    node.hear(advertisement(sequence=2, lifetime=30))
    heard = node.time
    for sequence in range(290):
        node.advance(0.1)
        node.hear(advertisement(sequence=sequence, flags=BUSY | F_BIT | T_BIT), source=OTHER_AGENT)
    assert [time - heard for time, _ in node.solicited] == pytest.approx([20, 21, 22.1], abs=0.2)


def test_co_located_interfaces_do_not_solicit() -> None:
    node = visitor()
    node.change("evdo", up(EVDO))
    node.advance(30)
    assert node.solicited == []


def test_agent_lost_and_nobody_else_is_a_lost_link() -> None:
    node = visiting()
    request = node.wait(9)
    assert [path.binding_id for path in node.paths] == [2]
    assert node.neighbours == {}
    assert (request.lifetime, request.binding_id, request.care_of_address) == (0, 1, FOREIGN_CARE_OF)
    assert (request.packet.interface, request.packet.destination) == ("evdo", HOME_AGENT)
    assert request.flags == T, "D tells what the care-of address was"
    assert node.solicited or node.timers
    node.advance(0.2)
    assert node.solicited


def test_agent_lost_with_another_known() -> None:
    node = visiting()
    node.advance(4)
    node.hear(advertisement(care_of=[OTHER_CARE_OF]), source=OTHER_AGENT, link="02::fb")
    assert node.sent == [], "the current agent is still heard"
    request = node.wait(4)
    assert (request.lifetime, request.binding_id, request.overwrite) == (600, 1, False)
    assert request.care_of_address == OTHER_CARE_OF
    assert request.packet.link_destination == "02::fb"
    node.answer(request)
    assert node.neighbours == {(OTHER_AGENT, "wifi"): "02::fb"}


def test_new_prefix_while_the_old_agent_misses_its_turn_is_a_move() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(router=FOREIGN_AGENT, prefix=24))
    node.answer(node.take())
    other = advertisement(care_of=[OTHER_CARE_OF], router=IPv4Address("203.0.113.1"), prefix=24)
    node.advance(2)
    node.hear(other, source=OTHER_AGENT)
    node.advance(1)
    assert node.sent == [], "the old one is not silent yet"
    node.advance(2)
    node.hear(other, source=OTHER_AGENT)
    assert node.take().care_of_address == OTHER_CARE_OF
    assert node.paths, "the old way is used until the new one is accepted"


@pytest.mark.parametrize("prefix", [None, 24])
def test_no_move_by_prefix_without_different_prefixes(prefix: int | None) -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(router=FOREIGN_AGENT, prefix=24))
    node.answer(node.take())
    node.advance(6)
    node.hear(advertisement(care_of=[OTHER_CARE_OF], router=OTHER_AGENT, prefix=prefix), source=OTHER_AGENT)
    node.advance(1)
    assert node.sent == []


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [(5, 0, True), (700, 255, True), (0xFFFF, 256, False), (5, 6, False), (5, 5, False), (300, 299, False)],
)
def test_restart_of_the_agent(first: int, second: int, again: bool) -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(first))
    node.answer(node.take())
    node.advance(3)
    node.hear(advertisement(second))
    assert bool(node.sent) == again


def test_restart_of_an_agent_not_in_use_changes_nothing() -> None:
    node = visiting()
    node.hear(advertisement(9, care_of=[OTHER_CARE_OF]), source=OTHER_AGENT)
    node.hear(advertisement(0, care_of=[OTHER_CARE_OF]), source=OTHER_AGENT)
    assert node.sent == []


def test_goodbye_of_the_agent() -> None:
    node = visiting()
    node.hear(advertisement(lifetime=0))
    assert [path.binding_id for path in node.paths] == [2]


def test_busy_agent_takes_nobody_new_but_keeps_us() -> None:
    node = visitor()
    node.change("wifi", up())
    busy = advertisement(flags=F_BIT | T_BIT | BUSY)
    node.hear(busy)
    assert node.sent == []
    node.hear(advertisement())
    node.answer(node.take())
    keep_hearing(node, 420, busy)
    assert node.states()["wifi"] == "registered"
    assert node.row("wifi")["lifetime_remaining"] > 180


@pytest.mark.parametrize(
    "payload",
    [
        advertisement(care_of=[]),
        advertisement(registration_lifetime=0),
        advertisement(flags=0x2000, care_of=[]),
        advertisement(flags=0),
    ],
)
def test_agents_that_cannot_be_used(payload: bytes) -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(payload)
    assert node.sent == []


def test_broken_and_foreign_messages() -> None:
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement()[:-1])
    node.hear(b"")
    assert {report.fields["interface"] for report in node.events("advertisement-discarded")} == {"wifi"}
    assert len(node.events("advertisement-discarded")) == 2
    node.hear(bytes.fromhex("0a00f5ff00000000"))
    node.hear(advertisement(), name="evdo")
    node.hear(advertisement(), name="eth7")
    assert node.sent == []


def test_agents_remembered_are_limited() -> None:
    node = visiting()
    for n in range(3, 40):
        node.hear(advertisement(care_of=[OTHER_CARE_OF]), source=IPv4Address(f"192.0.2.{n}"))
    node.hear(advertisement(), link="02::fc")
    assert node.neighbours == {(FOREIGN_AGENT, "wifi"): "02::fc"}, "the one in use is not forgotten"


def test_link_down_forgets_the_agent() -> None:
    node = visiting()
    node.change("wifi", DOWN)
    assert [path.binding_id for path in node.paths] == [2]
    node.sent.clear()
    node.change("wifi", up())
    assert node.states()["wifi"] == "searching"
    assert all(r.packet.interface != "wifi" for r in node.sent)
    node.hear(advertisement())
    seen = node.accept_all()
    assert seen[-1].binding_id == 1
    assert node.machine.registered


def test_an_agent_heard_earlier_is_not_moved_back_to() -> None:
    """A third one that takes no mobile nodes shows that both are of another network."""
    node = visitor()
    node.change("wifi", up())
    node.hear(advertisement(care_of=[OTHER_CARE_OF], router=OTHER_AGENT, prefix=24), source=OTHER_AGENT)
    node.sent.clear()
    node.advance(0.1)
    node.hear(advertisement(router=FOREIGN_AGENT, prefix=24))
    node.change("wifi", up())
    node.advance(6)
    elsewhere = advertisement(care_of=[], router=IPv4Address("203.0.113.1"), prefix=24)
    node.hear(elsewhere, source=IPv4Address("203.0.113.1"))
    node.sent.clear()
    for _ in range(3):
        assert node.do(node.machine.timer("none", node.now)) == []
        node.advance(0.9)
    assert len({request.packet.destination for request in node.sent}) <= 1
