# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams between correspondent and mobile node: a numbered UDP stream and TCP connections beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from array import array
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from experiments.disturbed.numbers import SECOND, Arrival, StreamNumbers, longest_stall, stream_numbers
from topologies.figure import CORRESPONDENT, HOME_ADDRESS
from topologies.network import LabNode

UDP_PORT, TCP_PORT = 7001, 7002
DRAIN = 1.0
"""Seconds of listening after the last sending: longer than any queue holds packets."""
_PROGRAM = str(Path(__file__).with_name("stream_ends.py"))
_START_LIMIT = 20.0
_END_LIMIT = 10.0


class StreamError(RuntimeError):
    """A stream did not run as it must; says which end and what it said."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What runs while a network is disturbed."""

    packets_per_second: int
    """Of the UDP stream."""
    connections: int
    """TCP connections beside it."""
    record_interval: float
    """Seconds between two records on each of them."""
    record_octets: int

    @property
    def interval(self) -> int:
        """Nanoseconds between two datagrams."""
        return SECOND // self.packets_per_second


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What the streams went through."""

    udp: StreamNumbers
    tcp_stall: float
    """Seconds: the longest time in which one of the TCP connections delivered nothing."""
    tcp_octets: int
    """Octets of all TCP connections."""


class _End:
    """One end of a stream, a process in a node."""

    def __init__(self, node: LabNode, log: Path, role: str, *arguments: object) -> None:
        self.log = log
        self._name = f"{role} on {node.name}"
        words = [*map(str, arguments), str(log)]
        self._process = node.popen(
            [sys.executable, "-I", "-S", _PROGRAM, role, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if self._process.stdout.readline() != b"ready\n":
            raise StreamError(f"{self._name}: {self._said()}")

    def _said(self) -> str:
        self._process.kill()
        return bytes(self._process.communicate()[1]).decode(errors="replace")[-500:].strip()

    def end(self) -> None:
        """Let it write its log.

        :raises StreamError: if it failed before.
        """
        self._process.terminate()
        try:
            code = self._process.wait(_END_LIMIT)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise StreamError(f"{self._name} ended with {code}: {self._said()}")

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.communicate()


class Streams:
    """Streams in one direction, under way from the start to :meth:`end`; a context that ends them."""

    def __init__(
        self, nodes: tuple[LabNode, LabNode], direction: str, traffic: Traffic, folder: Path
    ) -> None:
        """Start them: the UDP stream's first datagram comes before any TCP connection.

        :param nodes: the correspondent and the mobile node.
        :param direction: ``down`` (to the mobile node) or ``up``.
        :raises StreamError: if an end does not start.
        """
        correspondent, mobile_node = nodes
        self._traffic = traffic
        self._folder = folder
        self._ends: list[_End] = []
        ends: tuple[tuple[LabNode, IPv4Address], ...]
        ends = ((correspondent, CORRESPONDENT.ip), (mobile_node, HOME_ADDRESS))
        (sender, source), (receiver, target) = ends if direction == "down" else ends[::-1]
        interval = round(traffic.record_interval * SECOND)
        try:
            self._start(receiver, "udp-receive", target, UDP_PORT)
            self._start(receiver, "tcp-receive", target, TCP_PORT)
            self._start(sender, "udp-send", source, target, UDP_PORT, traffic.interval)
            time.sleep(2 / traffic.packets_per_second)  # its flow takes the first slot
            self._start(
                sender,
                "tcp-send",
                *(source, target, TCP_PORT, traffic.connections, interval, traffic.record_octets),
            )
        except BaseException:
            self.__exit__()
            raise

    def _start(self, node: LabNode, role: str, *arguments: object) -> None:
        self._ends.append(_End(node, self._folder / f"{role}.log", role, *arguments))

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.kill()

    def end(self) -> StreamResult:
        """End sending, wait for what is under way, and judge.

        :raises StreamError: if an end failed.
        """
        udp_receiver, tcp_receiver, udp_sender, tcp_sender = self._ends
        udp_sender.end()
        tcp_sender.end()
        time.sleep(DRAIN)
        udp_receiver.end()
        tcp_receiver.end()
        sending = json.loads(udp_sender.log.read_text())
        connecting = json.loads(tcp_sender.log.read_text())
        reads = _triples(tcp_receiver.log)
        udp = stream_numbers(
            [Arrival(*row) for row in _triples(udp_receiver.log)],
            sending["sent"],
            sending["begun"],
            sending["ended"],
            self._traffic.interval,
        )
        stall = longest_stall(
            ((connection, moment) for connection, moment, _ in reads),
            self._traffic.connections,
            connecting["begun"],
            connecting["ended"],
            round(self._traffic.record_interval * SECOND),
        )
        return StreamResult(udp, stall, sum(octets for *_, octets in reads))


def _triples(path: Path) -> list[tuple[int, int, int]]:
    numbers: Any = array("q")
    numbers.frombytes(path.read_bytes())
    return list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
