# SPDX-License-Identifier: GPL-2.0-or-later
"""Outage, loss, reordering and stall from logs made by hand and at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.disturbed.numbers import SECOND, Arrival, longest_stall, stream_numbers

MS = SECOND // 1000
DELAY = 15 * MS


def steady(numbers: Sequence[int], delay: int = DELAY) -> list[Arrival]:
    """Datagrams of 1,000 a second, all with the same delay."""
    return [Arrival(number, number * MS, number * MS + delay) for number in numbers]


def judge(arrivals: Sequence[Arrival], sent: int) -> tuple[object, ...]:
    found = stream_numbers(arrivals, sent, 0, sent * MS, MS)
    return round(found.outage, 9), found.lost, found.duplicates, found.reordered, found.resumed


def test_an_undisturbed_stream_has_no_outage() -> None:
    found = stream_numbers(steady(range(1000)), 1000, 0, 1000 * MS, MS)
    assert (found.outage, found.lost, found.duplicates, found.reordered) == (0, 0, 0, 0)
    assert found.resumed
    assert found.delay == (0.015, 0.015)


@pytest.mark.parametrize("lost", [1, 2, 430])
def test_the_outage_is_the_gap_less_the_nominal_one(lost: int) -> None:
    numbers = [n for n in range(2000) if not 500 <= n < 500 + lost]
    assert judge(steady(numbers), 2000) == (lost / 1000, lost, 0, 0, True)
    found = stream_numbers(steady(numbers), 2000, 0, 2000 * MS, MS)
    assert found.outage_began == pytest.approx(0.514), "the last that came before: number 499"


def test_a_slower_path_lengthens_the_gap() -> None:
    arrivals = steady(range(500)) + steady(range(500, 1000), DELAY + 25 * MS)
    assert judge(arrivals, 1000) == (0.025, 0, 0, 0, True)


def test_a_stream_that_does_not_resume_says_so() -> None:
    assert judge(steady(range(500)), 1000) == (0.5, 500, 0, 0, False)


def test_a_stream_of_which_nothing_came() -> None:
    found = stream_numbers([], 1000, 0, 1000 * MS, MS)
    assert (found.lost, found.resumed, found.outage_began, found.delay) == (1000, False, None, None)
    assert found.outage == pytest.approx(0.999)


def test_loss_at_the_very_start_is_an_outage_too() -> None:
    assert judge(steady(range(300, 1000)), 1000) == (0.299, 300, 0, 0, True)


def test_duplicates_are_neither_received_twice_nor_reordered() -> None:
    arrivals = steady([0, 1, 2, 3])
    arrivals.append(replace(arrivals[1], arrived=arrivals[-1].arrived + 1))
    assert judge(arrivals, 4)[1:4] == (0, 1, 0)


def test_who_comes_after_a_later_one_is_reordered() -> None:
    # RFC 4737 §3.3: 4 is late once; so are 7 and 8 after 9.
    order = [1, 2, 3, 5, 4, 6, 9, 7, 8, 10]
    arrivals = [Arrival(n - 1, n * MS, (20 + place) * MS) for place, n in enumerate(order)]
    assert judge(arrivals, 10)[1:4] == (0, 0, 3)


def test_a_datagram_that_was_not_sent_is_an_error() -> None:
    with pytest.raises(ValueError, match="datagram 7 came; 5 were sent"):
        stream_numbers(steady([7]), 5, 0, 5 * MS, MS)


def test_the_longest_stall_of_any_connection_counts() -> None:
    ticks = [(0, n * 50 * MS) for n in range(1, 20)]
    stalled = [(1, n * 50 * MS) for n in range(1, 20) if not 5 <= n <= 12]
    assert longest_stall(sorted([*ticks, *stalled]), 2, 0, 1000 * MS, 50 * MS) == pytest.approx(0.4)


def test_a_connection_that_never_delivers_stalls_all_the_time() -> None:
    assert longest_stall([(0, 500 * MS)], 2, 0, 1000 * MS, 50 * MS) == pytest.approx(0.95)


def test_what_comes_after_the_end_is_no_progress_in_time() -> None:
    assert longest_stall([(0, 100 * MS), (0, 5000 * MS)], 1, 0, 1000 * MS, 0) == pytest.approx(0.9)


@given(
    st.lists(st.integers(0, 199), unique=True),
    st.data(),
)
def test_numbers_agree_with_a_second_count(kept: list[int], data: st.DataObject) -> None:
    delays = [data.draw(st.integers(0, 60)) * MS for _ in kept]
    arrivals = sorted(
        (Arrival(n, n * MS, n * MS + delay) for n, delay in zip(kept, delays, strict=True)),
        key=lambda arrival: arrival.arrived,
    )
    found = stream_numbers(arrivals, 200, 0, 200 * MS, MS)
    assert found.lost == 200 - len(kept)
    late = sum(any(e.number > a.number for e in arrivals[:i]) for i, a in enumerate(arrivals))
    assert found.reordered == late
    if arrivals:
        # Every window of that length holds an arrival, the longest gap itself holds none inside.
        moments = [arrival.arrived for arrival in arrivals]
        gaps = [b - a for a, b in pairwise(moments)]
        assert found.outage >= max([0, *gaps]) / SECOND - 0.001 - 1e-9
        assert found.outage <= 0.26


@given(st.integers(0, 150), st.integers(1, 49), st.integers(0, 100))
def test_one_loss_burst_is_measured_exactly(begin: int, length: int, delay: int) -> None:
    numbers = [n for n in range(200) if not begin + 1 <= n < begin + 1 + length]
    assert judge(steady(numbers, delay * MS), 200)[0] == pytest.approx(length / 1000)
