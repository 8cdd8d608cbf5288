# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages against the hand-made vectors and the field tables (RFC 5944 §3.3, §3.4; RFC 3519 §3.3)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from agents.wire import (
    Authentication,
    Malformed,
    Padding,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    Truncated,
    TunnelData,
    WireError,
    decode_registration,
)
from tests.unit.wire.vectors import FIXED_REQUEST, VECTORS, Vector, reply, request


def _by_name(vector: Vector) -> str:
    return vector.name


@pytest.mark.parametrize("vector", VECTORS, ids=_by_name)
def test_vector_decodes_to_its_value(vector: Vector) -> None:
    assert decode_registration(vector.octets, vector.profile) == vector.message


@pytest.mark.parametrize("vector", VECTORS, ids=_by_name)
def test_value_encodes_to_its_vector(vector: Vector) -> None:
    assert vector.message.encode(vector.profile) == vector.octets


@pytest.mark.parametrize("vector", VECTORS, ids=_by_name)
def test_covered_ends_where_the_authenticator_begins(vector: Vector) -> None:
    authentication = decode_registration(vector.octets, vector.profile).extensions[-1]
    assert isinstance(authentication, Authentication)
    assert vector.octets[authentication.covered :] == authentication.authenticator


def test_every_field_of_a_request_has_its_place() -> None:
    octets = bytes.fromhex("01ff0102030405060708090a0b0c0d0e0f10111213141516")
    assert decode_registration(octets) == RegistrationRequest(
        flags=RequestFlags(0xFF),
        lifetime=0x0102,
        home_address=IPv4Address("3.4.5.6"),
        home_agent=IPv4Address("7.8.9.10"),
        care_of_address=IPv4Address("11.12.13.14"),
        identification=0x0F10111213141516,
    )


def test_every_field_of_a_reply_has_its_place() -> None:
    octets = bytes.fromhex("03850102030405060708090a0f10111213141516")
    assert decode_registration(octets) == RegistrationReply(
        code=133,
        lifetime=0x0102,
        home_address=IPv4Address("3.4.5.6"),
        home_agent=IPv4Address("7.8.9.10"),
        identification=0x0F10111213141516,
    )


@pytest.mark.parametrize(
    ("flag", "octet"),
    [
        (RequestFlags.S, 0x80),
        (RequestFlags.B, 0x40),
        (RequestFlags.D, 0x20),
        (RequestFlags.M, 0x10),
        (RequestFlags.G, 0x08),
        (RequestFlags.R_IGNORED, 0x04),
        (RequestFlags.T, 0x02),
        (RequestFlags.X_IGNORED, 0x01),
    ],
)
def test_flag_is_its_bit(flag: RequestFlags, octet: int) -> None:
    assert replace(request(), flags=flag).encode()[1] == octet


@pytest.mark.parametrize("vector", VECTORS, ids=_by_name)
def test_every_cut_inside_the_last_extension_or_fixed_part_is_truncated(vector: Vector) -> None:
    fixed = 24 if vector.octets[0] == 1 else 20
    last = len(vector.octets) - 22
    for end in (*range(fixed), *range(last + 1, len(vector.octets))):
        with pytest.raises(Truncated) as caught:
            decode_registration(vector.octets[:end], vector.profile)
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("message_type", [0, 2, 4, 7, 15, 16, 255])
def test_other_messages_are_refused(message_type: int) -> None:
    with pytest.raises(Malformed) as caught:
        decode_registration(bytes([message_type]) + bytes.fromhex(FIXED_REQUEST)[1:])
    assert caught.value.reason == "unexpected-message-type"
    assert str(message_type) in str(caught.value)


def test_padding_is_accepted_anywhere_and_never_sent() -> None:
    octets = VECTORS[1].octets
    padded = octets[:24] + b"\0\0" + octets[24:] + b"\0"
    message = decode_registration(padded)
    assert message.extensions.count(Padding()) == 3
    assert message.encode() == octets


@pytest.mark.parametrize(
    "message",
    [
        replace(request(), lifetime=0x10000),
        replace(request(), lifetime=-1),
        replace(request(), identification=1 << 64),
        replace(reply(0, 600), code=256),
        replace(reply(0, 600), lifetime=0x10000),
    ],
)
def test_value_beyond_its_field_is_not_written(message: RegistrationRequest | RegistrationReply) -> None:
    with pytest.raises(Malformed) as caught:
        message.encode()
    assert caught.value.reason == "field-out-of-range"


KEEPALIVE = bytes.fromhex("040400004500001c00010000400166db0a0000050a0000010800f7fd00010001")


def test_tunnel_data_carries_the_packet() -> None:
    tunnelled = TunnelData(next_header=4, payload=KEEPALIVE[4:])
    assert TunnelData.decode(KEEPALIVE) == tunnelled
    assert tunnelled.encode() == KEEPALIVE


def test_tunnel_data_ignores_its_reserved_octets() -> None:
    assert TunnelData.decode(bytes.fromhex("042fffff01")) == TunnelData(47, b"\x01")


@pytest.mark.parametrize(
    ("octets", "reason"),
    [(b"", "truncated"), (b"\x04\x04\x00", "truncated"), (b"\x03\x04\x00\x00", "unexpected-message-type")],
)
def test_bad_tunnel_data_is_refused(octets: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        TunnelData.decode(octets)
    assert caught.value.reason == reason


def test_tunnel_data_of_no_protocol_is_not_written() -> None:
    with pytest.raises(Malformed, match="field-out-of-range"):
        TunnelData(256, b"").encode()
