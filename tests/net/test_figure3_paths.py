# SPDX-License-Identifier: GPL-2.0-or-later
"""Path selection in the kernel, on Figure 3 (RFC 5944 §4, draft §5; docs/design.md, "Path selection")."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.net.figure3_report import Report, play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

LINKS = ("wifi", "evdo", "wimax", "lte")
DOWN = {"wifi": 20.0, "evdo": 3.1, "wimax": 10.0, "lte": 40.0}
UP = {"wifi": 20.0, "evdo": 1.8, "wimax": 4.0, "lte": 20.0}
POLICIES = ("per-flow", "per-flow-hash", "per-packet")
HOME_ADDRESS = "198.51.100.10"
STRAY = 5
"""Packets that a link without the flow may carry: ARP, the end of an earlier flow."""


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("paths"), "figure3_scenes")


@pytest.mark.parametrize("opener", ["cn", "mn"])
def test_acknowledgements_return_by_the_tunnel_the_data_came_by(report: Report, opener: str) -> None:
    used = []
    for flow in report["mirror"][opener]:
        carriers = [link for link, (received, _) in flow.items() if received > STRAY]
        assert len(carriers) == 1, flow
        received, sent = flow[carriers[0]]
        assert received >= 105  # 150000 octets in segments of at most 1428
        assert sent > received / 3
        assert all(counts[1] <= STRAY for link, counts in flow.items() if link != carriers[0]), flow
        used += carriers
    assert sorted(used) == sorted(LINKS)


def _segment_sizes(report: Report, flags: str) -> set[int]:
    """Largest segments announced, as tshark reads them on the access links."""
    sizes = set()
    for link in LINKS:
        rows = report.tshark(f"mirror-{link}", f"{flags} && ip.addr == {HOME_ADDRESS}", "tcp.options.mss_val")
        sizes |= {int(size) for row in rows for size in row}
    return sizes


@pytest.mark.parametrize("acknowledgement", [0, 1])
def test_forwarded_syns_announce_what_fits_through_a_tunnel(report: Report, acknowledgement: int) -> None:
    # 1500 less one outer header, less inner IP and TCP headers; the senders' own links would say 1460.
    sizes = _segment_sizes(report, f"tcp.flags.syn == 1 && tcp.flags.ack == {acknowledgement}")
    assert sizes == {1440}


def test_a_packet_too_big_for_the_tunnel_is_reported(report: Report) -> None:
    code, said = report["too_big"]
    assert code == 1
    assert re.search(r"From 198\.51\.100\.1 .*Frag needed and DF set \(mtu = 1480\)", said), said


def test_a_tunnel_that_comes_moves_no_flow(report: Report) -> None:
    seen = report["tunnels_come_and_go"]
    assert seen["after_lte_came"] == seen["before"]
    assert len(seen["before"]) == 6
    assert seen["numbers"]["lte"] not in seen["before"].values()


def test_new_flows_use_a_tunnel_that_came(report: Report) -> None:
    seen = report["tunnels_come_and_go"]
    new = {port: mark for port, mark in seen["with_new_flows"].items() if port not in seen["before"]}
    assert set(new.values()) == set(seen["numbers"].values())  # 2n flows use all n tunnels


def test_a_tunnel_that_goes_moves_only_its_own_flows(report: Report) -> None:
    seen = report["tunnels_come_and_go"]
    before, after, wifi = seen["with_new_flows"], seen["after_wifi_went"], seen["numbers"]["wifi"]
    moved = {port for port in before if before[port] != after[port]}
    assert moved == {port for port, mark in before.items() if mark == wifi}
    assert moved
    assert {after[port] for port in moved} <= set(seen["numbers"].values()) - {wifi}


def test_the_binding_of_an_interface_that_went_down_is_deregistered_by_another(report: Report) -> None:
    assert report["tunnels_come_and_go"]["seconds_until_wifi_deregistered"] < 1.0  # of a lifetime of 600


def test_the_binding_comes_back_with_its_interface(report: Report) -> None:
    seen = report["tunnels_come_and_go"]
    assert seen["seconds_until_wifi_is_back"] < 2.0
    assert seen["after_wifi_is_back"] == seen["after_wifi_went"]


@pytest.mark.parametrize(("node", "rates"), [("ha", DOWN), ("mn", UP)])
def test_packets_are_spread_by_weight(report: Report, node: str, rates: dict[str, float]) -> None:
    sent: dict[str, int] = report["per_packet"][node]
    total = sum(sent.values())
    assert total == 2000
    for link, rate in rates.items():
        # Weights are apportioned over a cycle of at most 256 slots; bandwidths are whole kilobytes.
        assert sent[link] / total == pytest.approx(rate / sum(rates.values()), abs=1 / 256), sent


@pytest.mark.parametrize("sender", ["cn", "mn"])
@pytest.mark.parametrize("policy", POLICIES)
def test_fragments_arrive_under_every_policy(report: Report, policy: str, sender: str) -> None:
    seen: dict[str, Any] = report["fragments"][f"{policy} from {sender}"]
    assert seen["whole"] == 20
    code, said = seen["ping"]
    assert code == 0
    assert "3 received" in said, said


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_leaves_bare_when_a_device_is_deleted(report: Report, policy: str) -> None:
    assert report["devices_deleted"] is None
    bare = [line for link in LINKS for line in report.tcpdump(f"bare-{policy}-{link}", f"src {HOME_ADDRESS}")]
    assert bare == []
    inside = [
        line
        for link in LINKS
        for line in report.tcpdump(f"bare-{policy}-{link}", "ip proto 4")
        if f"IP {HOME_ADDRESS}" in line
    ]
    assert inside  # the capture did see this node's traffic, while tunnels were there


def test_the_agent_survives_that_its_devices_are_deleted(report: Report) -> None:
    assert report["agent_survives_deleted_devices"] is None


def test_the_agent_follows_interfaces_after_a_device_was_deleted(report: Report) -> None:
    assert report["interfaces_followed_without_a_device"] is None
