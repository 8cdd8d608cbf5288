# SPDX-License-Identifier: GPL-2.0-or-later
"""The reader of captures against files that scapy wrote."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from experiments.metrics.pcap import CaptureError, read_packets
from tests.unit.metrics.captured import DESTINATION, PORT, SOURCE, tcp, udp, write

NOON = 1_767_268_800_000_000_000


def test_a_segment_field_by_field(tmp_path: Path) -> None:
    segment = tcp(4_000_000_000, 1000, stamp=77, echo=66)
    segment[TCP].ack = 123
    packets = read_packets(write(tmp_path / "a.pcap", [(NOON + 7, True, segment)]))
    assert packets.time.tolist() == [NOON + 7]
    assert packets.outgoing.tolist() == [True]
    assert packets.interface.tolist() == [7]
    assert packets.source.tolist() == [int(IPv4Address(SOURCE))]
    assert packets.destination.tolist() == [int(IPv4Address(DESTINATION))]
    assert (packets.source_port.tolist(), packets.destination_port.tolist()) == ([40000], [PORT])
    assert packets.payload.tolist() == [1000]
    assert packets.tcp.tolist() == [True]
    assert (packets.sequence.tolist(), packets.acknowledgement.tolist()) == ([4_000_000_000], [123])
    assert (packets.timestamp.tolist(), packets.timestamp_echo.tolist()) == ([77], [66])


def test_a_datagram_has_its_number_for_a_sequence(tmp_path: Path) -> None:
    packets = read_packets(write(tmp_path / "a.pcap", [(1, False, udp(258, 1400))]))
    assert packets.tcp.tolist() == [False]
    assert (packets.sequence.tolist(), packets.payload.tolist()) == ([258], [1400])
    assert packets.timestamp.tolist() == [0]


def test_options_of_ip_and_tcp_move_what_comes_after_them(tmp_path: Path) -> None:
    internet = IP(src=SOURCE, dst=DESTINATION, options=[b"\x94\x04\x00\x00"])
    bare = IP(src=SOURCE, dst=DESTINATION) / TCP(sport=1, dport=PORT, seq=5, options=[("MSS", 1460)]) / b"abc"
    routed = internet / TCP(sport=2, dport=PORT, seq=6) / b"abcd"
    packets = read_packets(write(tmp_path / "a.pcap", [(1, True, bare), (2, True, routed)]))
    assert packets.sequence.tolist() == [5, 6]
    assert packets.payload.tolist() == [3, 4]
    assert packets.timestamp.tolist() == [0, 0]


def test_what_is_neither_is_left_out(tmp_path: Path) -> None:
    ping = IP(src=SOURCE, dst=DESTINATION) / ICMP()
    later_fragment = IP(src=SOURCE, dst=DESTINATION, proto=17, frag=100) / (b"y" * 64)
    cut = IP(src=SOURCE, dst=DESTINATION, proto=6) / b"12345"
    path = write(
        tmp_path / "a.pcap", [(1, True, ping), (2, True, later_fragment), (3, True, cut), (4, True, udp(9))]
    )
    assert read_packets(path).time.tolist() == [4]


def test_an_empty_capture(tmp_path: Path) -> None:
    assert len(read_packets(write(tmp_path / "a.pcap", [])).time) == 0


@pytest.mark.parametrize("missing", [1, 15, 16, 17, 90])
def test_a_capture_that_ends_in_the_middle_is_refused(tmp_path: Path, missing: int) -> None:
    path = write(tmp_path / "a.pcap", [(1, True, tcp(1, 100)), (2, True, tcp(101, 100))])
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(CaptureError, match=r"a\.pcap: ends in the middle of a packet"):
        read_packets(path)


@pytest.mark.parametrize("octets", [b"", b"no capture at all, but long enough to be one"])
def test_what_is_no_capture_is_refused(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(octets)
    with pytest.raises(CaptureError, match=r"a\.pcap: is no capture"):
        read_packets(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"a\.pcap: No such file"):
        read_packets(tmp_path / "a.pcap")


def test_a_datagram_without_room_for_a_number_is_left_out(tmp_path: Path) -> None:
    short = IP(src=SOURCE, dst=DESTINATION) / UDP(sport=1, dport=PORT) / b"ab"
    assert len(read_packets(write(tmp_path / "a.pcap", [(1, True, short)])).time) == 0
