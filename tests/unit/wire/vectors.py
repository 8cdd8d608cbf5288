# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages written by hand and authenticated with two independent implementations (FACTS §21).

They come from the field tables of the RFCs and of the draft, not from the encoder under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.wire import (
    DRAFT_02,
    Authentication,
    AuthenticationType,
    Extension,
    MultipleTunnelRequest,
    Recognised,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    UdpTunnelReply,
    UdpTunnelRequest,
    WireProfile,
)

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
SPI = 256
HOME_ADDRESS = IPv4Address("10.0.0.5")
HOME_AGENT = IPv4Address("10.0.0.1")
CARE_OF_ADDRESS = IPv4Address("192.0.2.10")
IDENTIFICATION = 0xCF1B2D3E12345678

FIXED_REQUEST = "012202580a0000050a000001c000020acf1b2d3e12345678"
TUNNEL_REQUEST = MultipleTunnelRequest(
    access_technology=4, binding_id=1, bulk=False, overwrite=False, bandwidth_kbytes=6250
)
PREFIX_SUFFIX_MD5 = "794a0649f454bde674b333fbdc3a9390"


@dataclass(frozen=True)
class Vector:
    """A message as hexadecimal octets and as a value."""

    name: str
    octets: bytes
    message: RegistrationRequest | RegistrationReply
    profile: WireProfile = DRAFT_02


def mobile_home(authenticator: str) -> Authentication:
    """A Mobile-Home Authentication of the vectors' SPI."""
    return Authentication(AuthenticationType.MOBILE_HOME, SPI, bytes.fromhex(authenticator))


def request(*extensions: Extension) -> RegistrationRequest:
    """The vectors' request with these extensions."""
    return RegistrationRequest(
        flags=RequestFlags.D | RequestFlags.T,
        lifetime=600,
        home_address=HOME_ADDRESS,
        home_agent=HOME_AGENT,
        care_of_address=CARE_OF_ADDRESS,
        identification=IDENTIFICATION,
        extensions=extensions,
    )


def reply(code: int, lifetime: int, *extensions: Extension) -> RegistrationReply:
    """The vectors' reply with this code, lifetime and these extensions."""
    return RegistrationReply(
        code=code,
        lifetime=lifetime,
        home_address=HOME_ADDRESS,
        home_agent=HOME_AGENT,
        identification=IDENTIFICATION,
        extensions=extensions,
    )


def _request_vector(
    name: str, extension: str, authenticator: str, *values: Extension, profile: WireProfile = DRAFT_02
) -> Vector:
    octets = bytes.fromhex(FIXED_REQUEST + extension + "201400000100" + authenticator)
    return Vector(name, octets, request(*values, mobile_home(authenticator)), profile)


VECTORS = (
    _request_vector("plain", "", "fe205734bc14d06aefd2d94020227fa4"),
    _request_vector(
        "multiple-tunnel",
        "7f0a0004000100000000186a",
        "bff9c1d7814302d331cef692edf61c6a",
        TUNNEL_REQUEST,
    ),
    _request_vector(
        "multiple-tunnel-51",
        "330a0004000100000000186a",
        "555a9ba16eb71ac280566e8b85b0002e",
        TUNNEL_REQUEST,
        profile=WireProfile(multiple_tunnel_request=51),
    ),
    _request_vector(
        "rfc7629",
        "9a01000404010100",
        "119922ad1fe32c3b347a8143e5146aa7",
        Recognised(154, bytes.fromhex("04010100"), sub_type=1),
    ),
    _request_vector(
        "udp-tunnel-request",
        "9006000080000000",
        "c1cf97af1ad7a33deceef4dd473172b6",
        UdpTunnelRequest(force=True, registration_required=False, encapsulation=0),
    ),
    _request_vector(
        "mobile-network",
        "940600180a050000",
        "bed30915230d9c58dd092e61b77e79a5",
        Recognised(148, bytes.fromhex("00180a050000")),
    ),
    Vector(
        "accepted",
        bytes.fromhex("030002580a0000050a000001cf1b2d3e12345678201400000100bc0b29f6de14ba5a4d0c36880e3fc70e"),
        reply(0, 600, mobile_home("bc0b29f6de14ba5a4d0c36880e3fc70e")),
    ),
    Vector(
        "denied-multiple-tunnels",
        bytes.fromhex("03c002580a0000050a000001cf1b2d3e1234567820140000010030e4a6b01fe54a7c8bcef0887189043a"),
        reply(192, 600, mobile_home("30e4a6b01fe54a7c8bcef0887189043a")),
    ),
    Vector(
        "accepted-udp",
        bytes.fromhex(
            "0300003c0a0000050a000001cf1b2d3e12345678"
            "2c0600008000006e201400000100c4464647d2b69cd4105d646b35e477ad"
        ),
        reply(
            0,
            60,
            UdpTunnelReply(code=0, force=True, keepalive=110),
            mobile_home("c4464647d2b69cd4105d646b35e477ad"),
        ),
    ),
)
