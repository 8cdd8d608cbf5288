# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands ``failover`` and ``handover`` as a person runs them: one guest each, a few cases."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents.daemon.programs import OTHER_END_TIME
from tests.net.guests import SYSTEM_PYTHON
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

WALL_LIMIT = 280.0
COMMANDS = {
    "failover": ("--figure", "3", "--case", "carrier-loss,signalling-loss,renumber", "--runs", "1"),
    "handover": ("--figure", "3", "--policy", "per-flow,per-packet", "--runs", "1"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left."""

    code: int
    stdout: str
    stderr: str

    def cell(self, case: str, policy: str = "per-flow") -> dict[str, Any]:
        assert self.code == 0, self.stderr
        cells = json.loads(self.stdout)["cells"]
        (found,) = (c for c in cells if (c["case"], c["policy"]) == (case, policy))
        return dict(found)


def run(experiment: str, out: Path, words: tuple[str, ...]) -> Result:
    done = subprocess.run(
        [
            *(SYSTEM_PYTHON, str(ROOT / f"experiments/{experiment}.py"), *words),
            *("--kernel", "guest", "--json", "--out", str(out)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=WALL_LIMIT,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory,
    lab: Lab,  # noqa: ARG001 - there must be a guest
) -> Iterator[dict[str, Future[Result]]]:
    """Both commands at once."""
    out = tmp_path_factory.mktemp("disturbed")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, name, out, words) for name, words in COMMANDS.items()}


Results = dict[str, "Future[Result]"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_result_is_valid_and_whole(results: Results, name: str) -> None:
    result = results[name].result()
    assert result.code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["valid"], summary["problems"]) == (True, [])
    folder = Path(result.stderr.splitlines()[-1].removeprefix("result: "))
    assert (folder / "summary.json").read_text() == result.stdout
    with (folder / "samples.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(summary["cells"])
    drawn = {path.stem for path in (folder / "figures").glob("*.pdf")}
    assert drawn == {f"{name}-figure3-{cell['case']}" for cell in summary["cells"]}


def test_a_lost_carrier_moves_the_stream_to_another_tunnel(results: Results) -> None:
    cell = results["failover"].result().cell("carrier-loss")
    # In flight on LTE 15 ms; the slowest other link takes 40 ms to tell the home agent.
    assert 0.005 < cell["outage_s"]["max"] < 0.1
    assert 15 <= cell["lost_packets"]["max"] <= 70
    assert cell["recovery_s"]["max"] < 5
    assert cell["false_alarms"] == 0


def test_lost_registrations_do_not_touch_the_traffic(results: Results) -> None:
    cell = results["failover"].result().cell("signalling-loss")
    assert cell["lost_packets"]["samples"] == [0]
    assert cell["outage_s"]["max"] < 0.002
    assert cell["tcp_stall_s"]["max"] < 0.05
    assert cell["tcp_retransmits"]["samples"] == [0]


def test_another_address_costs_a_round_trip_or_two_and_the_home_agents_wait(results: Results) -> None:
    cell = results["failover"].result().cell("renumber")
    # LTE: registration and reply 30 ms, ARP for the new address 30 ms. The home agent goes on using
    # the former tunnel for a moment: right if it still works, which it cannot know.
    assert OTHER_END_TIME < cell["outage_s"]["max"] < OTHER_END_TIME + 0.1
    assert cell["recovery_s"]["max"] < 1


@pytest.mark.parametrize("policy", ["per-flow", "per-packet"])
def test_make_before_break_loses_nothing(results: Results, policy: str) -> None:
    cell = results["handover"].result().cell("make-before-break", policy)
    assert cell["lost_packets"]["samples"] == [0]
    assert cell["tcp_stall_s"]["max"] < 0.1


@pytest.mark.parametrize("policy", ["per-flow", "per-packet"])
def test_break_before_make_loses_what_was_under_way(results: Results, policy: str) -> None:
    cell = results["handover"].result().cell("break-before-make", policy)
    assert 1 <= cell["lost_packets"]["max"] <= 30
    assert cell["outage_s"]["max"] < 0.3
