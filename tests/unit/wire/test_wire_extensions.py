# SPDX-License-Identifier: GPL-2.0-or-later
"""Every extension against octets written by hand from the figures of its RFC."""

from __future__ import annotations

from typing import get_args

import pytest

from agents.wire import (
    DRAFT_02,
    Authentication,
    AuthenticationType,
    Challenge,
    EncapsulatingDeliveryStyle,
    Extension,
    ForeignAgentError,
    GeneralizedAuthentication,
    GreKey,
    Malformed,
    MessageString,
    MobileNodeNai,
    MultipleTunnelRequest,
    Padding,
    Recognised,
    RevocationSupport,
    Skipped,
    Truncated,
    UdpTunnelReply,
    UdpTunnelRequest,
    UnknownExtension,
    Unusable,
    VendorExtension,
    WireProfile,
    decode_registration,
    encode_extension,
)
from tests.unit.wire.vectors import FIXED_REQUEST

AUTHENTICATOR = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
MARK = EncapsulatingDeliveryStyle()
"""Put behind an extension to see that its end was found."""


def decode_one(octets: str, profile: WireProfile = DRAFT_02) -> Extension:
    """The one extension of a request, once that alone and once with another behind it."""
    alone = decode_registration(bytes.fromhex(FIXED_REQUEST + octets), profile).extensions
    followed = decode_registration(bytes.fromhex(FIXED_REQUEST + octets + "8200"), profile).extensions
    assert followed == (*alone, MARK)
    (extension,) = alone
    return extension


