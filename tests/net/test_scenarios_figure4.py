# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 4: four links behind one foreign agent with one care-of address, with live traffic.

Not tested here: broadcast and multicast with the B bit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import (
    FOREIGN_AGENT,
    HOME_ADDRESS,
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
SECOND_FOREIGN_AGENT = "203.0.113.50"
SECOND_HOME_ADDRESS = "198.51.100.11"
DOWN, UP = [HOME_AGENT, FOREIGN_AGENT], [FOREIGN_AGENT, HOME_AGENT]
"""The ends of the one tunnel, as the home agent and the foreign agent see them."""


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("figure4"), "scenario_figure4")


def check_at_rest(seen: dict[str, Any]) -> None:
    """One tunnel, four visitors, all four interfaces in the foreign agent's kernel."""
    assert seen["home_agent"] == [DOWN]
    assert seen["foreign_agent"] == [UP]
    assert seen["mobile_node"] == []
    assert seen["bindings"] == [1, 2, 3, 4]
    assert seen["visitors"] == {"wifi": [1], "evdo": [2], "wimax": [3], "lte": [4]}
    assert set(seen["neighbours"]) == ALL
    assert seen["reverse_interfaces"] == sorted(LINKS)
    assert set(seen["ways"]["fa"]) - ALL == {"mip1"}


def test_exactly_one_tunnel_at_the_home_agent(report: Report) -> None:
    check_at_rest(report["structure"])


def test_neighbour_entries_are_the_link_addresses_of_the_mobile_node(report: Report) -> None:
    assert report["structure"]["neighbours"] == report["structure"]["link_addresses"]


def test_the_foreign_agent_sends_on_all_four_interfaces(report: Report) -> None:
    check_carried(report["structure"]["carried"], ALL)


def test_only_the_foreign_agent_reacts_to_a_lost_interface(report: Report) -> None:
    seen = report["interface_lost"]
    assert seen["seconds_until_deregistered"] < 1.0
    without = seen["without"]
    assert without["home_agent"] == [DOWN]
    assert without["bindings"] == [1, 2, 3]
    assert without["visitors"] == {"wifi": [1], "evdo": [2], "wimax": [3]}
    assert set(without["neighbours"]) == ALL - {"lte"}
    assert without["reverse_interfaces"] == ["evdo", "wifi", "wimax"]
    assert "lte" not in without["ways"]["fa"]


def test_traffic_survives_a_lost_interface(report: Report) -> None:
    seen = report["interface_lost"]
    check_stream(seen, gap=0.5, lost=64)
    assert min(seen["share_without"].values()) > 0.98


def test_a_lost_interface_comes_back(report: Report) -> None:
    seen = report["interface_lost"]
    assert seen["seconds_until_back"] < 2.0
    check_at_rest(seen["again"])
    check_carried(seen["carried"], ALL)


def test_only_flows_of_the_lost_interface_move(report: Report) -> None:
    seen = report["flows_of_a_lost_interface"]
    before, after = seen["before"], seen["after"]
    lost = {port for port, device in before.items() if device == "evdo"}
    assert len(before) == 16
    assert lost
    assert {port for port in before if before[port] != after[port]} == lost
    assert {after[port] for port in lost} <= ALL - {"evdo"}


def test_every_relayed_message_hop_by_hop(report: Report) -> None:
    check_hop_by_hop(report, dict.fromkeys(LINKS, FOREIGN_AGENT))


def _outer(report: Report, source: str) -> list[list[str]]:
    fields = ("ip.dsfield", "ip.ttl", "ip.flags.df", "ip.id", "ip.src", "ip.dst")
    rows = report.tshark("outer", f"ip.src == {source} && udp.dstport == 7300", *fields)
    return [row for row in rows if row[4].startswith(f"{source},")]


@pytest.mark.parametrize("direction", ["down", "up"])
def test_the_outer_header_has_the_inner_tos_and_df_and_a_ttl_of_its_own(
    report: Report, direction: str
) -> None:
    source = HOME_AGENT if direction == "down" else FOREIGN_AGENT
    rows = _outer(report, source)
    assert len(rows) == report["outer_headers"][direction] == 18
    octets: Counter[str] = Counter()
    for dsfield, ttl, fragmentation, *_ in rows:
        outer, inner = dsfield.split(",")
        octets[inner] += 1
        # RFC 6040 §4.1, normal mode: the ECN field is copied; RFC 2003 §3.1: so is the rest.
        assert outer == inner, rows
        outer_df, inner_df = fragmentation.split(",")
        assert (outer_df, inner_df) in {("1", "1"), ("True", "True"), ("0", "0"), ("False", "False")}
        # RFC 2003 §3.1: a TTL of the tunnel's own, here 64; two routers have forwarded what came down.
        assert int(ttl.split(",")[0]) == (62 if direction == "down" else 64)
    assert octets == Counter(dict.fromkeys(("0x00", "0x01", "0x02", "0x03", "0xb8", "0x2a"), 3))


