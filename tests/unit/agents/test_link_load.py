# SPDX-License-Identifier: GPL-2.0-or-later
"""What may wait in the queues of a link, by the octets of one of its users."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.link_load import ALLOWANCE, BUSY, PACKET, QUEUE_PACKETS, QUEUE_SECONDS, LinkLoad, Traffic

KBIT = 8000
RATE = 1_000_000
"""Octets per second."""
LOOK = 0.02


def looked_at(load: LinkLoad, *shares: float, down: bool, begin: float = 10.0) -> float:
    """Looks every 20 ms, with these shares of the rate carried before each; when the last one was."""
    octets, now = 0, begin
    load.observe(Traffic(), now)
    for share in shares:
        now += LOOK
        octets += round(share * RATE * LOOK)
        load.observe(Traffic(received_octets=octets) if down else Traffic(sent_octets=octets), now)
    return now


@pytest.mark.parametrize("rates", [(0, 0), (KBIT, 0), (0, KBIT)])
def test_what_is_not_known_explains_nothing(rates: tuple[int, int]) -> None:
    load = LinkLoad(*rates)
    now = looked_at(load, *[1.0] * 50, down=not rates[0])
    assert not load.waits(now - 0.01, now)
    assert load.sending_delay == 0
    assert not load.overflows


def test_upward_what_is_sent_above_the_rate_waits() -> None:
    load = LinkLoad(KBIT, KBIT)
    looked_at(load, *[1.5] * 4, down=False)
    assert load.sending_delay == pytest.approx(2 * LOOK)
    assert not load.overflows


@given(st.lists(st.floats(0, 1), max_size=50))
def test_upward_what_is_sent_below_the_rate_does_not(shares: list[float]) -> None:
    load = LinkLoad(KBIT, KBIT)
    looked_at(load, *shares, down=False)
    assert load.sending_delay < 1e-6  # octets are whole


def test_upward_no_more_waits_than_a_queue_holds() -> None:
    load = LinkLoad(KBIT // 16, KBIT // 16)
    looked_at(load, 100.0, down=False)
    assert load.overflows
    assert load.sending_delay == pytest.approx(QUEUE_PACKETS * PACKET / (RATE / 16))


def test_upward_a_round_trip_tells_what_had_no_room() -> None:
    """70 ms were reckoned at a moment, 40 ms it was: what is reckoned now is mended by the difference."""
    load = LinkLoad(KBIT, KBIT)
    now = looked_at(load, 4.5, down=False)
    assert load.sending_delay == pytest.approx(0.07)
    sent = load.sent_octets
    load.observe(Traffic(sent_octets=sent + 30_000), now + LOOK)
    assert load.sending_delay == pytest.approx(0.08)
    load.waited(0.04, now, sent)
    assert load.sending_delay == pytest.approx(0.05)
    load.waited(0.5, now, sent)
    assert load.sending_delay == pytest.approx(0.05)


def test_downward_a_link_is_busy_since_it_has_carried_its_rate() -> None:
    load = LinkLoad(KBIT, KBIT)
    now = looked_at(load, *[0.0] * 10, *[1.0] * 10, down=True)
    begun = now - 10 * LOOK + 1e-6
    assert load.busy(begun)
    assert not load.busy(begun - 0.001)


def test_downward_no_answer_waits_longer_than_the_longest_queue_takes() -> None:
    load = LinkLoad(KBIT, KBIT)
    now = looked_at(load, *[1.0] * 50, down=True)
    assert load.waits(now - QUEUE_SECONDS + 0.01, now)
    assert not load.waits(now - QUEUE_SECONDS - 0.01, now)
    assert load.busy(now - QUEUE_SECONDS - 0.01)


@given(st.floats(0, 0.8))
def test_downward_a_link_that_carries_less_was_empty_a_moment_ago(share: float) -> None:
    load = LinkLoad(KBIT, KBIT)
    now = looked_at(load, *[share] * 50, down=True)
    assert not load.waits(now - LOOK, now)
    assert load.waits(now, now)


def test_downward_a_gap_in_what_comes_is_no_empty_queue_as_long_as_it_is_short() -> None:
    load = LinkLoad(KBIT, KBIT)
    packets = ALLOWANCE / (BUSY * RATE * LOOK)
    assert packets < 1
    now = looked_at(load, *[1.0] * 20, 0.7, *[1.0] * 2, down=True)
    assert load.busy(now - 20 * LOOK)
    now = looked_at(load, *[0.0], *[1.0] * 5, down=True, begin=now + 1)
    assert not load.busy(now - 6 * LOOK)


def test_counters_that_begin_anew_are_nothing_received() -> None:
    load = LinkLoad(KBIT, KBIT)
    load.observe(Traffic(0, 10**9, 10**9), 5.0)
    load.observe(Traffic(0, 0, 0), 5.1)
    assert load.sending_delay == 0
    assert not load.busy(5.0)


@pytest.mark.parametrize(("kbit", "seconds"), [(500, 0.097), (1800, 0.027), (20_000, 0.0024)])
def test_probes_leave_room_for_what_fills_the_link(kbit: int, seconds: float) -> None:
    assert LinkLoad(100_000, kbit).pace == LinkLoad(kbit, 100_000).pace == pytest.approx(seconds, rel=0.02)
    assert LinkLoad(0, 0).pace < 1e-5
