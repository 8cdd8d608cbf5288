# SPDX-License-Identifier: GPL-2.0-or-later
"""The nft chains of UDP tunnels (RFC 3519), read as text.

What the kernel makes of them is a matter of the network tests.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from agents.effects import Encapsulation, Tunnel
from agents.linux.path_selection import NUMBER_MASK
from agents.linux.udp_tunnels import GUE_PORT, PSEUDO_NETWORK, chains, parameters, pseudo_address

HOME_AGENT = IPv4Address("198.51.100.1")
PUBLIC = IPv4Address("203.0.113.50")
FIRST = Tunnel(Encapsulation.UDP, HOME_AGENT, PUBLIC, 434, 434)
SECOND = Tunnel(Encapsulation.UDP, HOME_AGENT, PUBLIC, 434, 120)
PLAIN = Tunnel(Encapsulation.IPIP, HOME_AGENT, IPv4Address("192.0.2.2"))


def rules(text: str, name: str) -> list[str]:
    found = re.search(rf"^  chain {re.escape(name)} \{{\n(.*?)^  \}}\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return [line.strip() for line in found[1].splitlines()]


def test_every_way_has_a_pseudo_address() -> None:
    assert pseudo_address(1) == IPv4Address("198.18.0.1")
    assert pseudo_address(NUMBER_MASK) in PSEUDO_NETWORK


def test_two_tunnels_behind_one_public_address_are_told_apart_by_port() -> None:
    text = chains("home-agent", {FIRST: 1, SECOND: 2, PLAIN: 3})
    rewriting = rules(text, "tunnel-data")[1]
    arriving = re.search(r"ip saddr set ip saddr \. udp sport \. ip daddr map \{ (.*?) \}", rewriting)
    assert arriving is not None
    assert arriving[1].split(", ") == [
        "203.0.113.50 . 434 . 198.51.100.1 : 198.18.0.1",
        "203.0.113.50 . 120 . 198.51.100.1 : 198.18.0.2",
    ]
    leaving = rules(text, "to-far-end")[0]
    assert "map { 198.18.0.1 : 203.0.113.50, 198.18.0.2 : 203.0.113.50 }" in leaving
    assert [parameters(tunnel)["ipip_encap_dport"] for tunnel in (FIRST, SECOND)] == [434, 120]


def test_coinciding_private_addresses_of_a_mobile_node_are_told_apart_by_interface() -> None:
    ends = (IPv4Address("192.168.0.2"), HOME_AGENT, 434, 434)
    tunnels = {
        Tunnel(Encapsulation.UDP, *ends, interface=name): number
        for number, name in enumerate(("wifi", "lte"), 1)
    }
    rewriting = rules(chains("mobile-node", tunnels), "tunnel-data")[1]
    assert '"wifi" . 198.51.100.1 . 434 . 192.168.0.2 : 198.18.0.1' in rewriting
    assert '"lte" . 198.51.100.1 . 434 . 192.168.0.2 : 198.18.0.2' in rewriting


@pytest.mark.parametrize("role", ["home-agent", "foreign-agent", "mobile-node"])
def test_the_checksum_is_cleared_after_every_other_change(role: str) -> None:
    interface = "wifi" if role == "mobile-node" else None
    tunnel = Tunnel(Encapsulation.UDP, HOME_AGENT, PUBLIC, 434, 434, interface=interface)
    text = chains(role, {tunnel: 1})
    for chain, number in (("tunnel-data", 1), ("to-far-end", 0)):
        rule = rules(text, chain)[number]
        assert rule.rindex("udp checksum set 0") > max(rule.rindex("map {"), rule.rindex("@th,64,8 set"))


def test_without_tunnels_nothing_gets_through() -> None:
    text = chains("home-agent", {PLAIN: 1})
    assert rules(text, "to-far-end") == ["drop"]
    assert "set" not in " ".join(rules(text, "tunnel-data"))


def test_the_gue_port_is_closed_to_the_outside_before_anything_is_moved_there() -> None:
    first = rules(chains("home-agent", {FIRST: 1}), "udp-in")[1]
    assert first == f"udp dport {GUE_PORT} fib daddr type local counter name unknown-udp-end-point drop"