@pytest.mark.parametrize(("direction", "hops"), [("down", 3), ("up", 1)])
def test_the_inner_ttl_is_one_less_for_each_router_that_forwards(
    report: Report, direction: str, hops: int
) -> None:
    rows = _outer(report, HOME_AGENT if direction == "down" else FOREIGN_AGENT)
    inner = Counter(int(ttl.split(",")[1]) for _, ttl, *_ in rows)
    assert inner == Counter({64 - hops: 6, 40 - hops: 6, 255 - hops: 6})


@pytest.mark.parametrize("direction", ["down", "up"])
def test_congestion_marks_leave_the_tunnel_as_rfc_6040_says(report: Report, direction: str) -> None:
    seen = report["congestion_marks"]
    same = {f"{octet:#04x}": octet for octet in (0x00, 0x01, 0x02, 0x03, 0xB8, 0x2A)}
    assert seen["unmarked"][direction] == same
    # §4.2, figure 4: not ECN-capable inside and CE outside is dropped, else CE passes.
    marked = {"0x00": None, "0x01": 3, "0x02": 3, "0x03": 3, "0xb8": None, "0x2a": 0x2B}
    assert seen["ce"][direction] == marked
    assert seen["ect0"][direction] == same


@pytest.mark.parametrize("agent", ["foreign", "home"])
def test_bad_data_is_dropped_and_counted(report: Report, agent: str) -> None:
    check_bad_data(report[f"bad_data_at_{agent}_agent"])


def test_bad_data_is_never_forwarded(report: Report) -> None:
    assert report["bad_data_at_foreign_agent"]
    assert report["bad_data_at_home_agent"]
    # One secret each came in good order, for the captures to see.
    assert sum(secrets(report, f"bad-fa-{link}") for link in LINKS) == 1
    assert secrets(report, "bad-fa-cn") == 0
    assert sum(secrets(report, f"bad-ha-{link}") for link in LINKS) == 0
    assert secrets(report, "bad-ha-cn") == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ttl 254", 76),
        ("ttl 1", 76),
        ("care-of address of another agent", 77),
        ("care-of address of another agent for mn", 77),
    ],
)
def test_a_bad_request_gets_its_code(report: Report, name: str, code: int) -> None:
    assert report["bad_requests"][name] == [[code, 1]]


def test_a_denied_stranger_does_not_get_the_visitor_s_traffic(report: Report) -> None:
    assert report["bad_requests"]["neighbours"] == report["structure"]["link_addresses"]


def test_requests_beyond_the_pending_limit_are_denied(report: Report) -> None:
    seen = report["bad_requests"]
    assert seen["pending"] == 5
    assert seen["flood"] == [[66, number] for number in range(105, 109)]
    assert seen["seconds_until_over"] <= 7.5
    assert seen["codes"]["78"] == 5  # registration timeout, once each
    assert seen["own registration meanwhile"] == [1, 2, 3, 4]


def test_bad_requests_change_nothing(report: Report) -> None:
    seen = report["bad_requests"]
    assert seen["unchanged"] == {"kernel": True, "agent": True}
    assert {line.split()[0] for line in seen["neighbours_left"].splitlines()} == {HOME_ADDRESS}


def test_two_mobile_nodes_share_one_tunnel(report: Report) -> None:
    seen = report["two_mobile_nodes"]
    assert seen["home_agent"] == [DOWN]
    assert seen["foreign_agent"] == [UP]
    assert seen["uses"] == [6]
    expected = [[HOME_ADDRESS, number] for number in range(1, 5)]
    assert seen["bindings"] == [*expected, [SECOND_HOME_ADDRESS, 1], [SECOND_HOME_ADDRESS, 4]]
    assert set(seen["neighbours"]["mn"]) == ALL
    assert set(seen["neighbours"]["mn2"]) == {"wifi", "lte"}


@pytest.mark.parametrize("name", ["ping", "ping_back", "ping_under_traffic"])
def test_two_mobile_nodes_talk_to_each_other(report: Report, name: str) -> None:
    code, said = report["two_mobile_nodes"][name]
    assert code == 0
    assert "20 received" in said


