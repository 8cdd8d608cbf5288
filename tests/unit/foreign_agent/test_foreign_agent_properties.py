# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds whatever mobile nodes, home agents and strangers send."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from agents.effects import Report, SendDatagram
from agents.foreign_agent_pending import PendingKey
from agents.visitors import KeepaliveTimer, VisitorTimer
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    CO_LOCATED,
    ENCAPSULATING,
    HOME,
    HOME_AGENT,
    HOME_ENTRY,
    LINKS,
    OTHER_CARE_OF,
    OTHER_HOME_AGENT,
    STRANGER,
    Lab,
    extension,
    reply_to,
    signed_for_agent,
)
from tests.unit.foreign_agent.test_foreign_agent_udp import udp_reply
from tests.unit.home_agent.home_agent_lab import D, G, M, S, T, authentication, fixed_request, gre_key
from tests.unit.home_agent.home_agent_lab import multiple as multiple_tunnel_request

LIMIT, PENDING_TIME = 3, 7.0
BEFORE = st.lists(
    st.one_of(
        st.builds(
            multiple_tunnel_request,
            st.integers(0, 3),
            bulk=st.booleans(),
            overwrite=st.booleans(),
            length=st.sampled_from([10, 8, 6, 7]),
        ),
        st.builds(gre_key, st.integers(1, 2)),
        st.builds(extension, st.integers(128, 255), st.binary(max_size=8)),
        st.just(b"\0"),
    ),
    max_size=3,
).map(b"".join)
AFTER = st.lists(
    st.one_of(
        st.just(ENCAPSULATING),
        st.builds(multiple_tunnel_request, st.integers(0, 3), overwrite=st.booleans()),
        st.builds(extension, st.integers(128, 255), st.binary(max_size=8)),
    ),
    max_size=3,
).map(b"".join)
ADDRESSES = st.sampled_from([HOME, HOME, HOME + 1])
WILD = st.fixed_dictionaries(
    {
        "flags": st.sampled_from([0, T, T | S, T | G, T | M, D | T, T | G | M]),
        "lifetime": st.sampled_from([0, 0, 3, 60, 600, 601, 65535]),
        "home_address": ADDRESSES,
        "home_agent": st.sampled_from([HOME_AGENT, HOME_AGENT, OTHER_HOME_AGENT, HOME]),
        "care_of_address": st.sampled_from([CARE_OF, CARE_OF, OTHER_CARE_OF, CO_LOCATED, HOME]),
        "before": BEFORE,
    }
)
ORDINARY = st.fixed_dictionaries(
    {
        "flags": st.sampled_from([T, T | S, T | G, 0]),
        "lifetime": st.sampled_from([600, 600, 60, 0]),
        "home_address": ADDRESSES,
        "home_agent": st.sampled_from([HOME_AGENT, HOME_AGENT, HOME_AGENT, OTHER_HOME_AGENT]),
        "care_of_address": st.sampled_from([CARE_OF, CARE_OF, OTHER_CARE_OF]),
        "before": st.one_of(
            st.builds(
                multiple_tunnel_request,
                st.integers(1, 3),
                overwrite=st.sampled_from([False, False, False, True]),
                kbytes=st.integers(0, 3),
            ),
            st.just(b""),
        ),
    }
)
LINK = st.sampled_from([("wifi", LINKS["wifi"]), ("lte", LINKS["lte"]), ("wifi", STRANGER)])


