# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 5: one foreign agent with a care-of address for each of four links, with live traffic."""

from __future__ import annotations

from typing import Any

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import (
    HOME_AGENT,
    LINKS,
    ROUTERS,
    check_carried,
    check_home,
    check_stream,
    play,
)
from tests.net.scenario_signalling_checks import check_hop_by_hop
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

ALL = set(LINKS)
DOWN = sorted([HOME_AGENT, address] for address in ROUTERS.values())
UP = sorted([address, HOME_AGENT] for address in ROUTERS.values())


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("figure5"), "scenario_figure5")


def check_at_rest(seen: dict[str, Any]) -> None:
    """Four tunnels between home agent and foreign agent, each with its link."""
    assert seen["home_agent"] == DOWN
    assert seen["foreign_agent"] == UP
    assert seen["mobile_node"] == []
    assert seen["bindings"] == [1, 2, 3, 4]
    assert seen["visitors"] == {"wifi": [1], "evdo": [2], "wimax": [3], "lte": [4]}
    assert set(seen["neighbours"]) == ALL
    assert seen["reverse_interfaces"] == sorted(LINKS)


def test_four_tunnels_and_four_care_of_addresses(report: Report) -> None:
    check_at_rest(report["structure"])
    assert report["structure"]["neighbours"] == report["structure"]["link_addresses"]


def test_traffic_takes_all_four(report: Report) -> None:
    check_carried(report["structure"]["carried"], ALL)


def test_every_relayed_message_hop_by_hop(report: Report) -> None:
    check_hop_by_hop(report, ROUTERS)


def test_a_lost_interface_takes_its_tunnel_at_both_ends(report: Report) -> None:
    seen = report["interface_lost"]
    assert seen["seconds_until_deregistered"] < 1.0
    without = seen["without"]
    assert without["bindings"] == [1, 2, 3]
    assert without["home_agent"] == [ends for ends in DOWN if ends[1] != ROUTERS["lte"]]
    assert without["foreign_agent"] == [ends for ends in UP if ends[0] != ROUTERS["lte"]]
    assert set(without["neighbours"]) == ALL - {"lte"}
    assert without["reverse_interfaces"] == ["evdo", "wifi", "wimax"]


def test_traffic_survives_a_lost_interface(report: Report) -> None:
    check_stream(report["interface_lost"], gap=0.5, lost=64)
    assert min(report["interface_lost"]["share_without"].values()) > 0.98


def test_a_lost_interface_comes_back(report: Report) -> None:
    assert report["interface_lost"]["seconds_until_back"] < 2.0
    check_at_rest(report["interface_lost"]["again"])
    check_carried(report["interface_lost"]["carried"], ALL)


def test_the_first_registration_overwrites_what_was_left(report: Report) -> None:
    seen = report["overwrite"]
    check_at_rest(seen["before"])
    assert seen["alone"]["home_agent"] == [[HOME_AGENT, ROUTERS["wifi"]]]
    assert seen["alone"]["foreign_agent"] == [[ROUTERS["wifi"], HOME_AGENT]]
    assert set(seen["alone"]["neighbours"]) == {"wifi"}
    assert seen["alone"]["reverse_interfaces"] == ["wifi"]
    check_carried(seen["carried_alone"], {"wifi"})
    check_at_rest(seen["again"])
    check_carried(seen["carried"], ALL)


@pytest.mark.parametrize("step", ["foreign_agent_restarts", "foreign_agent_crashes"])
def test_the_foreign_agent_restarts(report: Report, step: str) -> None:
    seen = report[step]
    assert seen["left"] == ([] if step == "foreign_agent_restarts" else UP)
    assert seen["seconds_until_registered"] < 5.0
    check_at_rest(seen)
    check_carried(seen["carried"], ALL)


def test_the_mobile_node_returns_home_and_leaves_again(report: Report) -> None:
    check_home(report["returns_home"])
    check_at_rest(report["returns_home"]["again"])
