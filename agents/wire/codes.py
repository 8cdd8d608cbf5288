# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of messages, flags and reply codes (IANA "Mobile IPv4 Numbers", FACTS §1 and §9)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from agents.wire.profile import DRAFT_02, WireProfile


class MessageType(IntEnum):
    """First octet of a message on UDP port 434."""

    REGISTRATION_REQUEST = 1
    REGISTRATION_REPLY = 3
    TUNNEL_DATA = 4
    REVOCATION = 7
    REVOCATION_ACK = 15


class RequestFlags(IntFlag):
    """Second octet of a Registration Request (RFC 5944 §3.3, RFC 3024 §3.2)."""

    S = 0x80
    """Keep the prior bindings."""
    B = 0x40
    """Tunnel broadcasts of the home network too."""
    D = 0x20
    """The mobile node decapsulates: a co-located care-of address."""
    M = 0x10
    """Minimal encapsulation."""
    G = 0x08
    """Generic Routing Encapsulation."""
    R_IGNORED = 0x04
    """Never to be set; ignored on reception."""
    T = 0x02
    """Reverse tunnel."""
    X_IGNORED = 0x01
    """Never to be set; ignored on reception."""


class ReplyCode(IntEnum):
    """Code of a Registration Reply; ``FA_`` 64 to 127, ``HA_`` 128 to 192.

    The draft's own codes are not here: their numbers are the profile's.
    """

    ACCEPTED = 0
    ACCEPTED_NO_SIMULTANEOUS_BINDINGS = 1
    ACCEPTED_CONCURRENT_REGISTRATION = 2

    FA_UNSPECIFIED = 64
    FA_ADMINISTRATIVELY_PROHIBITED = 65
    FA_INSUFFICIENT_RESOURCES = 66
    FA_MOBILE_NODE_FAILED_AUTHENTICATION = 67
    FA_HOME_AGENT_FAILED_AUTHENTICATION = 68
    FA_LIFETIME_TOO_LONG = 69
    FA_POORLY_FORMED_REQUEST = 70
    FA_POORLY_FORMED_REPLY = 71
    FA_ENCAPSULATION_UNAVAILABLE = 72
    FA_RESERVED_AND_UNAVAILABLE = 73
    FA_REVERSE_TUNNEL_UNAVAILABLE = 74
    FA_REVERSE_TUNNEL_MANDATORY = 75
    FA_MOBILE_NODE_TOO_DISTANT = 76
    FA_INVALID_CARE_OF_ADDRESS = 77
    FA_REGISTRATION_TIMEOUT = 78
    FA_DELIVERY_STYLE_NOT_SUPPORTED = 79
    FA_HOME_NETWORK_UNREACHABLE = 80
    FA_HOME_AGENT_HOST_UNREACHABLE = 81
    FA_HOME_AGENT_PORT_UNREACHABLE = 82
    FA_HOME_AGENT_UNREACHABLE = 88
    FA_VENDOR_SPECIFIC_REASON = 89
    FA_NONZERO_HOME_AGENT_REQUIRED = 90
    FA_NONZERO_HOME_ADDRESS_REQUIRED = 96
    FA_MISSING_NAI = 97
    FA_MISSING_HOME_AGENT = 98
    FA_MISSING_HOME_ADDRESS = 99
    FA_UNKNOWN_CVSE_FROM_MOBILE_NODE = 100
    FA_UNKNOWN_CVSE_FROM_HOME_AGENT = 101
    FA_UNKNOWN_CHALLENGE = 104
    FA_MISSING_CHALLENGE = 105
    FA_STALE_CHALLENGE = 106
    FA_MISSING_MN_FA = 107
    FA_BAD_AAA_AUTHENTICATION = 108
    FA_HOME_AGENT_WRONG_CHALLENGE = 109
    FA_REPLAY_PROTECTION_UNAVAILABLE = 110
    FA_ZERO_CARE_OF_ADDRESS_NOT_SUPPORTED = 111
    FA_UNKNOWN_GFA = 112
    FA_GFA_UNREACHABLE = 113
    FA_GFA_HOST_UNREACHABLE = 114
    FA_GFA_PORT_UNREACHABLE = 115
    FA_INVALID_HOME_AGENT_ADDRESS = 116
    FA_EXPERIMENTAL = 127

    HA_UNSPECIFIED = 128
    HA_ADMINISTRATIVELY_PROHIBITED = 129
    HA_INSUFFICIENT_RESOURCES = 130
    HA_MOBILE_NODE_FAILED_AUTHENTICATION = 131
    HA_FOREIGN_AGENT_FAILED_AUTHENTICATION = 132
    HA_IDENTIFICATION_MISMATCH = 133
    HA_POORLY_FORMED_REQUEST = 134
    HA_TOO_MANY_BINDINGS = 135
    HA_UNKNOWN_HOME_AGENT = 136
    HA_REVERSE_TUNNEL_UNAVAILABLE = 137
    HA_REVERSE_TUNNEL_MANDATORY = 138
    HA_ENCAPSULATION_UNAVAILABLE = 139
    HA_UNKNOWN_CVSE_FROM_MOBILE_NODE = 140
    HA_UNKNOWN_CVSE_FROM_FOREIGN_AGENT = 141
    HA_UDP_ENCAPSULATION_UNAVAILABLE = 142
    HA_REDIRECTED = 143
    HA_BAD_AAA_AUTHENTICATION = 144
    HA_ZERO_CARE_OF_ADDRESS = 145
    HA_DYNAMIC_GFA_NOT_SUPPORTED = 146
    HA_MOBILE_NETWORK_ERROR = 147
    HA_MOBILE_NETWORK_DISALLOWED = 148
    HA_PMIP_UNSUPPORTED = 149
    HA_PMIP_DISALLOWED = 150
    HA_SERVICE_AUTHORIZATION_FAILED = 151
    HA_MULTIPATH_NOT_ALLOWED = 152
    HA_INVALID_FLOW_BINDING_IDENTIFIER = 153
    HA_EXPERIMENTAL = 192

    FA_INVALID_HOME_AGENT_ADDRESS_AS_PRINTED = 194
    """The number RFC 5944 §3.4 prints for what IANA registered as 116 (FACTS §24.1)."""

    NO_HOME_REGISTRATION = 193
    EXPIRED_HOME_NONCE_INDEX = 201
    EXPIRED_CARE_OF_NONCE_INDEX = 202
    EXPIRED_NONCES = 203


