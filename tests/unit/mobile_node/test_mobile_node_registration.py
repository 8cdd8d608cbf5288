# SPDX-License-Identifier: GPL-2.0-or-later
"""Registering, renewing and retransmitting with co-located care-of addresses."""

from __future__ import annotations

import struct
from ipaddress import IPv4Network
from itertools import pairwise

import pytest

from agents.effects import AddTunnel, Path, ReceiveBroadcasts, SetPaths
from tests.unit.mobile_node.mobile_node_lab import (
    EVDO,
    HOME,
    HOME_AGENT,
    LTE,
    WIFI,
    B,
    D,
    Request,
    S,
    T,
    advertisement,
    interface,
    lab,
    registered,
    tunnel,
    up,
    visitor,
)


def test_first_request_of_the_node() -> None:
    node = lab(interface("wifi", 1, access_technology=4, downlink_kbit=50_000))
    node.start("wifi")
    request = node.take()
    packet = request.packet
    assert (packet.source, packet.source_port) == (WIFI, 434)
    assert (packet.destination, packet.destination_port) == (HOME_AGENT, 434)
    assert (packet.interface, packet.ttl, packet.link_destination) == ("wifi", 255, None)
    assert request.flags == D | T
    assert request.lifetime == 600
    assert (request.home_address, request.home_agent) == (HOME, HOME_AGENT)
    assert request.care_of_address == WIFI
    assert request.types == [127, 32]
    # FACTS §15: Sub-Type 0, If-Type 4, BID 1, O, 6250 kB/s.
    assert request.extension(127) == bytes.fromhex("0004 0001 4000 0000186a".replace(" ", ""))


def test_timestamp_is_the_time_of_day() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    assert node.take().identification >> 32 == int(node.now.unix) + 2_208_988_800


@pytest.mark.parametrize(("kbit", "kbytes"), [(0, 0), (1, 1), (3, 1), (12, 2), (11, 1), (3100, 388)])
def test_bandwidth_is_announced_in_kilobytes(kbit: int, kbytes: int) -> None:
    node = lab(interface("wifi", 1, downlink_kbit=kbit))
    node.start("wifi")
    data = node.take().extension(127)
    assert data is not None
    assert struct.unpack("!I", data[6:]) == (kbytes,)


def test_short_form_of_the_extension() -> None:
    node = lab(interface("wifi", 1), profile={"multiple_tunnel_request": 51, "request_length": 6})
    node.start("wifi")
    assert node.take().extension(51) == bytes.fromhex("000000014000")


def test_all_interfaces_register_one_after_the_other() -> None:
    node = lab()
    node.start("wifi", "evdo", "lte")
    first = node.take()
    node.advance(0.3)
    assert node.sent == [], "one outstanding request per home agent"
    node.answer(first)
    second = node.take()
    assert second.packet.interface == "evdo"
    assert (second.overwrite, second.flags & S) == (False, S)
    assert (first.overwrite, first.flags & S) == (True, 0)
    node.answer(second)
    assert node.sent == [], "paced"
    node.advance(0.05)
    third = node.take()
    assert third.time - second.time == pytest.approx(0.05)
    node.answer(third)
    assert node.machine.registered
    assert node.states() == dict.fromkeys(("wifi", "evdo", "lte"), "registered")
    assert node.paths == (
        Path(tunnel(WIFI, "wifi"), 1.0, 1),
        Path(tunnel(EVDO, "evdo"), 1.0, 2),
        Path(tunnel(LTE, "lte"), 1.0, 3),
    )


def test_tunnel_is_added_before_the_path() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take())
    kinds = [type(effect) for effect in node.effects]
    assert kinds.index(AddTunnel) < kinds.index(SetPaths)


def test_identifications_only_grow_and_differ_in_their_low_half() -> None:
    node = registered()
    node.advance(3600)
    values = [request.identification for request in node.sent]
    assert len(values) > 30
    assert all(a < b for a, b in pairwise(values))
    assert len({value & 0xFFFFFFFF for value in values}) == len(values)


def test_lost_request_blocks_the_others_for_one_interval() -> None:
    node = lab()
    node.start("wifi", "evdo", "lte")
    node.advance(2.5)
    assert [(r.packet.interface, r.time) for r in node.sent] == [
        ("wifi", 1000.0),
        ("evdo", 1001.0),
        ("lte", 1002.0),
    ]


def test_nothing_is_flushed_until_an_overwrite_succeeds() -> None:
    node = lab()
    node.start("wifi", "evdo", "lte")
    node.advance(1.5)
    lost, second = node.sent
    assert (lost.overwrite, second.overwrite) == (True, True)
    node.sent.clear()
    node.answer(second)
    assert node.take().overwrite is False
    # The first was undone by the second, so its reply must not revive it.
    node.answer(lost)
    assert node.states()["wifi"] == "registering"
    assert node.discards() == ["no-matching-request"]


def test_retransmission_doubles_to_a_maximum() -> None:
    node = lab(interface("wifi", 1), legacy_attempts=100)
    node.start("wifi")
    node.advance(150)
    gaps = [b.time - a.time for a, b in pairwise(node.sent)]
    assert gaps[:7] == pytest.approx([1, 2, 4, 8, 16, 30, 30])


def test_retransmission_is_never_longer_than_the_lifetime() -> None:
    node = lab(interface("wifi", 1), legacy_attempts=100, lifetime=5)
    node.start("wifi")
    node.advance(40)
    gaps = [b.time - a.time for a, b in pairwise(node.sent)]
    assert max(gaps) == pytest.approx(5)


