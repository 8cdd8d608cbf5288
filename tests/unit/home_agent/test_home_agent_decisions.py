# SPDX-License-Identifier: GPL-2.0-or-later
"""The decision order of FACTS §23, step by step: every discard and every reply code."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from agents.effects import Datagram, SendDatagram
from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    FOREIGN_HOME,
    HOME,
    HOME_AGENT,
    OTHER_HOME,
    R_IGNORED,
    WIFI,
    X_IGNORED,
    D,
    G,
    Lab,
    M,
    T,
    authentication,
    deny,
    discard,
    fixed_request,
    gre_key,
    multiple,
    read_reply,
    udp_request,
)

ACCEPTED = "030002580a0000050a000001cf1b2d3e12345678201400000100bc0b29f6de14ba5a4d0c36880e3fc70e"
PLAIN = "012202580a0000050a000001c000020acf1b2d3e12345678201400000100fe205734bc14d06aefd2d94020227fa4"


@pytest.fixture
def lab() -> Lab:
    """One binding, so that there is something to lose."""
    lab = Lab()
    assert lab.register(9, EVDO).code == 0
    return lab


class TestStep1Message:
    """What is no request gets no answer."""

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"", "truncated"),
            (b"\1\2\3", "truncated"),
            (b"\2" + bytes(40), "unexpected-message-type"),
            (bytes.fromhex(ACCEPTED), "not-a-request"),
            (bytes.fromhex(PLAIN)[:-1], "truncated"),
        ],
    )
    def test_malformed(self, lab: Lab, payload: bytes, reason: str) -> None:
        assert discard(lab, payload) == reason

    def test_unknown_extension(self, lab: Lab) -> None:
        assert discard(lab, lab.request(bytes([100, 0]))) == "unknown-extension"

    def test_unknown_skippable_extension(self, lab: Lab) -> None:
        reply = lab.send(lab.request(bytes([200, 1, 7])))
        assert reply is not None
        assert reply.code == 0

    @pytest.mark.parametrize("source", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1"])
    def test_no_source(self, lab: Lab, source: str) -> None:
        assert discard(lab, lab.request(), source=IPv4Address(source)) == "no-address-to-answer"

    def test_no_source_port(self, lab: Lab) -> None:
        assert discard(lab, lab.request(), source_port=0) == "no-address-to-answer"

    def test_not_running(self, lab: Lab) -> None:
        lab.apply(lab.agent.stop(lab.now))
        assert lab.send(lab.request()) is None
        assert lab.effects == []


class TestStep2MobileHomeAuthentication:
    """RFC 5944 §3.8.2.1 a."""

    def test_unknown_mobile_node(self, lab: Lab) -> None:
        assert discard(lab, lab.request(home_address=IPv4Address("10.0.0.77"))) == "unknown-mobile-node"

    def test_absent(self, lab: Lab) -> None:
        payload = fixed_request(identification=lab.identification()) + multiple(1)
        assert discard(lab, payload) == "no-mobile-home-authentication"

    def test_other_authentication_only(self, lab: Lab) -> None:
        payload = authentication(fixed_request(identification=lab.identification()), FOREIGN_HOME)
        assert discard(lab, payload) == "no-mobile-home-authentication"

    def test_wrong_key(self, lab: Lab) -> None:
        assert deny(lab, lambda: lab.send(lab.request(multiple(1), key=b"wrong"))).code == 131

    def test_unknown_spi(self, lab: Lab) -> None:
        payload = authentication(fixed_request(identification=lab.identification()), spi=999)
        reply = deny(lab, lambda: lab.send(payload))
        assert reply.code == 131
        assert reply.extensions[-1][1][:4] == struct.pack("!I", 256)

    @pytest.mark.parametrize("octet", range(0, 24 + 12 + 22, 5))
    def test_one_bit(self, lab: Lab, octet: int) -> None:
        payload = bytearray(lab.request(multiple(1)))
        payload[octet] ^= 1
        before = lab.rows()
        reply = lab.send(bytes(payload))
        assert reply is None or reply.code == 131
        assert lab.rows() == before

    def test_wrong_length_of_authenticator(self, lab: Lab) -> None:
        payload = fixed_request(identification=lab.identification())
        payload += struct.pack("!BBI", 32, 12, 256) + bytes(8)
        assert deny(lab, lambda: lab.send(payload)).code == 131

    def test_all_must_be_genuine(self, lab: Lab) -> None:
        good = lab.request(multiple(1))
        assert deny(lab, lambda: lab.send(authentication(good, key=b"wrong"))).code == 131
        assert lab.send(authentication(good)) is not None
        assert 1 in lab.rows()

    def test_mobile_foreign_authentication_is_not_ours(self, lab: Lab) -> None:
        reply = lab.send(authentication(lab.request(multiple(1)), 33, key=b"of the foreign agent"))
        assert reply is not None
        assert reply.code == 0

    def test_second_context(self) -> None:
        contexts = [{"spi": 256, "key": b"first"}, {"spi": 300, "key": b"second", "algorithm": "hmac-sha256"}]
        lab = Lab(mobile_node=[{"home_address": HOME, "security_association": contexts}])
        fixed = fixed_request(identification=lab.identification())
        payload = authentication(fixed, key=b"second", spi=300, digest="sha256")
        (sent,) = [
            effect
            for effect in lab.agent.receive(Datagram(payload, WIFI, 434, HOME_AGENT, "eth1"), lab.now)
            if isinstance(effect, SendDatagram)
        ]
        assert read_reply(sent, key=b"second", digest="sha256").code == 0

    def test_reply_in_the_first_context(self) -> None:
        contexts = [{"spi": spi, "key": bytes(range(16))} for spi in (300, 256, 301)]
        lab = Lab(mobile_node=[{"home_address": HOME, "security_association": contexts}])
        reply = lab.send(authentication(lab.request(multiple(1)), spi=301))
        assert reply is not None
        assert (reply.code, reply.extensions[-1][1][:4]) == (0, struct.pack("!I", 256))

    def test_other_nodes_key(self) -> None:
        nodes = [
            {"home_address": HOME, "security_association": [{"spi": 256, "key": bytes(range(16))}]},
            {"home_address": OTHER_HOME, "security_association": [{"spi": 256, "key": b"other"}]},
        ]
        lab = Lab(mobile_node=nodes)
        assert deny(lab, lambda: lab.send(lab.request(multiple(1), key=b"other"))).code == 131


class TestStep5Format:
    """134, and what merely looks odd."""

    @pytest.mark.parametrize("lifetime", [0, 600])
    @pytest.mark.parametrize(
        ("before", "reason"),
        [
            (multiple(1, length=7), "multiple-tunnel-request-bad-length"),
            (multiple(1, length=12), "multiple-tunnel-request-bad-length"),
            (multiple(1, length=0), "multiple-tunnel-request-bad-length"),
            (multiple(1, sub_type=1), "multiple-tunnel-request-bad-sub-type"),
            (multiple(1) + multiple(2), "multiple-tunnel-request-repeated"),
            (multiple(1, bulk=True, overwrite=True), "bulk-and-overwrite"),
            (bytes([44, 6]) + bytes(6), "reply-extension-in-request"),
            (bytes([45, 2, 0, 64]), "reply-extension-in-request"),
            (bytes([48, 1, 0, 4]) + bytes(4), "extension-bad-sub-type"),
        ],
    )
    def test_poorly_formed(self, lab: Lab, before: bytes, reason: str, lifetime: int) -> None:
        payload = lab.request(before, lifetime=lifetime, care_of_address=EVDO)
        assert deny(lab, lambda: lab.send(payload)).code == 134
        assert lab.reports("request-denied")[0]["reason"] == reason

    @pytest.mark.parametrize("extension", [multiple(9, overwrite=True), multiple(9, length=3)])
    def test_unprotected(self, lab: Lab, extension: bytes) -> None:
        """G10: whoever wrote it, it must not delete all tunnels."""
        assert deny(lab, lambda: lab.send(lab.request(multiple(1), extension))).code == 134

    @pytest.mark.parametrize(("length", "kbytes"), [(10, 70000), (8, 65535), (6, None)])
    def test_lengths(self, lab: Lab, length: int, kbytes: int | None) -> None:
        reply = lab.send(lab.request(multiple(1, length=length, kbytes=kbytes or 1)))
        assert reply is not None
        assert reply.code == 0
        assert lab.rows()[1]["bandwidth_kbytes"] == kbytes

    def test_ignored_bits(self, lab: Lab) -> None:
        extension = bytearray(multiple(1))
        extension[6:8] = b"\x3f\xff"
        payload = lab.request(bytes(extension), flags=D | T | R_IGNORED | X_IGNORED)
        reply = lab.send(payload)
        assert reply is not None
        assert reply.code == 0

    def test_padding_is_ignored(self, lab: Lab) -> None:
        reply = lab.send(lab.request(b"\0" + multiple(1) + b"\0"))
        assert reply is not None
        assert reply.code == 0

    def test_unusable_skippable_extension_is_ignored(self, lab: Lab) -> None:
        reply = lab.send(lab.request(multiple(1) + bytes([144, 1, 0])))
        assert reply is not None
        assert (reply.code, reply.types) == (0, [32])

    @pytest.mark.parametrize("binding_id", [None, 1])
    def test_registered_at_home(self, lab: Lab, binding_id: int | None) -> None:
        """G32: not home and away at once."""
        reply = deny(lab, lambda: lab.register(binding_id, HOME, source=WIFI))
        assert reply.code == 134

    @pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255"])
    def test_care_of_address(self, lab: Lab, address: str) -> None:
        reply = deny(lab, lambda: lab.register(1, IPv4Address(address), source=WIFI))
        assert reply.code == 134

    def test_critical_vendor_extension(self, lab: Lab) -> None:
        extension = struct.pack("!BBHIH", 38, 0, 6, 9, 1)
        assert deny(lab, lambda: lab.send(lab.request(extension))).code == 140
        assert deny(lab, lambda: lab.send(lab.request(b"", extension))).code == 141


class TestStep6Consistency:
    """A UDP Tunnel Request speaks for who sent it (RFC 3519 §4.6.1)."""

    @pytest.mark.parametrize("lifetime", [0, 600])
    def test_mobile_node_without_d(self, lab: Lab, lifetime: int) -> None:
        payload = lab.request(udp_request(), flags=T, lifetime=lifetime)
        assert deny(lab, lambda: lab.send(payload)).code == 134

    @pytest.mark.parametrize("lifetime", [0, 600])
    def test_foreign_agent_with_d(self, lab: Lab, lifetime: int) -> None:
        payload = lab.request(b"", udp_request(), lifetime=lifetime)
        assert deny(lab, lambda: lab.send(payload)).code == 134

    def test_two(self, lab: Lab) -> None:
        payload = lab.request(udp_request() + udp_request(force=True))
        assert deny(lab, lambda: lab.send(payload)).code == 134


class TestStep8Enabled:
    """EnableMultipleTunnelSupport (draft §5.3, FACTS G18)."""

    def test_disabled(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        assert lab.status()["enable_multiple_tunnel_support"] is False
        assert deny(lab, lambda: lab.register(1)).code == 192
        assert deny(lab, lambda: lab.register(9, EVDO)).code == 192
        assert list(lab.rows()) == [9]

    def test_enabled_again(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        lab.apply(lab.agent.set_multiple_tunnel_support(True, lab.now))
        assert lab.register(1).code == 0

    def test_deregistration_is_honoured(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        assert lab.deregister(9, EVDO).code == 0
        assert lab.rows() == {}

    def test_plain_is_honoured(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
        assert lab.register(None).code == 0

    def test_for_one_node(self) -> None:
        association = [{"spi": 256, "key": bytes(range(16))}]
        lab = Lab(
            mobile_node=[
                {"home_address": HOME, "security_association": association, "multiple_tunnels": False},
                {"home_address": OTHER_HOME, "security_association": association},
            ]
        )
        assert deny(lab, lambda: lab.register(1)).code == 192
        assert lab.register(1, home_address=OTHER_HOME).code == 0

    def test_other_code(self) -> None:
        lab = Lab(enable_multiple_tunnel_support=False, profile={"denied_by_home_agent": 154})
        assert lab.register(1).code == 154

    def test_before_the_tunnel_policy(self) -> None:
        lab = Lab(enable_multiple_tunnel_support=False, reverse_tunnel="required")
        assert lab.register(1, flags=D).code == 192


class TestStep9Policy:
    """Reverse tunnels and encapsulations (RFC 3024 §4.3.1, RFC 6245 §4.2)."""

    def test_reverse_tunnel_forbidden(self) -> None:
        lab = Lab(reverse_tunnel="forbidden")
        assert deny(lab, lambda: lab.register(1, flags=D | T)).code == 137
        assert lab.register(1, flags=D).code == 0
        assert lab.rows()[1]["reverse_tunnel"] is False

    def test_reverse_tunnel_required(self) -> None:
        lab = Lab(reverse_tunnel="required")
        assert deny(lab, lambda: lab.register(1, flags=D)).code == 138
        assert lab.register(1, flags=D | T).code == 0
        assert lab.rows()[1]["reverse_tunnel"] is True

    @pytest.mark.parametrize(
        ("flags", "before", "offered", "encapsulation"),
        [
            (D, b"", {"ipip"}, "ipip"),
            (D, b"", {"gre"}, None),
            (D | G, b"", {"ipip"}, None),
            (D | G, b"", {"gre"}, "gre"),
            (D | M, b"", {"ipip", "gre"}, None),
            (D | M | G, b"", {"ipip", "gre"}, None),
            (D, gre_key(7), {"ipip"}, None),
            (D, gre_key(7), {"gre"}, "gre"),
        ],
    )
    def test_encapsulation(
        self, flags: int, before: bytes, offered: set[str], encapsulation: str | None
    ) -> None:
        lab = Lab(encapsulations=offered)
        if encapsulation is None:
            assert deny(lab, lambda: lab.register(1, flags=flags, more=before)).code == 139
        else:
            assert lab.register(1, flags=flags, more=before).code == 0
            assert lab.rows()[1]["encapsulation"] == encapsulation

    @pytest.mark.parametrize("address", [HOME_AGENT, OTHER_HOME])
    def test_tunnel_into_ourselves(self, lab: Lab, address: IPv4Address) -> None:
        assert deny(lab, lambda: lab.register(1, address, source=WIFI)).code == 129

    def test_mobile_network_in_a_deregistration_is_ignored(self, lab: Lab) -> None:
        """RFC 5177 §6.1: for deregistration the extensions are ignored."""
        assert lab.deregister(9, EVDO, more=bytes.fromhex("940600180a050000")).code == 0


class TestStep11Limit:
    """Too many bindings (FACTS G33)."""

    def test_too_many(self) -> None:
        lab = Lab(maximum_bindings=2)
        assert lab.register(1).code == 0
        assert lab.register(2, EVDO).code == 0
        third = IPv4Address("198.51.100.33")
        assert deny(lab, lambda: lab.register(3, third)).code == 135
        assert lab.register(2, third).code == 0, "an existing binding is no extra one"
        assert lab.register(3, EVDO, overwrite=True).code == 0
        assert list(lab.rows()) == [3]

    def test_plain_binding_does_not_count(self) -> None:
        lab = Lab(maximum_bindings=1)
        assert lab.register(None).code == 0
        assert lab.register(1, EVDO).code == 0

    def test_replaced_end_point_does_not_count(self) -> None:
        lab = Lab(maximum_bindings=1)
        assert lab.register(1).code == 0
        assert lab.register(2).code == 0

    def test_per_node(self) -> None:
        lab = Lab(maximum_bindings=1)
        assert lab.register(1).code == 0
        assert lab.register(1, home_address=OTHER_HOME).code == 0


class TestOrder:
    """A request wrong in several ways fails at the first step."""

    def test_authentication_before_identification(self, lab: Lab) -> None:
        assert deny(lab, lambda: lab.send(lab.request(identification=1, key=b"wrong"))).code == 131

    def test_identification_before_format(self, lab: Lab) -> None:
        assert deny(lab, lambda: lab.send(lab.request(multiple(1, length=3), identification=1))).code == 133

    def test_address_before_format(self, lab: Lab) -> None:
        payload = lab.request(multiple(1, length=3), home_agent=IPv4Address("10.0.0.2"))
        assert deny(lab, lambda: lab.send(payload)).code == 136

    def test_format_before_support(self) -> None:
        lab = Lab(enable_multiple_tunnel_support=False)
        assert lab.register(1, bulk=True, overwrite=True).code == 134

    def test_reverse_tunnel_before_encapsulation(self) -> None:
        lab = Lab(reverse_tunnel="required")
        assert lab.register(1, flags=D | M).code == 138

    def test_mobile_network_before_limit(self) -> None:
        lab = Lab(maximum_bindings=1)
        lab.register(1)
        assert lab.register(2, EVDO, more=bytes.fromhex("940600180a050000")).code == 148