def test_what_mobile_nodes_say_to_each_other_passes_the_home_agent(report: Report) -> None:
    # 20 echoes and 20 answers, twice; a probe of each of the six tunnels may be under way at either end.
    assert report["two_mobile_nodes"]["through_home_agent"] == pytest.approx([80, 80], abs=6)


def test_a_mobile_node_that_leaves_takes_only_its_own(report: Report) -> None:
    seen = report["two_mobile_nodes"]
    check_stream(seen["both"], gap=0.1, lost=0)
    after = seen["after"]
    assert after["of_second"] == []
    assert after["neighbours"] == {}
    assert after["bindings"] == [1, 2, 3, 4]
    assert after["home_agent"] == [DOWN]
    check_carried(seen["carried"], ALL)


def test_another_foreign_agent_alone_moves_nothing(report: Report) -> None:
    seen = report["another_foreign_agent"]["while both are heard"]
    check_at_rest(seen)
    assert seen["at_second"] == {}


def test_another_foreign_agent_takes_over_when_the_first_falls_silent(report: Report) -> None:
    seen = report["another_foreign_agent"]
    assert seen["seconds_until_moved"] < 10.0  # the advertised lifetime is 9 s
    assert seen["moved"]["home_agent"] == [DOWN, [HOME_AGENT, SECOND_FOREIGN_AGENT]]
    assert seen["moved"]["bindings"] == [1, 2, 3, 4]
    assert seen["moved"]["at_second"] == {"wifi": [1]}
    assert seen["second"] == [[SECOND_FOREIGN_AGENT, HOME_AGENT]]
    assert seen["second_neighbours"] == {"wifi": report["structure"]["link_addresses"]["wifi"]}
    # Downward the first agent still spreads over WiFi, until its dead entry runs out (FACTS G40).
    up = seen["carried_moved"]["up"]
    assert up["received"] == up["sent"]
    assert set(up["links"]) == ALL


def test_the_first_foreign_agent_takes_over_again(report: Report) -> None:
    seen = report["another_foreign_agent"]
    check_at_rest(seen["again"])
    check_carried(seen["carried"], ALL)


def test_the_foreign_agent_restarts(report: Report) -> None:
    seen = report["foreign_agent_restarts"]
    assert seen["code"] == 0
    assert seen["left"] == []
    assert seen["seconds_until_registered"] < 5.0
    check_at_rest(seen)
    check_carried(seen["carried"], ALL)


def test_the_foreign_agent_restarts_after_a_crash(report: Report) -> None:
    seen = report["foreign_agent_crashes"]
    assert seen["left"] == [UP]  # in the next one's way
    assert seen["seconds_until_registered"] < 5.0
    check_at_rest(seen)
    check_carried(seen["carried"], ALL)


@pytest.mark.parametrize("step", ["foreign_agent_denies", "legacy_foreign_agent"])
def test_without_the_extension_one_link_registers_plainly(report: Report, step: str) -> None:
    seen = report[step]
    assert seen["states"] == {"wifi": "registered", **dict.fromkeys(LINKS[1:], "left-out")}
    assert seen["home_agent"] == [DOWN]
    assert seen["bindings"] == [0]
    assert seen["visitors"] == {"wifi": [None]}
    assert seen["reverse_interfaces"] == ["wifi"]
    check_carried(seen["carried"], {"wifi"})
    assert seen["again"] == [1, 2, 3, 4]


def test_a_denying_foreign_agent_says_so(report: Report) -> None:
    assert report["foreign_agent_denies"]["denials"] >= 4


def test_a_denied_visitor_leaves_no_neighbour_entry(report: Report) -> None:
    assert set(report["foreign_agent_denies"]["neighbours"]) == {"wifi"}


def test_a_legacy_foreign_agent_stays_silent(report: Report) -> None:
    seen = report["legacy_foreign_agent"]
    assert seen["replies_of_its_own"] == {}
    assert seen["discarded"] == {"unknown-extension": 12}  # three attempts on each link


def test_the_first_registration_overwrites_what_was_left(report: Report) -> None:
    seen = report["overwrite"]
    assert seen["before"]["bindings"] == [1, 2, 3, 4]
    assert seen["alone"]["home_agent"] == [DOWN]
    assert seen["alone"]["visitors"] == {"wifi": [1]}
    assert set(seen["alone"]["neighbours"]) == {"wifi"}
    assert seen["alone"]["reverse_interfaces"] == ["wifi"]
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
