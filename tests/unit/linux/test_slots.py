# SPDX-License-Identifier: GPL-2.0-or-later
"""Cycles of slots: who gets the next flow, who the next packet (docs/design.md, "Path selection")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.linux.slots import LONGEST_CYCLE, flow_cycle, packet_cycle

DOWN = (20_000, 3_100, 10_000, 40_000)
"""WiFi, EV-DO, WiMAX, LTE in kbit/s towards the mobile node."""
UP = (20_000, 1_800, 4_000, 20_000)
CALM = settings(deadline=None, max_examples=60)
"""A shared machine stalls now and then."""
WEIGHTS = st.lists(st.floats(1, 1_000_000), min_size=1, max_size=12)


# --- flows -------------------------------------------------------------------------------


def test_default_links_down() -> None:
    # 8 slots; each link has one; the other four go where a slot carries most:
    # LTE 40/1, WiFi 20/1 and LTE 40/2 (tie: WiFi stands first), LTE 40/3 = 13.3 > WiMAX 10.
    # So LTE 4, WiFi 2, WiMAX 1, EV-DO 1; each turn largest first.
    assert flow_cycle(DOWN) == [3, 0, 2, 1, 3, 0, 3, 3]


def test_default_links_up() -> None:
    # WiFi 20/1, LTE 20/1, then WiFi 20/2 and LTE 20/2: 3, 1, 1, 3 slots.
    assert flow_cycle(UP) == [0, 3, 2, 1, 0, 3, 0, 3]


def test_equal_weights_take_turns() -> None:
    assert flow_cycle([1, 1, 1]) == [0, 1, 2, 0, 1, 2]


def test_equal_weights_start_with_the_fastest() -> None:
    assert flow_cycle([1, 1, 1, 1], DOWN) == [3, 0, 2, 1, 3, 0, 2, 1]


def test_rates_do_not_outdo_weights() -> None:
    assert flow_cycle([1, 2], [9, 1])[0] == 1


def test_one_tunnel_and_none() -> None:
    assert flow_cycle([7.5]) == [0, 0]
    assert flow_cycle([]) == []


def test_a_tunnel_of_no_weight_still_gets_its_slot() -> None:
    assert Counter(flow_cycle([0, 5])) == {0: 1, 1: 3}


@CALM
@given(WEIGHTS)
def test_flow_cycle_has_two_slots_for_each_tunnel(weights: list[float]) -> None:
    assert len(flow_cycle(weights)) == 2 * len(weights)


@CALM
@given(WEIGHTS)
def test_the_first_flows_take_each_tunnel_once_largest_first(weights: list[float]) -> None:
    first = flow_cycle(weights)[: len(weights)]
    assert sorted(first) == list(range(len(weights)))
    assert [weights[i] for i in first] == sorted(weights, reverse=True)


@CALM
@given(WEIGHTS, st.integers(0, 100))
def test_any_two_n_consecutive_flows_use_every_tunnel(weights: list[float], start: int) -> None:
    cycle = flow_cycle(weights)
    window = [cycle[(start + k) % len(cycle)] for k in range(2 * len(weights))]
    assert set(window) == set(range(len(weights)))


@CALM
@given(WEIGHTS)
def test_no_slot_would_serve_better_elsewhere(weights: list[float]) -> None:
    # What highest averages mean: a tunnel with a spare slot carries at least as much by each
    # of its slots as any other would by one more.
    slots = Counter(flow_cycle(weights))
    for giver in slots:
        for taker in slots:
            if slots[giver] > 1:
                assert weights[giver] / (slots[giver] - 1) >= weights[taker] / slots[taker]


@CALM
@given(WEIGHTS)
def test_a_larger_weight_never_gets_fewer_slots(weights: list[float]) -> None:
    slots = Counter(flow_cycle(weights))
    for i, j in pairwise(sorted(range(len(weights)), key=lambda k: weights[k])):
        assert weights[i] == weights[j] or slots[i] <= slots[j]


# --- packets -----------------------------------------------------------------------------


def test_the_published_example_of_smooth_weighted_round_robin() -> None:
    # The log of nginx's change that brought the algorithm gives this sequence for 5, 1, 1.
    assert "".join("abc"[i] for i in packet_cycle([5, 1, 1])) == "aabacaa"


@pytest.mark.parametrize(
    ("weights", "cycle"),
    [
        ([1], [0]),
        ([3.1], [0]),
        ([1, 1], [0, 1]),
        ([20, 10, 40], [2, 0, 2, 1, 2, 0, 2]),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 2, 3]),
        ([], []),
        ([0, 0], [0, 1]),
    ],
)
def test_packet_cycles_by_hand(weights: Sequence[float], cycle: list[int]) -> None:
    assert packet_cycle(weights) == cycle


@pytest.mark.parametrize("weights", [DOWN, UP, (1, 1, 1, 1), (31, 18)])
def test_shares_of_the_links_match_their_weights(weights: Sequence[float]) -> None:
    cycle = packet_cycle(weights)
    assert len(cycle) <= LONGEST_CYCLE
    for i, weight in enumerate(weights):
        assert cycle.count(i) / len(cycle) == pytest.approx(weight / sum(weights), abs=1 / 256)


@CALM
@given(st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_shares_match_the_weights_within_one_slot_of_256(weights: list[int]) -> None:
    # With at most 100 : 1 nobody's share is rounded up to a slot.
    cycle = packet_cycle(weights)
    assert len(cycle) <= LONGEST_CYCLE
    for i, weight in enumerate(weights):
        assert abs(cycle.count(i) / len(cycle) - weight / sum(weights)) <= 1 / 256


@pytest.mark.parametrize(
    "weights", [(1, 508, 4), (943, 2, 353, 5, 932, 562, 1, 878), (172, 580, 743, 265, 985, 896, 841)]
)
def test_slots_rounded_up_make_no_longer_cycle(weights: Sequence[int]) -> None:
    assert len(packet_cycle(weights)) <= LONGEST_CYCLE


@CALM
@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=10))
def test_every_tunnel_gets_packets(weights: list[float]) -> None:
    assert set(packet_cycle(weights)) == set(range(len(weights)))


@CALM
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8))
def test_no_tunnel_is_ever_a_packet_ahead(weights: list[int]) -> None:
    cycle = packet_cycle(weights)
    total = Counter(cycle)
    sent: Counter[int] = Counter()
    for k, tunnel in enumerate(cycle, start=1):
        sent[tunnel] += 1
        assert sent[tunnel] < k * total[tunnel] / len(cycle) + 1


@pytest.mark.parametrize(("weights", "longest_run"), [(DOWN, [1, 1, 1, 2]), (UP, [1, 1, 1, 1])])
def test_packets_of_one_link_are_spread(weights: Sequence[float], longest_run: list[int]) -> None:
    # Evenly spaced, a link's packets would be len / slots apart. No two come closer than half of
    # that (also across the cycle's end), and only LTE, with more than half of all, sends two at once.
    cycle = packet_cycle(weights)
    for tunnel, slots in Counter(cycle).items():
        places = [k for k, who in enumerate(cycle) if who == tunnel]
        gaps = [b - a for a, b in pairwise([*places, places[0] + len(cycle)])]
        assert min(gaps) >= max(1, floor(len(cycle) / slots / 2))
        assert max(len(list(run)) for who, run in groupby(cycle) if who == tunnel) == longest_run[tunnel]
