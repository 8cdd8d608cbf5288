# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay protection with timestamps and nonces (RFC 5944 §5.7, FACTS §4, G35)."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from agents.replay import REMEMBERED_BINDINGS, ReplayState, mismatch_identification, timestamp_difference
from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    HOME,
    KEY,
    LTE,
    OTHER_HOME,
    SPI,
    WIFI,
    D,
    Lab,
    M,
    Reply,
    T,
    authentication,
    fixed_request,
    multiple,
    ntp,
)

LOW = 0xFFFF_FFFF


def send(lab: Lab, payload: bytes) -> Reply:
    reply = lab.send(payload)
    assert reply is not None
    return reply


def at(lab: Lab, offset: float) -> int:
    """The Identification of a node whose clock is ``offset`` seconds ahead."""
    return ntp(lab.now.unix + offset)


class TestTimestamps:
    def test_echoed(self) -> None:
        lab = Lab()
        reply = lab.register(1, identification=at(lab, 1.5))
        assert (reply.code, reply.identification) == (0, at(lab, 1.5))

    @pytest.mark.parametrize(
        ("offset", "code"), [(7.0, 0), (-7.0, 0), (7.01, 133), (-7.01, 133), (3600, 133), (-1e9, 133)]
    )
    def test_tolerance(self, offset: float, code: int) -> None:
        lab = Lab()
        assert lab.register(1, identification=at(lab, offset)).code == code

    def test_other_tolerance(self) -> None:
        lab = Lab(timestamp_tolerance=30.0)
        assert lab.register(1, identification=at(lab, 29)).code == 0

    @pytest.mark.parametrize("offset", [-100.0, 100.0])
    def test_mismatch_carries_our_clock(self, offset: float) -> None:
        lab = Lab()
        asked = at(lab, offset) & ~LOW | 0x12345678
        reply = lab.register(1, identification=asked)
        assert reply.code == 133
        assert reply.identification == at(lab, 0) & ~LOW | 0x12345678
        assert lab.rows() == {}

    @pytest.mark.parametrize("step", [0, -1, -(1 << 32)])
    def test_not_greater(self, step: int) -> None:
        lab = Lab()
        first = lab.identification()
        assert lab.register(1, identification=first).code == 0
        reply = lab.register(2, EVDO, identification=first + step)
        assert reply.code == 133
        assert set(lab.rows()) == {1}

    def test_duplicate_extends_nothing(self) -> None:
        lab = Lab()
        payload = lab.request(multiple(1))
        assert send(lab, payload).code == 0
        lab.wait(5)
        assert send(lab, payload).code == 133
        assert lab.rows()[1]["lifetime_remaining"] == 595

    def test_replayed_deregistration(self) -> None:
        lab = Lab()
        lab.register(1)
        old = lab.request(multiple(1), lifetime=0)
        assert send(lab, old).code == 0
        lab.register(1)
        assert send(lab, old).code == 133
        assert set(lab.rows()) == {1}

    def test_reordered_registration(self) -> None:
        lab = Lab()
        lab.register(1)
        late = lab.request(multiple(1))
        lab.deregister(1)
        assert send(lab, late).code == 133
        assert lab.rows() == {}

    def test_denied_request_is_used_up(self) -> None:
        """Replayed when the reason for the denial is gone, it must not be accepted."""
        lab = Lab()
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        payload = lab.request(multiple(1))
        assert send(lab, payload).code == 192
        lab.apply(lab.agent.set_multiple_tunnel_support(True, lab.now))
        assert send(lab, payload).code == 133

    def test_forgery_uses_nothing_up(self) -> None:
        lab = Lab()
        identification = lab.identification()
        assert lab.register(1, identification=identification + 5, key=b"wrong").code == 131
        assert lab.register(1, identification=identification).code == 0

    def test_all_contexts_of_a_node_share_the_clock(self) -> None:
        contexts = [{"spi": SPI, "key": KEY}, {"spi": 300, "key": KEY}]
        lab = Lab(mobile_node=[{"home_address": HOME, "security_association": contexts}])
        first = lab.identification()
        assert lab.register(1, identification=first).code == 0
        old = authentication(fixed_request(identification=first), spi=300)
        assert send(lab, old).code == 133

    def test_nodes_are_independent(self) -> None:
        lab = Lab()
        first = lab.identification()
        lab.register(1, identification=first)
        assert lab.register(1, LTE, home_address=OTHER_HOME, identification=first).code == 0

    def test_per_node_although_bindings_differ(self) -> None:
        """G35, the default: the slower path's older request gets 133."""
        lab = Lab()
        old = lab.request(multiple(2), care_of_address=EVDO)
        lab.register(1)
        assert send(lab, old).code == 133


