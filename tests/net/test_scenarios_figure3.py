# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 3: WiFi through a foreign agent, three co-located care-of addresses, with live traffic."""

from __future__ import annotations

from typing import Any

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import (
    CO_LOCATED,
    FOREIGN_AGENT,
    HOME_AGENT,
    LINKS,
    check_bad_data,
    check_carried,
    check_home,
    check_stream,
    play,
    secrets,
)
from tests.net.scenario_signalling_checks import check_hop_by_hop
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

ALL = set(LINKS)
DIRECT = LINKS[1:]
ENDS = {"wifi": FOREIGN_AGENT, **{link: CO_LOCATED[link] for link in DIRECT}}
"""The mobile node's end of each link's tunnel."""
NUMBERS = {link: number for number, link in enumerate(LINKS, 1)}


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("figure3"), "scenario_figure3")


def check_links(seen: dict[str, Any], links: set[str]) -> None:
    """Exactly the tunnels of these links in every kernel."""
    assert seen["home_agent"] == sorted([HOME_AGENT, ENDS[link]] for link in links)
    assert seen["mobile_node"] == sorted([ENDS[link], HOME_AGENT] for link in links - {"wifi"})
    assert seen["bindings"] == sorted(NUMBERS[link] for link in links)


def check_at_rest(seen: dict[str, Any]) -> None:
    """All four tunnels, one of them at the foreign agent."""
    check_links(seen, ALL)
    assert seen["foreign_agent"] == [[FOREIGN_AGENT, HOME_AGENT]]
    assert seen["visitors"] == {"wifi": [1]}
    assert set(seen["neighbours"]) == {"wifi"}
    assert seen["reverse_interfaces"] == ["wifi"]


def check_plain(seen: dict[str, Any]) -> None:
    """One binding without the extension, by the interface that comes first."""
    assert seen["home_agent"] == [[HOME_AGENT, FOREIGN_AGENT]]
    assert seen["mobile_node"] == []
    assert seen["bindings"] == [0]
    assert seen["visitors"] == {"wifi": [None]}
    check_carried(seen["carried"], {"wifi"})


def test_four_tunnels_one_of_them_at_the_foreign_agent(report: Report) -> None:
    check_at_rest(report["structure"])


def test_traffic_takes_all_four(report: Report) -> None:
    check_carried(report["structure"]["carried"], ALL)


def test_every_relayed_message_hop_by_hop(report: Report) -> None:
    check_hop_by_hop(report, {"wifi": FOREIGN_AGENT})


@pytest.mark.parametrize(("step", "link"), [("interface_lost", "lte"), ("foreign_interface_lost", "wifi")])
def test_a_lost_interface(report: Report, step: str, link: str) -> None:
    seen = report[step]
    assert seen["seconds_until_deregistered"] < 1.0
    check_links(seen["without"], ALL - {link})
    check_stream(seen, gap=0.5, lost=64)
    assert min(seen["share_without"].values()) > 0.98
    assert seen["seconds_until_back"] < 2.0
    check_at_rest(seen["again"])
    check_carried(seen["carried"], ALL)


def test_a_home_agent_that_denies_gets_one_plain_registration(report: Report) -> None:
    seen = report["home_agent_denies"]
    assert seen["accepted_stay"] == [1, 2, 3, 4]
    assert seen["denials"] >= 1
    check_plain(seen)


def test_all_tunnels_come_back_when_the_home_agent_consents(report: Report) -> None:
    check_at_rest(report["home_agent_denies"]["again"])
    check_carried(report["home_agent_denies"]["carried_again"], ALL)


def test_a_plain_client_of_rfc_5944(report: Report) -> None:
    check_plain(report["plain_client"])
    requests = report.tshark("plain-wifi", "mip.type == 1 && mip.life > 0", "mip.ext.type")
    assert requests
    assert {kinds for (kinds,) in requests} == {"32"}  # the authentication is the only extension


def test_a_plain_client_moves_to_another_link(report: Report) -> None:
    seen = report["plain_client"]
    assert seen["seconds_until_moved"] < 2.0
    assert [HOME_AGENT, CO_LOCATED["evdo"]] in seen["moved"]["home_agent"]
    assert seen["moved"]["bindings"] == [0]
    check_carried(seen["moved"]["carried"], {"evdo"})
    assert seen["again"] == [1, 2, 3, 4]


def test_one_request_renews_every_binding(report: Report) -> None:
    seen = report["bulk"]
    assert max(seen["remaining_before"]) < 575
    assert min(seen["remaining"]) > 595
    assert seen["replies"] == 2  # WiFi is renewed through its foreign agent (FACTS G24)
    assert seen["kernel_unchanged"]
    captured = [report.tshark(f"bulk-{link}", "mip.type == 1", "frame.number") for link in LINKS]
    assert sorted(map(len, captured)) == [0, 0, 1, 1]
    assert len(captured[0]) == 1


