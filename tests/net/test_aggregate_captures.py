# SPDX-License-Identifier: GPL-2.0-or-later
"""What the captures of a real run tell, against tshark's reading of them and the kernel's own counts."""

from __future__ import annotations

import base64
import csv
import json
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.net.aggregate_commands import SLOW_LINKS, Result, aggregate
from topologies.lab.lab import Lab
from topologies.mobile_ip import _KEY

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

WORDS = (
    *("--figure", "3", "--policy", "per-flow,per-packet", "--flows", "3", "--runs", "1"),
    *("--duration", "4", "--warm-up", "1", "--pcap", *SLOW_LINKS),
)
_FIELDS = ("tcp.srcport", "tcp.seq_raw", "tcp.options.timestamp.tsval", "tcp.len", "frame.time_epoch")


@pytest.fixture(scope="module", params=["down", "up"])
def result(tmp_path_factory: pytest.TempPathFactory, lab: Lab, request: pytest.FixtureRequest) -> Result:  # noqa: ARG001
    found = aggregate(tmp_path_factory.mktemp("captures"), *WORDS, "--direction", request.param)
    assert found.code == 0, found.stderr
    return found


def runs_of(result: Result) -> list[tuple[Path, dict[str, Any]]]:
    assert result.folder is not None
    batch = result.folder / "raw" / "figure3-run001"
    runs = json.loads((batch / "outcome.json").read_text())["runs"]
    return [(batch / "raw" / run["name"], run) for run in runs]


def read(capture: Path) -> dict[str, list[tuple[tuple[str, str], int]]]:
    """By tshark: of each flow, name and nanoseconds of each segment with data to the receiver's port."""
    command = ["tshark", "-r", str(capture), "-Y", "tcp.dstport == 5001 && tcp.len > 0", "-T", "fields"]
    for field in _FIELDS:
        command += ["-e", field]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = defaultdict(list)
    for port, sequence, stamp, _, moment in csv.reader(lines, delimiter="\t"):
        seconds, _, part = moment.partition(".")
        found[port].append(((sequence, stamp), int(seconds) * 10**9 + int(part)))
    return found


def slow_extents(folder: Path, window: tuple[int, int]) -> tuple[int, list[int]]:
    """Packets sent in the window that arrived, and the extents of reordered ones (RFC 4737)."""
    sent, came = read(folder / "sender.pcap"), read(folder / "receiver.pcap")
    received, extents = 0, []
    for port, segments in sent.items():
        number = {name: n for n, (name, _) in enumerate(segments)}
        assert len(number) == len(segments)
        inside = {n for n, (_, moment) in enumerate(segments) if window[0] <= moment < window[1]}
        order = [number[name] for name, _ in came[port] if number[name] in inside]
        received += len(order)
        for i, s in enumerate(order):
            earlier = [j for j in range(i) if order[j] > s]
            if earlier:
                extents.append(i - earlier[0])
    return received, extents


def test_the_order_is_that_which_tshark_sees(result: Result) -> None:
    for folder, run in runs_of(result):
        received, extents = slow_extents(folder, run["window"])
        found = run["packets"]
        assert received == found["received"] > 100
        assert len(extents) / received == found["reordering"]["ratio"]
        assert max(extents, default=0) == found["reordering"]["max_extent"]
        assert sum(found["reordering"]["extents"].values()) == len(extents)


def test_retransmissions_are_those_the_kernel_counted(result: Result) -> None:
    runs = [run for _, run in runs_of(result)]
    assert [run["packets"]["retransmissions"] for run in runs] == [run["retransmits"] for run in runs]


def test_every_packet_is_accounted_for(result: Result) -> None:
    for _, run in runs_of(result):
        whole = run["packets"]["whole_run"]
        # A full queue may drop signalling besides.
        assert whole["sent"] - whole["received"] <= sum(run["dropped"].values())
    assert any(sum(run["dropped"].values()) for _, run in runs_of(result))


def test_policies_reorder_or_not(result: Result) -> None:
    per_flow, per_packet = (result.cell(policy, 3)["reordering"] for policy in ("per-flow", "per-packet"))
    assert per_flow["ratio"]["samples"] == per_flow["max_extent"]["samples"] == [0.0]
    assert per_packet["ratio"]["mean"] > 0.1
    assert per_packet["n3_ratio"]["mean"] <= per_packet["ratio"]["mean"]


def test_round_trips_are_not_shorter_than_the_links_delays(result: Result) -> None:
    # WiFi 5 ms and LTE 15 ms each way; three flows of per-flow use WiFi, WiMAX and LTE or EV-DO.
    rtt = result.cell("per-flow", 3)["rtt_ms"]
    assert 2 * 5 < rtt["p50"]["mean"] <= rtt["p95"]["mean"]
    delay = result.cell("per-flow", 3)["one_way_delay_ms"]
    assert 5 < delay["p50"]["mean"] <= delay["p95"]["mean"] <= delay["p99"]["mean"]


def test_no_key_is_in_the_result(result: Result) -> None:
    """Neither as text nor as octets: not in manifest, events, logs or captures."""
    assert result.folder is not None
    files = [path for path in result.folder.rglob("*") if path.is_file()]
    assert {".pcap", ".log", ".json"} <= {path.suffix for path in files}
    key = bytes.fromhex(_KEY)
    forms = [form.lower() for form in (_KEY.encode(), key, base64.b64encode(key), repr(key)[2:-1].encode())]
    assert [path for path in files if any(form in path.read_bytes().lower() for form in forms)] == []
