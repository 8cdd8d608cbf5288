# SPDX-License-Identifier: GPL-2.0-or-later
"""A soak's verdict: what counts as a leak. The soak itself is a command, ``python -m tests.soak``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.playing import read
from tests.soak.verdict import EXACT, MOST_GROWTH_KIB, leaks


def samples(number: int = 40, **last: int) -> list[dict[str, Any]]:
    """A quiet day; ``last`` changes what the home agent has at its end."""
    made: list[dict[str, Any]] = [
        {
            "hour": hour / 2,
            "after": "nothing",
            "unreclaimable_kib": 9000 + hour % 3,
            "disagreement": [],
            "counts": {"ha": {"resident_kib": 50_000 + 100 * (hour % 4), **dict.fromkeys(EXACT, 7)}},
        }
        for hour in range(number)
    ]
    made[-1]["counts"]["ha"] |= last
    return made


def test_a_quiet_day_has_no_leak() -> None:
    assert leaks(samples()) == []


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("count", [6, 8])
def test_one_more_or_less_of_anything_is_found(name: str, count: int) -> None:
    assert leaks(samples(**{name: count})) == [f"ha: {name} 7 -> {count}"]


@pytest.mark.parametrize("what", ["ha: memory", "kernel: memory"])
def test_memory_that_goes_on_growing_is_found(what: str) -> None:
    day = samples()
    for number, sample in enumerate(day):
        grown = number * MOST_GROWTH_KIB // 10
        if what.startswith("kernel"):
            sample["unreclaimable_kib"] += grown
        else:
            sample["counts"]["ha"]["resident_kib"] += grown
    (said,) = leaks(day)
    assert said.startswith(f"{what} grew by ")


def test_memory_that_comes_to_rest_is_no_leak() -> None:
    day = samples()
    for sample in day[5:]:
        sample["counts"]["ha"]["resident_kib"] += 10 * MOST_GROWTH_KIB
    assert leaks(day) == []


def test_a_disagreement_is_told_with_its_time() -> None:
    day = samples()
    day[2]["disagreement"] = ["mobile node {}, home agent {1}"]
    assert leaks(day) == ["hour 1.00, mobile node {}, home agent {1}"]


@pytest.mark.parametrize("number", [0, 1])
def test_without_samples_nothing_is_said_to_be_good(number: int) -> None:
    assert leaks(samples(1)[:number]) == ["fewer than two samples: nothing can be said"]


def test_a_line_that_is_being_written_waits(tmp_path: Any) -> None:
    file = tmp_path / "samples.jsonl"
    assert read(file) == []
    file.write_text('{"hour": 1}\n{"hour":')
    assert read(file) == [{"hour": 1}]
