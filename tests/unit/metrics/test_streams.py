# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends' captures put together, and what TCP made of it, on streams made by hand."""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from experiments.metrics import tcp as tcp_metrics
from experiments.metrics.pcap import read_packets
from experiments.metrics.run import Ends, evaluate
from experiments.metrics.streams import Stream, streams
from tests.unit.metrics.captured import DESTINATION, PORT, SOURCE, tcp, udp, write

Captured = list[tuple[int, bool, Any]]
MS = 1_000_000
ENDS = Ends(IPv4Address(SOURCE), IPv4Address(DESTINATION), PORT)


def captures(folder: Path, sender: Captured, receiver: Captured) -> tuple[Path, Path]:
    return write(folder / "sender.pcap", sender), write(folder / "receiver.pcap", receiver)


def streams_of(folder: Path, sender: Captured, receiver: Captured) -> list[Stream]:
    sent, came = map(read_packets, captures(folder, sender, receiver))
    return list(streams(sent, came, int(ENDS.source), int(ENDS.destination), ENDS.port))


def only_stream(folder: Path, sender: Captured, receiver: Captured) -> Stream:
    (stream,) = streams_of(folder, sender, receiver)
    return stream


def test_a_datagram_is_known_by_its_number(tmp_path: Path) -> None:
    stream = only_stream(
        tmp_path,
        [(10 * n, True, udp(n)) for n in range(5)],
        [(100, False, udp(0)), (101, False, udp(3)), (102, False, udp(1)), (103, False, udp(3))],
    )
    assert stream.arrived.tolist() == [0, 3, 1]
    assert stream.arrival.tolist() == [100, 101, 102]
    assert stream.duplicates.tolist() == [3]
    assert stream.received().tolist() == [True, True, False, True, False]


def test_a_retransmission_is_a_transmission_of_its_own(tmp_path: Path) -> None:
    # Sent 0, 1, 2, then 1 again with a later timestamp; the first 1 is lost.
    stream = only_stream(
        tmp_path,
        [
            (1, True, tcp(0, 100, stamp=1)),
            (2, True, tcp(100, 100, stamp=1)),
            (3, True, tcp(200, 100, stamp=1)),
            (4, True, tcp(100, 100, stamp=9)),
        ],
        [(11, False, tcp(0, 100)), (13, False, tcp(200, 100)), (14, False, tcp(100, 100, stamp=9))],
    )
    assert stream.arrived.tolist() == [0, 2, 3]  # in order: nothing is reordered
    assert tcp_metrics.retransmissions(stream).tolist() == [False, False, False, True]
    assert tcp_metrics.spurious(stream).tolist() == [False] * 4


def test_a_retransmission_is_spurious_when_the_first_came_late(tmp_path: Path) -> None:
    sent = [
        (1, True, tcp(0, 100, stamp=1)),
        (2, True, tcp(100, 100, stamp=1)),
        (3, True, tcp(0, 100, stamp=7)),
    ]
    came = [(12, False, tcp(100, 100)), (13, False, tcp(0, 100)), (14, False, tcp(0, 100, stamp=7))]
    stream = only_stream(tmp_path, sent, came)
    assert stream.arrived.tolist() == [1, 0, 2]
    assert tcp_metrics.spurious(stream).tolist() == [False, False, True]


def test_two_transmissions_with_one_name_are_told_apart_by_their_order(tmp_path: Path) -> None:
    sent = [(1, True, tcp(0, 100)), (2, True, tcp(0, 100)), (3, True, tcp(100, 100))]
    stream = only_stream(tmp_path, sent, [(12, False, tcp(100, 100)), (13, False, tcp(0, 100))])
    assert stream.arrived.tolist() == [2, 0]
    assert stream.duplicates.tolist() == []


def test_sequence_numbers_go_on_past_their_end(tmp_path: Path) -> None:
    first = 2**32 - 150
    sent = [(n + 1, True, tcp(first + 100 * n, 100, stamp=n)) for n in range(4)]
    back = [(20, False, tcp(7, 0, back=True, acknowledged=first + 400, echo=3))]
    stream = only_stream(tmp_path, sent + back, [(n + 11, False, p) for n, (_, _, p) in enumerate(sent)])
    assert stream.sequence.tolist() == [0, 100, 200, 300]
    assert stream.acknowledged.tolist() == [400]
    assert not tcp_metrics.retransmissions(stream).any()


