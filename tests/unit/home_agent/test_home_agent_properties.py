# SPDX-License-Identifier: GPL-2.0-or-later
"""Invariants of the home agent under arbitrary sequences of requests (all authenticators valid)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.bindings import BindingTimer
from agents.effects import Datagram, Report
from tests.unit.home_agent.home_agent_lab import (
    HOME,
    HOME_AGENT,
    KEY,
    NAT,
    START,
    Kernel,
    Lab,
    Reply,
    authentication,
    fixed_request,
    multiple,
    udp_request,
)

PRIVATE = IPv4Address("192.168.1.2")
CARE_OF_ADDRESSES = [IPv4Address(text) for text in ("192.0.2.10", "198.51.100.20", "198.51.100.99")]
SCOPES = ["mobile-node", "binding"]


@dataclass(frozen=True)
class Step:
    """A request, or time that passes, or an old packet that comes (again)."""

    wait: float = 0.0
    old: int | None = None
    binding_id: int | None = None
    lifetime: int = 0
    flags: int = 0
    care_of_address: IPv4Address = HOME
    source: IPv4Address | None = None
    source_port: int = 434
    bulk: bool = False
    overwrite: bool = False
    udp: bool = False
    delayed: bool = False
    """The request is made now, but delivered only as somebody's ``old``."""


requests = st.builds(
    Step,
    binding_id=st.sampled_from([None, 0, 1, 2, 3, 4]),
    lifetime=st.sampled_from([0, 0, 1, 7, 300, 600, 65535]),
    flags=st.integers(0, 255),
    care_of_address=st.sampled_from([*CARE_OF_ADDRESSES, PRIVATE, HOME]),
    source=st.sampled_from([None, None, NAT]),
    source_port=st.sampled_from([434, 40001]),
    bulk=st.booleans(),
    overwrite=st.booleans(),
    udp=st.booleans(),
    delayed=st.integers(0, 3).map(lambda n: n == 0),
)
plausible = st.builds(
    Step,
    binding_id=st.sampled_from([1, 2, 3]),
    lifetime=st.sampled_from([0, 300, 600, 600]),
    flags=st.sampled_from([0x22, 0x22, 0x02]),
    care_of_address=st.sampled_from(CARE_OF_ADDRESSES),
    bulk=st.integers(0, 4).map(lambda n: n == 0),
    overwrite=st.integers(0, 4).map(lambda n: n == 1),
    delayed=st.integers(0, 3).map(lambda n: n == 0),
)
waits = st.builds(Step, wait=st.sampled_from([0.5, 3.0, 6.9, 100.0, 599.9, 600.0]))
old_packets = st.builds(Step, old=st.integers(0, 30))
steps = st.lists(st.one_of(requests, plausible, plausible, waits, old_packets), max_size=25)
configurations = st.fixed_dictionaries(
    {
        "replay_scope": st.sampled_from(SCOPES),
        "maximum_lifetime": st.sampled_from([600, 65535]),
        "maximum_bindings": st.sampled_from([1, 3, 8]),
        "path_selection": st.sampled_from([{"weights": "equal"}, {"weights": "bandwidth"}]),
        "reverse_tunnel": st.sampled_from(["optional", "required", "forbidden"]),
    }
)