ONE_OF_EACH = {"limited": 1, "directed": 1, "multicast": 1}
"""Neither the group that stays on its link nor the datagram whose TTL ends there."""
DESTINATIONS = ["255.255.255.255", "198.51.100.255", "239.1.2.3"]
SOURCE = "198.51.100.254"


def test_broadcasts_reach_only_a_node_that_asks_and_once(report: Report) -> None:
    seen = report["broadcasts"]
    assert seen["not asked for"] == {}
    assert seen["asked for"] == seen["without wifi"] == ONE_OF_EACH
    assert seen["from elsewhere"] == {}, "what did not arrive on the home link"


def test_a_broadcast_is_nested_behind_a_foreign_agent(report: Report) -> None:
    """To the care-of address, then to the home address, then to everybody (RFC 5944 §4.3)."""
    assert report["broadcasts"]["forwarding"] == {"198.51.100.10": 1}
    rows = report.tshark("broadcasts-nested", "udp.dstport == 7400", "ip.src", "ip.dst", "ip.ttl")
    outer = [FOREIGN_AGENT, "198.51.100.10"]
    assert [to.split(",") for _, to, _ in rows] == [[*outer, destination] for destination in DESTINATIONS]
    assert {source for source, _, _ in rows} == {f"{HOME_AGENT},{HOME_AGENT},{SOURCE}"}
    assert {ttl.split(",")[2] for _, _, ttl in rows} == {"63"}


def test_a_broadcast_takes_one_tunnel_to_a_co_located_care_of_address(report: Report) -> None:
    rows = report.tshark("broadcasts-direct", "udp.dstport == 7400", "ip.dst")
    assert [to.split(",") for (to,) in rows] == [[CO_LOCATED["evdo"], d] for d in DESTINATIONS]
    assert report.tshark("broadcasts-unasked", "udp.dstport == 7400", "ip.dst") == []


def test_nothing_of_broadcasts_is_left(report: Report) -> None:
    assert report["broadcasts"]["route left"] == ""
    assert report["broadcasts"]["chain left"] is False


@pytest.mark.parametrize("place", ["home_agent", "mobile_node"])
def test_bad_data_is_dropped_and_counted(report: Report, place: str) -> None:
    check_bad_data(report[f"bad_data_at_{place}"])


def test_bad_data_is_never_forwarded(report: Report) -> None:
    assert report["bad_data_at_home_agent"]
    assert secrets(report, "bad-ha-cn") == 1  # the one in good order
    assert sum(secrets(report, f"bad-ha-{link}") for link in LINKS) == 0
    assert report["bad_data_at_mobile_node"]
    assert secrets(report, "bad-mn-cn") == 0


@pytest.mark.parametrize("step", ["foreign_agent_restarts", "foreign_agent_crashes"])
def test_the_foreign_agent_restarts(report: Report, step: str) -> None:
    seen = report[step]
    assert seen["seconds_until_registered"] < 5.0
    check_at_rest(seen)
    check_carried(seen["carried"], ALL)


@pytest.mark.parametrize("step", ["foreign_agent_denies", "legacy_foreign_agent"])
def test_a_foreign_agent_without_the_extension_is_left_out(report: Report, step: str) -> None:
    seen = report[step]
    assert seen["states"] == {"wifi": "left-out", **dict.fromkeys(DIRECT, "registered")}
    check_links(seen, set(DIRECT))
    assert seen["foreign_agent"] == []
    assert seen["visitors"] == seen["neighbours"] == {}
    check_carried(seen["carried"], set(DIRECT))
    assert seen["again"] == [1, 2, 3, 4]


def test_a_denying_foreign_agent_says_so_and_a_legacy_one_nothing(report: Report) -> None:
    assert report["foreign_agent_denies"]["denials"] == 1
    assert report["legacy_foreign_agent"]["replies_of_its_own"] == {}
    assert report["legacy_foreign_agent"]["discarded"] == {"unknown-extension": 3}


def test_the_first_registration_overwrites_what_was_left(report: Report) -> None:
    seen = report["overwrite"]
    check_links(seen["alone"], {"wifi"})
    check_carried(seen["carried_alone"], {"wifi"})
    check_at_rest(seen["again"])
    check_carried(seen["carried"], ALL)


def test_everything_runs_out_after_the_mobile_node_was_killed(report: Report) -> None:
    seen = report["mobile_node_killed"]
    assert seen["early"]  # five seconds before its time
    assert seen["remaining"] - 1 <= seen["seconds"] <= seen["remaining"] + 3
    assert seen["home_agent"] == seen["foreign_agent"] == seen["reverse_interfaces"] == []
    assert seen["neighbours"] == {}
    assert seen["proxies"] == ""
    check_at_rest(seen["again"])
    check_carried(seen["carried"], ALL)


def test_the_mobile_node_returns_home_and_leaves_again(report: Report) -> None:
    check_home(report["returns_home"])
    check_at_rest(report["returns_home"]["again"])


def test_tunnels_made_later_carry_single_packets_too(report: Report) -> None:
    # Four at the home agent, three at the mobile node, one at the foreign agent.
    assert report["segments"]["limits"] == [[1, 1]] * 8
