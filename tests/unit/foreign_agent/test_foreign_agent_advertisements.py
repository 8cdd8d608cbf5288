# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent advertisements of a foreign agent (RFC 5944 §2.1, §2.3; RFC 3024 §3.1; RFC 3519 §3.4)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any

import pytest

from agents.effects import Effect, SendIcmp, StopTimer
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    HOME,
    LTE_AGENT,
    OTHER_CARE_OF,
    WIFI_AGENT,
    WIFI_LINK,
    Lab,
)

R, BUSY, H, F, MINIMAL, GRE, REVERSE, UDP = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0400, 0x0100, 0x0080
SOLICITATION = bytes([10, 0, 0xF5, 0xFF, 0, 0, 0, 0])
INTERFACES = [
    {"name": "wifi", "address": WIFI_AGENT},
    {"name": "lte", "address": LTE_AGENT, "care_of_address": OTHER_CARE_OF, "prefix_length": 20},
]


def read(sent: SendIcmp) -> dict[str, Any]:
    """An advertisement with one router address and one mobility extension, by hand."""
    octets = sent.payload
    kind, code, _, count, words, lifetime = struct.unpack_from("!BBHBBH", octets)
    assert (kind, code, count, words) == (9, 16, 1, 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    router = IPv4Address(octets[8:12])
    kind, length, sequence, registration, flags = struct.unpack_from("!BBHHH", octets, 16)
    assert kind == 16
    addresses = octets[24 : 18 + length]
    prefix = octets[18 + length :]
    assert prefix[:2] == b"\x13\1"
    return {
        "router": router,
        "lifetime": lifetime,
        "sequence": sequence,
        "registration": registration,
        "flags": flags,
        "care_of": [IPv4Address(addresses[i : i + 4]) for i in range(0, len(addresses), 4)],
        "prefix": prefix[2],
    }


def sent_by(effects: list[Effect], interface: str | None = None) -> list[SendIcmp]:
    return [e for e in effects if isinstance(e, SendIcmp) and interface in (None, e.interface)]


def solicit(lab: Lab, source: IPv4Address = HOME, interface: str = "wifi") -> list[SendIcmp]:
    return sent_by(lab.apply(lab.agent.receive_icmp(SOLICITATION, source, interface, WIFI_LINK, lab.now)))


def hear(lab: Lab, seconds: float) -> list[tuple[float, SendIcmp]]:
    """Advertisements with their times."""
    heard = []
    end = lab.now.monotonic + seconds
    while due := sorted((at, repr(key), key) for key, at in lab.kernel.timers.items() if at <= end):
        lab.wait(due[0][0] - lab.now.monotonic)
        heard += [(lab.now.monotonic, sent) for sent in sent_by(lab.effects)]
    lab.wait(end - lab.now.monotonic)
    return heard


def test_each_interface_advertises_its_own_care_of_addresses() -> None:
    lab = Lab(interface=INTERFACES)
    first, second = sent_by(lab.effects)
    assert (first.interface, first.source, first.destination) == (
        "wifi",
        WIFI_AGENT,
        IPv4Address("224.0.0.1"),
    )
    assert read(first) == {
        "router": WIFI_AGENT,
        "lifetime": 9,
        "sequence": 0,
        "registration": 600,
        "flags": F | GRE | REVERSE,
        "care_of": [CARE_OF, OTHER_CARE_OF],
        "prefix": 24,
    }
    other = read(second)
    assert (other["router"], other["care_of"], other["prefix"]) == (LTE_AGENT, [OTHER_CARE_OF], 20)


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({"registration_required": True}, R | F | GRE | REVERSE),
        ({"encapsulations": ["ipip"]}, F | REVERSE),
        ({"reverse_tunnel": "forbidden"}, F | GRE),
        ({"behind_nat": True}, F | GRE | REVERSE | UDP),
    ],
)
def test_the_flags_say_what_the_settings_say(changes: dict[str, Any], flags: int) -> None:
    (sent,) = solicit(Lab(**changes))
    assert read(sent)["flags"] == flags


def test_numbers_go_up_by_one_and_intervals_vary() -> None:
    lab = Lab(interface=INTERFACES[:1], maximum_lifetime=300)
    heard = hear(lab, 60)
    assert [read(sent)["sequence"] for _, sent in heard] == list(range(1, len(heard) + 1))
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(heard)]
    assert all(2.25 <= gap <= 3 for gap in gaps)
    assert len(set(gaps)) > 10
    assert read(heard[0][1])["registration"] == 300


def test_after_65535_comes_256() -> None:
    lab = Lab()
    numbers = []
    for _ in range(0x10002):
        lab.wait(0.05)  # answers are limited
        numbers.append(read(solicit(lab)[0])["sequence"])
    assert numbers[-4:] == [0xFFFE, 0xFFFF, 256, 257]


def test_a_solicitation_is_answered_to_its_sender() -> None:
    lab = Lab()
    (sent,) = solicit(lab)
    assert (sent.destination, sent.link_destination, sent.interface) == (HOME, WIFI_LINK, "wifi")
    assert solicit(lab, interface="eth0") == []


def test_of_unspecified_source_with_one_multicast_for_all_who_ask() -> None:
    lab = Lab()
    assert solicit(lab, IPv4Address(0)) == []
    assert solicit(lab, IPv4Address(0)) == []
    heard = hear(lab, 10)
    assert [str(sent.destination) for _, sent in heard] == ["224.0.0.1"]


def test_a_malformed_solicitation_is_reported() -> None:
    lab = Lab()
    lab.apply(lab.agent.receive_icmp(SOLICITATION[:-1], HOME, "wifi", None, lab.now))
    assert lab.reports("solicitation-discarded")


def test_busy_says_that_the_list_is_full() -> None:
    lab = Lab(maximum_visitors=1)
    assert not read(solicit(lab)[0])["flags"] & BUSY
    lab.register(1)
    assert read(solicit(lab)[0])["flags"] & BUSY
    lab.wait(601)
    assert not read(solicit(lab)[0])["flags"] & BUSY


def test_leaving_is_announced_and_the_next_life_begins_with_0() -> None:
    lab = Lab(interface=INTERFACES)
    hear(lab, 20)
    lab.apply(lab.agent.stop(lab.now))
    assert [read(sent)["lifetime"] for sent in sent_by(lab.effects)] == [0, 0]
    assert sum(isinstance(effect, StopTimer) for effect in lab.effects) == 2
    assert lab.kernel.timers == {}
    lab.apply(lab.agent.start(lab.now))
    assert [read(sent)["sequence"] for sent in sent_by(lab.effects)] == [0, 0]