@dataclass
class Player:
    """Plays steps and remembers every packet ever sent, with where it came from."""

    lab: Lab
    packets: list[tuple[bytes, IPv4Address, int]] = field(default_factory=list)
    accepted: set[int] = field(default_factory=set)

    def play(self, step: Step) -> tuple[int, Reply | None] | None:
        """The packet's number and its reply, if one was delivered."""
        if step.wait:
            self.lab.wait(step.wait)
            return None
        if step.old is not None:
            if not self.packets:
                return None
            number = step.old % len(self.packets)
        else:
            number = len(self.packets)
            extensions = b""
            if step.binding_id is not None:
                extensions = multiple(step.binding_id, bulk=step.bulk, overwrite=step.overwrite)
            if step.udp:
                extensions += udp_request()
            payload = self.lab.request(
                extensions,
                lifetime=step.lifetime,
                flags=step.flags,
                care_of_address=step.care_of_address,
            )
            self.packets.append((payload, step.source or step.care_of_address, step.source_port))
            if step.delayed:
                return None
        return number, self.lab.send(*self.packets[number])

    def fields(self, number: int) -> tuple[int, bytes]:
        """Lifetime and the octets of the Multiple Tunnel Request of a packet."""
        payload = self.packets[number][0]
        return int.from_bytes(payload[2:4], "big"), payload[24:36] if payload[24] == 127 else b""


def state(lab: Lab) -> tuple[Any, ...]:
    """Everything a rejected request must leave alone."""
    table = sorted(map(repr, lab.agent._table.all()))
    kernel = lab.kernel
    return table, dict(kernel.tunnels), dict(kernel.paths), set(kernel.intercepted), dict(kernel.timers)


def check_consistency(lab: Lab) -> None:
    """Bindings, tunnels, paths, timers and ARP tell the same story."""
    rows = lab.rows()
    kernel = lab.kernel
    end_points = {(row["end_point"], row["end_point_port"]) for row in rows.values()}
    assert {(str(t.remote), t.remote_port) for t in kernel.tunnels} == end_points
    assert sum(len(paths) for paths in kernel.paths.values()) == len(kernel.tunnels)
    assert (HOME in kernel.intercepted) == bool(rows)
    finite = {BindingTimer(HOME, key) for key, row in rows.items() if row["lifetime"] != 65535}
    assert kernel.timers.keys() == finite
    for key, row in rows.items():
        if BindingTimer(HOME, key) in finite:
            left = kernel.timers[BindingTimer(HOME, key)] - lab.now.monotonic
            assert row["lifetime_remaining"] == int(left + 1e-6)
            assert left <= row["lifetime"] + 1e-6
    assert None not in rows or len(rows) == 1, "a binding without Binding-Id stands alone (G16)"


@given(steps=steps, configuration=configurations)
@hypothesis_settings(max_examples=200, deadline=None)
def test_sequences(steps: list[Step], configuration: dict[str, Any]) -> None:
    lab = Lab(**configuration)
    player = Player(lab)
    for step in steps:
        before, rows_before = state(lab), lab.rows()
        delivered = player.play(step)
        check_consistency(lab)
        if delivered is None:
            continue
        number, reply = delivered
        if reply is None or reply.code > 1:
            assert state(lab) == before, "a rejected request changed something"
            continue
        assert number not in player.accepted, "a replayed request was accepted"
        player.accepted.add(number)
        lifetime, extension = player.fields(number)
        rows = lab.rows()
        assert len(rows) <= configuration["maximum_bindings"]
        if not lifetime:
            assert reply.lifetime == 0
            assert rows.keys() <= rows_before.keys(), "a deregistration made a binding"
            continue
        assert reply.lifetime == min(lifetime, configuration["maximum_lifetime"]) or reply.lifetime == 60
        if not extension or extension[6] & 0x40:
            assert len(rows) == 1, "O, or no extension: exactly one binding left"
            continue
        binding_id = int.from_bytes(extension[4:6], "big")
        assert rows[binding_id]["lifetime_remaining"] == reply.lifetime
        if extension[6] & 0x80:
            assert {row["lifetime_remaining"] for row in rows.values()} == {reply.lifetime}
        own = rows[binding_id]
        for other, row in rows_before.items():
            same = (row["end_point"], row["end_point_port"]) == (own["end_point"], own["end_point_port"])
            if other not in (None, binding_id) and not (own["co_located"] and same):
                assert other in rows, "another binding was lost"
    lab.wait(70_000)
    assert all(row["lifetime"] == 65535 for row in lab.rows().values()), "a binding outlived its lifetime"
    assert lab.kernel.timers == {}
    lab.apply(lab.agent.stop(lab.now))
    assert lab.kernel == Kernel()


