# SPDX-License-Identifier: GPL-2.0-or-later
"""Tunnels that die: how soon it is noticed, what is lost, and that nothing else counts as death."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import BINDINGS, LINKS, play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

FIGURES = ("figure3", "figure4")
ROUND_TRIPS = {"wifi": 10, "evdo": 80, "wimax": 50, "lte": 30}
"""Twice the delay of each link, in milliseconds."""
SERIALISATION = 0.6
"""Milliseconds for a probe both ways: 70 octets at 3.1 and 1.8 Mbit/s are 0.5."""
NOTICED = 0.38
"""Seconds: up to an interval, a time-out, four quick intervals, a time-out (agents/liveness.py)."""
TOLD = 0.07
"""Seconds more for the deregistration to go up another link, and for packets to come down a third."""


@pytest.fixture(scope="module")
def figure3(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene on Figure 3, played once."""
    return play(lab, tmp_path_factory.mktemp("liveness3"), "scenario_liveness", "3")


@pytest.fixture(scope="module")
def figure4(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene on Figure 4, played once."""
    return play(lab, tmp_path_factory.mktemp("liveness4"), "scenario_liveness", "4")


@pytest.fixture(params=FIGURES)
def report(request: pytest.FixtureRequest) -> Report:
    """The scene on each figure."""
    played: Report = request.getfixturevalue(request.param)
    return played


def _events(seen: dict[str, Any], word: str) -> list[tuple[int, str]]:
    return [(e["binding_id"], e["reason"]) for e in seen["events"] if e["event"] == word]


def _check_failed(seen: dict[str, Any], link: str, reason: str, bound: float) -> None:
    """One tunnel was given up, for this reason and in time, and came back."""
    number = BINDINGS[link]
    assert _events(seen, "tunnel-failed") == [(number, reason)]
    assert _events(seen, "tunnel-recovered") == [(number, reason)]
    assert seen["without"] == [other for other in BINDINGS.values() if other != number]
    assert seen["detected"][0] <= bound
    assert seen["seconds_until_back"] <= 5.0


def test_each_tunnel_is_probed_by_itself_under_every_policy(report: Report) -> None:
    for case, seen in report["probed_by_each_way"].items():
        assert seen["elsewhere"] == 0, case
        for link in LINKS:
            assert 0 <= seen["round_trips"][link] - ROUND_TRIPS[link] <= SERIALISATION, (case, link)
            assert 19 <= seen["sent"][link] <= 42, (case, link)  # 40 while the time-out still adapts
            assert abs(seen["answered"][link] - seen["sent"][link]) <= 2, (case, link)


def test_a_silent_tunnel_is_left_within_half_a_second(report: Report) -> None:
    *on_lte, on_wifi = report["silent_loss"]
    for seen in on_lte:
        _check_failed(seen, "lte", "silent", NOTICED)
        assert 0.2 < seen["down"]["outage"] <= NOTICED + TOLD
        assert seen["down"]["lost"] <= 1000 * seen["down"]["outage"]
        assert seen["up"]["lost"] == 0  # it has another tunnel
    _check_failed(on_wifi, "wifi", "silent", NOTICED)
    assert 0.2 < on_wifi["up"]["outage"] <= NOTICED + TOLD
    assert on_wifi["down"]["lost"] == 0


def test_what_only_the_mobile_node_loses_is_noticed_though_packets_arrive(report: Report) -> None:
    _check_failed(report["one_way_up"], "lte", "one-way-up", NOTICED + 0.1)
    assert report["one_way_up"]["down"]["outage"] < 0.1


def test_what_only_the_home_agent_loses_is_noticed(report: Report) -> None:
    _check_failed(report["one_way_down"], "lte", "silent", NOTICED)
    assert report["one_way_down"]["down"]["outage"] <= NOTICED + TOLD


def test_when_all_are_silent_none_is_given_up(report: Report) -> None:
    seen = report["all_silent"]
    assert set(seen["states"].values()) == {"suspected"}
    assert [e["event"] for e in seen["events"]] == ["home-agent-silent", "home-agent-answers"]
    assert seen["bindings"] == sorted(BINDINGS.values())
    assert seen["seconds_until_alive"] < 1.0


def test_mipctl_shows_every_way_with_its_probes(report: Report) -> None:
    rows = json.loads(report["shown"]["json"])["tunnels"]
    assert sorted(row["interface"] for row in rows) == sorted(LINKS)
    for row in rows:
        assert row["liveness"] == "alive"
        assert row["round_trip_ms"] == pytest.approx(ROUND_TRIPS[row["interface"]], abs=SERIALISATION)
    assert "round trip ms" in report["shown"]["table"]


def test_two_tunnels_that_die_at_once_are_both_left(figure3: Report) -> None:
    seen = figure3["two_at_once"]
    assert seen["without"] == [2, 3]
    assert sorted(_events(seen, "tunnel-failed")) == [(1, "silent"), (4, "silent")]
    for direction in ("down", "up"):
        assert seen[direction]["outage"] <= NOTICED + TOLD


def test_a_lost_carrier_costs_one_packet_up(figure3: Report) -> None:
    seen = figure3["carrier_loss"]
    assert _events(seen, "tunnel-failed") == [(1, "link-down")]
    assert seen["up"]["lost"] <= 1
    assert seen["state"]["why"] == "link-down"


def test_loss_on_all_links_gives_up_no_tunnel(figure3: Report) -> None:
    seen = figure3["loss_on_all_links"]
    assert [e for e in seen["events"] if e["event"] != "registered"] == []
    assert max(seen["loss"].values()) > 0.02
