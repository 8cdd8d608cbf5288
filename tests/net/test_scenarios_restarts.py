# SPDX-License-Identifier: GPL-2.0-or-later
"""Agents that are killed and start again: nothing is lost, nothing stays that should not.

The home agent, the foreign agent and the mobile node of Figure 3 and, with UDP tunnels, of Figure 6.
"""

from __future__ import annotations

from typing import Any

import pytest

from agents.linux.sysctls import sysctls_of
from tests.net.figure3_report import Report
from tests.net.scenario_report import LINKS, WALL_LIMIT, check_carried, check_stream, play
from topologies.lab.guest import Clock
from topologies.lab.lab import Lab

pytestmark = [pytest.mark.net, pytest.mark.timeout(3 * WALL_LIMIT)]

PACE = 0.05
"""Seconds between two packets of a flow."""
KILLED = ["home_agent_killed", "foreign_agent_killed", "mobile_node_killed"]
NOTHING = dict.fromkeys(("devices", "rules", "routes", "neighbours", "proxies"), "")


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Figure 3, played once."""
    return play(lab, tmp_path_factory.mktemp("restarts"), "scenario_restarts", "3", "ipip")


@pytest.fixture(scope="module")
def behind_nat(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Figure 6, only the kills."""
    return play(lab, tmp_path_factory.mktemp("restarts"), "scenario_restarts", "6", "udp", *KILLED)


def check_killed(seen: dict[str, Any], gap: float) -> None:
    """The kernel has gone on forwarding, and every device was adopted."""
    assert seen["devices"] == seen["devices_while_dead"] == seen["devices_after"]
    assert seen["devices"]
    assert seen["events"]["state-restored"] == 1
    assert seen["bindings_at_once"] == seen["bindings"] == [1, 2, 3, 4]
    assert seen["mismatches"] == 0
    assert set(seen["not_kept"].values()) == {None}
    check_stream(seen, gap=gap, lost=0)
    check_carried(seen["carried"], set(LINKS))


@pytest.mark.parametrize("step", KILLED[:2])
def test_an_agent_is_killed_and_nobody_notices(report: Report, step: str) -> None:
    """Not one packet is lost or late: 10 ms are a scheduling slot of the guest."""
    check_killed(report[step], gap=PACE + 0.01)


def test_the_mobile_node_is_killed(report: Report) -> None:
    """Nothing is lost; flows are late by the difference of delays when its first binding replaces all."""
    check_killed(report["mobile_node_killed"], gap=2 * PACE)


@pytest.mark.parametrize("step", KILLED)
def test_agents_behind_a_nat_are_killed(behind_nat: Report, step: str) -> None:
    check_killed(behind_nat[step], gap=2 * PACE)


@pytest.mark.parametrize("which", ["report", "behind_nat"])
def test_identifications_grow_over_the_restart(which: str, request: pytest.FixtureRequest) -> None:
    before, after = request.getfixturevalue(which)["mobile_node_killed"]["identifications"]
    assert before.keys() == after.keys() == {"1"}
    assert after["1"] > before["1"]


def test_what_does_not_match_is_mended(report: Report) -> None:
    seen = report["a_tunnel_was_deleted_meanwhile"]
    assert seen["made_anew"]
    assert seen["others_adopted"] == [True] * 3
    check_carried(seen["carried"], set(LINKS))


def test_the_switch_and_the_policy_are_kept(report: Report) -> None:
    """Draft §8."""
    seen = report["settings_are_kept"]
    assert seen["killed"] == seen["ended"] == [[False, "per-packet"]] * 3
    check_carried(seen["carried"], set(LINKS))


def test_the_nodes_own_settings_come_back_after_a_kill_too(report: Report) -> None:
    # The agent had been killed before: what it found when it started was its own former life's.
    seen = report["settings_are_kept"]
    own = sysctls_of("mobile-node", None)
    assert seen["sysctls_killed"] == own
    assert seen["sysctls_ended"] == seen["sysctls_elsewhere"]
    assert (
        seen["sysctls_elsewhere"]["net.ipv4.conf.all.arp_ignore"]
        == "0"
        != own["net.ipv4.conf.all.arp_ignore"]
    )


def test_what_has_ended_meanwhile_leaves_nothing(report: Report) -> None:
    seen = report["nothing_stale"]
    for node in ("fa", "ha"):
        assert seen["after"][node] == NOTHING
        for what in ("devices", "rules", "routes"):
            assert seen["while_dead"][node][what], "there was nothing to be swept away"
    assert seen["while_dead"]["fa"]["neighbours"]
    assert seen["while_dead"]["ha"]["proxies"]
    check_carried(seen["carried"], set(LINKS))


def test_without_its_file_an_agent_begins_with_nothing(report: Report) -> None:
    seen = report["files_are_lost"]
    assert seen["fa"] == {**NOTHING, "set_aside": False}
    assert seen["ha"] == {**NOTHING, "set_aside": True}
    check_carried(seen["carried"], set(LINKS))


def test_the_home_agent_is_killed_on_the_real_clock(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """p95 of the outage at most 1 s; here the worst of all flows."""
    real = Lab(Clock.REAL, lab.guest_kernel)
    folder = tmp_path_factory.mktemp("real")
    seen = play(real, folder, "scenario_restarts", "3", "ipip", KILLED[0])[KILLED[0]]
    assert seen["bindings_at_once"] == [1, 2, 3, 4]
    assert seen["devices"] == seen["devices_after"]
    for direction in ("down", "up"):
        assert seen[direction]["silent_flows"] == 0
        assert seen[direction]["longest_gap"] <= 1.0 + PACE
