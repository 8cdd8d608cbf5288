# SPDX-License-Identifier: GPL-2.0-or-later
"""Router discovery messages against octets written by hand (RFC 1256 §3, RFC 5944 §2.1)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from agents.wire import (
    AdvertisementFlags,
    AgentAdvertisement,
    Malformed,
    RouterAdvertisement,
    RouterSolicitation,
    Truncated,
    UnknownExtension,
    WireError,
    decode_icmp,
)

ROUTER = IPv4Address("192.0.2.1")
F = AdvertisementFlags

VECTOR = bytes.fromhex("0910769601020009c000020100000000100a00070258bde0c000020113011800")
"""FACTS §21: /24, sequence number 7, 600 s, one octet of padding."""
ADVERTISEMENT = AgentAdvertisement(
    router_addresses=((ROUTER, 0),),
    lifetime=9,
    sequence=7,
    registration_lifetime=600,
    flags=F.R | F.H | F.F | F.M | F.G | F.T | F.U | F.X | F.I,
    care_of_addresses=(ROUTER,),
    prefix_lengths=(24,),
)


def checksummed(octets: str) -> bytes:
    """Fill in the checksum, word by word as RFC 1071 §4.1 does it; the field must be given as 0000."""
    message = bytes.fromhex(octets)
    padded = message + b"\0" * (len(message) % 2)
    total = 0
    for position in range(0, len(padded), 2):
        total += int.from_bytes(padded[position : position + 2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + (total ^ 0xFFFF).to_bytes(2, "big") + message[4:]


def test_vector_both_ways() -> None:
    assert decode_icmp(VECTOR) == ADVERTISEMENT
    assert ADVERTISEMENT.encode() == VECTOR


def test_solicitation_both_ways() -> None:
    octets = bytes.fromhex("0a00f5ff00000000")
    assert RouterSolicitation().encode() == octets
    assert decode_icmp(octets) == RouterSolicitation()


def test_reserved_octets_of_a_solicitation_and_what_follows_are_ignored() -> None:
    assert decode_icmp(checksummed("0a00000012345678ffff")) == RouterSolicitation()


def test_plain_router_advertisement_both_ways() -> None:
    octets = checksummed("0900000002020708c000020180000000c00002020000000a")
    advertisement = RouterAdvertisement(
        router_addresses=((ROUTER, -(1 << 31)), (IPv4Address("192.0.2.2"), 10)), lifetime=1800
    )
    assert decode_icmp(octets) == advertisement
    assert advertisement.encode() == octets


def test_further_words_of_an_address_entry_are_ignored() -> None:
    octets = checksummed("0900000001030009c000020100000001deadbeef")
    assert decode_icmp(octets) == RouterAdvertisement(router_addresses=((ROUTER, 1),), lifetime=9)


def test_agent_advertisement_without_router_addresses_of_code_0() -> None:
    octets = checksummed("09000000000200091006ffffffff2000")
    advertisement = AgentAdvertisement(
        router_addresses=(),
        lifetime=9,
        sequence=0xFFFF,
        registration_lifetime=0xFFFF,
        flags=F.H,
        care_of_addresses=(),
        code=0,
    )
    assert decode_icmp(octets) == advertisement
    assert advertisement.encode() == octets


def test_several_care_of_addresses_and_a_challenge() -> None:
    octets = checksummed("0910000000020009100e000102581000c0000201c0000202180401020304")
    advertisement = decode_icmp(octets)
    assert isinstance(advertisement, AgentAdvertisement)
    assert advertisement.care_of_addresses == (ROUTER, IPv4Address("192.0.2.2"))
    assert advertisement.challenge == b"\x01\x02\x03\x04"
    assert advertisement.encode() == octets


@pytest.mark.parametrize(
    ("flag", "bit"),
    [
        (F.R, 0x8000),
        (F.B, 0x4000),
        (F.H, 0x2000),
        (F.F, 0x1000),
        (F.M, 0x0800),
        (F.G, 0x0400),
        (F.T, 0x0100),
        (F.U, 0x0080),
        (F.X, 0x0040),
        (F.I, 0x0020),
    ],
)
def test_flag_is_its_bit(flag: AdvertisementFlags, bit: int) -> None:
    octets = checksummed(f"0910000000020009100600000000{bit:04x}")
    advertisement = decode_icmp(octets)
    assert isinstance(advertisement, AgentAdvertisement)
    assert advertisement.flags == flag
    assert advertisement.encode() == octets


def test_default_route_has_prefix_length_0() -> None:
    advertisement = replace(ADVERTISEMENT, prefix_lengths=(0,))
    assert decode_icmp(advertisement.encode()) == advertisement
    assert "130100" in advertisement.encode().hex()


def test_reserved_flags_are_ignored() -> None:
    advertisement = decode_icmp(checksummed("0910000000020009100600000000221f"))
    assert isinstance(advertisement, AgentAdvertisement)
    assert advertisement.flags == F.H


def test_skippable_extensions_and_padding_are_skipped() -> None:
    skipped = "8800ff000080020161"
    octets = checksummed("0910000000020009" + skipped + "100600010258200000ff00")
    advertisement = decode_icmp(octets)
    assert isinstance(advertisement, AgentAdvertisement)
    assert advertisement.sequence == 1


def test_prefix_lengths_may_come_first_or_without_an_agent() -> None:
    addresses = "c000020100000000"
    first = decode_icmp(checksummed("0910000001020009" + addresses + "130118100600000000200000"))
    assert isinstance(first, AgentAdvertisement)
    assert first.prefix_lengths == (24,)
    plain = decode_icmp(checksummed("0900000001020009" + addresses + "130118"))
    assert isinstance(plain, RouterAdvertisement)


BAD = {
    "empty": ("", "truncated"),
    "seven octets": ("09000000000200", "truncated"),
    "echo request": ("0800000000010001", "unexpected-message-type"),
    "solicitation with a code": ("0a01000000000000", "bad-code"),
    "plain with code 16": ("0910000001020009" "c0000201" "00000000", "bad-code"),
    "agent with code 1": ("0901000000020009" "1006" "000000002000", "bad-code"),
    "entry size": ("0900000001010009" "c0000201", "bad-entry-size"),
    "entry missing": ("0900000001020009" "c0000201" "000000", "truncated"),
    "second entry missing": ("0900000002020009" "c0000201" "00000000", "truncated"),
    "plain without addresses": ("0900000000020009", "no-router-address"),
    "mobility extension too short": ("0910000000020009" "1005" "0000000020", "bad-length"),
    "half a care-of address": ("0910000000020009" "1008" "000000003000" "c000", "bad-length"),
    "prefix lengths missing": (
        "0910000001020009" "c000020100000000" "1006" "000000002000" "13021818",
        "bad-length",
    ),
    "prefix length of 33": (
        "0910000001020009" "c000020100000000" "1006" "000000002000" "130121",
        "bad-prefix-length",
    ),
    "two mobility extensions": (
        "0910000000020009" "1006" "000000002000" "1006" "000000002000",
        "duplicate-extension",
    ),
    "extension without length": ("0910000000020009" "10", "truncated"),
    "extension cut": ("0910000000020009" "1006" "0000000020", "truncated"),
    "unknown extension": ("0910000000020009" "1006" "000000002000" "1100", "unknown-extension"),
}  # fmt: skip


@pytest.mark.parametrize(("octets", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_message_is_refused(octets: str, reason: str) -> None:
    message = checksummed(octets) if octets else b""
    with pytest.raises(WireError) as caught:
        decode_icmp(message)
    assert caught.value.reason == reason


def test_unknown_extension_below_128_drops_the_message() -> None:
    for kind in set(range(1, 128)) - {16, 19, 24}:
        with pytest.raises(UnknownExtension) as caught:
            decode_icmp(checksummed(f"0910000000020009{kind:02x}00"))
        assert caught.value.type == kind


def test_every_changed_bit_is_noticed() -> None:
    for bit in range(16, len(VECTOR) * 8):
        changed = bytearray(VECTOR)
        changed[bit // 8] ^= 0x80 >> bit % 8
        with pytest.raises(WireError, match="bad-checksum"):
            decode_icmp(bytes(changed))


def test_every_cut_is_noticed() -> None:
    for end in range(len(VECTOR) - 1):
        with pytest.raises(WireError):
            decode_icmp(VECTOR[:end])


def test_both_zeros_of_a_checksum_are_valid() -> None:
    # The lifetime is chosen so that the other words add up to 0xffff: the checksum is 0, or -0.
    octets = "09100000000200001006000000002000"
    rest = int.from_bytes(checksummed(octets)[2:4], "big")
    zero = bytes.fromhex(octets[:12] + f"{rest:04x}" + octets[16:])
    for checksum in (b"\0\0", b"\xff\xff"):
        advertisement = decode_icmp(zero[:2] + checksum + zero[4:])
        assert isinstance(advertisement, AgentAdvertisement)
    assert advertisement.encode() == zero


@pytest.mark.parametrize(
    ("advertisement", "reason"),
    [
        (replace(ADVERTISEMENT, prefix_lengths=(24, 24)), "bad-length"),
        (replace(ADVERTISEMENT, prefix_lengths=(33,)), "bad-prefix-length"),
        (replace(ADVERTISEMENT, prefix_lengths=(-1,)), "bad-prefix-length"),
        (replace(ADVERTISEMENT, lifetime=0x10000), "field-out-of-range"),
        (replace(ADVERTISEMENT, sequence=0x10000), "field-out-of-range"),
        (replace(ADVERTISEMENT, code=256), "field-out-of-range"),
        (replace(ADVERTISEMENT, router_addresses=((ROUTER, 1 << 31),)), "field-out-of-range"),
        (
            replace(ADVERTISEMENT, router_addresses=((ROUTER, 0),) * 256, prefix_lengths=()),
            "field-out-of-range",
        ),
        (replace(ADVERTISEMENT, care_of_addresses=(ROUTER,) * 63), "too-long"),
        (replace(ADVERTISEMENT, challenge=b"x" * 256), "too-long"),
    ],
)
def test_value_beyond_its_field_is_not_written(advertisement: AgentAdvertisement, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        advertisement.encode()
    assert caught.value.reason == reason


def test_truncated_names_what_is_missing() -> None:
    with pytest.raises(Truncated, match="4 of 6 octets"):
        decode_icmp(checksummed("0910000000020009100600000000"))
