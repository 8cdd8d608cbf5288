# SPDX-License-Identifier: GPL-2.0-or-later
"""What the receiver of iperf 2.1.8 reported, evaluated by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import traffic
from experiments.traffic import Flows, Measurement, TrafficError, evaluate, pass_time

# Written by `iperf -s -y C -i 0.1` with two flows (addresses changed, the octets made round).
# The last two rows of each flow are the end of it and the report over all of it.
TCP = """\
20260101000000,198.51.100.10,40002,203.0.113.2,5001,1,0.0-0.1,12500,1000000
20260101000000,198.51.100.10,40001,203.0.113.2,5001,2,0.0-0.1,25000,2000000
20260101000000,198.51.100.10,40002,203.0.113.2,5001,1,0.1-0.2,12500,1000000
20260101000000,198.51.100.10,40001,203.0.113.2,5001,2,0.1-0.2,0,0
20260101000000,0.0.0.0,0,0.0.0.0,5001,-1,0.1-0.2,999999,99999999
20260101000000,198.51.100.10,40002,203.0.113.2,5001,1,0.2-0.3,37500,3000000
20260101000000,198.51.100.10,40001,203.0.113.2,5001,2,0.2-0.3,50000,4000000
20260101000000,198.51.100.10,40002,203.0.113.2,5001,1,0.3-0.4,12500,1000000
20260101000000,198.51.100.10,40001,203.0.113.2,5001,2,0.3-0.4,12500,1000000
20260101000000,198.51.100.10,40002,203.0.113.2,5001,1,0.4-0.4,1250,1000000
20260101000000,198.51.100.10,40002,203.0.113.2,5001,1,0.0-0.4,76250,1525000
20260101000000,198.51.100.10,40001,203.0.113.2,5001,2,0.0-0.4,87500,1750000
"""
# The same with -u: jitter, lost, datagrams, per cent lost, out of order.
UDP = """\
20260101000000,198.51.100.10,40001,203.0.113.2,5001,1,0.0-0.1,14520,1161600,0.018,5,15,33.3,9
20260101000000,198.51.100.10,40001,203.0.113.2,5001,1,0.1-0.2,14520,1161600,0.018,2,12,16.7,3
20260101000000,198.51.100.10,40001,203.0.113.2,5001,1,0.2-0.3,29040,2323200,0.007,1,21,4.76,4
20260101000000,198.51.100.10,40001,203.0.113.2,5001,1,0.0-0.3,58080,1548800,0.003,8,48,16.7,16
"""


def evaluated(folder: Path, text: str, flows: Flows, warm_up: float, duration: float) -> Measurement:
    report = folder / "iperf-receiver.csv"
    report.write_text(text)
    (folder / "iperf.log").write_text("connect failed: Network is unreachable\n")
    return evaluate(report, flows, warm_up, duration)


def test_tcp_inside_the_window_only(tmp_path: Path) -> None:
    # From 0.1 to 0.3: flow 40001 got 0 + 50,000 octets, flow 40002 12,500 + 37,500; 8e5 bit in 0.2 s.
    got = evaluated(tmp_path, TCP, Flows("tcp", 2, 1428), 0.1, 0.2)
    assert got.goodput == pytest.approx(4.0)
    assert got.per_flow == pytest.approx((2.0, 2.0))
    assert got.lost is got.out_of_order is None


def test_flows_are_sorted_by_source_port(tmp_path: Path) -> None:
    # From 0.0 to 0.1: 40001 25,000 octets, 40002 12,500.
    got = evaluated(tmp_path, TCP, Flows("tcp", 2, 1428), 0.0, 0.1)
    assert got.per_flow == pytest.approx((2.0, 1.0))


def test_the_series_starts_with_the_warm_up(tmp_path: Path) -> None:
    # All flows per 0.1 s: 37,500, 12,500, 87,500 and 25,000 octets, then the last 1,250.
    got = evaluated(tmp_path, TCP, Flows("tcp", 2, 1428), 0.3, 0.1)
    assert got.series == pytest.approx((3.0, 1.0, 7.0, 2.0, 0.1))


def test_udp_counts_losses_in_the_window(tmp_path: Path) -> None:
    # From 0.1 to 0.3: 43,560 octets; 2 + 1 lost; 3 + 4 late.
    got = evaluated(tmp_path, UDP, Flows("udp", 1, 1452, 2.0), 0.1, 0.2)
    assert got.goodput == pytest.approx(43_560 * 8 / 0.2 / 1e6)
    assert (got.lost, got.out_of_order) == (3, 7)


def test_the_servers_own_port_may_stand_on_either_side(tmp_path: Path) -> None:
    turned = UDP.replace("198.51.100.10,40001,203.0.113.2,5001", "203.0.113.2,5001,198.51.100.10,40001")
    straight = evaluated(tmp_path, UDP, Flows("udp", 1, 1452), 0.1, 0.2)
    assert evaluated(tmp_path, turned, Flows("udp", 1, 1452), 0.1, 0.2) == straight


def test_a_last_line_cut_off_is_passed_over(tmp_path: Path) -> None:
    whole = evaluated(tmp_path, TCP, Flows("tcp", 2, 1428), 0.1, 0.2)
    assert evaluated(tmp_path, TCP + "20260101000000,198.51", Flows("tcp", 2, 1428), 0.1, 0.2) == whole


@pytest.mark.parametrize(("text", "arrived"), [("", 0), (UDP, 1), (TCP, 2)])
def test_a_missing_flow_is_an_error_with_what_iperf_said(tmp_path: Path, text: str, arrived: int) -> None:
    with pytest.raises(TrafficError, match=f"{arrived} of 3 flows arrived: connect failed"):
        evaluated(tmp_path, text, Flows("tcp", 3, 1428), 0.1, 0.2)


class _Clock:
    """In place of the module ``time``: moves when somebody sleeps."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("late", [0.0, 0.05, 0.15, 0.9, 2.5])
def test_every_run_has_as_many_samples(monkeypatch: pytest.MonkeyPatch, late: float) -> None:
    # On a slow machine with the real clock some of the warm-up is over before the first look. One sample less
    # in one of the runs, and there was no result at all.
    clock = _Clock(100.0 + late)
    monkeypatch.setattr(traffic, "time", clock)
    moments: list[float] = []
    told = pass_time(2.0, 102.0, lambda: moments.append(clock.now))
    assert len(moments) == 10
    assert moments == sorted(moments)
    assert clock.now == pytest.approx(102.0 + max(0.0, late - 2.0))
    assert told == pytest.approx(max(0.0, late - 2.0), abs=1e-6)
