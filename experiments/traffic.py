# SPDX-License-Identifier: GPL-2.0-or-later
"""iperf 2 flows between two nodes, measured at the receiver.

iperf 2 and not 3: the latter spins while it waits for results, and spinning stops virtual time.
"""

from __future__ import annotations

import csv
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

from topologies.network import LabNode

PORT = 5001
INTERVAL = 0.1
"""Seconds between two of the receiver's reports."""
SAMPLE = 0.2
"""Seconds between two looks at the counters."""
MARGIN = 0.5
"""Seconds that flows run on after the measured window."""
_LISTEN_LIMIT = 10.0
_DRAIN_LIMIT = 60.0
_TOLERANCE = 1e-6


def pass_time(seconds: float, until: float, at_sample: Callable[[], None]) -> float:
    """Sleep until a moment of the monotonic clock, with a look every ``SAMPLE`` seconds and at the end.

    :param seconds: what ends then. They decide how many looks there are, so that every run has as many: of a
        slow machine's real time some is over before the first.
    :returns: by how many seconds the latest waking was late: 0 unless the machine is too busy.
    """
    latest = 0.0
    begun = time.monotonic()
    steps = max(1, round(seconds / SAMPLE))
    for step in range(1, steps + 1):
        goal = begun + (until - begun) * step / steps
        time.sleep(max(0.0, goal - time.monotonic()))
        latest = max(latest, time.monotonic() - goal)
        at_sample()
    return latest


class TrafficError(RuntimeError):
    """iperf did not run as it must; says which end and what it said."""


@dataclass(frozen=True, slots=True)
class Flows:
    """Parallel flows of one kind."""

    protocol: str
    """``tcp`` or ``udp``."""
    count: int
    payload: int
    """UDP: octets per datagram."""
    rate: float | None = None
    """UDP: Mbit/s of payload in all."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the receiver saw in the measured window."""

    goodput: float
    """Mbit/s of payload, all flows."""
    per_flow: tuple[float, ...]
    """Mbit/s of each flow, by source port."""
    series: tuple[float, ...]
    """Mbit/s of all flows in each ``INTERVAL`` from the start, warm-up included."""
    out_of_order: int | None
    """UDP: datagrams that came after a later one."""
    lost: int | None
    """UDP: datagrams lost."""
    lateness: float = 0.0
    """Seconds by which this program woke too late at worst."""


def _await_listening(receiver: LabNode, protocol: str) -> None:
    """Poll until the receiver's port is open."""
    table = Path(f"/proc/{receiver.pid}/net/{protocol}")
    deadline = time.monotonic() + _LISTEN_LIMIT
    wanted = f":{PORT:04X} "
    while not any(line.split()[1].endswith(wanted.strip()) for line in table.read_text().splitlines()[1:]):
        if time.monotonic() > deadline:
            raise TrafficError(f"{receiver.name}: iperf did not listen within {_LISTEN_LIMIT:.0f} s")
        time.sleep(0.01)


def measure(
    sender: LabNode,
    receiver: LabNode,
    source: IPv4Address,
    destination: IPv4Address,
    flows: Flows,
    warm_up: float,
    duration: float,
    folder: Path,
    at_edge: Callable[[], None],
    at_sample: Callable[[], None] = lambda: None,
) -> Measurement:
    """Run flows for warm-up and duration and return what arrived in the duration.

    :param at_edge: called when the measured window opens and again when it closes.
    :param at_sample: called every ``SAMPLE`` seconds until it closes.
    :raises TrafficError: if an iperf fails or reports nothing.
    """
    report = folder / "iperf-receiver.csv"
    udp = ["-u", "-l", str(flows.payload)] if flows.protocol == "udp" else []
    seconds = warm_up + duration + MARGIN
    listen = ["iperf", "-s", "-p", str(PORT), "-y", "C", "-i", str(INTERVAL), "-B", str(destination), *udp]
    send = ["iperf", "-c", str(destination), "-p", str(PORT), "-B", str(source), "-t", f"{seconds:g}"]
    send += ["-P", str(flows.count), *udp]
    if flows.rate is not None:
        send += ["-b", f"{flows.rate / flows.count * 1e6:.0f}"]
    with open(report, "wb") as reports, open(folder / "iperf.log", "wb") as log:
        server = receiver.popen(listen, stdin=subprocess.DEVNULL, stdout=reports, stderr=log)
        try:
            _await_listening(receiver, flows.protocol)
            start = time.monotonic()
            client = sender.popen(send, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                late = pass_time(warm_up, start + warm_up, at_sample) if warm_up else 0.0
                at_edge()
                late = max(late, pass_time(duration, start + warm_up + duration, at_sample))
                at_edge()
                client.wait(timeout=seconds + _DRAIN_LIMIT)
            finally:
                client.kill()
                client.wait()
        finally:
            # The first asks iperf to finish its reports; a second one would end it at once.
            server.send_signal(signal.SIGINT)
            try:
                server.wait(timeout=_DRAIN_LIMIT)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    if client.returncode:
        raise TrafficError(f"{sender.name}: iperf ended with {client.returncode}: {_tail(folder)}")
    return replace(evaluate(report, flows, warm_up, duration), lateness=late)


def _tail(folder: Path) -> str:
    return (folder / "iperf.log").read_text(errors="replace")[-500:].strip()


def evaluate(report: Path, flows: Flows, warm_up: float, duration: float) -> Measurement:
    """Read the receiver's interval reports (``-y C``) and sum those inside the window.

    :raises TrafficError: if a flow is missing.
    """
    octets: dict[str, int] = {}
    series: dict[int, int] = {}
    out_of_order = lost = 0
    with report.open(newline="") as file:
        for row in csv.reader(file):
            if len(row) < 9 or row[5] == "-1":  # a sum over the flows
                continue
            begin, end = (float(word) for word in row[6].split("-"))
            if end - begin > 2 * INTERVAL:  # the report over the whole flow
                continue
            port = row[4] if int(row[2]) == PORT else row[2]
            octets.setdefault(port, 0)
            series[round(begin / INTERVAL)] = series.get(round(begin / INTERVAL), 0) + int(row[7])
            if begin >= warm_up - _TOLERANCE and end <= warm_up + duration + _TOLERANCE:
                octets[port] += int(row[7])
                if flows.protocol == "udp":
                    lost += int(row[10])
                    out_of_order += int(row[13])
    if len(octets) != flows.count:
        raise TrafficError(f"{len(octets)} of {flows.count} flows arrived: {_tail(report.parent)}")
    megabits = 8 / 1e6
    return Measurement(
        goodput=sum(octets.values()) * megabits / duration,
        per_flow=tuple(octets[port] * megabits / duration for port in sorted(octets, key=int)),
        series=tuple(series.get(i, 0) * megabits / INTERVAL for i in range(max(series) + 1)),
        out_of_order=out_of_order if flows.protocol == "udp" else None,
        lost=lost if flows.protocol == "udp" else None,
    )
