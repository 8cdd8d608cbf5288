# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing requests and judging replies, against the vectors of FACTS §21."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agents.registration import ReplyError, Verdict, check_reply, protected_extensions, sign_request
from agents.settings import SecurityAssociation
from agents.wire import (
    MultipleTunnelRequest,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    UdpTunnelReply,
    WireProfile,
    decode_registration,
)
from tests.unit.mobile_node.mobile_node_lab import AGENT_KEY, AGENT_SPI, authentication

HOME = SecurityAssociation.model_validate({"spi": 256, "key": bytes(range(16))})
FOREIGN = SecurityAssociation.model_validate({"spi": AGENT_SPI, "key": AGENT_KEY})
REQUEST = bytes.fromhex(
    "012202580a0000050a000001c000020acf1b2d3e12345678"
    "7f0a0004000100000000186a"
    "201400000100bff9c1d7814302d331cef692edf61c6a"
)
ACCEPTED = bytes.fromhex(
    "030002580a0000050a000001cf1b2d3e12345678201400000100bc0b29f6de14ba5a4d0c36880e3fc70e"
)
DENIED = bytes.fromhex("03c002580a0000050a000001cf1b2d3e1234567820140000010030e4a6b01fe54a7c8bcef0887189043a")
WITH_UDP = bytes.fromhex(
    "0300003c0a0000050a000001cf1b2d3e123456782c0600008000006e201400000100c4464647d2b69cd4105d646b35e477ad"
)


def the_request() -> RegistrationRequest:
    """The vector's request, as dataclasses."""
    return RegistrationRequest(
        flags=RequestFlags.D | RequestFlags.T,
        lifetime=600,
        home_address=IPv4Address("10.0.0.5"),
        home_agent=IPv4Address("10.0.0.1"),
        care_of_address=IPv4Address("192.0.2.10"),
        identification=0xCF1B2D3E12345678,
        extensions=(MultipleTunnelRequest(4, 1, False, False, 6250),),
    )


def judge(payload: bytes, foreign: tuple[SecurityAssociation, ...] = ()) -> Verdict:
    """Check a reply by the vectors' association."""
    reply = decode_registration(payload)
    assert isinstance(reply, RegistrationReply)
    return check_reply(payload, reply, (HOME,), foreign)


def test_signed_request_is_the_vector() -> None:
    # The flags octet 0x22 of the vector is D and T.
    assert sign_request(the_request(), WireProfile(), HOME, None) == REQUEST


def test_mobile_foreign_authentication_comes_last() -> None:
    payload = sign_request(the_request(), WireProfile(), HOME, FOREIGN)
    assert payload == REQUEST + authentication(REQUEST, 33, AGENT_SPI, AGENT_KEY)


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (ACCEPTED, Verdict.ACCEPTED),
        (WITH_UDP, Verdict.ACCEPTED),
        (DENIED, Verdict.DENIED_BY_HOME_AGENT),
        (bytes.fromhex("037f02580a0000050a000001cf1b2d3e12345678"), Verdict.DENIED_BY_FOREIGN_AGENT),
    ],
)
def test_verdicts(payload: bytes, verdict: Verdict) -> None:
    assert judge(payload) is verdict


@pytest.mark.parametrize("position", range(len(WITH_UDP)))
def test_any_changed_octet_is_noticed(position: int) -> None:
    changed = bytearray(WITH_UDP)
    changed[position] ^= 0x80
    try:
        reply = decode_registration(bytes(changed))
    except ValueError:
        return
    if not isinstance(reply, RegistrationReply) or 64 <= reply.code < 128:
        return
    with pytest.raises(ReplyError) as caught:
        check_reply(bytes(changed), reply, (HOME,), ())
    assert caught.value.security


def test_only_what_precedes_the_authentication_is_protected() -> None:
    extension = bytes.fromhex("2c0600008000006e")
    for payload, expected in ((WITH_UDP, 1), (ACCEPTED + extension, 0), (ACCEPTED[:20], 0)):
        reply = decode_registration(payload)
        assert isinstance(reply, RegistrationReply)
        found = [e for e in protected_extensions(reply) if isinstance(e, UdpTunnelReply)]
        assert len(found) == expected


def test_foreign_agents_authentication_if_there_is_an_association() -> None:
    with pytest.raises(ReplyError, match="mobile-foreign-authentication-not-once"):
        judge(ACCEPTED, (FOREIGN,))
    signed = ACCEPTED + authentication(ACCEPTED, 33, AGENT_SPI, AGENT_KEY)
    assert judge(signed, (FOREIGN,)) is Verdict.ACCEPTED
    with pytest.raises(ReplyError, match="mobile-foreign-authentication-unknown-spi"):
        judge(ACCEPTED + authentication(ACCEPTED, 33, 999, AGENT_KEY), (FOREIGN,))