class TestScopeBinding:
    """``replay_scope = "binding"`` (G35)."""

    @pytest.fixture
    def lab(self) -> Lab:
        return Lab(replay_scope="binding")

    def test_crossing_requests(self, lab: Lab) -> None:
        old = lab.request(multiple(2), care_of_address=EVDO)
        lab.register(1)
        assert send(lab, old).code == 0
        assert set(lab.rows()) == {1, 2}

    def test_replay(self, lab: Lab) -> None:
        payload = lab.request(multiple(1))
        assert send(lab, payload).code == 0
        assert send(lab, payload).code == 133

    def test_reordered_after_deregistration(self, lab: Lab) -> None:
        lab.register(1)
        late = lab.request(multiple(1))
        lab.deregister(1)
        assert send(lab, late).code == 133

    @pytest.mark.parametrize("case", ["overwrite", "bulk", "plain", "home", "bulk-deregistration"])
    def test_wide_requests_raise_all(self, lab: Lab, case: str) -> None:
        lab.register(1)
        late = lab.request(multiple(2), care_of_address=EVDO)
        never_seen = lab.request(multiple(7), care_of_address=LTE)
        if case == "overwrite":
            lab.register(1, overwrite=True)
        elif case == "bulk":
            lab.register(1, bulk=True)
        elif case == "plain":
            lab.register(None)
        elif case == "home":
            lab.deregister(None, HOME, source=WIFI)
        else:
            lab.deregister(1, bulk=True)
        before = set(lab.rows())
        assert send(lab, late).code == 133
        assert send(lab, never_seen).code == 133
        assert set(lab.rows()) == before

    def test_a_removed_end_point_stays_away(self, lab: Lab) -> None:
        """G28: 2 takes over the end point of 1; a delayed request of 1 must not take it back."""
        lab.register(1)
        late = lab.request(multiple(1))
        lab.register(2)
        assert set(lab.rows()) == {2}
        assert send(lab, late).code == 133

    def test_a_removed_binding_stays_away_when_its_end_point_is_free(self, lab: Lab) -> None:
        lab.register(1)
        late = lab.request(multiple(1))
        lab.register(2)
        lab.register(2, EVDO)
        assert send(lab, late).code == 133
        assert set(lab.rows()) == {2}

    @pytest.mark.parametrize("fields", [{"overwrite": True}, {"bulk": True}])
    def test_older_request_does_not_touch_newer_bindings(self, lab: Lab, fields: dict[str, Any]) -> None:
        old = lab.request(multiple(1, **fields))
        lab.register(2, EVDO)
        lab.wait(1)
        before = lab.rows()
        reply = send(lab, old)
        assert reply.code == 133
        assert reply.identification >> 32 == at(lab, 0) >> 32
        assert lab.rows() == before

    def test_older_end_point_does_not_replace_a_newer(self, lab: Lab) -> None:
        old = lab.request(multiple(1))
        lab.register(2)
        assert send(lab, old).code == 133
        assert set(lab.rows()) == {2}

    def test_older_deregistration_of_all(self, lab: Lab) -> None:
        old = lab.request(care_of_address=HOME, lifetime=0)
        lab.register(2)
        assert send(lab, old).code == 133
        assert set(lab.rows()) == {2}


class TestReplayState:
    def test_difference_wraps_in_2036(self) -> None:
        before, after = (1 << 64) - 5, 7
        assert timestamp_difference(after, before) == 12
        assert timestamp_difference(before, after) == -12

    def test_mismatch_identification(self) -> None:
        assert mismatch_identification(0xAAAAAAAA_12345678, 0xCF1B2D3E - 2_208_988_800) == 0xCF1B2D3E12345678

    def test_wrap_of_the_clock(self) -> None:
        wrap = 2**32 - 2_208_988_800
        state = ReplayState()
        state.raise_floor(ntp(wrap - 1))
        assert state.timestamp_fault(ntp(wrap + 1), None, wrap + 1.0, 7) is None
        state.raise_floor(ntp(wrap + 1))
        assert state.timestamp_fault(ntp(wrap - 1), None, wrap + 1.0, 7) == "timestamp-not-increasing"

    def test_memory_is_bounded(self) -> None:
        state = ReplayState()
        for binding_id in range(1000):
            state.use_timestamp(1000 + binding_id, binding_id)
        assert len(state.floors) <= REMEMBERED_BINDINGS
        for binding_id in range(1000):
            assert state.timestamp_fault(1000 + binding_id, binding_id, 0.0, 1e10) is not None

    def test_floors_never_sink(self) -> None:
        state = ReplayState()
        state.use_timestamp(10, 1)
        state.use_timestamp(5, 1)
        assert state.floors == {1: 10}
        state.raise_floor(7)
        state.raise_floor(6)
        assert (state.floor, state.floors) == (7, {1: 10})
        state.raise_floor(10)
        assert (state.floor, state.floors) == (10, {})

    def test_nonces_differ(self) -> None:
        class Stuck(Random):
            draws = 0

            def getrandbits(self, k: int, /) -> int:
                assert k == 32
                self.draws += 1
                return self.draws // 3

        state, source = ReplayState(), Stuck()
        seen = []
        for _ in range(5):
            state.renew_nonce(source)
            seen.append(state.nonce)
        assert all(one != other for one, other in pairwise(seen))


