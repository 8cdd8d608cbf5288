# SPDX-License-Identifier: GPL-2.0-or-later
"""Token buckets: what they allow, and how much they remember."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.rate_limit import RateLimit


def test_a_burst_then_the_rate() -> None:
    limit = RateLimit(rate=2.0, burst=3, keys=10)
    assert [limit.allows("a", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [limit.allows("a", 0.5) for _ in range(2)] == [True, False]
    assert [limit.allows("a", 100.0) for _ in range(4)] == [True, True, True, False]


def test_each_key_has_its_own() -> None:
    limit = RateLimit(rate=1.0, burst=1, keys=10)
    assert limit.allows("a", 0.0)
    assert limit.allows("b", 0.0)
    assert not limit.allows("a", 0.9)
    assert limit.allows("a", 1.0)


def test_without_room_a_new_key_gets_nothing_and_an_old_one_keeps_its_own() -> None:
    limit = RateLimit(rate=1.0, burst=2, keys=3)
    assert [limit.allows(key, 0.0) for key in "abcd"] == [True, True, True, False]
    assert limit.allows("a", 0.1)
    assert len(limit) == 3
    assert limit.allows("d", 1.0), "b and c are full again and have made room"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.floats(0.0, 0.5)), max_size=200),
    st.integers(1, 5),
    st.integers(1, 8),
)
def test_never_more_than_burst_and_rate(asked: list[tuple[int, float]], burst: int, keys: int) -> None:
    limit = RateLimit(rate=4.0, burst=burst, keys=keys)
    allowed: dict[int, list[float]] = {}
    now = 0.0
    for key, pause in asked:
        now += pause
        if limit.allows(key, now):
            allowed.setdefault(key, []).append(now)
        assert len(limit) <= keys
    for times in allowed.values():
        for first, begun in enumerate(times):
            for count, ended in enumerate(times[first:], 1):
                assert count <= burst + 4.0 * (ended - begun) + 1e-6
