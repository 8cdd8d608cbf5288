# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP echo messages (RFC 792)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP
from scapy.packet import Raw

from agents.wire import EchoReply, EchoRequest, WireError

NUMBER = st.integers(0, 0xFFFF)


def test_the_vector() -> None:
    assert EchoRequest(1, 1).encode().hex() == "0800f7fd00010001"  # FACTS §21


@given(NUMBER, NUMBER, st.binary(max_size=64))
def test_scapy_builds_the_same_request(identifier: int, sequence: int, data: bytes) -> None:
    theirs = bytes(ICMP(type=8, id=identifier, seq=sequence) / Raw(data))
    ours = EchoRequest(identifier, sequence, data).encode()
    # 0 and 0xffff are the same checksum in ones' complement.
    assert ours[:2] + ours[4:] == theirs[:2] + theirs[4:]
    assert int.from_bytes(ours[2:4], "big") % 0xFFFF == int.from_bytes(theirs[2:4], "big") % 0xFFFF


@given(NUMBER, NUMBER, st.binary(max_size=64))
def test_the_reply_is_read(identifier: int, sequence: int, data: bytes) -> None:
    theirs = bytes(ICMP(type=0, id=identifier, seq=sequence) / Raw(data))
    assert EchoReply.decode(theirs) == EchoReply(identifier, sequence, data)


@given(st.binary(max_size=64))
def test_any_octets_are_read_or_refused(message: bytes) -> None:
    with contextlib.suppress(WireError):
        assert EchoReply.decode(message).data == message[8:]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("0000fffe0001", "truncated"),
        ("0800f7fd00010001", "unexpected-message-type"),
        ("0001fffc00010001", "bad-code"),
        ("0000fffe00010001", "bad-checksum"),
    ],
)
def test_reasons(message: str, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        EchoReply.decode(bytes.fromhex(message))
    assert caught.value.reason == reason
