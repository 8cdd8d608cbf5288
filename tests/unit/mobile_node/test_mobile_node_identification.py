# SPDX-License-Identifier: GPL-2.0-or-later
"""The Identification generator (RFC 5944 §5.7)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.mobile_node_identification import Identifications

LOW = 0xFFFFFFFF
UNIX = 1_265_675_966.0
NTP = 0xCF1B2D3E
"""FACTS §21: 2010-02-09 00:39:26 UTC."""


class Fixed(Random):
    """Always the same bits."""

    def getrandbits(self, bits: int) -> int:  # noqa: ARG002
        return 7


def test_seconds_are_those_of_ntp() -> None:
    value = Identifications("timestamps", Random(1)).next(UNIX + 0.5, [])
    assert value >> 32 == NTP
    assert abs((value & LOW) / 2**32 - 0.5) < 0.002


@given(st.lists(st.floats(min_value=-5, max_value=5), min_size=2), st.integers(0, 2**32))
def test_timestamps_always_grow_even_if_the_clock_does_not(steps: list[float], seed: int) -> None:
    generator = Identifications("timestamps", Random(seed))
    time = UNIX
    values = []
    for step in steps:
        time += step
        values.append(generator.next(time, []))
    assert all(a < b for a, b in pairwise(values))


@pytest.mark.parametrize("style", ["timestamps", "nonces"])
def test_low_half_is_not_one_in_use(style: str) -> None:
    generator = Identifications(style, Fixed())  # type: ignore[arg-type]
    first = generator.next(UNIX, [])
    in_use = [(first + n) & LOW for n in range(5)]
    again = Identifications(style, Fixed()).next(UNIX, in_use)  # type: ignore[arg-type]
    assert again & LOW not in in_use


@given(st.floats(min_value=-1e8, max_value=1e8), st.integers(0, LOW))
def test_offset_brings_the_next_value_near_the_home_agents_clock(difference: float, low: int) -> None:
    generator = Identifications("timestamps", Random(1))
    generator.next(UNIX, [])
    clock = int(NTP + difference)
    generator.rejected(clock << 32 | low, UNIX)
    assert abs((generator.next(UNIX, []) >> 32) - clock) <= 2


def test_never_less_than_what_was_accepted() -> None:
    generator = Identifications("timestamps", Random(1))
    accepted = generator.next(UNIX, [])
    generator.accepted(accepted)
    generator.rejected((NTP - 1000) << 32, UNIX)
    assert generator.next(UNIX, []) > accepted


def test_nonce_is_used_once_a_reply_has_brought_it() -> None:
    generator = Identifications("nonces", Random(1))
    first = generator.next(UNIX, [])
    assert generator.repeatable(first)
    generator.answered(0x1234 << 32)
    assert not generator.repeatable(first)
    second = generator.next(UNIX, [])
    assert second >> 32 == 0x1234
    assert generator.repeatable(second)
    generator.rejected(0x5678 << 32, UNIX)
    assert generator.next(UNIX, []) >> 32 == 0x5678
    assert generator.offset == 0


def test_timestamps_are_not_repeated() -> None:
    generator = Identifications("timestamps", Random(1))
    assert not generator.repeatable(generator.next(UNIX, []))
