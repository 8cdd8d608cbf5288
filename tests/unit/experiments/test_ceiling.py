# SPDX-License-Identifier: GPL-2.0-or-later
"""The computed ceiling against a hand computation.

A full packet of an IP-in-IP tunnel over links with an MTU of 1500:

=================  ====  ====
octets             TCP   UDP
=================  ====  ====
Ethernet header      14    14
outer IP header      20    20
inner IP header      20    20
transport header     32     8
payload            1428  1452
frame              1514  1514
=================  ====  ====

TCP's 32 are 20 and the 12 of the timestamp option with its padding.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.ceiling import ceiling, payload
from topologies.links import DEFAULT_LINKS, AccessLink

SMALL = tuple(replace(link, mtu=1400) if link.name == "evdo" else link for link in DEFAULT_LINKS)


@pytest.mark.parametrize(
    ("protocol", "encapsulation", "octets"),
    [
        ("tcp", "ipip", 1428),  # 1500 - 20 - 20 - 32
        ("udp", "ipip", 1452),  # 1500 - 20 - 20 - 8
        ("tcp", "gre", 1424),  # 1500 - 24 - 20 - 32
        ("udp", "udp", 1440),  # 1500 - 32 - 20 - 8
    ],
)
def test_payload_by_hand(protocol: str, encapsulation: str, octets: int) -> None:
    assert payload(DEFAULT_LINKS, protocol, encapsulation) == octets


def test_the_smallest_mtu_sets_the_packet() -> None:
    assert payload(SMALL, "tcp", "ipip") == 1328
    assert payload(SMALL, "udp", "ipip") == 1352


@pytest.mark.parametrize(
    ("direction", "protocol", "mbps"),
    [
        # Down 20 + 3.1 + 10 + 40 = 73.1; up 20 + 1.8 + 4 + 20 = 45.8.
        ("down", "tcp", 68.94768824306473),  # 73.1 × 1428 / 1514
        ("up", "tcp", 43.1984147952444),  # 45.8 × 1428 / 1514
        ("down", "udp", 70.10647291941876),  # 73.1 × 1452 / 1514
        ("up", "udp", 43.92443857331571),  # 45.8 × 1452 / 1514
    ],
)
def test_ceiling_of_figure_3_by_hand(direction: str, protocol: str, mbps: float) -> None:
    computed = ceiling(DEFAULT_LINKS, DEFAULT_LINKS, direction, protocol, "ipip")
    assert computed == pytest.approx(mbps, rel=1e-12)


def test_one_link_alone_still_carries_the_packets_of_all() -> None:
    # With one link's MTU at 1400 every frame is 1414 octets: LTE 40 × 1328 / 1414.
    assert ceiling(SMALL[3:], SMALL, "down", "tcp", "ipip") == pytest.approx(37.567185289957565, rel=1e-12)


WIFI_BARE = frozenset({"wifi"})
"""WiFi leads to a foreign agent: the tunnel ends there, and the link carries frames of 1494 octets."""


@pytest.mark.parametrize(
    ("direction", "protocol", "mbps"),
    [
        # One packet for all links, as large as the tunnels take; WiFi carries it without 20 octets.
        ("down", "tcp", 69.20021751470877),  # 20 × 1428 / 1494 + 53.1 × 1428 / 1514
        ("up", "tcp", 43.450944066888425),  # 20 × 1428 / 1494 + 25.8 × 1428 / 1514
        ("down", "udp", 70.36324638050219),  # 20 × 1452 / 1494 + 53.1 × 1452 / 1514
    ],
)
def test_a_link_behind_a_foreign_agent_by_hand(direction: str, protocol: str, mbps: float) -> None:
    assert payload(DEFAULT_LINKS, protocol, "ipip", WIFI_BARE) == (1428 if protocol == "tcp" else 1452)
    computed = ceiling(DEFAULT_LINKS, DEFAULT_LINKS, direction, protocol, "ipip", WIFI_BARE)
    assert computed == pytest.approx(mbps, rel=1e-12)


def test_the_tunnel_to_a_foreign_agent_has_its_own_room() -> None:
    # All links bare: still 1480 octets between the agents. A bare link of 1470 has 1470, not 1450.
    every = frozenset(link.name for link in DEFAULT_LINKS)
    assert payload(DEFAULT_LINKS, "udp", "ipip", every) == 1452
    small = tuple(replace(link, mtu=1470) for link in DEFAULT_LINKS)
    assert payload(small, "udp", "ipip", every) == 1442
    assert payload(small, "udp", "ipip") == 1422


def test_no_link_carries_nothing() -> None:
    assert ceiling([], DEFAULT_LINKS, "down", "tcp", "ipip") == 0


@given(
    st.lists(st.floats(0.01, 1000), min_size=1, max_size=6),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from(["ipip", "gre", "udp"]),
)
def test_headers_cost_something_and_links_add_up(rates: list[float], protocol: str, wrapping: str) -> None:
    links = [AccessLink(f"link{i}", rate, rate, 1) for i, rate in enumerate(rates)]
    alone = [ceiling([link], links, "up", protocol, wrapping) for link in links]
    assert sum(alone) == pytest.approx(ceiling(links, links, "up", protocol, wrapping))
    assert all(0.9 * rate < got < rate for rate, got in zip(rates, alone, strict=True))
