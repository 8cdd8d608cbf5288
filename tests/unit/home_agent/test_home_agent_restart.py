# SPDX-License-Identifier: GPL-2.0-or-later
"""What a home agent keeps over a restart (FACTS G18, G25; RFC 5944 §5.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    HOME,
    KEY,
    LTE,
    NAT,
    OTHER_HOME,
    SPI,
    WIFI,
    Kernel,
    Lab,
    multiple,
    udp_request,
)
from tests.unit.home_agent.test_home_agent_properties import (
    Player,
    Step,
    configurations,
    old_packets,
    requests,
)
from tests.unit.home_agent.test_home_agent_properties import plausible as plausible_requests

NONCES = [{"home_address": HOME, "security_association": [{"spi": SPI, "key": KEY, "replay": "nonces"}]}]


@pytest.fixture
def lab() -> Lab:
    """Two bindings of one mobile node, one of another."""
    lab = Lab()
    assert lab.register(1, WIFI).code == 0
    assert lab.register(2, EVDO, kbytes=1000).code == 0
    assert lab.register(1, LTE, home_address=OTHER_HOME).code == 0
    return lab


class TestBindings:
    """They are there again, and so is all that follows from them."""

    def test_all_come_back(self, lab: Lab) -> None:
        rows, kernel = lab.status()["bindings"], lab.kernel
        lab.restart()
        assert lab.status()["bindings"] == rows
        assert (lab.kernel.tunnels, lab.kernel.paths) == (kernel.tunnels, kernel.paths)
        assert lab.kernel.intercepted == {HOME, OTHER_HOME}
        assert lab.kernel.timers.keys() == kernel.timers.keys()
        assert lab.reports("state-restored") == [{"bindings": 3, "ended": 0}]

    def test_the_time_away_counts(self, lab: Lab) -> None:
        lab.restart(away=100)
        assert {row["lifetime_remaining"] for row in lab.rows().values()} == {500}
        lab.wait(499)
        assert len(lab.rows()) == 2
        lab.wait(2)
        assert not lab.rows()
        assert lab.kernel == Kernel()

    def test_what_has_run_out_meanwhile_does_not_come_back(self, lab: Lab) -> None:
        lab.wait(300)
        lab.register(1, WIFI)
        lab.restart(away=301)
        assert lab.rows().keys() == {1}
        assert lab.kernel.intercepted == {HOME}
        assert lab.reports("state-restored") == [{"bindings": 1, "ended": 2}]

    def test_for_ever_stays_for_ever(self) -> None:
        lab = Lab(maximum_lifetime=65535)
        lab.register(1, WIFI, lifetime=65535)
        lab.restart(away=1e8)
        assert lab.rows()[1]["lifetime_remaining"] == 65535
        assert not lab.kernel.timers

    def test_a_clock_that_was_set_back_makes_no_lifetime_longer(self, lab: Lab) -> None:
        lab.wait(100)
        lab.restart(clock_step=-86_400)
        assert {row["lifetime_remaining"] for row in lab.rows().values()} == {600}

    def test_a_mobile_node_that_was_taken_out_of_the_settings(self, lab: Lab) -> None:
        only = [{"home_address": OTHER_HOME, "security_association": [{"spi": SPI, "key": KEY}]}]
        lab.restart(mobile_node=only)
        assert [row["home_address"] for row in lab.status()["bindings"]] == [str(OTHER_HOME)]

    def test_a_half_bound_one_is_completed_later(self) -> None:
        lab = Lab()
        lab.register(1, WIFI, source=NAT, source_port=40001, more=udp_request())
        before = lab.rows()
        lab.restart()
        assert lab.rows() == before

    def test_a_renewal_moves_nothing(self, lab: Lab) -> None:
        lab.restart()
        lab.wait(1)
        assert lab.register(1, WIFI).code == 0
        assert lab.kinds() == ["SendDatagram"]

    def test_a_deregistration_repeated_after_the_restart_takes_no_other(self) -> None:
        """FACTS G30: the Binding-Id is known to have been its own."""
        lab = Lab()
        lab.register(1, WIFI)
        lab.register(2, WIFI, flags=0x02)  # both by one foreign agent
        lab.deregister(2, flags=0x02)
        lab.restart()
        lab.wait(1)
        assert lab.deregister(2, flags=0x02).code == 0
        assert lab.rows().keys() == {1}


class TestReplay:
    """Nothing that was accepted is accepted again."""

    @pytest.mark.parametrize("scope", ["mobile-node", "binding"])
    def test_an_accepted_request(self, scope: str) -> None:
        lab = Lab(replay_scope=scope)
        payload = lab.request(multiple(1))
        first = lab.send(payload)
        assert first is not None
        assert first.code == 0
        lab.deregister(1)
        lab.restart(away=1)
        again = lab.send(payload)
        assert again is not None
        assert again.code == 133
        assert not lab.rows()

    def test_an_older_one_of_another_binding(self) -> None:
        """With ``replay_scope = "binding"``: a deregistration of all outdates what was under way."""
        lab = Lab(replay_scope="binding")
        delayed = lab.request(multiple(2), care_of_address=EVDO)
        lab.register(1)
        lab.deregister(1, bulk=True)
        lab.restart()
        reply = lab.send(delayed, EVDO)
        assert reply is not None
        assert reply.code == 133

    def test_nonces_go_on(self) -> None:
        lab = Lab(mobile_node=NONCES)
        nonce = lab.register(1).identification >> 32
        first = lab.register(1, identification=nonce << 32 | 1)
        nonce = first.identification >> 32
        assert first.code == 0
        lab.restart()
        assert lab.register(1, identification=nonce << 32 | 2).code == 0
        assert lab.register(1, identification=nonce << 32 | 3).code == 133

    def test_the_state_is_lost(self) -> None:
        """Nothing that may have been accepted before is accepted; what is newer is."""
        lab = Lab()
        payload = lab.request(multiple(1))
        assert lab.send(payload) is not None
        lab = Lab()
        lab.agent.state_lost(lab.now)
        reply = lab.send(payload)
        assert reply is not None
        assert reply.code == 133
        lab.wait(7.5)
        assert lab.register(1).code == 0


class TestSettings:
    """What was set at run time holds until somebody changes the settings file."""

    def test_the_switch(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        lab.restart()
        assert not lab.status()["enable_multiple_tunnel_support"]
        lab.restart()
        assert not lab.status()["enable_multiple_tunnel_support"]

    def test_the_settings_file_is_the_newer_word(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        lab.restart(enable_multiple_tunnel_support=False)
        lab.restart(enable_multiple_tunnel_support=True)
        assert lab.status()["enable_multiple_tunnel_support"]

    def test_the_bandwidth(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_bandwidth(1, 50, lab.now, HOME))
        lab.restart()
        assert lab.rows()[1]["bandwidth_kbytes"] == 50
        lab.wait(1)
        lab.register(1, kbytes=6250)  # announces what it did before
        assert lab.rows()[1]["bandwidth_kbytes"] == 50


class TestGeneration:
    """The shell writes when it changes, and before the reply leaves."""

    def changes(self, lab: Lab, act: Any) -> bool:
        before, state = lab.agent.generation, lab.agent.snapshot(lab.now)
        act()
        if lab.agent.generation == before:
            assert lab.agent.snapshot(lab.now) == state, "a change that nobody would write"
        return lab.agent.generation != before

    def test_what_changes_it(self, lab: Lab) -> None:
        assert self.changes(lab, lambda: lab.register(1))
        assert self.changes(lab, lambda: lab.deregister(1))
        assert self.changes(lab, lambda: lab.register(1, flags=0x32))  # denied, but its timestamp is used up
        assert self.changes(lab, lambda: lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now)))
        assert self.changes(lab, lambda: lab.wait(601))

    def test_what_an_attacker_sends_does_not(self, lab: Lab) -> None:
        payload = lab.request(multiple(1))
        lab.send(payload)
        assert not self.changes(lab, lambda: lab.send(payload))
        assert not self.changes(lab, lambda: lab.send(lab.request(multiple(1), key=b"wrong")))
        assert not self.changes(lab, lambda: lab.send(payload[:30]))


waits = st.builds(Step, wait=st.sampled_from([0.5, 3.0, 6.9, 100.0, 599.5]))
steps = st.lists(
    st.one_of(requests, plausible_requests, plausible_requests, waits, old_packets), min_size=1, max_size=20
)


@given(configurations, steps, st.sets(st.integers(0, 19), max_size=4))
@hypothesis_settings(max_examples=300)
def test_a_restart_makes_no_difference(
    configuration: dict[str, Any], steps: list[Step], restarts: set[int]
) -> None:
    """A home agent that is killed and restored answers and binds like one that lives on."""
    steady, killed = Player(Lab(**configuration)), Player(Lab(**configuration))
    for number, step in enumerate(steps):
        if number in restarts:
            killed.lab.restart(boot=False)
        one, other = steady.play(step), killed.play(replace(step))
        assert (one is None) == (other is None)
        if one is not None and other is not None and one[1] is not None:
            assert other[1] is not None
            assert one[1].sent == other[1].sent
        assert steady.lab.status()["bindings"] == killed.lab.status()["bindings"]
        assert steady.lab.kernel.paths == killed.lab.kernel.paths
        assert steady.lab.kernel.intercepted == killed.lab.kernel.intercepted
