# SPDX-License-Identifier: GPL-2.0-or-later
"""Registrations on the wire, judged by tshark and openssl; the home link's ARP; the agents' end."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.net.figure3_report import Report, play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

LINKS = ("wifi", "evdo", "wimax", "lte")
HOME_ADDRESS, HOME_AGENT = "198.51.100.10", "198.51.100.1"
CARE_OF_ADDRESSES = {"wifi": "192.0.2.2", "evdo": "192.0.2.34", "wimax": "192.0.2.66", "lte": "192.0.2.98"}
KEY = "000102030405060708090a0b0c0d0e0f"
REQUEST, REPLY = 1, 3
_FIXED = {REQUEST: 24, REPLY: 20}
_MOBILE_HOME_AUTHENTICATION = 32
_MULTIPLE_TUNNEL_REQUEST = 127
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("signalling"), "figure3_signalling")


def _payloads(report: Report) -> Iterator[tuple[str, bytes]]:
    """Every registration message with the access link it was captured on."""
    assert report["registrations"]
    for link in LINKS:
        for (payload,) in report.tshark(f"signalling-{link}", "udp.port == 434", "udp.payload"):
            yield link, bytes.fromhex(payload.replace(":", ""))


def _extensions(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, offset and end of each extension: all used here are plain TLVs (RFC 5944 §1.9, draft §4.1)."""
    at = _FIXED[message[0]]
    while at < len(message):
        end = at + 2 + message[at + 1]
        yield message[at], at, end
        at = end
    assert at == len(message)


def _openssl_hmac(data: bytes) -> bytes:
    command = ["openssl", "dgst", "-md5", "-mac", "HMAC", "-macopt", f"hexkey:{KEY}", "-binary"]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=20).stdout


def test_requests_and_replies_of_every_kind_were_captured(report: Report) -> None:
    seen = set()
    for _, message in _payloads(report):
        lifetime = struct.unpack_from("!H", message, 2)[0]
        seen.add((message[0], message[1] if message[0] == REPLY else "", lifetime > 0))
    assert {(REQUEST, "", True), (REQUEST, "", False), (REPLY, 0, True), (REPLY, 0, False)} <= seen
    assert any(kind == REPLY and code == 192 for kind, code, _ in seen)
    assert all(any(link == name for name, _ in _payloads(report)) for link in LINKS)


@pytest.mark.parametrize("link", LINKS)
def test_tshark_decodes_every_message(report: Report, link: str) -> None:
    rows = report.tshark(f"signalling-{link}", "udp", "frame.protocols", "mip.type", "udp.checksum.status")
    assert len(rows) >= 4
    assert {protocols.split(":")[-1] for protocols, _, _ in rows} == {"mip"}
    assert {kind for _, kind, _ in rows} == {str(REQUEST), str(REPLY)}
    assert report.tshark(f"signalling-{link}", "_ws.malformed", "frame.number") == []


def test_openssl_agrees_with_every_authenticator(report: Report) -> None:
    checked = {REQUEST: 0, REPLY: 0}
    for _, message in _payloads(report):
        found = [(at, end) for kind, at, end in _extensions(message) if kind == _MOBILE_HOME_AUTHENTICATION]
        ((at, end),) = found
        assert message[at + 2 : at + 6] == (256).to_bytes(4, "big")  # the SPI of the topology
        assert end == len(message)
        assert message[at + 6 : end] == _openssl_hmac(message[: at + 6])
        checked[message[0]] += 1
    assert min(checked.values()) >= 10


def test_one_request_renews_all_in_bulk(report: Report) -> None:
    assert report["registrations"]["bulk_replies"] == 1
    bulk = [
        m
        for _, m in _payloads(report)
        for k, at, _ in _extensions(m)
        if k == _MULTIPLE_TUNNEL_REQUEST and m[at + 6] & 0x80
    ]
    assert bulk  # B is the first bit after If-Type and Binding-Id (draft §4.1)


def test_a_lost_link_is_deregistered_over_another_one(report: Report) -> None:
    report["registrations"]
    wifi = bytes(int(part) for part in CARE_OF_ADDRESSES["wifi"].split("."))
    links = {
        link
        for link, message in _payloads(report)
        if message[0] == REQUEST and message[2:4] == b"\0\0" and message[12:16] == wifi
    }
    assert links - {"wifi"}


def test_a_lost_link_is_back_within_a_second(report: Report) -> None:
    seen = report["registrations"]
    assert seen["wifi_lost"] < 1.0
    assert seen["wifi_back"] < 1.0


def test_a_node_that_was_refused_asks_again_when_told_to(report: Report) -> None:
    assert report["allowed_again"] is None


def _arp(report: Report, display_filter: str) -> list[list[str]]:
    fields = ("eth.dst", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4")
    return report.tshark("home-link", display_filter, *fields)


def test_the_home_agent_announces_itself_by_gratuitous_arp(report: Report) -> None:
    home_agent = report["home_link"]["home_agent"]
    gratuitous = _arp(report, f"arp.isgratuitous == 1 && arp.src.proto_ipv4 == {HOME_ADDRESS}")
    assert [BROADCAST, home_agent, HOME_ADDRESS, HOME_ADDRESS] in gratuitous


def test_the_home_agent_answers_for_the_home_address(report: Report) -> None:
    seen = report["home_link"]
    answers = _arp(report, f"arp.opcode == 2 && arp.src.proto_ipv4 == {HOME_ADDRESS}")
    assert {row[1] for row in answers} == {seen["home_agent"]}
    assert seen["ping_with_bindings"] == 0
    assert seen["home_agent"] in seen["neighbour"]


def test_without_a_binding_nobody_answers_for_the_home_address(report: Report) -> None:
    seen = report["home_link"]
    assert seen["proxies_without_binding"] == ""
    assert seen["ping_without_binding"] == 1


def test_the_mobile_node_deregisters_at_its_end(report: Report) -> None:
    seen = report["mobile_node_ends"]
    assert seen["code"] == 0
    assert seen["bindings"] == []
    state = seen["home_agent"]
    assert "mip" not in state["links"]
    assert state["proxies"] == ""
    assert HOME_ADDRESS not in state["routes"]


def _check_clean(before: dict[str, Any], after: dict[str, Any]) -> None:
    for kind in ("rules", "proxies", "nft"):
        assert after[kind] == before[kind], kind
    assert len(after["rules"].splitlines()) == 3
    assert "mip" not in after["links"]
    assert HOME_ADDRESS not in after["addresses"] + after["routes"]
    assert not [line for line in after["routes"].splitlines() if " table 1" in line or " table 2" in line]
    changed = {
        name: (value, after["sysctls"].get(name))
        for name, value in before["sysctls"].items()
        if after["sysctls"].get(name) != value
    }
    assert changed == {}
    assert after["sysctls"].keys() == before["sysctls"].keys()


def test_nothing_of_the_mobile_node_s_agent_remains(report: Report) -> None:
    seen = report["mobile_node_ends"]
    _check_clean(seen["before"], seen["after"])


def test_nothing_of_the_home_agent_s_agent_remains(report: Report) -> None:
    seen = report["home_agent_ends"]
    during = seen["during"]
    assert "mip4" in during["links"]  # there was something to remove
    assert HOME_ADDRESS in during["proxies"]
    assert "table ip mip-home-agent" in during["nft"]
    assert seen["code"] == 0
    _check_clean(seen["before"], seen["after"])