def test_round_trips_are_those_of_what_is_echoed(tmp_path: Path) -> None:
    sent = [(n * MS, True, tcp(100 * n, 100, stamp=n)) for n in range(4)]
    back: Captured = [
        (30 * MS, False, tcp(7, 0, back=True, acknowledged=100, echo=0)),
        (41 * MS, False, tcp(7, 0, back=True, acknowledged=100, echo=0)),  # nothing new: not counted
        (52 * MS, False, tcp(7, 0, back=True, acknowledged=400, echo=3)),
    ]
    stream = only_stream(tmp_path, sent + back, [])
    assert tcp_metrics.round_trips(stream, 0, 10**9).tolist() == [30 * MS, 49 * MS]
    assert tcp_metrics.round_trips(stream, 0, 40 * MS).tolist() == [30 * MS]


def test_a_run_by_hand(tmp_path: Path) -> None:
    # Two flows. In the window (numbers 1 to 5 of the first): 2 overtaken by 3 and 4, 5 lost, 4 twice.
    sender = [(n * MS, True, udp(n)) for n in range(7)]
    sender += [(n * MS + 5, True, udp(n, port=40001)) for n in range(7)]
    order = [0, 1, 3, 4, 4, 2, 6]
    receiver: Captured = [((20 + i) * MS, False, udp(n)) for i, n in enumerate(order)]
    receiver += [((40 + n) * MS + 5, False, udp(n, port=40001)) for n in range(7)]
    paths = captures(tmp_path, sender, receiver)
    found = evaluate(*paths, ENDS, (1 * MS, 6 * MS))
    assert (found["sent"], found["received"], found["lost"], found["duplicated"]) == (10, 9, 1, 1)
    assert found["whole_run"] == {"sent": 14, "received": 13}
    assert found["reordering"] == {
        "ratio": 1 / 9,
        "n3_ratio": 0.0,
        "max_extent": 2,
        "mean_extent": 2.0,
        "extents": {"2": 1},
    }
    # 2 comes with the fifth capture after 3, at 25 ms; 3 came at 22 ms.
    assert found["late_time_ms"] == {"p50": 3.0, "p95": 3.0, "p99": 3.0}
    # Delays of the first flow 20, 23, 19, 19 ms, of the second 40 ms each.
    assert found["one_way_delay_ms"] == {"p50": 40.0, "p95": 40.0, "p99": 40.0}
    # Neighbours in the order sent: 20 to 23, 23 to 19, 19 to 19; then four times 0.
    assert found["jitter_ms"] == {"p50": 0.0, "p95": 4.0, "p99": 4.0}
    assert found["displacements"] == {"-1": 2, "0": 6, "2": 1}
    assert found["rtt_ms"] is found["retransmissions"] is None


def test_captures_without_a_packet(tmp_path: Path) -> None:
    found = evaluate(*captures(tmp_path, [], []), ENDS, (0, 10))
    assert (found["sent"], found["reordering"]["ratio"], found["one_way_delay_ms"]) == (0, None, None)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_is_found_again(tmp_path: Path, seed: int) -> None:
    """Loss, duplication and any order on three flows: what is found is what was done."""
    chance = random.Random(seed)
    sender: Captured = []
    arrivals: list[tuple[int, int]] = []
    for flow in range(3):
        numbers = list(range(50))
        sender += [(n * MS + flow, True, tcp(100 * n, 100, stamp=n // 3, port=40000 + flow)) for n in numbers]
        chosen = chance.sample(numbers, 40)
        arrivals += [(flow, n) for n in chosen + chance.sample(chosen, 4)]
    chance.shuffle(arrivals)
    receiver: Captured = [
        (10**9 + i, False, tcp(100 * n, 100, stamp=n // 3, port=40000 + flow))
        for i, (flow, n) in enumerate(arrivals)
    ]
    found = streams_of(tmp_path, sorted(sender, key=lambda row: row[0]), receiver)
    for flow, stream in enumerate(found):
        came = [n for f, n in arrivals if f == flow]
        assert stream.arrived.tolist() == list(dict.fromkeys(came))
        assert sorted(stream.duplicates.tolist()) == sorted(n for n in came if came.count(n) == 2)[::2]
