# SPDX-License-Identifier: GPL-2.0-or-later
"""Mean and confidence interval against a printed table of Student's distribution."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.estimates import interval, stat

T_TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 19: 2.093, 29: 2.045}
"""Two-sided 95 % points by degrees of freedom, to the three digits of the usual tables."""


@pytest.mark.parametrize(("freedom", "point"), T_TABLE.items())
def test_the_interval_uses_students_distribution(freedom: int, point: float) -> None:
    # n samples, half of them 0 and half 2 (an odd one 1): mean 1, squares sum to n or n - 1.
    count = freedom + 1
    samples = [0.0, 2.0] * (count // 2) + [1.0] * (count % 2)
    deviation = math.sqrt((count - count % 2) / freedom)
    bounds = interval(samples)
    assert bounds is not None
    half = point * deviation / math.sqrt(count)
    assert (bounds[1] - bounds[0]) / 2 == pytest.approx(half, rel=3e-4)  # as exact as the table
    assert (bounds[1] + bounds[0]) / 2 == pytest.approx(1)


def test_an_example_by_hand() -> None:
    # 10, 12, 14: mean 12, deviation 2, half width 4.303 × 2 / √3 = 4.9687.
    assert interval([10, 12, 14]) == pytest.approx((7.031, 16.969), abs=1e-3)


def test_one_sample_has_no_interval() -> None:
    assert interval([3.0]) is None
    assert stat([3.0]) == {"mean": 3.0, "ci95": [None, None], "samples": [3.0]}


def test_equal_samples_have_an_interval_of_no_width() -> None:
    assert stat([5.0, 5.0, 5.0]) == {"mean": 5.0, "ci95": [5.0, 5.0], "samples": [5.0, 5.0, 5.0]}


def test_samples_keep_their_order() -> None:
    made = stat([3, 1, 2])
    assert made is not None
    assert made["samples"] == [3, 1, 2]
    assert list(made) == ["mean", "ci95", "samples"]


@pytest.mark.parametrize("samples", [[], [None], [None, None], [1.0, None]])
def test_what_was_not_measured_every_time_is_nothing(samples: list[float | None]) -> None:
    assert stat(samples) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_mean_lies_in_the_middle(samples: list[float]) -> None:
    made = stat(samples)
    assert made is not None
    low, high = made["ci95"]
    assert low <= made["mean"] <= high
    assert high - made["mean"] == pytest.approx(made["mean"] - low, rel=1e-6, abs=1e-6)
