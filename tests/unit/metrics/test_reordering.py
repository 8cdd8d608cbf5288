# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 4737's metrics against its own examples (§5.3, §7) and a slow computation."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.metrics import reordering
from experiments.metrics.reordering import Numbers

ORDERS = st.lists(st.integers(0, 60), unique=True, max_size=40)
"""Arrivals: some lost, none twice."""


def numbers(values: list[int]) -> Numbers:
    return np.array(values, dtype=np.int64)


def slow_reordered(arrived: list[int]) -> list[int]:
    """Arrival indexes of reordered packets, by the pseudo-code of §3.3."""
    found, next_expected = [], -1
    for index, number in enumerate(arrived):
        if number >= next_expected:
            next_expected = number + 1
        else:
            found.append(index)
    return found


def slow_extents(arrived: list[int]) -> list[int]:
    """§4.2.3: i - j for the smallest j with s[j] > s[i]."""
    return [
        i - min(j for j in range(i) if arrived[j] > arrived[i])
        for i in range(len(arrived))
        if any(arrived[j] > arrived[i] for j in range(i))
    ]


def slow_n_reordered(arrived: list[int], n: int) -> list[int]:
    """§5.3: for all j with i - n <= j < i, s[j] > s[i]; n < i counted from 1."""
    return [i for i in range(n, len(arrived)) if all(arrived[j] > arrived[i] for j in range(i - n, i))]


def test_the_example_of_the_definition_of_n_reordering() -> None:
    arrived = numbers([1, 2, 3, 7, 8, 9, 4, 5, 6])
    assert arrived[reordering.reordered(arrived)].tolist() == [4, 5, 6]
    assert arrived[reordering.n_reordered(arrived, 3)].tolist() == [4]


def test_one_packet_reordered() -> None:
    # §7.1, Table 1: packet 4 comes 4 packets and 62 ms late, and is 4-reordered.
    arrived = numbers([1, 2, 3, 5, 6, 7, 8, 4, 9, 10])
    times = numbers([68, 88, 108, 148, 168, 188, 208, 210, 228, 248])
    assert reordering.extents(arrived).tolist() == [4]
    assert reordering.late_times(arrived, times).tolist() == [62]
    assert [int(reordering.n_reordered(arrived, n).sum()) for n in (1, 2, 3, 4, 5)] == [1, 1, 1, 1, 0]


def test_two_packets_reordered() -> None:
    # §7.2, Table 2.
    arrived = numbers([1, 2, 3, 4, 7, 5, 6, 8, 9, 10])
    times = numbers([68, 88, 108, 128, 188, 189, 190, 208, 228, 248])
    assert reordering.extents(arrived).tolist() == [1, 2]
    assert reordering.late_times(arrived, times).tolist() == [1, 2]
    assert arrived[reordering.n_reordered(arrived, 1)].tolist() == [5]


def test_three_packets_reordered() -> None:
    # §7.3, Table 3.
    arrived = numbers([1, 2, 3, 7, 8, 9, 10, 4, 5, 6, 11])
    times = numbers([68, 88, 108, 188, 208, 228, 248, 250, 252, 256, 268])
    assert reordering.extents(arrived).tolist() == [4, 5, 6]
    assert reordering.late_times(arrived, times).tolist() == [62, 64, 68]
    assert arrived[reordering.n_reordered(arrived, 4)].tolist() == [4]
    assert not reordering.n_reordered(arrived, 5).any()


def test_two_discontinuities() -> None:
    # §7.4, Table 4: packets 4, 5 and 11; discontinuities at arrivals 4 and 11, counted from 1.
    arrived = numbers([1, 2, 3, 6, 7, 4, 5, 8, 9, 10, 12, 13, 11, 14, 15, 16])
    assert reordering.extents(arrived).tolist() == [2, 3, 2]
    assert (reordering.discontinuities(arrived) + 1).tolist() == [4, 4, 11]


def test_nothing_and_one_packet() -> None:
    for arrived in (numbers([]), numbers([7])):
        assert reordering.extents(arrived).tolist() == []
        assert not reordering.n_reordered(arrived, 1).any()


@given(ORDERS)
def test_as_the_definitions_say(arrived: list[int]) -> None:
    found = numbers(arrived)
    assert np.flatnonzero(reordering.reordered(found)).tolist() == slow_reordered(arrived)
    assert reordering.extents(found).tolist() == slow_extents(arrived)
    times = np.arange(len(arrived), dtype=np.int64) * 3 + 5
    assert reordering.late_times(found, times).tolist() == [3 * e for e in slow_extents(arrived)]
    for n in (1, 2, 3, 7):
        assert np.flatnonzero(reordering.n_reordered(found, n)).tolist() == slow_n_reordered(arrived, n)


@given(st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted))
def test_loss_alone_is_no_reordering(arrived: list[int]) -> None:
    assert not reordering.reordered(numbers(arrived)).any()
