# SPDX-License-Identifier: GPL-2.0-or-later
"""Registration Request and Registration Reply (RFC 5944 §3.3, §3.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.wire.codes import MessageType, RequestFlags
from agents.wire.errors import Malformed, Truncated
from agents.wire.extensions import Extension, encode_extension
from agents.wire.framing import pack
from agents.wire.parsing import parse_extensions
from agents.wire.profile import DRAFT_02, WireProfile

_REQUEST = struct.Struct("!BBHIIIQ")
_REPLY = struct.Struct("!BBHIIQ")
_FLAGS = tuple(RequestFlags(octet) for octet in range(256))
"""Every value ready-made: making an IntFlag costs as much as the rest of the fixed part."""


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """The fixed part and, in the order of the wire, the extensions."""

    flags: RequestFlags
    lifetime: int
    """Seconds; 0 deregisters, 65535 is for ever."""
    home_address: IPv4Address
    home_agent: IPv4Address
    care_of_address: IPv4Address
    identification: int
    """64 bits: a timestamp or nonce that tells requests apart (RFC 5944 §5.7)."""
    extensions: tuple[Extension, ...] = ()

    def encode(self, profile: WireProfile = DRAFT_02) -> bytes:
        """The UDP payload; an authenticator is written as it stands, not computed.

        :raises Malformed: if a value does not fit its field.
        """
        fixed = pack(
            _REQUEST,
            MessageType.REGISTRATION_REQUEST,
            self.flags,
            self.lifetime,
            int(self.home_address),
            int(self.home_agent),
            int(self.care_of_address),
            self.identification,
        )
        return fixed + b"".join([encode_extension(item, profile) for item in self.extensions])


@dataclass(frozen=True, slots=True)
class RegistrationReply:
    """The fixed part and, in the order of the wire, the extensions."""

    code: int
    """See :class:`ReplyCode`; any octet, and two codes are the profile's."""
    lifetime: int
    """Seconds granted; meaningless in a denial, except with code 69."""
    home_address: IPv4Address
    home_agent: IPv4Address
    identification: int
    """64 bits; the low 32 repeat those of the request (RFC 5944 §5.7)."""
    extensions: tuple[Extension, ...] = ()

    def encode(self, profile: WireProfile = DRAFT_02) -> bytes:
        """The UDP payload; an authenticator is written as it stands, not computed.

        :raises Malformed: if a value does not fit its field.
        """
        fixed = pack(
            _REPLY,
            MessageType.REGISTRATION_REPLY,
            self.code,
            self.lifetime,
            int(self.home_address),
            int(self.home_agent),
            self.identification,
        )
        return fixed + b"".join([encode_extension(item, profile) for item in self.extensions])


def decode_registration(
    payload: bytes, profile: WireProfile = DRAFT_02
) -> RegistrationRequest | RegistrationReply:
    """Read a UDP payload of port 434.

    :raises Truncated: if the payload ends too early.
    :raises UnknownExtension: for an unrecognised extension below 128.
    :raises Malformed: ``unexpected-message-type`` if it is another message.
    """
    if not payload:
        raise Truncated("no octets")
    message_type = payload[0]
    if message_type == MessageType.REGISTRATION_REQUEST:
        if len(payload) < _REQUEST.size:
            raise Truncated(f"{len(payload)} octets, a request has {_REQUEST.size}")
        _, flags, lifetime, home_address, home_agent, care_of_address, identification = _REQUEST.unpack_from(
            payload
        )
        return RegistrationRequest(
            _FLAGS[flags],
            lifetime,
            IPv4Address(home_address),
            IPv4Address(home_agent),
            IPv4Address(care_of_address),
            identification,
            parse_extensions(payload, _REQUEST.size, profile),
        )
    if message_type == MessageType.REGISTRATION_REPLY:
        if len(payload) < _REPLY.size:
            raise Truncated(f"{len(payload)} octets, a reply has {_REPLY.size}")
        _, code, lifetime, home_address, home_agent, identification = _REPLY.unpack_from(payload)
        return RegistrationReply(
            code,
            lifetime,
            IPv4Address(home_address),
            IPv4Address(home_agent),
            identification,
            parse_extensions(payload, _REPLY.size, profile),
        )
    raise Malformed("unexpected-message-type", f"type {message_type}")
