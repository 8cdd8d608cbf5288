# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 3 with a tunnel of each kind at one home address (FACTS G44, G46), with live traffic."""

from __future__ import annotations

import re

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import HOME_AGENT, LINKS, check_carried, play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

MTUS = {"wifi": (1480, 1480), "evdo": (1476, 1476), "wimax": (1472, 1372), "lte": (1468, 1468)}
"""What the first packet too big by far is told, downward and upward: 1500 less 20, 24, 28 and 32 octets; the
mobile node knows that its own link to WiMAX takes 1400."""


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("mixed"), "scenario_mixed")


def test_each_binding_has_the_tunnel_it_asked_for(report: Report) -> None:
    assert report["structure"]["encapsulations"] == {"1": "ipip", "2": "gre", "3": "gre", "4": "udp"}


def test_flows_are_spread_over_tunnels_of_every_kind(report: Report) -> None:
    check_carried(report["structure"]["carried"], set(LINKS))


@pytest.mark.parametrize(
    "carried",
    ["ip proto 4", "ip proto 47 and ip[20:2] == 0", "ip proto 47 and ip[20:2] == 0x2000", "udp port 434"],
)
def test_the_core_sees_every_kind(report: Report, carried: str) -> None:
    # At least two flows each way of 20 packets take each.
    assert len(report.tcpdump("core", f"({carried}) and host {HOME_AGENT}")) >= 80


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("direction", ["down", "up"])
def test_tcp_needs_no_icmp(report: Report, link: str, direction: str) -> None:
    assert report["path_mtu"][link]["transferred"][direction] == 300_000


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_packet_too_big_is_told_what_the_tunnel_takes(report: Report, link: str, direction: str) -> None:
    said = report["path_mtu"][link][direction]
    assert re.findall(r"mtu ?= ?(\d+)", said)[-1] == str(MTUS[link][direction == "up"]), said
    assert " 0 received" in said


def test_a_narrow_link_behind_the_tunnel_is_found(report: Report) -> None:
    said = report["path_mtu"]["wimax"]["down, 1400"]
    assert re.findall(r"mtu ?= ?(\d+)", said)[-1] == "1372", said