class TestNonces:
    """RFC 5944 §5.7.2."""

    @pytest.fixture
    def lab(self) -> Lab:
        context = {"spi": SPI, "key": KEY, "replay": "nonces"}
        return Lab(mobile_node=[{"home_address": HOME, "security_association": [context]}])

    def synchronise(self, lab: Lab) -> int:
        """The nonce the first, unsynchronised request is answered with."""
        reply = lab.register(1, identification=0x11111111_22222222)
        assert (reply.code, reply.identification & LOW) == (133, 0x22222222)
        return reply.identification >> 32

    def test_synchronisation(self, lab: Lab) -> None:
        nonce = self.synchronise(lab)
        reply = lab.register(1, identification=nonce << 32 | 1)
        assert (reply.code, reply.identification & LOW) == (0, 1)
        assert reply.identification >> 32 != nonce
        assert lab.register(1, identification=reply.identification >> 32 << 32 | 2).code == 0

    def test_133_changes_no_nonce(self, lab: Lab) -> None:
        """So nobody can put a node out of step with a replayed request."""
        nonce = self.synchronise(lab)
        assert self.synchronise(lab) == nonce
        assert lab.register(1, identification=nonce << 32 | 1).code == 0

    def test_old_nonce(self, lab: Lab) -> None:
        nonce = self.synchronise(lab)
        lab.register(1, identification=nonce << 32 | 1)
        assert lab.register(2, EVDO, identification=nonce << 32 | 2).code == 133
        assert set(lab.rows()) == {1}

    def test_retransmission(self, lab: Lab) -> None:
        """The same packet again gets the same answer, with what is left of the lifetime."""
        nonce = self.synchronise(lab)
        payload = lab.request(multiple(1), identification=nonce << 32 | 1)
        first = send(lab, payload)
        lab.wait(100)
        again = send(lab, payload)
        assert (again.code, again.identification) == (0, first.identification)
        assert (first.lifetime, again.lifetime) == (600, 500)
        assert lab.rows()[1]["lifetime_remaining"] == 500
        assert len(lab.effects) == 1
        lab.wait(500)
        assert send(lab, payload).code == 133
        assert lab.rows() == {}

    def test_retransmission_after_an_older_request(self, lab: Lab) -> None:
        nonce = self.synchronise(lab)
        payload = lab.request(multiple(1), identification=nonce << 32 | 1)
        assert send(lab, payload).code == 0
        self.synchronise(lab)
        assert send(lab, payload).code == 0

    def test_retransmitted_deregistration(self, lab: Lab) -> None:
        nonce = self.synchronise(lab)
        reply = lab.register(1, identification=nonce << 32 | 1)
        payload = lab.request(multiple(1), identification=reply.identification & ~LOW | 2, lifetime=0)
        assert [send(lab, payload).code for _ in range(2)] == [0, 0]

    def test_retransmitted_denial(self, lab: Lab) -> None:
        nonce = self.synchronise(lab)
        payload = lab.request(multiple(1), identification=nonce << 32 | 1, flags=D | M | T)
        first, again = send(lab, payload), send(lab, payload)
        assert (first.code, again.code) == (139, 139)
        assert first.identification == again.identification
        assert lab.register(1, identification=first.identification & ~LOW | 2).code == 0

    def test_same_identification_in_another_request(self, lab: Lab) -> None:
        nonce = self.synchronise(lab)
        lab.register(1, identification=nonce << 32 | 1)
        assert lab.register(2, EVDO, identification=nonce << 32 | 1).code == 133

    def test_bad_authenticator(self, lab: Lab) -> None:
        assert lab.register(1, identification=5 << 32 | 9, key=b"x").identification == 5 << 32 | 9
        nonce = self.synchronise(lab)
        reply = lab.register(1, identification=5 << 32 | 9, key=b"x")
        assert (reply.code, reply.identification) == (131, nonce << 32 | 9)

    def test_retransmission_after_a_renewal_in_another_context(self) -> None:
        contexts = [
            {"spi": SPI, "key": KEY, "replay": "nonces"},
            {"spi": 300, "key": KEY},
        ]
        lab = Lab(mobile_node=[{"home_address": HOME, "security_association": contexts}])
        nonce = self.synchronise(lab)
        payload = lab.request(multiple(1), identification=nonce << 32 | 1)
        assert send(lab, payload).code == 0
        other = authentication(fixed_request(identification=at(lab, 0)) + multiple(1), spi=300)
        assert send(lab, other).code == 0
        assert send(lab, payload).code == 133
