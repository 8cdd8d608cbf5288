# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent advertisements on the home link (RFC 5944 §2.1, §2.3; RFC 1256 §4.3)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any, NamedTuple

import pytest

from agents.effects import Effect, Report, SendIcmp, StartTimer, StopTimer
from tests.unit.home_agent.home_agent_lab import HOME, HOME_AGENT, START, Lab

ALL_SYSTEMS = IPv4Address("224.0.0.1")
UNSPECIFIED = IPv4Address(0)
SOLICITATION = bytes.fromhex("0a00f5ff00000000")


class Advertisement(NamedTuple):
    code: int
    lifetime: int
    router: IPv4Address
    preference: int
    sequence: int
    registration_lifetime: int
    flags: int
    prefix_length: int


def read(effect: SendIcmp) -> Advertisement:
    """Parse by the figures of RFC 1256 §3 and RFC 5944 §2.1.1, §2.1.2, checksum included."""
    payload = effect.payload
    total = sum(struct.unpack(f"!{len(payload) // 2}H", payload))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    kind, code, _, count, size, lifetime, router, preference = struct.unpack_from("!BBHBBHIi", payload)
    assert (kind, count, size) == (9, 1, 2)
    extension, length, sequence, registration, flags = struct.unpack_from("!BBHHH", payload, 16)
    assert (extension, length) == (16, 6)
    assert payload[24:26] == bytes([19, 1])
    assert set(payload[27:]) <= {0}
    return Advertisement(
        code, lifetime, IPv4Address(router), preference, sequence, registration, flags, payload[26]
    )


def sent(effects: list[Effect]) -> list[SendIcmp]:
    return [effect for effect in effects if isinstance(effect, SendIcmp)]


class Link:
    """A lab that collects what is sent on the home link."""

    def __init__(self, **changes: Any) -> None:
        self.lab = Lab(**{"advertise": True, **changes})
        self.first = sent(self.lab.effects)

    def solicit(
        self, source: IPv4Address = HOME, interface: str = "eth0", payload: bytes = SOLICITATION
    ) -> list[Effect]:
        effects = self.lab.agent.receive_icmp(payload, source, interface, "02:00:00:00:00:05", self.lab.now)
        return self.lab.apply(effects)

    def next(self) -> tuple[float, list[SendIcmp]]:
        """Run the next advertisement timer: after how long, and what was sent."""
        began = self.lab.now.monotonic
        (at,) = self.lab.kernel.timers.values()
        self.lab.wait(at - began)
        return self.lab.now.monotonic - began, sent(self.lab.effects)


def test_content() -> None:
    (first,) = Link().first
    assert (first.source, first.destination, first.interface) == (HOME_AGENT, ALL_SYSTEMS, "eth0")
    assert first.link_destination is None
    assert read(first) == Advertisement(
        code=16,
        lifetime=9,
        router=HOME_AGENT,
        preference=-(1 << 31),
        sequence=0,
        registration_lifetime=600,
        flags=0x2000 | 0x0400,
        prefix_length=24,
    )


def test_other_settings() -> None:
    (first,) = Link(
        encapsulations={"ipip"},
        home_prefix_length=20,
        advertisement={"interval": 5, "lifetime": 30, "registration_lifetime": 65535},
    ).first
    advertisement = read(first)
    assert (advertisement.flags, advertisement.prefix_length) == (0x2000, 20)
    assert (advertisement.lifetime, advertisement.registration_lifetime) == (30, 65535)


def test_intervals_and_sequence() -> None:
    link = Link()
    intervals = []
    for number in range(1, 40):
        interval, (message,) = link.next()
        assert read(message).sequence == number
        intervals.append(interval)
    assert min(intervals) >= 0.75 * 3
    assert max(intervals) <= 3
    assert len(set(intervals)) > 30


def test_first_intervals_are_short() -> None:
    """MAX_INITIAL_ADVERT_INTERVAL, MAX_INITIAL_ADVERTISEMENTS (RFC 1256 §7)."""
    link = Link(advertisement={"interval": 600, "lifetime": 1800})
    intervals = [link.next()[0] for _ in range(5)]
    assert intervals[:3] == [16.0, 16.0, 16.0]
    assert min(intervals[3:]) >= 450


