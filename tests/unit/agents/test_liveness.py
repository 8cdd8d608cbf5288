# SPDX-License-Identifier: GPL-2.0-or-later
"""The prober of one tunnel, on paths that delay and lose its probes as a test wants."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.link_load import Traffic
from agents.liveness import GRANULARITY, ODDS, QUICK_SPREAD, PathProber, Prober, Reason, Span, State
from agents.settings import Liveness

SETTINGS = Liveness()
INTERVAL, QUICK = SETTINGS.interval, SETTINGS.quick_interval
ALWAYS = Span(-math.inf, math.inf)
LOST = math.inf
Path = Callable[[float], float]
"""The round-trip time of a probe sent at a moment; infinity: it or its answer is lost."""


def steady(moment: float) -> float:  # noqa: ARG001
    """A path of 30 ms."""
    return 0.03


@dataclass
class Drive:
    """A prober on a path; ``failed_at`` is when its verdict first was that the tunnel has failed."""

    path: Path
    packets: Callable[[float], int] = lambda _: 0
    """Packets received by the tunnel up to a moment; their size matters where the link's rates are known."""
    others: Span | None = ALWAYS
    seed: int = 1
    now: float = 50.03
    sent: list[float] = field(default_factory=list)
    failed_at: float = math.inf
    reason: Reason | None = None

    def __post_init__(self) -> None:
        self.prober = Prober(SETTINGS, Random(self.seed), 7, self.now)
        self._answers: list[tuple[float, int]] = []

    def run(self, seconds: float) -> Drive:
        """Let time pass, event by event, until then or until the tunnel has failed."""
        end = self.now + seconds
        while self.reason is None:
            arrival = self._answers[0][0] if self._answers else math.inf
            self.now = max(self.now, min(arrival, self.prober.deadline()))
            if self.now > end:
                self.now = end
                break
            if arrival <= self.now:
                assert self.prober.take_answer(heapq.heappop(self._answers)[1], self.now)
            else:
                self._tick()
            self.reason = self.prober.verdict([] if self.others is None else [self.others])
            if self.reason is not None:
                self.failed_at = self.now
        return self

    def _tick(self) -> None:
        sequence = self.prober.tick(Traffic(received_packets=self.packets(self.now)), self.now)
        if sequence is not None:
            self.sent.append(self.now)
            arrival = self.now + self.path(self.now)
            if arrival < math.inf:
                heapq.heappush(self._answers, (arrival, sequence))


def dead_from(moment: float, before: Path = steady) -> Path:
    """A path that loses everything from a moment on."""
    return lambda now: LOST if now >= moment else before(now)


def test_a_probe_each_interval_and_no_suspicion() -> None:
    drive = Drive(steady).run(10)
    assert len(drive.sent) == 100
    assert drive.prober.state is State.ALIVE
    assert drive.prober.round_trip == pytest.approx(0.03)
    assert (drive.prober.sent, drive.prober.answered, drive.prober.loss) == (100, 100, 0)
    assert drive.reason is None


def test_tunnels_are_probed_at_the_same_moments() -> None:
    early, late = Drive(steady, now=10.01).run(3), Drive(steady, now=10.07).run(3)
    assert early.sent[5:15] == pytest.approx(late.sent[5:15])


@given(st.floats(0.001, 0.08), st.floats(0, 0.1), st.integers(0, 1000))
def test_a_dead_tunnel_is_found_within_the_bound(round_trip: float, phase: float, seed: int) -> None:
    death = 53 + phase
    drive = Drive(dead_from(death, lambda _: round_trip), seed=seed).run(10)
    assert drive.reason is Reason.SILENT
    # One interval to the next probe, its time-out, five more probes, the time-out of the last.
    time_out = max(INTERVAL, round_trip + GRANULARITY)
    assert drive.failed_at - death <= INTERVAL + 2 * time_out + 4 * QUICK * (1 + QUICK_SPREAD) + 1e-6
    assert drive.failed_at - death >= 2 * time_out + 4 * QUICK * (1 - QUICK_SPREAD) - round_trip - 1e-6


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 1000), st.floats(0.001, 0.09))
def test_no_false_alarm_if_one_of_six_is_answered(gaps: list[int], seed: int, round_trip: float) -> None:
    """Between two answered probes up to five are lost, in any pattern."""
    pattern = [answered for gap in gaps for answered in (*[False] * gap, True)]
    number = iter(range(10**9))

    def path(_: float) -> float:
        return round_trip if pattern[next(number) % len(pattern)] else LOST

    assert Drive(path, seed=seed).run(30).reason is None


@settings(deadline=None)
@given(st.floats(0.01, 2.0), st.integers(0, 100))
def test_a_queue_that_fills_is_no_failure(growth: float, seed: int) -> None:
    """The round trip grows by up to twice the time that passes, to a second, while data arrive."""

    def path(now: float) -> float:
        return 0.08 + min(1.0, max(0.0, now - 53) * growth)

    drive = Drive(path, packets=lambda now: int(now * 1000), seed=seed).run(20)
    assert drive.reason is None
    assert drive.prober.round_trip == pytest.approx(path(drive.now), rel=0.1)


