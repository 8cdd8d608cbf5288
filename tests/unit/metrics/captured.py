# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures written by scapy, as tcpdump writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import CookedLinuxV2
from scapy.utils import PcapWriter

SOURCE, DESTINATION, PORT = "203.0.113.2", "198.51.100.10", 5001
_LINUX_SLL2 = 276
_OUTGOING, _TO_US = 4, 0


def tcp(
    sequence: int,
    octets: int,
    *,
    stamp: int = 1,
    echo: int = 0,
    port: int = 40000,
    back: bool = False,
    acknowledged: int = 0,
) -> Any:
    """A segment from the sender, or back to it."""
    source, destination = (DESTINATION, SOURCE) if back else (SOURCE, DESTINATION)
    source_port, destination_port = (PORT, port) if back else (port, PORT)
    options = [("NOP", None), ("NOP", None), ("Timestamp", (stamp, echo))]
    header = TCP(sport=source_port, dport=destination_port, flags="A", options=options)
    header.seq, header.ack = sequence % 2**32, acknowledged % 2**32
    return IP(src=source, dst=destination) / header / (b"x" * octets)


def udp(number: int, octets: int = 100, port: int = 40000) -> Any:
    """One of iperf's datagrams."""
    data = number.to_bytes(4, "big") + bytes(octets - 4)
    return IP(src=SOURCE, dst=DESTINATION) / UDP(sport=port, dport=PORT) / data


def write(path: Path, packets: Iterable[tuple[int, bool, Any]], snap_length: int = 96) -> Path:
    """Write a capture.

    :param packets: nanoseconds since 1970, whether it goes out, and the IP packet of each.
    """
    with PcapWriter(str(path), linktype=_LINUX_SLL2, nano=True, snaplen=snap_length) as writer:
        writer.write_header(None)
        for time, outgoing, packet in packets:
            kind = _OUTGOING if outgoing else _TO_US
            frame = bytes(CookedLinuxV2(proto=0x0800, ifindex=7, pkttype=kind) / packet)
            writer.write_packet(
                frame[:snap_length],
                sec=time // 10**9,
                usec=time % 10**9,
                caplen=min(len(frame), snap_length),
                wirelen=len(frame),
            )
    return path
