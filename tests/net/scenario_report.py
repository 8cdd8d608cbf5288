# SPDX-License-Identifier: GPL-2.0-or-later
"""Outside the guest: plays a scene of any figure, and what its tests have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.net.figure3_report import Report
from tests.net.guests import in_guest
from topologies.lab.lab import Lab

WALL_LIMIT = 270.0
"""Seconds; a scene takes a quarter of it on an idle machine."""
LINKS = ("wifi", "evdo", "wimax", "lte")
HOME_AGENT, HOME_ADDRESS, FOREIGN_AGENT = "198.51.100.1", "198.51.100.10", "203.0.113.34"
ROUTERS = {"wifi": "192.0.2.1", "evdo": "192.0.2.33", "wimax": "192.0.2.65", "lte": "192.0.2.97"}
CO_LOCATED = {"wifi": "192.0.2.2", "evdo": "192.0.2.34", "wimax": "192.0.2.66", "lte": "192.0.2.98"}
BINDINGS = {"wifi": 1, "evdo": 2, "wimax": 3, "lte": 4}


def play(lab: Lab, folder: Path, scene: str, *steps: str) -> Report:
    """Play ``tests.net.SCENE`` in a guest, or some of its steps."""
    argv = ("python", "-P", "-m", f"tests.net.{scene}", str(folder), *steps)
    ended = in_guest(lab, folder, *argv, wall_limit=WALL_LIMIT)
    if not (folder / "report.json").exists():
        pytest.fail(f"{scene} ended with {ended.code}:\n{ended.stdout}\n{ended.stderr}")
    return Report(folder)


def check_carried(seen: dict[str, Any], down: set[str], up: set[str] | None = None) -> None:
    """Every packet of every flow arrived, by these links and no other."""
    for direction, links in (("down", down), ("up", down if up is None else up)):
        report = seen[direction]
        assert report["silent_flows"] == report["unsent"] == 0, (direction, report)
        assert report["received"] == report["sent"], (direction, report)
        assert set(report["links"]) == links, (direction, report)


def check_stream(seen: dict[str, Any], gap: float, lost: int) -> None:
    """Traffic under way was interrupted for ``gap`` seconds at most and lost few packets."""
    for direction in ("down", "up"):
        report = seen[direction]
        assert report["silent_flows"] == 0, (direction, report)
        assert report["longest_gap"] <= gap, (direction, report)
        assert report["sent"] - report["received"] <= lost, (direction, report)


def check_home(seen: dict[str, Any]) -> None:
    """The step ``returns_home`` (RFC 5944 §4.6, FACTS G32)."""
    assert seen["seconds_until_home"] < 5.0
    assert seen["bindings_at_home"] == []
    assert seen["home_agent"] == []
    assert seen["proxies"] == ""
    assert seen["ping_at_home"][0] == seen["ping_from_home"][0] == 0, seen
    assert f"lladdr {seen['link_address']}" in seen["neighbour"]
    assert seen["seconds_until_away"] < 3.0
    assert seen["again"]["bindings"] == [1, 2, 3, 4]
    check_stream(seen, gap=0.5, lost=64)
    check_carried(seen["carried"], set(LINKS))


def check_bad_data(seen: dict[str, Any]) -> None:
    """The step ``bad_data``: dropped, counted, nothing passed on, nothing changed."""
    foreign, unknown, short = (
        {"agent": {name: 1}, "kernel": {}}
        for name in ("foreign-inner-address", "unknown-end-point", "truncated")
    )
    assert seen["cases"] == {
        "unknown outer source": unknown,
        "wrong inner address": foreign,
        "nested": foreign,
        "nested from afar": unknown,
        "inner header cut": short,
        "inner packet cut": {"agent": {}, "kernel": {"IpExtInTruncatedPkts": 1}},
        "no inner packet": short,
        # The rest of it never comes: it waits in the kernel's reassembly until that gives up.
        "only the first fragment": {"agent": {}, "kernel": {}},
        "fragments from afar": unknown,
        "fragments, wrong inner address": foreign,
    }
    assert seen["unchanged"] == {"kernel": True, "agent": True}


def secrets(report: Report, capture: str) -> int:
    """Packets of a capture in which a datagram to the secret port came through; errors quote it."""
    return len(report.tshark(capture, "udp.dstport == 6666 && !icmp", "frame.number"))
