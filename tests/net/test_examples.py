# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples in the documentation, run as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documented.pages import commands, copy_of_the_checkout, run
from tests.net.guests import WALL_LIMIT, in_guest
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

EXAMPLES = ROOT / "docs/examples"
ROUND_TRIPS = {"wifi": 10.1, "evdo": 80.8, "wimax": 50.3, "lte": 30.1}
"""Milliseconds: twice the links' delays, and the time a ping takes on the slower ones."""


@pytest.mark.usefixtures("lab")
def test_an_experiment_of_ones_own() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "round_trips.py"), "3"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WALL_LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"(\w+) +│ +([\d.]+) +│ +(\d) of 5", done.stdout)
    assert {link: float(mean) for link, mean, _ in rows} == pytest.approx(ROUND_TRIPS, abs=0.5)
    assert {answered for _, _, answered in rows} == {"5"}


def test_an_ipmininet_script_of_ones_own(lab: Lab, tmp_path: Path) -> None:
    ended = in_guest(lab, tmp_path, "env", f"PYTHONPATH={ROOT}", "python", str(EXAMPLES / "own_network.py"))
    assert ended.code == 0, ended.stderr
    assert "2 packets transmitted, 2 received" in ended.stdout
    assert re.findall(r"binding (\d) care-of address ([\d.]+)", ended.stdout) == [
        ("1", "192.0.2.1"), ("2", "192.0.2.33"), ("3", "192.0.2.65"), ("4", "192.0.2.97")
    ]  # fmt: skip


def test_the_agents_outside_mininet(lab: Lab, tmp_path: Path) -> None:
    # The sample settings and the rights of the systemd units.
    ended = in_guest(lab, tmp_path, "sh", "-c", f"cd '{ROOT}' && sh docs/examples/three_machines.sh")
    assert ended.code == 0, ended.stderr
    assert "2 packets transmitted, 2 received" in ended.stdout
    assert {"203.0.113.34", "192.0.2.98"} <= set(re.findall(r"peer ([\d.]+)", ended.stdout))
    assert ended.stderr.strip() == ""


DEREGISTERED_DIRECTLY = re.compile(r"^(evdo|wimax|lte)\t.*\t0\t\d*$")


@pytest.mark.usefixtures("lab")
def test_the_captures_can_be_taken_again(tmp_path: Path) -> None:
    copy = copy_of_the_checkout(tmp_path)
    (command,) = (found.command for found in commands() if "capture.sh" in found.command)
    ended = run(command, copy, WALL_LIMIT)
    assert ended.returncode == 0, ended.stderr
    seen = [signalling(path) for path in (copy / "figure3.pcapng", ROOT / "docs/captures/figure3.pcapng")]
    # What ends co-located bindings leaves by the fastest link, and only probes tell which that is.
    fixed = [[line for line in lines if not DEREGISTERED_DIRECTLY.search(line)] for lines in seen]
    assert len(fixed[0]) > 12
    assert fixed[0] == fixed[1]


def signalling(capture: Path) -> list[str]:
    """Who says what to whom, of each control message, in order and without times and authenticators."""
    fields = ["frame.interface_name", "ip.src", "ip.dst", "mip.type", "mip.coa", "mip.life", "mip.code"]
    return subprocess.run(
        ["tshark", "-r", str(capture), "-Y", "mip", "-T", "fields", *(w for f in fields for w in ("-e", f))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
