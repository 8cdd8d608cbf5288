# SPDX-License-Identifier: GPL-2.0-or-later
"""The prober of one tunnel on a link whose queues fill and overflow: no false alarm, and none late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from agents.liveness import QUICK_SPREAD, Reason
from agents.settings import Liveness
from tests.simulation.simulated_queue import Flow, Line, Tcp, Udp
from topologies.links import DEFAULT_LINKS, AccessLink

SLOW, MEDIUM = (AccessLink("slow", 0.5, 0.5, 40), AccessLink("medium", 2, 2, 25))
LINKS = (SLOW, MEDIUM, AccessLink("fast", 5, 5, 25), AccessLink("faster", 20, 20, 5), *DEFAULT_LINKS)
OVERLOADS = (1.2, 1.93)
"""No whole multiple: each packet would come in the instant in which another leaves."""
Load = Callable[[Line, AccessLink], Sequence[Flow]]


def _tcp(down: int, up: int) -> Load:
    return lambda line, _: [
        *(Tcp(line, line.down, line.up) for _ in range(down)),
        *(Tcp(line, line.up, line.down) for _ in range(up)),
    ]


def _udp(down: float, up: float, octets: int = 1514) -> Load:
    """Datagrams at so many times the link's rate."""
    return lambda line, link: [
        *([Udp(line, line.down, down * link.down, octets)] if down else []),
        *([Udp(line, line.up, up * link.up, octets)] if up else []),
    ]


ONSETS = {
    "three flows down": _tcp(3, 0),
    "eight flows down": _tcp(8, 0),
    "three flows up": _tcp(0, 3),
    "three flows each way": _tcp(3, 3),
    **{f"UDP at {times} times the rate down": _udp(times, 0) for times in OVERLOADS},
    **{f"UDP at {times} times the rate up": _udp(0, times) for times in OVERLOADS},
    "UDP above the rate each way": _udp(1.2, 1.2),
}


def _begin(line: Line, flows: Sequence[Flow], random: Random) -> None:
    for flow in flows:
        flow.start()
    line.run(random.uniform(0.5, 4.0))


@pytest.mark.parametrize("load", ONSETS.values(), ids=ONSETS)
@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link.name}-{link.down:g}")
def test_a_queue_that_fills_is_no_failure(link: AccessLink, load: Load) -> None:
    for seed in range(1 if max(link.down, link.up) > 5 else 3):
        random = Random(seed)
        line = Line(link, seed)
        flows = load(line, link)
        line.run(1 + random.random())
        for _ in range(4):
            _begin(line, flows, random)
            for flow in flows:
                flow.stop()
            line.run(random.uniform(0.5, 4.0))
        assert line.alarms == []
        line.run(3)
        assert line.prober.state == "alive"


def test_without_the_rates_of_the_link_the_onset_of_an_overload_looks_like_a_failure() -> None:
    """What the rates are known for: this is how the prober would judge without them."""
    line = Line(SLOW, 1, known=False)
    flows = ONSETS["three flows down"](line, SLOW)
    line.run(1.5)
    for flow in flows:
        flow.start()
    line.run(3)
    assert [reason for _, reason in line.alarms] == [Reason.ONE_WAY_UP]


NOTHING: Load = lambda line, link: []  # noqa: E731, ARG005
STEADY = {
    "nothing": NOTHING,
    "a tenth of the rate down": _udp(0.1, 0, 100),
    "half of the rate down": _udp(0.5, 0),
    "half of the rate up": _udp(0, 0.5),
    "nine tenths of the rate up": _udp(0, 0.9),
}
INTERVAL, QUICK = Liveness().interval, Liveness().quick_interval * (1 + QUICK_SPREAD)
SILENT = 3 * INTERVAL + 4 * QUICK
"""Seconds: an interval until the next probe, its time-out, four quick intervals, the time-out of the last."""
ONE_WAY = 3 * INTERVAL + 8 * QUICK


@pytest.mark.parametrize("load", STEADY.values(), ids=STEADY)
@pytest.mark.parametrize("lost", ["up", "down", "down up"])
@pytest.mark.parametrize("link", [MEDIUM, *DEFAULT_LINKS], ids=lambda link: f"{link.name}-{link.down:g}")
def test_a_dead_link_is_found_as_soon_as_without_traffic(link: AccessLink, load: Load, lost: str) -> None:
    for seed in range(4):
        line = Line(link, seed)
        flows = load(line, link)
        line.run(2)
        _begin(line, flows, Random(seed))
        assert line.alarms == []
        begun = line.now
        for direction in lost.split():
            getattr(line, direction).cut = True
        line.run(1)
        (when, reason) = line.alarms[0]
        received = lost == "up" and line.down.packets > 0 and load in (STEADY[name] for name in _DOWN)
        assert reason is (Reason.ONE_WAY_UP if received else Reason.SILENT)
        assert when - begun <= (ONE_WAY if received else SILENT) + QUICK


_DOWN = [name for name in STEADY if name.endswith("down")]


@pytest.mark.parametrize("load", [_tcp(3, 0), _tcp(0, 3)], ids=["down", "up"])
@pytest.mark.parametrize("link", DEFAULT_LINKS, ids=lambda link: link.name)
def test_a_dead_link_with_full_queues_is_found_within_half_a_second_and_the_time_out(
    link: AccessLink, load: Load
) -> None:
    for lost in ("down", "down up"):
        for seed in range(3):
            line = Line(link, seed)
            flows = load(line, link)
            line.run(2)
            _begin(line, flows, Random(seed))
            line.run(4)
            assert line.alarms == []
            begun, time_out = line.now, line.prober.time_out
            for direction in lost.split():
                getattr(line, direction).cut = True
            line.run(3)
            assert line.alarms
            assert line.alarms[0][0] - begun <= 0.45 + time_out


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("link", DEFAULT_LINKS, ids=lambda link: link.name)
def test_packets_lost_at_random_under_full_load_are_no_failure(link: AccessLink, seed: int) -> None:
    line = Line(AccessLink(link.name, link.down, link.up, link.delay, loss=5), seed)
    flows = _tcp(4, 2)(line, link)
    line.run(1)
    for flow in flows:
        flow.start()
    line.run(30)
    assert line.alarms == []