@pytest.mark.parametrize("scope", SCOPES)
@given(data=st.data())
@hypothesis_settings(max_examples=60, deadline=None)
def test_reordering_ends_like_the_newest_requests(scope: str, data: st.DataObject) -> None:
    """However the network shuffles and doubles registrations and deregistrations of single bindings, no
    binding's newest accepted request is undone by an older one."""
    lab = Lab(replay_scope=scope)
    player = Player(lab)
    made = data.draw(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from([0, 600])), max_size=12))
    for binding_id, lifetime in made:
        player.play(
            Step(
                binding_id=binding_id,
                lifetime=lifetime,
                flags=0x22,
                care_of_address=CARE_OF_ADDRESSES[binding_id - 1],
                delayed=True,
            )
        )
    arrivals = data.draw(st.lists(st.integers(0, max(0, len(made) - 1)), max_size=30)) if made else []
    newest: dict[int, int] = {}
    for number in arrivals:
        lab.wait(0.1)  # or some denials would be left out
        delivered = player.play(Step(old=number))
        assert delivered is not None
        reply = delivered[1]
        assert reply is not None
        binding_id = made[number][0]
        if scope == "binding":
            assert (reply.code == 0) == (number > newest.get(binding_id, -1))
        else:
            assert (reply.code == 0) == (number > max(newest.values(), default=-1))
        if reply.code == 0:
            newest[binding_id] = number
    assert set(lab.rows()) == {binding_id for binding_id, number in newest.items() if made[number][1]}


def deliver(lab: Lab, payload: bytes) -> None:
    """Whatever it is: no exception, and without a good answer no change."""
    before = state(lab)
    source = IPv4Address("192.0.2.10")
    effects = lab.agent.receive(Datagram(payload, source, 434, HOME_AGENT, "eth1"), START)
    lab.kernel.apply(effects)
    assert effects
    assert all(isinstance(effect, Report) for effect in effects[1:]) or state(lab) != before


@given(payload=st.binary(max_size=120))
@hypothesis_settings(max_examples=200, deadline=None)
def test_arbitrary_octets(payload: bytes) -> None:
    lab = Lab()
    lab.register(1)
    before = state(lab)
    deliver(lab, payload)
    assert state(lab) == before


known_types = st.sampled_from(
    [0, 32, 33, 34, 36, 38, 44, 45, 48, 127, 130, 131, 134, 137, 144, 145, 148, 154]
)
extension_soup = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.tuples(known_types, st.binary(max_size=12)).map(lambda x: bytes([x[0], len(x[1])]) + x[1]),
        st.tuples(known_types, st.integers(0, 2), st.binary(max_size=12)).map(
            lambda x: bytes([x[0], x[1], 0, len(x[2])]) + x[2]
        ),
    ),
    max_size=5,
).map(b"".join)


@given(
    before=extension_soup,
    after=extension_soup,
    flags=st.integers(0, 255),
    lifetime=st.integers(0, 0xFFFF),
    addresses=st.tuples(*[st.sampled_from([HOME, HOME_AGENT, CARE_OF_ADDRESSES[0], NAT])] * 2),
)
@hypothesis_settings(max_examples=300, deadline=None)
def test_arbitrary_extensions_well_signed(
    before: bytes, after: bytes, flags: int, lifetime: int, addresses: tuple[IPv4Address, IPv4Address]
) -> None:
    lab = Lab()
    lab.register(1, identification=1 + lab.identification() - (1 << 33))
    fixed = fixed_request(
        identification=lab.identification(),
        flags=flags,
        lifetime=lifetime,
        home_agent=addresses[0],
        care_of_address=addresses[1],
    )
    deliver(lab, authentication(fixed + before, key=KEY) + after)