BOTH_WAYS = {
    "mobile-home": (
        "2014" "00000100" + AUTHENTICATOR,
        Authentication(AuthenticationType.MOBILE_HOME, 256, bytes.fromhex(AUTHENTICATOR)),
    ),
    "mobile-foreign": (
        "2114" "fffffffe" + AUTHENTICATOR,
        Authentication(AuthenticationType.MOBILE_FOREIGN, 0xFFFFFFFE, bytes.fromhex(AUTHENTICATOR)),
    ),
    "foreign-home, 32 octets": (
        "2224" "00000100" + AUTHENTICATOR * 2,
        Authentication(AuthenticationType.FOREIGN_HOME, 256, bytes.fromhex(AUTHENTICATOR * 2)),
    ),
    "mobile-home, no authenticator": (
        "2004" "00000100",
        Authentication(AuthenticationType.MOBILE_HOME, 256, b""),
    ),
    "mobile-aaa": (
        "2401" "0014" "00000100" + AUTHENTICATOR,
        GeneralizedAuthentication(1, 256, bytes.fromhex(AUTHENTICATOR)),
    ),
    "critical vendor": ("2600" "0007" "00000009" "0102" "ff", VendorExtension(True, 9, 0x0102, b"\xff")),
    "critical vendor, no value": ("2600" "0006" "00000009" "0102", VendorExtension(True, 9, 0x0102, b"")),
    "critical vendor, 300 octets": (
        "2600" "0132" "0000159f" "0102" + "ab" * 300,
        VendorExtension(True, 0x159F, 0x0102, b"\xab" * 300),
    ),
    "normal vendor": (
        "8609" "0000" "00000009" "0102" "ff",
        VendorExtension(False, 9, 0x0102, b"\xff"),
    ),
    "normal vendor, no value": ("8608" "0000" "00000009" "0102", VendorExtension(False, 9, 0x0102, b"")),
    "udp tunnel reply": ("2c06" "00" "40" "8000" "012c", UdpTunnelReply(64, True, 300)),
    "udp tunnel reply, not forced": ("2c06" "00" "00" "0000" "0000", UdpTunnelReply(0, False, 0)),
    "foreign agent error": ("2d02" "00" "44", ForeignAgentError(68)),
    "gre key": ("3000" "0004" "deadbeef", GreKey(0xDEADBEEF)),
    "encapsulating delivery style": ("8200", EncapsulatingDeliveryStyle()),
    "nai": ("8305" "6140622e63", MobileNodeNai(b"a@b.c")),
    "challenge": ("8404" "01020304", Challenge(b"\x01\x02\x03\x04")),
    "revocation support": ("8906" "8000" "01020304", RevocationSupport(True, 0x01020304)),
    "revocation support, no I": ("8906" "0000" "00000000", RevocationSupport(False, 0)),
    "udp tunnel request": ("9006" "00" "00" "c0" "2f" "0000", UdpTunnelRequest(True, True, 47)),
    "udp tunnel request, only R": ("9006" "00" "00" "40" "04" "0000", UdpTunnelRequest(False, True, 4)),
    "message string": ("9108" "01" "6e6f20c3bc6265", MessageString(1, "no übe")),
    "message string, empty": ("9101" "02", MessageString(2, "")),
    "nai carrying": ("8804" "01" "613162", Recognised(136, b"\x01a1b")),
    "mobile network acknowledgement": (
        "9408" "01" "00" "18" "00" "0a050000",
        Recognised(148, bytes.fromhex("010018000a050000")),
    ),
    "dynamic home agent": (
        "8b01" "0004" "0a000001",
        Recognised(139, bytes.fromhex("0a000001"), sub_type=1),
    ),
    "multipath": ("9a01" "0004" "04010140", Recognised(154, bytes.fromhex("04010140"), sub_type=1)),
    "flow binding": (
        "9a02" "0008" "01020102" "01000000",
        Recognised(154, bytes.fromhex("0102010201000000"), sub_type=2),
    ),
    "unknown skippable": ("ff03" "010203", Skipped(255, b"\x01\x02\x03")),
    "unknown skippable, empty": ("9900", Skipped(153, b"")),
    "multiple tunnel": (
        "7f0a" "00" "08" "0102" "0000" "00010000",
        MultipleTunnelRequest(8, 258, False, False, 65536),
    ),
    "multiple tunnel, B": (
        "7f0a" "00" "00" "0001" "8000" "00000000",
        MultipleTunnelRequest(0, 1, True, False, 0),
    ),
    "multiple tunnel, O": (
        "7f0a" "00" "ff" "ffff" "4000" "ffffffff",
        MultipleTunnelRequest(255, 65535, False, True, 0xFFFFFFFF),
    ),
    "multiple tunnel, B and O": (
        "7f0a" "00" "04" "0000" "c000" "00000001",
        MultipleTunnelRequest(4, 0, True, True, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("octets", "extension"), BOTH_WAYS.values(), ids=BOTH_WAYS.keys())
def test_extension_decodes(octets: str, extension: Extension) -> None:
    assert decode_one(octets) == extension


@pytest.mark.parametrize(("octets", "extension"), BOTH_WAYS.values(), ids=BOTH_WAYS.keys())
def test_extension_encodes(octets: str, extension: Extension) -> None:
    assert encode_extension(extension).hex() == octets


READ_ONLY = {
    "multiple tunnel, reserved bits": (
        "7f0a000400013fff0000186a",
        MultipleTunnelRequest(4, 1, False, False, 6250),
    ),
    "multiple tunnel, bandwidth of 16 bits": (
        "7f08000400014000186a",
        MultipleTunnelRequest(4, 1, False, True, 6250),
    ),
    "multiple tunnel, no bandwidth": (
        "7f06000400018000",
        MultipleTunnelRequest(4, 1, True, False, None),
    ),
    "udp tunnel request, reserved 1 and 2": (
        "900600ff3f370000",
        UdpTunnelRequest(False, False, 55),
    ),
    "udp tunnel reply, reserved": ("2c0600007fff006e", UdpTunnelReply(0, False, 110)),
    "revocation support, reserved": ("89067fff00000001", RevocationSupport(False, 1)),
    "revocation support, longer": ("8907800000000001ff", RevocationSupport(True, 1)),
    "critical vendor, reserved": ("26ff0006000000090102", VendorExtension(True, 9, 0x0102, b"")),
    "normal vendor, reserved": ("8608ffff000000090102", VendorExtension(False, 9, 0x0102, b"")),
    "message string, not utf-8": ("91030141ff", MessageString(1, "A\ufffd")),
    "udp tunnel request, reserved 3": (
        "9006000080000001",
        Skipped(144, bytes.fromhex("000080000001")),
    ),
    "udp tunnel request, other sub-type": (
        "9006010080000000",
        Skipped(144, bytes.fromhex("010080000000")),
    ),
}


@pytest.mark.parametrize(("octets", "extension"), READ_ONLY.values(), ids=READ_ONLY.keys())
def test_liberal_reading(octets: str, extension: Extension) -> None:
    assert decode_one(octets) == extension


SHORT_UNUSABLE = {
    "authentication without SPI": ("2003000001", "bad-length"),
    "mobile-foreign, empty": ("2100", "bad-length"),
    "udp tunnel reply too short": ("2c050000000000", "bad-length"),
    "udp tunnel reply too long": ("2c0700000000000000", "bad-length"),
    "udp tunnel reply of another sub-type": ("2c06010000000000", "bad-sub-type"),
    "foreign agent error too short": ("2d0100", "bad-length"),
    "foreign agent error of another sub-type": ("2d020144", "bad-sub-type"),
    "delivery style with data": ("820100", "bad-length"),
    "normal vendor too short": ("860700000000000901", "bad-length"),
    "revocation support too short": ("89058000010203", "bad-length"),
    "udp tunnel request too short": ("90050000800000", "bad-length"),
    "udp tunnel request too long": ("900700008000000000", "bad-length"),
    "message string without sub-type": ("9100", "bad-length"),
    "multiple tunnel of another sub-type": ("7f0a01040001000000000000", "bad-sub-type"),
    "multiple tunnel of another sub-type, short": ("7f06ff0400010000", "bad-sub-type"),
}
SHORT_UNUSABLE |= {
    f"multiple tunnel of length {length}": (f"7f{length:02x}" + "00" * length, "bad-length")
    for length in (0, 1, 4, 5, 7, 9, 11, 12, 255)
}


@pytest.mark.parametrize(("octets", "reason"), SHORT_UNUSABLE.values(), ids=SHORT_UNUSABLE.keys())
def test_bad_content_is_kept_for_the_agent_to_answer(octets: str, reason: str) -> None:
    raw = bytes.fromhex(octets)
    extension = decode_one(octets)
    assert extension == Unusable(raw[0], raw[2:], reason)
    assert encode_extension(extension) == raw


LONG_UNUSABLE = {
    "generalized authentication too short": ("24010013" + "00" * 19, "bad-length"),
    "critical vendor too short": ("260000050000000901", "bad-length"),
    "gre key too short": ("30000003000000", "bad-length"),
    "gre key too long": ("300000050000000000", "bad-length"),
    "gre key of another sub-type": ("3001000400000000", "bad-sub-type"),
}


@pytest.mark.parametrize(("octets", "reason"), LONG_UNUSABLE.values(), ids=LONG_UNUSABLE.keys())
def test_bad_content_in_the_long_format(octets: str, reason: str) -> None:
    raw = bytes.fromhex(octets)
    extension = decode_one(octets)
    assert extension == Unusable(raw[0], raw[4:], reason, sub_type=raw[1])
    assert encode_extension(extension) == raw


NOT_LONG = {
    "header cut": ("9a01ff", Skipped(154, b"\xff")),
    "length of another extension": ("9a020003", Skipped(154, b"\x00\x03")),
    "ends beyond the message": ("9a02ffff", Skipped(154, b"\xff\xff")),
    "unassigned sub-type": ("9a03000401", Skipped(154, b"\x00\x04\x01")),
    "dynamic home agent, no data": ("8b00", Skipped(139, b"")),
    "dynamic home agent, other length": ("8b020005", Skipped(139, b"\x00\x05")),
}


@pytest.mark.parametrize(("octets", "extension"), NOT_LONG.values(), ids=NOT_LONG.keys())
def test_skippable_type_that_does_not_parse_as_long_has_an_octet_of_length(
    octets: str, extension: Extension
) -> None:
    assert decode_one(octets) == extension
    assert encode_extension(extension).hex() == octets


@pytest.mark.parametrize("header", ["9a01", "8b01", "8b02"])
@pytest.mark.parametrize("length", [3, 5])
def test_other_length_than_the_rfc_gives_drops_the_message(header: str, length: int) -> None:
    # The Sub-Type is read as the length, so the next type is the low octet of the Length or what follows.
    octets = bytes.fromhex(FIXED_REQUEST + header + f"{length:04x}" + "07" * length)
    with pytest.raises(UnknownExtension) as caught:
        decode_registration(octets)
    assert caught.value.type == (length if header.endswith("1") else 7)


def test_unknown_extension_below_128_drops_the_message() -> None:
    known = {0, 32, 33, 34, 36, 38, 44, 45, 48, 127}
    for kind in range(128):
        octets = bytes.fromhex(FIXED_REQUEST) + bytes([kind]) + bytes.fromhex("000000")
        if kind in known:
            decode_registration(octets)
        else:
            with pytest.raises(UnknownExtension) as caught:
                decode_registration(octets)
            assert caught.value.type == kind
            assert caught.value.reason == "unknown-extension"


def test_unknown_extension_from_128_is_skipped() -> None:
    recognised = {130, 131, 132, 134, 136, 137, 139, 144, 145, 148, 154}
    for kind in set(range(128, 256)) - recognised:
        assert decode_one(f"{kind:02x}02ffee") == Skipped(kind, b"\xff\xee")


def test_only_the_number_of_the_profile_is_a_multiple_tunnel_request() -> None:
    profile = WireProfile(multiple_tunnel_request=60)
    octets = "0a0004000100000000186a"
    assert decode_one("3c" + octets, profile) == MultipleTunnelRequest(4, 1, False, False, 6250)
    with pytest.raises(UnknownExtension):
        decode_one("7f" + octets, profile)
    with pytest.raises(UnknownExtension):
        decode_one("3c" + octets)


def test_multiple_tunnel_request_without_bandwidth_has_length_6() -> None:
    profile = WireProfile(request_length=6)
    extension = MultipleTunnelRequest(4, 1, False, True, 6250)
    assert encode_extension(extension, profile).hex() == "7f06000400014000"


def test_unknown_bandwidth_is_sent_as_zero() -> None:
    extension = MultipleTunnelRequest(4, 1, True, False, None)
    assert encode_extension(extension).hex() == "7f0a00040001800000000000"


def test_length_6_followed_by_10_octets_is_read_as_two_extensions() -> None:
    # The draft's text and figure taken together cannot be parsed (FACTS G1): 4 octets are left over.
    octets = bytes.fromhex(FIXED_REQUEST + "7f060004000100000000186a")
    with pytest.raises(UnknownExtension) as caught:
        decode_registration(octets)
    assert caught.value.type == 0x18


@pytest.mark.parametrize(
    "octets",
    ["20", "2014", "2014000001", "7f", "7f0a00", "3000", "300000", "30000004", "2600ffff00", "82", "ff01"],
)
def test_extension_cut_short(octets: str) -> None:
    with pytest.raises(Truncated) as caught:
        decode_registration(bytes.fromhex(FIXED_REQUEST + octets))
    assert caught.value.detail


@pytest.mark.parametrize(
    ("extension", "reason"),
    [
        (MultipleTunnelRequest(256, 1, False, False, 0), "field-out-of-range"),
        (MultipleTunnelRequest(4, 0x10000, False, False, 0), "field-out-of-range"),
        (MultipleTunnelRequest(4, 1, False, False, 1 << 32), "field-out-of-range"),
        (MultipleTunnelRequest(4, 1, False, False, -1), "field-out-of-range"),
        (Authentication(AuthenticationType.MOBILE_HOME, 1 << 32, b""), "field-out-of-range"),
        (Authentication(AuthenticationType.MOBILE_HOME, 256, b"x" * 252), "too-long"),
        (MessageString(256, ""), "field-out-of-range"),
        (MessageString(1, "ü" * 128), "too-long"),
        (MobileNodeNai(b"x" * 256), "too-long"),
        (VendorExtension(True, 9, 1, b"x" * (0x10000 - 6)), "too-long"),
        (GreKey(1 << 32), "field-out-of-range"),
        (Skipped(256, b""), "field-out-of-range"),
        (Recognised(154, b"", sub_type=256), "field-out-of-range"),
        (UdpTunnelReply(256, False, 0), "field-out-of-range"),
    ],
)
def test_value_beyond_its_field_is_not_written(extension: Extension, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        encode_extension(extension)
    assert caught.value.reason == reason


def test_what_would_not_be_read_can_be_written() -> None:
    udp_request = UdpTunnelRequest(False, False, 4, sub_type=1, reserved3=0x0203)
    assert encode_extension(udp_request) == bytes.fromhex("9006 01 00 00 04 0203")
    udp_reply = UdpTunnelReply(0, False, 110, sub_type=9)
    assert encode_extension(udp_reply) == bytes.fromhex("2c06 09 00 0000 006e")
    tunnel_request = MultipleTunnelRequest(4, 1, False, False, 0, sub_type=9)
    assert encode_extension(tunnel_request) == bytes.fromhex("7f0a 09 04 0001 0000 00000000")


@pytest.mark.parametrize("kind", get_args(Extension))
def test_extension_is_an_immutable_value(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__dict__" not in dir(kind)


def test_text_that_has_no_utf_8_is_written_with_question_marks() -> None:
    assert encode_extension(MessageString(1, "a\udc80")).hex() == "910301613f"


def test_padding_is_encoded_as_nothing() -> None:
    assert encode_extension(Padding()) == b""
