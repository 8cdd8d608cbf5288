# SPDX-License-Identifier: GPL-2.0-or-later
"""A foreign agent behind a NAT: UDP tunnels to the home agents (RFC 3519 §4.5, §4.9)."""

from __future__ import annotations

import struct

import pytest

from agents.effects import Encapsulation, SendDatagram, Tunnel
from agents.home_agent_keepalive import keepalive_addresses
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    CO_LOCATED,
    ENCAPSULATING,
    HOME,
    HOME_AGENT,
    HOME_ENTRY,
    WIFI_AGENT,
    Lab,
    plain_tunnel,
    reply_to,
    signed_for_agent,
)
from tests.unit.home_agent.home_agent_lab import D, G, T, multiple

ASKED = bytes([144, 6, 0, 0, 0, 4, 0, 0])
"""UDP Tunnel Request, RFC 3519 §3.1: neither F nor R, IP in IP."""
UDP = Tunnel(Encapsulation.UDP, CARE_OF, HOME_AGENT, local_port=434, remote_port=434)


def udp_reply(code: int = 0, keepalive: int = 110) -> bytes:
    """UDP Tunnel Reply, RFC 3519 §3.2."""
    return struct.pack("!BBBBHH", 44, 6, 0, code, 0, keepalive)


def test_it_asks_behind_the_mobile_nodes_authentication() -> None:
    lab = Lab(behind_nat=True)
    payload = lab.request(multiple(1))
    sent = lab.relay(payload)
    assert sent.payload == payload + ASKED
    assert (sent.source, sent.source_port) == (CARE_OF, 434)


def test_it_asks_before_its_own_authentication() -> None:
    lab = Lab(behind_nat=True, home_agent=[HOME_ENTRY])
    payload = lab.request(multiple(1))
    assert lab.relay(payload).payload == signed_for_agent(payload + ASKED)


def test_it_does_not_ask_for_others_nor_for_an_end() -> None:
    lab = Lab(behind_nat=True)
    for payload in (
        lab.request(flags=D | T, care_of_address=CO_LOCATED),
        lab.request(home_address=HOME + 1, lifetime=0),
    ):
        assert lab.relay(payload).payload == payload


@pytest.mark.parametrize("flags", [T, T | G])
def test_with_an_assent_the_tunnel_is_udp(flags: int) -> None:
    lab = Lab(behind_nat=True)
    relayed = lab.relay(lab.request(multiple(1), flags=flags))
    octets = reply_to(relayed.payload)
    back = lab.answer(octets + udp_reply())
    assert back is not None
    assert back.payload == octets
    assert list(lab.kernel.tunnels) == [UDP]
    assert lab.kernel.reverse == {(HOME, "wifi"): UDP}


@pytest.mark.parametrize("answer", [b"", udp_reply(64), udp_reply(255)])
def test_without_assent_it_is_not(answer: bytes) -> None:
    lab = Lab(behind_nat=True)
    lab.register(1, reply_after=answer)
    assert list(lab.kernel.tunnels) == [plain_tunnel()]
    assert lab.wait(500) == []


def test_nobody_who_did_not_ask_gets_one() -> None:
    lab = Lab()
    lab.register(1, reply_after=udp_reply())
    assert list(lab.kernel.tunnels) == [plain_tunnel()]


def test_visitors_share_it_and_it_goes_with_the_last() -> None:
    lab = Lab(behind_nat=True)
    lab.register(1, "wifi", reply_after=udp_reply())
    lab.register(2, "lte", reply_after=udp_reply())
    assert lab.status()["tunnels"][0]["visitors"] == 2
    lab.register(1, "wifi", lifetime=0)
    assert list(lab.kernel.tunnels) == [UDP]
    lab.register(2, "lte", reply_after=udp_reply(64))
    assert list(lab.kernel.tunnels) == [plain_tunnel()]
    assert len(lab.kernel.timers) == 1


def test_the_mobile_node_delivers_as_negotiated_all_the_same() -> None:
    lab = Lab(behind_nat=True)
    lab.register(1, flags=T | G, after=ENCAPSULATING, reply_after=udp_reply())
    assert lab.kernel.delivered == {(HOME, "wifi"): (UDP, Encapsulation.GRE, WIFI_AGENT)}


def _checksum(octets: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    return (total & 0xFFFF) + (total >> 16)


def test_the_keepalive_is_an_echo_request_from_the_home_address() -> None:
    lab = Lab(behind_nat=True)
    lab.register(1, reply_after=udp_reply())
    (sent,) = lab.wait(110)
    assert (sent.source, sent.source_port) == (CARE_OF, 434)
    assert (sent.destination, sent.destination_port) == (HOME_AGENT, 434)
    assert sent.payload[:4] == b"\4\4\0\0"
    assert keepalive_addresses(sent.payload) == (HOME, HOME_AGENT)
    packet = sent.payload[4:]
    assert packet[8:10] == bytes([64, 1])
    assert struct.unpack("!H", packet[2:4])[0] == len(packet) == 28
    assert _checksum(packet[:20]) == _checksum(packet[20:]) == 0xFFFF
    assert packet[20:22] == b"\x08\0"
    assert len(lab.wait(330)) == 3


@pytest.mark.parametrize(
    ("own", "granted", "seconds"), [(0, 110, 110), (0, 0, 110), (0, 3, 10), (25, 110, 25), (5, 110, 10)]
)
def test_how_often(own: int, granted: int, seconds: int) -> None:
    lab = Lab(behind_nat=True, udp_keepalive=own)
    lab.register(1, reply_after=udp_reply(keepalive=granted))
    assert lab.wait(seconds - 0.5) == []
    assert len(lab.wait(1)) == 1


def test_keepalives_end_with_the_entry() -> None:
    lab = Lab(behind_nat=True)
    lab.register(1, granted=200, reply_after=udp_reply(keepalive=50))
    assert all(isinstance(sent, SendDatagram) for sent in lab.wait(1000))
    assert lab.kernel.timers == {}
    assert lab.kernel.empty