def test_retransmission_follows_the_round_trip_time() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.advance(0.9)
    node.answer(node.take())
    node.advance(410)
    first, second, *_ = node.sent
    assert second.time - first.time == pytest.approx(2 * 0.9 + 0.1)


def test_late_reply_counts_until_the_next_request() -> None:
    node = lab(interface("wifi", 1), interface("evdo", 2))
    node.start("wifi", "evdo")
    node.answer(node.take())
    slow = node.wait()
    node.advance(0.9)
    node.sent.clear()
    node.answer(slow)
    assert node.machine.registered
    assert node.row("evdo")["round_trip"] == pytest.approx(0.9)


def test_lifetime_counts_from_the_request_and_is_the_smaller() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.advance(0.5)
    node.answer(node.take(), lifetime=100)
    assert node.row("wifi")["lifetime_remaining"] == pytest.approx(99.5)
    node.answer(node.wait(), lifetime=60_000)
    assert node.row("wifi")["lifetime"] == 600, "never more than requested"


def test_renewal_is_jittered_between_the_fractions() -> None:
    times = set()
    for seed in range(12):
        node = lab(interface("wifi", 1), seed=seed)
        node.start("wifi")
        node.answer(node.take())
        node.advance(599)
        assert 300 <= node.sent[0].time - 1000 <= 396
        times.add(node.sent[0].time)
    assert len(times) == 12


def test_expired_binding_leaves_the_paths() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take())
    node.advance(599.9)
    assert node.states()["wifi"] == "renewing"
    assert node.paths
    node.advance(0.2)
    assert node.paths == ()
    assert node.tunnels == set()
    assert node.events("binding-expired")


def test_infinite_lifetime_is_never_renewed() -> None:
    node = lab(interface("wifi", 1), lifetime=65535)
    node.start("wifi")
    node.answer(node.take())
    assert node.row("wifi")["lifetime_remaining"] is None
    assert node.timers == {}
    node.advance(1e6)
    assert node.sent == []


def test_renewals_alternate_between_bulk_and_individual() -> None:
    node = registered()
    node.reports.clear()
    seen: list[Request] = []
    for _ in range(3000):
        seen += node.accept_all(limit=1.0)
        if len(seen) >= 8:
            break
    assert [r.bulk for r in seen[:8]] == [True, False, False, False, True, False, False, False]
    assert {r.binding_id for r in seen[1:4]} == {1, 2, 3}
    assert not any(r.overwrite for r in seen)
    assert all(r.flags & S for r in seen)


def test_bulk_gives_all_the_same_end_from_its_sending() -> None:
    node = registered()
    bulk = node.wait()
    assert bulk.bulk
    node.advance(0.25)
    node.answer(bulk, lifetime=250)
    ends = {node.row(name)["lifetime_remaining"] for name in ("wifi", "evdo", "lte")}
    assert ends == {round(bulk.time + 250 - node.time, 3)}, "smaller than what was left, and applied too"


def test_unanswered_bulk_is_followed_by_an_individual_renewal() -> None:
    node = registered()
    node.advance(400)
    requests = [r for r in node.sent if r.binding_id == node.sent[0].binding_id]
    assert [r.bulk for r in requests[:2]] == [True, False]


def test_bulk_does_not_end_the_tries_of_an_interface_that_gets_no_answer() -> None:
    node = registered()
    node.answer(node.wait())
    silent = node.wait()
    while silent.packet.interface == "wifi":
        node.answer(silent)
        silent = node.wait()
    assert not silent.bulk
    node.advance(0.1)
    node.do(node.machine.reregister(node.now, bulk=True))
    bulk = node.wait(1.1)
    assert bulk.bulk
    node.answer(bulk)
    row = node.row(str(silent.packet.interface))
    assert row["lifetime_remaining"] > 595
    assert row["next_request_in"] < 2


def test_no_bulk_for_one_binding_or_if_switched_off() -> None:
    alone = lab(interface("wifi", 1))
    alone.start("wifi")
    assert not any(r.bulk for r in alone.accept_all(limit=1000))
    node = registered(bulk_renewal=False)
    assert not any(r.bulk for r in node.accept_all(limit=800))


def test_udp_tunnels_are_renewed_individually() -> None:
    node = lab(interface("wifi", 1, encapsulation="udp"), interface("evdo", 2), interface("lte", 3))
    node.start("wifi", "evdo", "lte")
    reply = bytes([44, 6, 0, 0, 0, 0, 0, 0])
    bulks = []
    for _ in range(2500):
        node.advance(0.2)
        waiting, node.sent = node.sent, []
        for request in waiting:
            if request.bulk:
                bulks.append(request)
                assert node.row("wifi")["lifetime_remaining"] <= 60
            node.answer(request, extensions=reply if request.binding_id == 1 else b"")
            if request.bulk:
                assert node.row("wifi")["lifetime_remaining"] <= 60, "a NAT knows nothing of it"
    assert bulks
    assert all(r.binding_id != 1 for r in bulks)


def test_broadcasts_are_asked_for_by_every_interface() -> None:
    node = visitor(receive_broadcasts=True, home_prefix_length=26)
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO)}, node.now))
    wanted = ReceiveBroadcasts(HOME, HOME_AGENT, IPv4Network("10.0.0.0/26"))
    assert node.effects[0] == wanted
    node.hear(advertisement())
    seen = node.accept_all()
    assert {request.packet.interface: request.flags & B for request in seen} == {"wifi": B, "evdo": B}
    assert node.broadcasts == [wanted]
