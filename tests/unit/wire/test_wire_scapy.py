# SPDX-License-Identifier: GPL-2.0-or-later
"""The fixed parts of the messages against scapy, which knows no Mobile IP extensions."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.wire import (
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    TunnelData,
    decode_registration,
)
from tests.unit.wire.vectors import CARE_OF_ADDRESS, HOME_ADDRESS, HOME_AGENT, IDENTIFICATION, reply, request


@pytest.fixture(scope="module")
def mobileip() -> Any:
    """Scapy's Mobile IP layers; importing them takes a second."""
    return pytest.importorskip(
        "scapy.layers.mobileip",
        reason="scapy is missing: apt-get install python3-scapy, or pip install scapy",
    )


@pytest.mark.parametrize("flags", [RequestFlags(0), *RequestFlags, RequestFlags(0xFF)])
def test_request_from_scapy(mobileip: Any, flags: RequestFlags) -> None:
    packet = mobileip.MobileIP() / mobileip.MobileIPRRQ(
        flags=int(flags),
        lifetime=1800,
        homeaddr=str(HOME_ADDRESS),
        haaddr=str(HOME_AGENT),
        coaddr=str(CARE_OF_ADDRESS),
        id=IDENTIFICATION,
    )
    assert decode_registration(bytes(packet)) == RegistrationRequest(
        flags, 1800, HOME_ADDRESS, HOME_AGENT, CARE_OF_ADDRESS, IDENTIFICATION
    )


def test_request_to_scapy(mobileip: Any) -> None:
    packet = mobileip.MobileIP(request().encode())[mobileip.MobileIPRRQ]
    assert packet.flags == 0x22
    assert packet.lifetime == 600
    assert [packet.homeaddr, packet.haaddr, packet.coaddr] == ["10.0.0.5", "10.0.0.1", "192.0.2.10"]
    assert packet.id == IDENTIFICATION


@pytest.mark.parametrize("code", [0, 1, 69, 127, 133, 192, 255])
def test_reply_from_scapy(mobileip: Any, code: int) -> None:
    packet = mobileip.MobileIP() / mobileip.MobileIPRRP(
        code=code, lifetime=60, homeaddr="10.0.0.5", haaddr="10.0.0.1", id=IDENTIFICATION
    )
    expected = RegistrationReply(code, 60, HOME_ADDRESS, HOME_AGENT, IDENTIFICATION)
    assert decode_registration(bytes(packet)) == expected


def test_reply_to_scapy(mobileip: Any) -> None:
    packet = mobileip.MobileIP(reply(134, 7).encode())[mobileip.MobileIPRRP]
    assert (packet.code, packet.lifetime, packet.id) == (134, 7, IDENTIFICATION)
    assert (IPv4Address(packet.homeaddr), IPv4Address(packet.haaddr)) == (HOME_ADDRESS, HOME_AGENT)


def test_tunnel_data_both_ways(mobileip: Any) -> None:
    inner = bytes.fromhex("4500001c00010000400166db0a0000050a0000010800f7fd00010001")
    packet = mobileip.MobileIP(TunnelData(4, inner).encode())[mobileip.MobileIPTunnelData]
    assert packet.nexthdr == 4
    assert bytes(packet.payload) == inner
    octets = bytes(mobileip.MobileIP() / mobileip.MobileIPTunnelData(nexthdr=47) / b"gre")
    assert TunnelData.decode(octets) == TunnelData(47, b"gre")
