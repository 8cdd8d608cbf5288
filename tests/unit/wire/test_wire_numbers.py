# SPDX-License-Identifier: GPL-2.0-or-later
"""Profile, reply codes and timestamps."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from agents.wire import ReplyCode, WireProfile, describe_code, ntp_timestamp, unix_time

NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)


def test_default_profile_is_the_experimental_set() -> None:
    assert dataclasses.astuple(WireProfile()) == (127, 192, 127, 10)


@pytest.mark.parametrize("number", [-1, 0, 32, 33, 34, 36, 38, 40, 44, 45, 46, 48, 50, 128, 154])
def test_profile_refuses_a_type_that_is_taken_or_skippable(number: int) -> None:
    with pytest.raises(ValueError, match="multiple_tunnel_request"):
        WireProfile(multiple_tunnel_request=number)


@pytest.mark.parametrize("number", [51, 126, 127])
def test_profile_takes_a_free_type(number: int) -> None:
    assert WireProfile(multiple_tunnel_request=number).multiple_tunnel_request == number


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("denied_by_home_agent", (127, 193)),
        ("denied_by_foreign_agent", (63, 128)),
        ("request_length", (0, 8, 12)),
    ],
)
def test_profile_refuses(name: str, values: tuple[int, ...]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=name):
            WireProfile(**{name: value})


REGISTERED = {
    *range(3), *range(64, 83), 88, 89, 90, *range(96, 102), *range(104, 117), 127, *range(128, 154), 192,
    193, 194, 201, 202, 203,
}  # fmt: skip
"""IANA "Code Values for Mobile IP Registration Reply Messages"; 194 is reserved (RFC 5944 §3.4)."""


def test_reply_codes_are_those_of_the_registry() -> None:
    assert {code.value for code in ReplyCode} == REGISTERED


def test_names_tell_who_denies() -> None:
    for code in ReplyCode:
        if code.name.startswith("HA_"):
            assert 128 <= code <= 192
        elif code.name.startswith("FA_"):
            assert 64 <= code <= 127 or code == 194
        else:
            assert code < 64 or code > 192


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "accepted (0)"),
        (1, "accepted: no simultaneous bindings (1)"),
        (9, "unassigned (9)"),
        (69, "denied by foreign agent: lifetime too long (69)"),
        (83, "denied by foreign agent: unassigned (83)"),
        (97, "denied by foreign agent: missing NAI (97)"),
        (116, "denied by foreign agent: invalid home agent address (116)"),
        (127, "denied by foreign agent: multiple tunnels (127)"),
        (133, "denied by home agent: identification mismatch (133)"),
        (135, "denied by home agent: too many bindings (135)"),
        (142, "denied by home agent: UDP encapsulation unavailable (142)"),
        (154, "denied by home agent: unassigned (154)"),
        (192, "denied by home agent: multiple tunnels (192)"),
        (193, "denied by gateway foreign agent: no home registration (193)"),
        (194, "denied by foreign agent: invalid home agent address (194)"),
        (203, "denied by correspondent node: expired nonces (203)"),
        (255, "unassigned (255)"),
    ],
)
def test_code_is_described(code: int, text: str) -> None:
    assert describe_code(code, WireProfile()) == text


def test_description_follows_the_profile() -> None:
    profile = WireProfile(denied_by_home_agent=154, denied_by_foreign_agent=117)
    assert describe_code(154, profile) == "denied by home agent: multiple tunnels (154)"
    assert describe_code(117, profile) == "denied by foreign agent: multiple tunnels (117)"
    assert describe_code(192, profile) == "denied by home agent: experimental (192)"


def test_every_code_has_a_description_of_its_own() -> None:
    texts = {describe_code(code, WireProfile()) for code in range(256)}
    assert len(texts) == 256


@pytest.mark.parametrize(
    ("moment", "timestamp"),
    [
        (datetime(2010, 2, 9, 0, 39, 26, tzinfo=UTC), 0xCF1B2D3E_00000000),
        (datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC), 0x83AA7E80_80000000),
        (datetime(2036, 2, 7, 6, 28, 15, tzinfo=UTC), 0xFFFFFFFF_00000000),
        (datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC), 0x00000000_00000000),
    ],
)
def test_known_timestamps(moment: datetime, timestamp: int) -> None:
    assert ntp_timestamp(moment.timestamp()) == timestamp
    assert unix_time(timestamp) == moment.timestamp()


def test_era_changes_at_the_first_bit() -> None:
    assert unix_time(0x80000000_00000000) == datetime(1968, 1, 20, 3, 14, 8, tzinfo=UTC).timestamp()
    assert unix_time(0x7FFFFFFF_00000000) == datetime(2104, 2, 26, 9, 42, 23, tzinfo=UTC).timestamp()


def test_timestamp_counts_from_1900() -> None:
    moment = datetime(2024, 7, 1, 12, tzinfo=UTC)
    assert ntp_timestamp(moment.timestamp()) >> 32 == (moment - NTP_EPOCH) // timedelta(seconds=1)


def test_low_bits_can_be_given() -> None:
    unix = datetime(2010, 2, 9, 0, 39, 26, 999_999, tzinfo=UTC).timestamp()
    assert ntp_timestamp(unix, 0x12345678) == 0xCF1B2D3E12345678
    assert ntp_timestamp(unix, 0x7_0000_0001) == 0xCF1B2D3E00000001


def test_timestamps_grow_with_the_clock() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    stamps = [ntp_timestamp(start + step / 1000) for step in range(3000)]
    assert stamps == sorted(set(stamps))
    assert all(abs(unix_time(stamp) - start - step / 1000) < 1e-6 for step, stamp in enumerate(stamps))