def test_a_loaded_tunnel_is_found_within_the_bound_and_its_time_out() -> None:
    """0.45 s and the time-out, where a full queue makes that longer than the interval."""
    for seed in range(20):
        loaded = Random(seed)
        drive = Drive(dead_from(60 + seed * 0.005, lambda _, r=loaded: r.uniform(0.3, 0.4)), seed=seed)  # type: ignore[misc]
        drive.run(9)
        time_out = drive.prober.time_out
        assert time_out > 0.3
        drive.run(10)
        assert drive.reason is Reason.SILENT
        assert drive.failed_at - (60 + seed * 0.005) <= 0.42 + 1.3 * time_out


def test_while_packets_arrive_ten_must_be_missing() -> None:
    drive = Drive(dead_from(53.0), packets=lambda now: int(now * 100)).run(10)
    assert drive.reason is Reason.ONE_WAY_UP
    assert len([moment for moment in drive.sent if moment >= 53]) in (14, 15)  # of them 10 timed out
    assert 0.3 < drive.failed_at - 53 <= INTERVAL + 2 * INTERVAL + 8 * QUICK * (1 + QUICK_SPREAD)


def test_packets_that_came_before_the_suspicion_do_not_count() -> None:
    drive = Drive(dead_from(53.0), packets=lambda now: int(min(now, 53.05) * 100)).run(10)
    assert drive.reason is Reason.SILENT


def test_without_another_tunnel_that_works_nothing_is_failed() -> None:
    drive = Drive(dead_from(53.0), others=None).run(10)
    assert drive.reason is None
    assert drive.prober.silent
    assert drive.prober.state is State.SUSPECTED


def test_only_probes_sent_while_another_tunnel_worked_count() -> None:
    drive = Drive(dead_from(53.0), others=Span(0, 52.9)).run(10)
    assert drive.reason is None
    assert drive.prober.verdict([Span(0, 52.9), Span(55, 55.3)]) is None
    assert drive.prober.verdict([Span(55, 55.75)]) is Reason.SILENT


def test_a_silent_tunnel_is_probed_at_ease_and_taken_up_again() -> None:
    drive = Drive(lambda now: LOST if 53 <= now < 60 else 0.03, others=None).run(8)
    in_a_second = [moment for moment in drive.sent if 55 <= moment < 56]
    assert len(in_a_second) == 10
    drive.run(3)
    assert drive.prober.state is State.ALIVE
    worked = drive.prober.worked
    assert worked is not None
    assert worked.begin == pytest.approx(60.0)  # not from before: nobody knows what was between


def test_lasting_loss_asks_for_more_probes() -> None:
    """Half of the probes are lost: thirty in a row must be, for the same odds."""
    random = Random(5)
    drive = Drive(lambda now: LOST if now >= 100 or random.random() < 0.5 else 0.03).run(49.9)
    assert drive.reason is None
    assert 0.2 < drive.prober.loss < 0.8
    drive.run(10)
    missing = len([moment for moment in drive.sent if moment >= 100])
    assert missing >= math.log(ODDS, 0.5) / 2
    assert 100.3 < drive.failed_at < 102


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_no_false_alarm_on_a_lossy_idle_tunnel(seed: int) -> None:
    """5 % each way for ten minutes."""
    random = Random(seed)
    drive = Drive(lambda _: LOST if random.random() < 1 - 0.95**2 else 0.05, seed=seed).run(600)
    assert drive.reason is None


def test_a_late_answer_ends_the_suspicion_and_teaches_the_time_out() -> None:
    drive = Drive(lambda now: 0.25 if now >= 53 else 0.03).run(3.3)
    assert drive.prober.state is State.ALIVE
    assert drive.prober.time_out > 0.2


def test_an_answer_counts_once() -> None:
    prober = Prober(SETTINGS, Random(1), 7, 0.0)
    sequence = prober.tick(Traffic(), 0.1)
    assert sequence is not None
    assert not prober.take_answer((sequence + 1) & 0xFFFF, 0.11)
    assert prober.take_answer(sequence, 0.12)
    assert not prober.take_answer(sequence, 0.13)
    assert prober.round_trip == pytest.approx(0.02)


def test_the_secret_differs_from_life_to_life() -> None:
    random = Random(1)
    lives = [Prober(SETTINGS, random, 7, 0.0) for _ in range(20)]
    assert len({life.nonce for life in lives}) == 20
    assert len({life.tick(Traffic(), 0.1) for life in lives}) > 15


# --- the bare path of a failed tunnel ----------------------------------------------------


def test_a_path_is_proven_by_three_answers_in_a_row() -> None:
    path, now, answered = PathProber(SETTINGS, Random(1), 9, 5.0), 5.0, []
    for reply in (True, True, False, True, True, True):
        now = path.send_at
        sequence = path.tick(now)
        assert sequence is not None
        assert not path.proven
        if reply:
            assert path.take_answer(sequence, now + 0.02)
            answered.append(now)
    assert path.proven
    assert answered == pytest.approx([5.1, 5.22, 6.34, 6.46, 6.58])


def test_a_late_answer_of_the_path_does_not_count() -> None:
    path = PathProber(SETTINGS, Random(1), 9, 5.0)
    first = path.tick(5.1)
    assert path.tick(5.5) is None
    second = path.tick(6.1)
    assert first is not None
    assert second is not None
    assert not path.take_answer(first, 6.2)
    assert path.take_answer(second, 6.2)
