# SPDX-License-Identifier: GPL-2.0-or-later
"""The nft chains of path selection, read as text: what stands in them and in which order.

What the kernel makes of them is a matter of the network tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.linux.path_selection import NUMBER_BITS, NUMBER_MASK, PROBE, NumberedPath, Role, chains, clamp
from agents.settings import PathSelection, Policy

HOME = IPv4Address("198.51.100.10")
OTHER = IPv4Address("198.51.100.11")
WIFI = NumberedPath(1, "mip1", 20_000, 20_000)
LTE = NumberedPath(4, "mip4", 40_000, 40_000)
PROBED = {HOME: [WIFI, LTE]}
PER_FLOW = PathSelection()
PER_PACKET = PathSelection(policy=Policy.PER_PACKET)
HASH = PathSelection(policy=Policy.PER_FLOW_HASH)
ROLES: tuple[Role, ...] = ("home-agent", "foreign-agent", "mobile-node")


def chain(text: str, name: str) -> list[str]:
    """The rules of a chain."""
    found = re.search(rf"^  chain {re.escape(name)} \{{\n(.*?)^  \}}\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return [line.strip() for line in found[1].splitlines()]


def names(text: str) -> set[str]:
    return set(re.findall(r"^  chain (\S+) \{$", text, re.MULTILINE))


def cycle(rule: str) -> list[int]:
    """The tunnels that a ``numgen`` rule hands out, slot by slot."""
    found = re.search(r"numgen inc mod (\d+) map \{ (.*?) \}", rule)
    assert found is not None
    slots = dict(element.split(" : ") for element in found[2].split(", "))
    assert sorted(map(int, slots)) == list(range(int(found[1])))
    return [int(slots[str(slot)]) for slot in range(int(found[1]))]


def test_marks_of_two_directions_and_a_probe_do_not_meet() -> None:
    reply = NUMBER_MASK << NUMBER_BITS
    assert NUMBER_MASK & reply == NUMBER_MASK & PROBE == reply & PROBE == 0
    assert (NUMBER_MASK | reply | PROBE) < 2**32
    assert NUMBER_MASK >= 255  # as many ways as there are binding identifiers, and one without


def test_a_flow_keeps_its_way_before_it_would_take_a_slot() -> None:
    text = chains("home-agent", PER_FLOW, {HOME: [WIFI, LTE]})
    original, reply, slot, keep = chain(text, "choose-198-51-100-10-by-flow")
    assert original == "ct direction original meta mark set ct mark & 0xfff map { 1 : 1, 4 : 4 } return"
    assert (
        reply == "ct direction reply meta mark set ct mark & 0xfff000 map { 0x1000 : 1, 0x4000 : 4 } return"
    )
    # Four slots: one each, LTE's second at 40/1, and 40/2 against 20/1 goes to the first, WiFi.
    assert cycle(slot) == [4, 1, 4, 1]
    assert keep == "goto keep"


def test_per_packet_takes_the_next_slot_unless_a_probe_chose() -> None:
    text = chains("home-agent", PER_PACKET, {HOME: [WIFI, LTE]})
    probe, slot, rest = chain(text, "choose-198-51-100-10")
    assert probe == "meta mark & 0xfff { 1, 4 } goto keep"
    assert slot.startswith("meta mark set numgen")
    assert slot.endswith(" return")
    assert cycle(slot) == [4, 1, 4]  # 2 : 1
    assert rest == "goto choose-198-51-100-10-by-flow"


def test_per_flow_has_no_slot_for_packets() -> None:
    text = chains("home-agent", PER_FLOW, {HOME: [WIFI, LTE]})
    assert chain(text, "choose-198-51-100-10") == [
        "meta mark & 0xfff { 1, 4 } goto keep",
        "goto choose-198-51-100-10-by-flow",
    ]


def test_the_note_touches_only_its_half_of_the_connection_mark() -> None:
    text = chains("home-agent", PER_FLOW, {HOME: [LTE]})
    assert chain(text, "original-4") == ["ct mark set ct mark & 0xfffff000 | 0x4"]
    assert chain(text, "reply-4") == ["ct mark set ct mark & 0xff000fff | 0x4000"]
    assert chain(text, "keep") == [
        "ct direction original meta mark & 0xfff vmap { 4 : goto original-4 }",
        "ct direction reply meta mark & 0xfff vmap { 4 : goto reply-4 }",
    ]


def test_mirror_notes_the_way_for_the_other_direction_once() -> None:
    text = chains("home-agent", PER_FLOW, {HOME: [WIFI, LTE]})
    assert chain(text, "remember") == [
        "ct direction original ct mark & 0xfff000 == 0 iifname . ip saddr vmap "
        '{ "mip1" . 198.51.100.10 : jump reply-1, "mip4" . 198.51.100.10 : jump reply-4 }',
        "ct direction reply ct mark & 0xfff == 0 iifname . ip saddr vmap "
        '{ "mip1" . 198.51.100.10 : jump original-1, "mip4" . 198.51.100.10 : jump original-4 }',
    ]
    independent = PathSelection(mirror=False)
    assert chain(chains("home-agent", independent, {HOME: [WIFI, LTE]}), "remember") == []


@pytest.mark.parametrize(("role", "field"), [("foreign-agent", "saddr"), ("mobile-node", "daddr")])
def test_mirror_tells_home_addresses_on_one_device_apart(role: Role, field: str) -> None:
    """Two visitors on one link of a foreign agent: each has a way of its own there."""
    one, other = NumberedPath(3, "wifi", 1, 0), NumberedPath(7, "wifi", 1, 0)
    remember = chain(chains(role, PER_FLOW, {HOME: [one], OTHER: [other]}), "remember")
    assert remember == [
        f"ct direction {direction} ct mark & {half} == 0 iifname . ip {field} vmap "
        f'{{ "wifi" . 198.51.100.10 : jump {chosen}-3, "wifi" . 198.51.100.11 : jump {chosen}-7 }}'
        for direction, half, chosen in (("original", "0xfff000", "reply"), ("reply", "0xfff", "original"))
    ]


@pytest.mark.parametrize("role", ROLES)
def test_only_home_addresses_are_marked_and_by_the_inner_header(role: Role) -> None:
    text = chains(role, PER_PACKET, {HOME: [WIFI], OTHER: [LTE]})
    own = chain(text, "own")
    assert own[0] == "type route hook output priority mangle"
    # Signalling comes first: it leaves by the interface the agent chose.
    assert own[2:4] == ["udp sport 434 return", "udp dport 434 return"]
    # Then what has its tunnel already: the copy of a broadcast in a datagram to the home address.
    assert own[4:-1] == (["ip protocol 4 return"] if role == "home-agent" else [])
    forwarded = chain(text, "forwarded")
    assert forwarded[0] == "type filter hook prerouting priority mangle"
    if role == "mobile-node":
        assert forwarded[2] == "jump remember"
        assert own[-1] == (
            "ip saddr vmap { 198.51.100.10 : goto choose-198-51-100-10,"
            " 198.51.100.11 : goto choose-198-51-100-11 }"
        )
        assert len(forwarded) == 3
    else:
        assert forwarded[3] == "jump remember"
        assert forwarded[4] == own[-1].replace("-by-flow", "")
        assert forwarded[4].startswith("ip daddr vmap { 198.51.100.10 : goto choose-198-51-100-10, ")
        # What the agent itself sends is an answer; it follows the question.
        assert own[-1].count("-by-flow") == 2


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("mirror", [True, False])
def test_a_probe_is_answered_by_its_way_whatever_is_chosen_or_pinned(policy: Policy, mirror: bool) -> None:
    selection = PathSelection(policy=policy, mirror=mirror)
    text = chains("foreign-agent", selection, {HOME: [LTE]}, PROBED, [IPv4Address("198.51.100.1")])
    forwarded = chain(text, "forwarded")
    assert forwarded[2:4] == [
        "icmp type echo-request jump echo-request",
        "ip saddr { 198.51.100.1 } icmp type echo-reply jump echo-reply",
    ]
    assert chain(text, "own")[1] == "icmp type echo-reply jump echo-reply"
    assert chain(text, "echo-request") == [
        "ct direction original iifname . ip saddr vmap"
        ' { "mip1" . 198.51.100.10 : jump reply-1, "mip4" . 198.51.100.10 : jump reply-4 }'
    ]
    assert chain(text, "echo-reply") == [
        "ct direction reply meta mark set ct mark & 0xfff000 map { 0x1000 : 1, 0x4000 : 4 } accept"
    ]
    assert {"reply-1", "reply-4"} <= names(text)


def test_visitors_on_one_link_are_answered_by_their_own_ways() -> None:
    mine, yours = NumberedPath(3, "wifi", 1, 1), NumberedPath(7, "wifi", 1, 1)
    text = chains("foreign-agent", PER_FLOW, {}, {HOME: [mine], OTHER: [yours]})
    (rule,) = chain(text, "echo-request")
    assert '"wifi" . 198.51.100.10 : jump reply-3, "wifi" . 198.51.100.11 : jump reply-7' in rule


@pytest.mark.parametrize("policy", Policy)
def test_the_probes_of_a_mobile_node_pass_before_any_choice(policy: Policy) -> None:
    text = chains("mobile-node", PathSelection(policy=policy), {HOME: [LTE]}, PROBED)
    assert chain(text, "own")[1] == f"meta mark & {PROBE:#x} != 0 accept"
    assert "echo-reply" not in text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("policy", Policy)
def test_a_rule_that_tracks_connections_is_always_loaded(role: Role, policy: Policy) -> None:
    every: list[dict[IPv4Address, list[NumberedPath]]] = [{}, {HOME: []}, {HOME: [WIFI]}]
    for addresses in every:
        text = chains(role, PathSelection(policy=policy), addresses)
        assert any(rule.startswith("ct state invalid") for rule in chain(text, "forwarded"))
        assert "ct state new" not in text


def test_the_kernels_own_hash_is_left_alone() -> None:
    text = chains("home-agent", HASH, {HOME: [WIFI, LTE]})
    assert names(text) == {"keep", "remember", "forwarded", "own", "echo-request", "echo-reply"}
    assert "meta mark set" not in text
    assert "vmap" not in text


def test_an_address_without_a_way_is_not_dispatched() -> None:
    text = chains("home-agent", PER_FLOW, {HOME: [], OTHER: [LTE]})
    assert "198.51.100.10" not in text
    assert "choose-198-51-100-11" in names(text)


def test_a_way_shared_by_two_nodes_is_noted_once() -> None:
    text = chains("foreign-agent", PER_FLOW, {HOME: [WIFI], OTHER: [WIFI, LTE]})
    assert text.count("chain original-1 {") == 1
    assert (
        'vmap { "mip1" . 198.51.100.10 : jump reply-1, "mip1" . 198.51.100.11 : jump reply-1,'
        ' "mip4" . 198.51.100.11 : jump reply-4 }'
    ) in text


def test_equal_weights_start_with_the_fastest() -> None:
    slow, fast = NumberedPath(1, "mip1", 1, 1_800), NumberedPath(2, "mip2", 1, 20_000)
    text = chains("mobile-node", PER_FLOW, {HOME: [slow, fast]})
    assert cycle(chain(text, "choose-198-51-100-10-by-flow")[2]) == [2, 1, 2, 1]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, NUMBER_MASK), st.floats(1, 1e6)),
        min_size=1,
        max_size=8,
        unique_by=lambda p: p[0],
    ),
    st.sampled_from(ROLES),
    st.sampled_from(Policy),
)
def test_every_jump_has_a_chain_and_every_way_a_slot(
    ways: list[tuple[int, float]], role: Role, policy: Policy
) -> None:
    paths = [NumberedPath(number, f"mip{number}", weight, weight) for number, weight in ways]
    text = chains(role, PathSelection(policy=policy), {HOME: paths}, {HOME: paths})
    assert set(re.findall(r"(?:goto|jump) (\S+?)[,\s]", text)) <= names(text)
    for found in re.finditer(r"numgen .*?\}", text):
        assert set(cycle(found[0])) == {number for number, _ in ways}


def checked_by_nft(table: str) -> str:
    """What nft says of a rule set, in a namespace of its own; nothing is loaded."""
    command = ["unshare", "--user", "--map-root-user", "--net", "nft", "--check", "--file", "-"]
    done = subprocess.run(command, input=table, capture_output=True, text=True, check=False, timeout=20)
    return done.stderr


@pytest.fixture(scope="module")
def _nft() -> None:
    plain = "  chain a {\n    meta mark set numgen inc mod 2 map { 0 : 1, 1 : 2 }\n    ct mark set 1\n  }\n"
    if shutil.which("nft") is None or checked_by_nft(f"table ip probe {{\n{plain}}}\n"):
        pytest.skip("nft cannot check rules here: no nft, no user namespaces or no nf_tables")


@pytest.mark.usefixtures("_nft")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("policy", Policy)
def test_nft_accepts_the_chains(role: Role, policy: Policy) -> None:
    addresses = {HOME: [WIFI, LTE], OTHER: [LTE]}
    for paths in ({}, addresses):
        ways = PROBED if paths else {}
        agents = [IPv4Address("198.51.100.1")] if paths else []
        text = chains(role, PathSelection(policy=policy), paths, ways, agents) + clamp(1440)
        assert checked_by_nft(f"table ip mip {{\n{text}}}\n") == ""


def test_forwarded_syns_announce_what_the_smallest_tunnel_takes() -> None:
    assert clamp(None) == ""
    hook, rule = chain(clamp(1440), "clamp")
    assert hook == "type filter hook forward priority mangle"
    assert rule == "tcp flags & (syn | rst) == syn tcp option maxseg size set 1440"