class Machine(RuleBasedStateMachine):
    """A foreign agent behind a NAT, with an association with one home agent, and all sorts of traffic."""

    relayed = Bundle("relayed")

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(
            pending_limit=LIMIT,
            maximum_visitors=3,
            behind_nat=True,
            reverse_tunnel="optional",
            home_agent=[HOME_ENTRY],
            path_selection={"weights": "bandwidth"},
        )

    def current(self) -> object:
        """The current parts; the time that passes is not a change."""
        rows = self.lab.status()["visitors"]
        return [{k: v for k, v in row.items() if k != "lifetime_remaining"} for row in rows]

    @rule(
        target=relayed,
        fields=st.one_of(ORDINARY, ORDINARY, ORDINARY, WILD),
        after=AFTER,
        link=LINK,
        ttl=st.sampled_from([255] * 7 + [64]),
    )
    def request(self, fields: dict[str, Any], after: bytes, link: tuple[str, str], ttl: int) -> Any:
        """No request changes a current entry; what is relayed is the mobile node's own octets."""
        current, kernel = self.current(), repr({**vars(self.lab.kernel), "timers": None})
        protected = self.lab.request(**fields)
        sent = self.lab.send(protected + after, interface=link[0], link=link[1], ttl=ttl)
        assert self.current() == current
        assert repr({**vars(self.lab.kernel), "timers": None}) == kernel
        if sent is None or sent.payload[0] == 3:
            return multiple()
        assert sent.payload.startswith(protected)
        assert sent.destination == fields["home_agent"]
        assert sent.source in (CARE_OF, OTHER_CARE_OF)
        return sent.payload

    @rule(
        payload=consumes(relayed),
        code=st.sampled_from([0, 0, 0, 0, 0, 1, 64, 133]),
        lifetime=st.sampled_from([None, None, None, 0, 30, 65535]),
        udp=st.booleans(),
        signed=st.sampled_from([True] * 7 + [False]),
        extra=st.sampled_from([b"", gre_key(3), extension(200, b"x")]),
    )
    def reply(
        self, payload: bytes, code: int, lifetime: int | None, udp: bool, signed: bool, extra: bytes
    ) -> None:
        """A denial leaves the current entries; the reply's own octets are relayed."""
        current = self.current()
        waiting = len(self.lab.pending())
        protected = reply_to(payload, code=code, lifetime=lifetime, before=extra)
        octets = protected + (udp_reply() if udp else b"") + extension(201, b"y")
        back = self.lab.answer(signed_for_agent(octets) if signed else octets)
        assert len(self.lab.pending()) == waiting - (back is not None or bool(self.refused()))
        if back is None or code not in (0, 1):
            assert self.current() == current
        if back is not None and back.payload[0] == 3 and back.payload[1] == code:
            assert back.payload[: len(protected)] == protected
            assert back.payload[len(protected) :] in (b"", b"\x2d\x02\x00\x44")
        if back is not None:
            assert back.link_destination in (*LINKS.values(), STRANGER)

    @rule(fields=ORDINARY, link=LINK, udp=st.booleans())
    def register(self, fields: dict[str, Any], link: tuple[str, str], udp: bool) -> None:
        """What is relayed and accepted, is; what is deregistered, ends."""
        sent = self.lab.send(self.lab.request(**fields), interface=link[0], link=link[1])
        if sent is None or sent.payload[0] == 3:
            return
        octets = reply_to(sent.payload) + (udp_reply() if udp else b"")
        back = self.lab.answer(signed_for_agent(octets) if fields["home_agent"] == HOME_AGENT else octets)
        assert back is not None
        assert back.payload == reply_to(sent.payload)
        rows = self.lab.status()["visitors"]
        identification = sent.payload[16:24].hex()
        found = [row for row in rows if row["identification"] == identification]
        assert len(found) == (fields["lifetime"] > 0)
        assert all((row["interface"], row["link_address"]) == link for row in found)

    def refused(self) -> list[dict[str, Any]]:
        """A denial of our own that came too soon after another."""
        return self.lab.reports("denial-suppressed")

    @rule(
        octets=st.binary(max_size=60),
        kind=st.sampled_from([1, 3]),
        interface=st.sampled_from(["wifi", "eth0"]),
    )
    def noise(self, octets: bytes, kind: int, interface: str) -> None:
        """Anything else does nothing but be counted, or denied."""
        current = self.current()
        waiting = self.lab.pending()
        sent = self.lab.send(bytes([kind]) + octets, interface=interface, link=STRANGER)
        assert sent is None or sent.payload[0] == 3
        assert (self.current(), self.lab.pending()) == (current, waiting)

    @rule(code=st.integers(0, 15))
    def unreachable(self, code: int) -> None:
        """An ICMP error ends pending parts only."""
        current = self.current()
        self.lab.apply(self.lab.agent.unreachable(HOME_AGENT, code, self.lab.now))
        assert self.current() == current

    @rule(seconds=st.sampled_from([0.3, 0.3, 1.0, 1.0, 8.0, 100.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.lab.wait(seconds)

    @rule(enabled=st.sampled_from([True, True, True, False]))
    def switch(self, enabled: bool) -> None:
        """The operator changes EnableMultipleTunnelSupport."""
        self.lab.apply(self.lab.agent.set_multiple_tunnel_support(enabled, self.lab.now))

    @rule(kbytes=st.integers(0, 3))
    def weigh(self, kbytes: int) -> None:
        """The operator sets a bandwidth."""
        self.lab.apply(self.lab.agent.set_bandwidth(1, kbytes, self.lab.now))

    @invariant()
    def limits_hold(self) -> None:
        """Neither list grows without end."""
        assert len(self.lab.pending()) <= LIMIT
        assert len(self.lab.status()["visitors"]) <= 3
        assert all(row["seconds_left"] <= PENDING_TIME for row in self.lab.pending())

    @invariant()
    def the_kernel_has_what_the_entries_need(self) -> None:
        """Tunnels, paths and reverse paths of the entries, and of nobody else."""
        rows = [row for row in self.lab.status()["visitors"] if not row["co_located"]]
        kernel = self.lab.kernel
        assert {str(address) for address in kernel.paths} == {row["home_address"] for row in rows}
        assert {(str(t.local), str(t.remote), t.encapsulation.value) for t in kernel.tunnels} == {
            (row["care_of_address"], row["home_agent"], row["encapsulation"]) for row in rows
        }
        wanted = {(row["home_address"], row["interface"]) for row in rows if row["reverse_tunnel"]}
        have = {(str(address), interface) for address, interface in (*kernel.reverse, *kernel.delivered)}
        assert have == wanted
        assert {(str(a), i) for a, i in kernel.neighbours} == {
            (row["home_address"], row["interface"]) for row in rows
        }

    @invariant()
    def every_part_has_its_timer(self) -> None:
        """And no timer is left without one."""
        timers = self.lab.kernel.timers
        entries = [key.visitor for key in timers if isinstance(key, VisitorTimer)]
        keys = {(str(entry.home_address), entry.binding_id) for entry in entries}
        rows = self.lab.status()["visitors"]
        assert keys == {(row["home_address"], row["binding_id"]) for row in rows}
        parts = [key for key in timers if isinstance(key, PendingKey)]
        assert len(parts) == len(self.lab.pending())
        alive = [key for key in timers if isinstance(key, KeepaliveTimer)]
        assert len(alive) == sum(row["encapsulation"] == "udp" for row in rows)

    @invariant()
    def one_home_agent_for_a_home_address(self) -> None:
        """No node gets the traffic of another by a home agent of its own."""
        rows = [*self.lab.status()["visitors"], *(r for r in self.lab.pending() if r["lifetime"])]
        pairs = {(row["home_address"], row["home_agent"]) for row in rows}
        assert len(pairs) == len({home_address for home_address, _ in pairs})

    def teardown(self) -> None:
        """Every timer ends, and leaves nothing."""
        self.lab.wait(2000)
        assert self.lab.kernel.timers == {}
        assert self.lab.kernel.empty
        assert self.lab.pending() == self.lab.status()["visitors"] == []


Machine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, derandomize=True
)
TestMachine = Machine.TestCase


@settings(max_examples=150, deadline=None, derandomize=True)
@given(before=BEFORE, after=AFTER, cut=st.integers(0, 200))
def test_a_cut_message_never_gets_further(before: bytes, after: bytes, cut: int) -> None:
    lab = Lab()
    payload = lab.request(before) + after
    cut = min(cut, len(payload))
    sent = lab.send(payload[:cut])
    relayed = sent is not None and sent.payload[0] == 1
    protected = len(lab.request(before))
    assert not relayed or cut >= protected
    assert lab.kernel.empty
    assert all(isinstance(effect, SendDatagram | Report) for effect in lab.effects) or relayed


@settings(max_examples=100, deadline=None, derandomize=True)
@given(home_agents=st.lists(st.sampled_from([HOME_AGENT, OTHER_HOME_AGENT]), max_size=6), data=st.data())
def test_denials_to_one_node_are_a_second_apart(home_agents: list[Any], data: st.DataObject) -> None:
    lab = Lab()
    times = []
    for home_agent in home_agents:
        lab.wait(data.draw(st.sampled_from([0.1, 0.5, 1.1])))
        payload = fixed_request(
            identification=lab.identification(),
            flags=T,
            home_agent=home_agent,
            care_of_address=CO_LOCATED,
        )
        sent = lab.send(authentication(payload))
        if sent is not None:
            times.append(lab.now.monotonic)
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))
    assert bool(times) == bool(home_agents)
