# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 6: four UDP tunnels behind one NAT with one public address (RFC 3519), with live traffic."""

from __future__ import annotations

import re

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import HOME_AGENT, LINKS, check_carried, play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

ALL = set(LINKS)
PUBLIC = "203.0.113.50"
FOREIGN_AGENT = "192.168.1.2"


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("figure6"), "scenario_figure6")


def test_four_mappings_behind_one_public_address(report: Report) -> None:
    seen = report["structure"]
    assert set(seen["mappings"]) == {FOREIGN_AGENT, "192.168.0.34", "192.168.0.66", "192.168.0.98"}
    assert {public for public, _ in seen["mappings"].values()} == {PUBLIC}
    assert len({port for _, port in seen["mappings"].values()}) == 4
    assert seen["far_ends"] == sorted(seen["mappings"].values())
    assert seen["encapsulations"] == ["udp"]


def test_the_time_outs_of_the_nat_are_those_of_the_figure(report: Report) -> None:
    assert set(report["structure"]["time_outs"].values()) == {"120"}


def test_a_tunnel_takes_what_its_first_link_leaves(report: Report) -> None:
    # 32 octets less than the link, which is known at the near end only.
    assert report["structure"]["mtus"] == {"ha": [1468], "fa": [1468], "mn": [1368, 1468]}


def test_traffic_takes_all_four(report: Report) -> None:
    check_carried(report["structure"]["carried"], ALL)


def test_only_the_mobile_ip_port_is_seen_between_nat_and_internet(report: Report) -> None:
    of_all = report.tcpdump("nat", f"ip host {PUBLIC}")
    assert len(of_all) > 600
    assert report.tcpdump("nat", f"ip host {PUBLIC} and not (udp port 434 and host {HOME_AGENT})") == []


def test_tshark_reads_signalling_and_data_as_mobile_ip(report: Report) -> None:
    rows = report.tshark("nat", f"ip.addr == {PUBLIC}", "frame.protocols", "mip.type")
    kinds = {row[1].split(",")[0] for row in rows}
    assert kinds == {"1", "3", "4"}  # request, reply, tunnel data
    assert all(":udp:mip" in row[0] for row in rows)
    inner = [row[0] for row in rows if row[1] == "4"]
    assert len(inner) > 600
    assert all(re.search(r":mip:ip:(udp|icmp)", protocols) for protocols in inner)


BAD = {
    "wrong next header": "wrong-payload",
    "another port": "unknown-udp-end-point",
    "another address": "unknown-udp-end-point",
    "header cut": "truncated",
    "no inner packet": "truncated",
    "foreign inner source": "foreign-inner-address",
    "GUE from outside": "unknown-udp-end-point",
    "GUE from a pseudo address": "unknown-udp-end-point",
    "bare, from a pseudo address": "unknown-end-point",
    "bare, from the end point": "unknown-end-point",
}


@pytest.mark.parametrize(("case", "counter"), BAD.items())
def test_bad_tunnel_data_is_dropped_and_counted(report: Report, case: str, counter: str) -> None:
    assert report["bad_data"]["cases"][case] == {counter: 1}


def test_tunnel_data_past_the_mobile_ip_port_never_comes_through(report: Report) -> None:
    """Its false source is the very one by which the kernel finds a tunnel's device."""
    assert report["bad_data"]["cases"]["GUE from a pseudo address"] == {"unknown-udp-end-point": 1}
    assert report.tcpdump("bad-cn", "udp") == []


def test_bad_tunnel_data_is_never_forwarded_and_changes_nothing(report: Report) -> None:
    assert report["bad_data"]["unchanged"] == {"kernel": True, "agent": True}
    assert report.tcpdump("bad-cn", "udp") == []
    assert len(report.tcpdump("good-cn", "udp")) == 1  # the reserved octets are ignored


BAD_BEHIND = {
    **{name: counter for name, counter in BAD.items() if "source" not in name and "pseudo" not in name},
    "foreign inner destination": "foreign-inner-address",
}


@pytest.mark.parametrize("node", ["mn", "fa"])
@pytest.mark.parametrize(("case", "counter"), BAD_BEHIND.items())
def test_bad_tunnel_data_behind_the_nat_is_dropped_and_counted(
    report: Report, node: str, case: str, counter: str
) -> None:
    assert report["bad_data_behind_the_nat"][node]["cases"][case] == {counter: 1}


@pytest.mark.parametrize("node", ["mn", "fa"])
def test_bad_tunnel_data_behind_the_nat_changes_nothing(report: Report, node: str) -> None:
    seen = report["bad_data_behind_the_nat"][node]
    assert seen["came"] == [0, 1]  # the same packet comes through if it is right
    assert seen["unchanged"] == {"kernel": True, "agent": True}


@pytest.mark.parametrize("direction", ["down", "up"])
def test_tcp_needs_no_icmp(report: Report, direction: str) -> None:
    assert report["path_mtu"]["transferred"][direction] == 300_000


@pytest.mark.parametrize(
    ("case", "mtu"),
    [("too big for the tunnel", 1468), ("too big for the path", 1368), ("from the mobile node", 1368)],
)
def test_path_mtu_discovery_finds_what_the_tunnel_takes(report: Report, case: str, mtu: int) -> None:
    said = report["path_mtu"][case]
    assert re.findall(r"mtu ?= ?(\d+)", said)[-1] == str(mtu), said
    assert " 0 received" in said


def test_a_packet_that_fits_passes(report: Report) -> None:
    assert " 3 received" in report["path_mtu"]["fits"]
    assert report["path_mtu"]["learnt"] == 1


def test_fragmented_datagrams_arrive_under_every_policy(report: Report) -> None:
    assert set(report["fragments"].values()) == {8}, report["fragments"]
    assert len(report["fragments"]) == 6


def test_a_care_of_address_changes_without_loss(report: Report) -> None:
    seen = report["make_before_break"]
    assert "192.168.0.98" in seen["care_of_addresses"]
    for direction in ("down", "up"):
        assert seen[direction]["received"] == seen[direction]["sent"], seen
        assert seen[direction]["silent_flows"] == seen[direction]["unsent"] == 0


def test_tunnels_follow_a_nat_that_reboots(report: Report) -> None:
    seen = report["nat_reboots"]
    assert len(seen["mappings"]) == 4
    assert all(found != seen["before"][inside] for inside, found in seen["mappings"].items())
    assert seen["far_ends"] == sorted(seen["mappings"].values())
    check_carried(seen["carried"], ALL)


def test_renewals_mend_an_expired_mapping(report: Report) -> None:
    assert report["mapping_expires"]["seconds"] <= 45
    check_carried(report["mapping_expires"]["carried"], ALL)
