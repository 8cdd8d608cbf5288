# SPDX-License-Identifier: GPL-2.0-or-later
"""RFC 5236's densities against its own examples (§3, §8) and its own algorithm (§7.1)."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.metrics import density


def slow_frequencies(arrived: list[int]) -> dict[int, int]:
    """FD by the algorithm of §7.1, the threshold DT as long as the stream."""
    window, buffer = list(arrived), set[int]()
    frequencies: Counter[int] = Counter()
    index = 1
    while window:
        if index in window or index in buffer:
            number = window.pop(0)
            displacement = index - number
            frequencies[displacement] += 1
            buffer.discard(index)
            if displacement < 0:
                buffer.add(number)
            index += 1
        else:
            index = max(index + 1, min([*window, *buffer]))
    return dict(sorted(frequencies.items()))


def slow_occupancy(arrived: list[int]) -> dict[int, int]:
    """FB by the words of §3.8, nothing lost: packets that came before the one expected."""
    frequencies: Counter[int] = Counter()
    for count in range(1, len(arrived) + 1):
        here = set(arrived[:count])
        expected = next(number for number in range(1, len(arrived) + 2) if number not in here)
        frequencies[sum(number > expected for number in here)] += 1
    return dict(sorted(frequencies.items()))


def test_the_example_of_displacement() -> None:
    # §3.3, Example 3: 2 is lost, the second 3 left out.
    arrived = np.array([1, 4, 3, 5, 8, 7, 6])
    assert density.displacements(arrived).tolist() == [0, -1, 1, 0, -2, 0, 2]


def test_the_examples_of_reorder_sets() -> None:
    # §4, Examples 4 and 5.
    assert density.displacement_frequencies(np.array([1, 2, 3, 5, 4, 6])) == {-1: 1, 0: 4, 1: 1}
    assert density.displacement_frequencies(np.array([1, 2, 5, 3, 6])) == {-2: 1, 0: 3, 2: 1}


def test_the_example_without_loss() -> None:
    # §8 a, Tables 2 and 4.
    arrived = np.array([1, 4, 2, 5, 3, 6, 7, 8])
    assert density.displacement_frequencies(arrived) == {-2: 1, -1: 1, 0: 4, 1: 1, 2: 1}
    assert density.buffer_frequencies(arrived, 1, threshold=4) == {0: 5, 1: 2, 2: 1}


def test_the_example_with_loss() -> None:
    # §8 b, Tables 5 and 6: 3 counts as lost when the buffer of 3 is full.
    arrived = np.array([1, 2, 4, 5, 6, 7])
    assert density.displacement_frequencies(arrived) == {0: 6}
    assert density.buffer_frequencies(arrived, 1, threshold=3) == {0: 3, 1: 1, 2: 1, 3: 1}


def test_an_arrival_that_finds_the_buffer_full_is_kept() -> None:
    # 2 counts as lost when 9 comes; 3 and 4 go on, 9 waits (§3.8; the code of §7.2 forgets it).
    arrived = np.array([1, 3, 4, 9, 5, 6, 7, 8])
    assert density.buffer_frequencies(arrived, 1, threshold=2) == {0: 2, 1: 5, 2: 1}


def test_what_comes_after_it_counted_as_lost_takes_no_part() -> None:
    arrived = np.array([1, 3, 4, 5, 2, 6])
    assert density.buffer_frequencies(arrived, 1, threshold=2) == {0: 3, 1: 1, 2: 1}


@given(st.lists(st.integers(1, 40), unique=True, max_size=30))
def test_the_density_is_that_of_the_rfcs_algorithm(arrived: list[int]) -> None:
    found = density.displacement_frequencies(np.array(arrived, dtype=np.int64))
    assert found == slow_frequencies(arrived)
    assert sum(k * count for k, count in found.items()) == 0


@given(st.integers(0, 25).flatmap(lambda count: st.permutations(range(1, count + 1))))
def test_the_occupancy_is_that_of_the_definition(arrived: list[int]) -> None:
    assert density.buffer_frequencies(np.array(arrived, dtype=np.int64), 1) == slow_occupancy(arrived)
