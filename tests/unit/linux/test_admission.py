# SPDX-License-Identifier: GPL-2.0-or-later
"""The nft chains at a tunnel's end, read as text: whose packets they let in, and what is copied outwards.

What the kernel makes of them is a matter of the network tests.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import Any

from agents.effects import Encapsulation, Tunnel
from agents.linux import udp_tunnels
from agents.linux.admission import COUNTERS, Dropped, chains, dropped
from agents.linux.path_selection import congestion

HOME = IPv4Address("198.51.100.10")
HOME_AGENT = IPv4Address("198.51.100.1")
FIRST = IPv4Address("192.0.2.2")
SECOND = IPv4Address("192.0.2.34")
PLAIN = Tunnel(Encapsulation.IPIP, HOME_AGENT, FIRST)
GRE = Tunnel(Encapsulation.GRE, HOME_AGENT, SECOND, key=7)
UDP = Tunnel(Encapsulation.UDP, HOME_AGENT, IPv4Address("203.0.113.66"), 434, 40000)


def rules(text: str, name: str) -> list[str]:
    found = re.search(rf"^  chain {name} \{{\n(.*?)^  \}}\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return [line.strip() for line in found[1].splitlines()]


def test_end_points_are_known_with_their_protocol() -> None:
    text = chains([PLAIN, GRE], {"mip1": [HOME], "mip2": [HOME]}, {})
    assert rules(text, "tunnelled")[0] == (
        "ip protocol . ip saddr . ip daddr != "
        "{ 47 . 192.0.2.34 . 198.51.100.1, 4 . 192.0.2.2 . 198.51.100.1 } "
        "counter name unknown-end-point drop"
    )


def test_the_end_point_of_a_udp_tunnel_sends_nothing_bare() -> None:
    # Its device would take IP in IP from the pseudo address.
    assert rules(chains([UDP], {}, {}), "tunnelled")[0] == "counter name unknown-end-point drop"


def test_every_reason_has_a_counter() -> None:
    text = chains([PLAIN], {"mip1": [HOME]}, {"mip1": [HOME]})
    assert re.findall(r"^  counter (\S+) \{\n    packets 0 bytes 0$", text, re.MULTILINE) == list(COUNTERS)
    text += udp_tunnels.chains("home-agent", {})
    assert set(re.findall(r"counter name (\S+)", text)) == set(COUNTERS)


class Rules:
    """nftables with a table whose counters are known, or without it."""

    def __init__(self, counters: dict[str, tuple[int, int]] | None) -> None:
        self._counters = counters

    def json_cmd(self, command: dict[str, Any]) -> tuple[int, dict[str, Any] | str, str]:
        assert command["nftables"] == [{"list": {"counters": {"family": "ip", "table": "mip-home-agent"}}}]
        if self._counters is None:
            return 1, "", "No such file or directory"
        items: list[dict[str, Any]] = [{"metainfo": {"json_schema_version": 1}}]
        for name, (packets, octets) in self._counters.items():
            items.append({"counter": {"name": name, "packets": packets, "bytes": octets}})
        return 0, {"nftables": items}, ""


def test_counters_go_on_over_a_reload() -> None:
    before = dropped(Rules({"truncated": (5, 300), "wrong-payload": (1, 60)}), "mip-home-agent")
    assert before == {"truncated": Dropped(5, 300), "wrong-payload": Dropped(1, 60)}
    text = chains([PLAIN], {}, {}, before=before)
    values = dict(re.findall(r"^  counter (\S+) \{\n    (packets \d+ bytes \d+)\n  \}$", text, re.MULTILINE))
    none = "packets 0 bytes 0"
    assert values == {
        **dict.fromkeys(COUNTERS, none),
        "truncated": "packets 5 bytes 300",
        "wrong-payload": "packets 1 bytes 60",
    }


def test_without_a_table_nothing_was_dropped() -> None:
    assert dropped(Rules(None), "mip-home-agent") == {}


def test_congestion_is_copied_from_where_the_inner_header_begins() -> None:
    ipip, gre, keyed, udp = rules(congestion(), "copy-congestion")
    # The last two bits of the second octet, behind no header of its own, behind 4 octets, 8 and 12.
    assert ipip == "ip protocol 4 @th,14,2 3 ip ecn set ce"
    assert gre == "ip protocol 47 @th,0,16 0 @th,46,2 3 ip ecn set ce"
    assert keyed == "ip protocol 47 @th,0,16 0x2000 @th,78,2 3 ip ecn set ce"
    assert udp == "udp sport 434 @th,64,8 4 @th,110,2 3 ip ecn set ce"


def test_broadcasts_pass_where_they_were_asked_for() -> None:
    towards = {"mip1": [HOME], "mip2": []}
    assert "fib daddr type !=" not in chains([PLAIN], {"mip3": [HOME]}, towards)
    rule = next(
        line
        for line in rules(chains([PLAIN], {"mip3": [HOME]}, towards, True), "admission")
        if "ip daddr" in line
    )
    assert rule.startswith('iifname { "mip1", "mip2" } iifname . ip daddr != { "mip1" . 198.51.100.10 } ')
    assert " fib daddr type != { broadcast, multicast } counter name foreign-inner-address drop" in rule
    sources = next(
        line
        for line in rules(chains([PLAIN], {"mip3": [HOME]}, towards, True), "admission")
        if "saddr" in line
    )
    assert "fib daddr type !=" not in sources