def test_sequence_wraps_to_256() -> None:
    link = Link(advertise=False)
    for _ in range(0xFFFF):
        link.lab.wait(0.05)  # answers are limited
        link.lab.agent.receive_icmp(SOLICITATION, HOME, "eth0", None, link.lab.now)
    numbers = [read(link.solicit()[0]).sequence for _ in range(3)]  # type: ignore[arg-type]
    assert numbers == [0xFFFF, 256, 257]


def test_solicited_unicast() -> None:
    (answer,) = Link().solicit()
    assert isinstance(answer, SendIcmp)
    assert (answer.destination, answer.link_destination, answer.interface) == (
        HOME,
        "02:00:00:00:00:05",
        "eth0",
    )
    assert read(answer).sequence == 1


def test_source_need_not_be_a_neighbour() -> None:
    (answer,) = Link().solicit(IPv4Address("192.0.2.77"))
    assert isinstance(answer, SendIcmp)


def test_solicited_without_address() -> None:
    """Answered for all, after at most MAX_RESPONSE_DELAY, and only once."""
    link = Link(advertisement={"interval": 600, "lifetime": 1800})
    (timer,) = link.solicit(UNSPECIFIED)
    assert isinstance(timer, StartTimer)
    assert 0 <= timer.at - link.lab.now.monotonic <= 2
    earliest = timer.at
    for _ in range(20):
        for sooner in link.solicit(UNSPECIFIED):
            assert isinstance(sooner, StartTimer)
            assert sooner.at < earliest, "an answer that is due was put off"
            earliest = sooner.at
    interval, (message,) = link.next()
    assert interval == pytest.approx(earliest - START.monotonic)
    assert message.destination == ALL_SYSTEMS
    assert link.next()[0] == 16.0


def test_silent_unless_asked() -> None:
    link = Link(advertise=False)
    assert link.first == []
    assert link.lab.kernel.timers == {}
    assert len(sent(link.solicit())) == 1
    link.solicit(UNSPECIFIED)
    assert len(link.next()[1]) == 1
    assert link.lab.kernel.timers == {}
    assert link.lab.agent.timer("advertisement", link.lab.now) == []


@pytest.mark.parametrize("interface", ["eth1", "eth"])
def test_other_links(interface: str) -> None:
    assert Link().solicit(interface=interface) == []


def test_virtual_home_network() -> None:
    link = Link(home_link=None)
    assert link.first == []
    assert link.solicit() == []
    assert link.lab.agent.timer("advertisement", link.lab.now) == []
    assert link.lab.agent.stop(link.lab.now) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "truncated"),
        (SOLICITATION[:-1] + b"\1", "bad-checksum"),
        (bytes.fromhex("0a01f5fe00000000"), "bad-code"),
        (bytes.fromhex("0800f7ff00000000"), "unexpected-message-type"),
    ],
)
def test_malformed(payload: bytes, reason: str) -> None:
    (report,) = Link().solicit(payload=payload)
    assert isinstance(report, Report)
    assert (report.event, report.fields["reason"]) == ("solicitation-discarded", reason)


def test_other_advertisements_are_no_question() -> None:
    link = Link()
    assert link.solicit(payload=link.first[0].payload) == []


def test_stop_says_good_bye() -> None:
    link = Link()
    effects = link.lab.apply(link.lab.agent.stop(link.lab.now))
    assert [type(effect) for effect in effects] == [StopTimer, SendIcmp]
    (last,) = sent(effects)
    assert (read(last).lifetime, last.destination) == (0, ALL_SYSTEMS)
    assert link.lab.kernel.timers == {}


def test_restart_begins_at_zero() -> None:
    link = Link()
    link.next()
    link.lab.apply(link.lab.agent.stop(link.lab.now))
    (first,) = sent(link.lab.apply(link.lab.agent.start(link.lab.now)))
    assert read(first).sequence == 0