_UPPER_CASE = frozenset({"AAA", "CVSE", "FA", "GFA", "MN", "NAI", "PMIP", "UDP"})
_NAMES = {code.value: code.name for code in ReplyCode}
_WHO = (
    (range(64, 128), "denied by foreign agent: "),
    (range(128, 193), "denied by home agent: "),
    (range(193, 201), "denied by gateway foreign agent: "),
    (range(201, 211), "denied by correspondent node: "),
)


def _words(name: str) -> str:
    words = name.removeprefix("FA_").removeprefix("HA_").replace("ACCEPTED_", "ACCEPTED:_").split("_")
    return " ".join(word if word in _UPPER_CASE else word.lower() for word in words)


def _describe(code: int) -> str:
    if code == ReplyCode.FA_INVALID_HOME_AGENT_ADDRESS_AS_PRINTED:
        code = ReplyCode.FA_INVALID_HOME_AGENT_ADDRESS
    who = next((prefix for codes, prefix in _WHO if code in codes), "")
    return who + _words(_NAMES.get(code, "unassigned"))


def describe_code(code: int, profile: WireProfile = DRAFT_02) -> str:
    """A reply code for people: who answered, what, and the number.

    ``denied by home agent: too many bindings (135)``
    """
    if code == profile.denied_by_home_agent:
        text = "denied by home agent: multiple tunnels"
    elif code == profile.denied_by_foreign_agent:
        text = "denied by foreign agent: multiple tunnels"
    else:
        text = _describe(code)
    return f"{text} ({code})"
