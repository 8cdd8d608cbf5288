# SPDX-License-Identifier: GPL-2.0-or-later
"""Replies: the test vectors byte for byte, and the rules of RFC 5944 §3.8.3."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.effects import Datagram, Instant, SendDatagram
from tests.unit.home_agent.home_agent_lab import EVDO, HOME, HOME_AGENT, START, WIFI, D, Lab, M, S, T, deny

FIXED = "012202580a0000050a000001c000020acf1b2d3e12345678"
MULTIPLE_TUNNELS = FIXED + "7f0a0004000100000000186a201400000100bff9c1d7814302d331cef692edf61c6a"
MULTIPLE_TUNNELS_51 = FIXED + "330a0004000100000000186a201400000100555a9ba16eb71ac280566e8b85b0002e"
UDP_FORCED = FIXED + "9006000080000000201400000100c1cf97af1ad7a33deceef4dd473172b6"
MOBILE_NETWORK = FIXED + "940600180a050000201400000100bed30915230d9c58dd092e61b77e79a5"
PLAIN = FIXED + "201400000100fe205734bc14d06aefd2d94020227fa4"
PLAIN_KEYED_MD5 = FIXED + "201400000100794a0649f454bde674b333fbdc3a9390"
RFC_7629 = FIXED + "9a01000404010100201400000100119922ad1fe32c3b347a8143e5146aa7"
ACCEPTED = "030002580a0000050a000001cf1b2d3e12345678201400000100bc0b29f6de14ba5a4d0c36880e3fc70e"
DENIED_192 = "03c002580a0000050a000001cf1b2d3e1234567820140000010030e4a6b01fe54a7c8bcef0887189043a"
ACCEPTED_UDP = (
    "0300003c0a0000050a000001cf1b2d3e123456782c0600008000006e201400000100c4464647d2b69cd4105d646b35e477ad"
)


@pytest.fixture
def lab() -> Lab:
    """One binding, so that there is something to lose."""
    lab = Lab()
    assert lab.register(9, EVDO).code == 0
    return lab


class TestVectors:
    """Requests and replies of FACTS §21, byte for byte."""

    def answer(self, request: str, **settings: Any) -> str:
        lab = Lab(**settings)
        datagram = Datagram(bytes.fromhex(request), WIFI, 434, HOME_AGENT, "eth1")
        effects = lab.agent.receive(datagram, Instant(1000.0, 0xCF1B2D3E - 2_208_988_800))
        lab.apply(effects)
        return next(e.payload.hex() for e in effects if isinstance(e, SendDatagram))

    @pytest.mark.parametrize("request_", [MULTIPLE_TUNNELS, PLAIN, RFC_7629])
    def test_accepted(self, request_: str) -> None:
        assert self.answer(request_) == ACCEPTED

    def test_other_extension_number(self) -> None:
        assert self.answer(MULTIPLE_TUNNELS_51, profile={"multiple_tunnel_request": 51}) == ACCEPTED

    def test_denied(self) -> None:
        assert self.answer(MULTIPLE_TUNNELS, enable_multiple_tunnel_support=False) == DENIED_192

    def test_forced_udp_tunnel(self) -> None:
        assert self.answer(UDP_FORCED) == ACCEPTED_UDP

    def test_mobile_network(self) -> None:
        assert self.answer(MOBILE_NETWORK)[2:4] == f"{148:02x}"

    def test_keyed_md5(self) -> None:
        context = {"spi": 256, "key": bytes(range(16)), "algorithm": "keyed-md5"}
        node = {"home_address": HOME, "security_association": [context]}
        assert self.answer(PLAIN_KEYED_MD5, mobile_node=[node]).startswith(ACCEPTED[:40])


class TestAddress:
    """Sent to somebody else: 136, with our own address (RFC 5944 §3.8.2.1, §3.8.3.2)."""

    @pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255", "224.0.0.11"])
    def test_broadcast(self, lab: Lab, destination: str) -> None:
        payload = lab.request(home_agent=IPv4Address(destination))
        reply = deny(lab, lambda: lab.send(payload, destination=IPv4Address(destination)))
        assert (reply.code, reply.home_agent, reply.sent.source) == (136, HOME_AGENT, HOME_AGENT)

    def test_broadcast_with_the_right_field(self, lab: Lab) -> None:
        reply = deny(lab, lambda: lab.send(lab.request(), destination=IPv4Address("10.0.0.255")))
        assert reply.code == 136

    @pytest.mark.parametrize("field", ["10.0.0.2", "0.0.0.0", "255.255.255.255"])
    def test_other_home_agent(self, lab: Lab, field: str) -> None:
        reply = deny(lab, lambda: lab.send(lab.request(home_agent=IPv4Address(field))))
        assert (reply.code, reply.home_agent) == (136, HOME_AGENT)

    def test_another_of_our_addresses(self, lab: Lab) -> None:
        reply = lab.send(lab.request(), destination=IPv4Address("192.0.2.1"))
        assert reply is not None
        assert (reply.code, reply.sent.source) == (0, IPv4Address("192.0.2.1"))

    def test_last_address_of_a_small_prefix_is_no_broadcast(self) -> None:
        lab = Lab(home_prefix_length=31)
        assert lab.register().code == 0


class TestReply:
    """RFC 5944 §3.8.3."""

    def test_to_source_and_port(self, lab: Lab) -> None:
        reply = lab.register(1, source=EVDO, source_port=50000)
        sent = reply.sent
        assert (sent.destination, sent.destination_port) == (EVDO, 50000)
        assert (sent.source, sent.source_port, sent.interface) == (HOME_AGENT, 434, None)

    @pytest.mark.parametrize(
        ("asked", "maximum", "granted"),
        [(600, 600, 600), (601, 600, 600), (65535, 600, 600), (1, 600, 1), (65535, 65535, 65535)],
    )
    def test_lifetime(self, asked: int, maximum: int, granted: int) -> None:
        lab = Lab(maximum_lifetime=maximum)
        reply = lab.register(1, lifetime=asked)
        assert reply.lifetime == granted
        assert lab.rows()[1]["lifetime"] == granted

    def test_nai_is_echoed(self, lab: Lab) -> None:
        nai = bytes([131, 4]) + b"a@b."
        reply = lab.register(1, more=nai)
        assert reply.extensions[0] == (131, b"a@b.")
        assert reply.types == [131, 32]

    def test_counters(self, lab: Lab) -> None:
        lab.register(1, flags=D | M)
        assert lab.status()["replies"] == {"0": 1, "139": 1}

    def test_plain_with_s(self, lab: Lab) -> None:
        """G15: the classic simultaneous bindings are not supported."""
        assert lab.register(None, flags=S | D | T).code == 1
        assert lab.register(None, flags=D | T).code == 0
        assert lab.register(3, flags=S | D | T).code == 0, "with the extension S means nothing (G13)"

    def test_status_is_json(self, lab: Lab) -> None:
        import json

        assert json.loads(json.dumps(lab.status()))["bindings"][0]["home_address"] == str(HOME)
        assert START.monotonic == lab.now.monotonic
