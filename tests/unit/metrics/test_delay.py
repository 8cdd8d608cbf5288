# SPDX-License-Identifier: GPL-2.0-or-later
"""Percentiles, variation and fairness against examples by hand and a slow computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.metrics.delay import fairness, percentile, percentiles_ms, variations


def slow_percentile(values: list[int], percent: int) -> int:
    """The smallest value such that at least so many per cent are not larger."""
    return min(v for v in values if 100 * sum(w <= v for w in values) >= percent * len(values))


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50), st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(values: list[int], percent: int) -> None:
    assert percentile(np.array(values), percent) == slow_percentile(values, percent)


def test_percentiles_by_hand() -> None:
    times = np.arange(1, 101, dtype=np.int64) * 1_000_000
    assert percentiles_ms(times) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles_ms(times[:0]) is None
    with pytest.raises(ValueError, match="of nothing"):
        percentile(times[:0], 50)


def test_variation_is_that_of_neighbours() -> None:
    # RFC 4737, Table 2, in the order sent: delays of packets 4, 5, 6 and 7.
    assert variations(np.array([68, 109, 90, 68])).tolist() == [41, 19, 22]
    assert variations(np.array([5])).tolist() == []


def test_fairness_by_hand() -> None:
    assert fairness([3.0, 3.0, 3.0]) == pytest.approx(1)
    assert fairness([1.0, 0.0, 0.0, 0.0]) == pytest.approx(1 / 4)
    assert fairness([1.0, 2.0]) == pytest.approx(9 / 10)
    assert fairness([0.0, 0.0]) is None


@given(st.lists(st.floats(0.001, 1e3), min_size=1, max_size=20))
def test_fairness_lies_between_one_share_and_all(rates: list[float]) -> None:
    found = fairness(rates)
    assert found is not None
    assert 1 / len(rates) - 1e-9 <= found <= 1 + 1e-9
