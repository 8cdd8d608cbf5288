# SPDX-License-Identifier: GPL-2.0-or-later
"""The extensions of registration messages, one value class each.

``encode`` gives the complete extension. Reserved bits are ignored when read and zero when written.
A value that does not fit its field raises :class:`Malformed` when it is encoded, not before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from agents.wire.framing import long_extension, pack, tlv
from agents.wire.profile import DRAFT_02, WireProfile

_SPI = struct.Struct("!I")
_MULTIPLE_TUNNEL_SHORT = struct.Struct("!BBHH")
_MULTIPLE_TUNNEL = struct.Struct("!BBHHI")
_UDP_REQUEST = struct.Struct("!BBBBH")
_UDP_REPLY = struct.Struct("!BBHH")
_SUB_TYPE = struct.Struct("!B")
_SUB_TYPE_AND_STATUS = struct.Struct("!BB")
_GRE_KEY = struct.Struct("!I")
_REVOCATION_SUPPORT = struct.Struct("!HI")
_VENDOR = struct.Struct("!IH")


class AuthenticationType(IntEnum):
    """Between whom an authentication extension holds (RFC 5944 §3.5.2 to §3.5.4)."""

    MOBILE_HOME = 32
    MOBILE_FOREIGN = 33
    FOREIGN_HOME = 34


@dataclass(frozen=True, slots=True)
class Authentication:
    """Mobile-Home, Mobile-Foreign or Foreign-Home Authentication (RFC 5944 §3.5)."""

    type: AuthenticationType
    spi: int
    authenticator: bytes
    covered: int = field(default=0, compare=False)
    """Octets of the payload that the authenticator protects: all before it. Set by the decoder; the
    extension ends at ``covered + len(authenticator)``."""

    def encode(self) -> bytes:
        """The extension with the authenticator as it is."""
        return tlv(self.type, pack(_SPI, self.spi) + self.authenticator)


@dataclass(frozen=True, slots=True)
class MultipleTunnelRequest:
    """One of the mobile node's bindings and the interface behind it (draft §4.1, FACTS §15)."""

    access_technology: int
    """If-Type, a number of RFC 5213's registry (FACTS G5)."""
    binding_id: int
    bulk: bool
    """B: renew all bindings."""
    overwrite: bool
    """O: replace all other bindings."""
    bandwidth_kbytes: int | None
    """Interface Bandwidth, kilobytes per second (FACTS G3). 0: unknown; None: not in the message."""
    sub_type: int = 0
    """Anything else decodes as :class:`Unusable` (FACTS G6)."""

    def encode(self, profile: WireProfile = DRAFT_02) -> bytes:
        """Type and Length as the profile says; with Length 6 the bandwidth is left out (FACTS G1)."""
        fields = (
            self.sub_type,
            self.access_technology,
            self.binding_id,
            self.bulk << 15 | self.overwrite << 14,
        )
        if profile.request_length == _MULTIPLE_TUNNEL_SHORT.size:
            data = pack(_MULTIPLE_TUNNEL_SHORT, *fields)
        else:
            data = pack(_MULTIPLE_TUNNEL, *fields, self.bandwidth_kbytes or 0)
        return tlv(profile.multiple_tunnel_request, data)


@dataclass(frozen=True, slots=True)
class UdpTunnelRequest:
    """The sender asks for tunnelling in UDP (RFC 3519 §3.1)."""

    TYPE: ClassVar[int] = 144

    force: bool
    """F: even if there is no NAT."""
    registration_required: bool
    """R: co-located, but registering through a foreign agent that insists."""
    encapsulation: int
    """0 as the M and G flags say, 4 IP in IP, 47 GRE, 55 minimal."""
    sub_type: int = 0
    reserved3: int = 0
    """With this or ``sub_type`` not 0 the extension decodes as :class:`Skipped` (RFC 3519 §3.1.3)."""

    def encode(self) -> bytes:
        """The extension."""
        flags = self.force << 7 | self.registration_required << 6
        return tlv(self.TYPE, pack(_UDP_REQUEST, self.sub_type, 0, flags, self.encapsulation, self.reserved3))


@dataclass(frozen=True, slots=True)
class UdpTunnelReply:
    """The home agent's answer to :class:`UdpTunnelRequest` (RFC 3519 §3.2)."""

    TYPE: ClassVar[int] = 44

    code: int
    """0 to 63: will tunnel; 64 to 255: will not."""
    force: bool
    """F: tunnelling only because the request forced it."""
    keepalive: int
    """Seconds; 0 leaves it to the mobile node."""
    sub_type: int = 0
    """Anything else decodes as :class:`Unusable`."""

    def encode(self) -> bytes:
        """The extension."""
        return tlv(self.TYPE, pack(_UDP_REPLY, self.sub_type, self.code, self.force << 15, self.keepalive))


@dataclass(frozen=True, slots=True)
class EncapsulatingDeliveryStyle:
    """The mobile node will tunnel to its foreign agent (RFC 3024 §3.3)."""

    TYPE: ClassVar[int] = 130

    def encode(self) -> bytes:
        """The extension."""
        return tlv(self.TYPE, b"")


@dataclass(frozen=True, slots=True)
class MobileNodeNai:
    """The mobile node's Network Access Identifier (RFC 2794 §2)."""

    TYPE: ClassVar[int] = 131

    nai: bytes

    def encode(self) -> bytes:
        """The extension."""
        return tlv(self.TYPE, self.nai)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The foreign agent's challenge, given back by the mobile node (RFC 4721 §4)."""

    TYPE: ClassVar[int] = 132

    value: bytes

    def encode(self) -> bytes:
        """The extension."""
        return tlv(self.TYPE, self.value)


@dataclass(frozen=True, slots=True)
class MessageString:
    """Text for people; it must not affect the protocol (RFC 4917 §3)."""

    TYPE: ClassVar[int] = 145

    sub_type: int
    """1 from the home agent, 2 from the foreign agent."""
    text: str
    """As received: control characters included. What is not UTF-8 reads as U+FFFD."""

    def encode(self) -> bytes:
        """The extension; at most 254 octets of text fit."""
        return tlv(self.TYPE, pack(_SUB_TYPE, self.sub_type) + self.text.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class ForeignAgentError:
    """A foreign agent's objection to a reply whose Code it may not alter (RFC 4636 §3)."""

    TYPE: ClassVar[int] = 45

    status: int
    """A reply code, 64 to 127."""

    def encode(self) -> bytes:
        """The extension."""
        return tlv(self.TYPE, pack(_SUB_TYPE_AND_STATUS, 0, self.status))


@dataclass(frozen=True, slots=True)
class GreKey:
    """The key for the GRE packets of this binding (RFC 6245 §5)."""

    TYPE: ClassVar[int] = 48

    key: int

    def encode(self) -> bytes:
        """The extension."""
        return long_extension(self.TYPE, 0, pack(_GRE_KEY, self.key))


@dataclass(frozen=True, slots=True)
class GeneralizedAuthentication:
    """Generalized Mobile IP Authentication, such as Mobile-AAA (RFC 4721 §5)."""

    TYPE: ClassVar[int] = 36

    sub_type: int
    """1: Mobile-AAA (§6)."""
    spi: int
    authenticator: bytes
    """At least 16 octets."""

    def encode(self) -> bytes:
        """The extension."""
        return long_extension(self.TYPE, self.sub_type, pack(_SPI, self.spi) + self.authenticator)


@dataclass(frozen=True, slots=True)
class RevocationSupport:
    """The sender wants to hear of revocations (RFC 3543 §3.2)."""

    TYPE: ClassVar[int] = 137

    inform: bool
    """I: whether the mobile node is told is negotiated."""
    timestamp: int
    """Seconds on the sender's clock, 32 bits."""

    def encode(self) -> bytes:
        """The extension."""
        return tlv(self.TYPE, pack(_REVOCATION_SUPPORT, self.inform << 15, self.timestamp))


@dataclass(frozen=True, slots=True)
class VendorExtension:
    """Critical (38) or Normal (134) Vendor/Organization Specific Extension (RFC 3115 §2).

    A critical one of an unknown vendor is answered with a code, not with silence (§2.3).
    """

    CRITICAL: ClassVar[int] = 38
    NORMAL: ClassVar[int] = 134

    critical: bool
    vendor: int
    """Private Enterprise Code of the vendor."""
    vendor_type: int
    value: bytes

    def encode(self) -> bytes:
        """The extension."""
        data = pack(_VENDOR, self.vendor, self.vendor_type) + self.value
        if self.critical:
            return long_extension(self.CRITICAL, 0, data)
        return tlv(self.NORMAL, b"\0\0" + data)


@dataclass(frozen=True, slots=True)
class Recognised:
    """An extension whose number and format are known and whose content no agent needs."""

    type: int
    data: bytes
    """All after the header; in the short format the Sub-Type is the first octet."""
    sub_type: int | None = None
    """Of the long format; None: the extension has an 8-bit Length."""

    def encode(self) -> bytes:
        """The extension in the format it came in."""
        return _encode_raw(self.type, self.sub_type, self.data)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A recognised extension with a bad content, such as a wrong Length or Sub-Type.

    The receiver decides: a Multiple Tunnel Request is answered 134 or 70 (FACTS G1, G6), a skippable
    type may be skipped.
    """

    type: int
    data: bytes
    """All after the header; in the short format the Sub-Type is the first octet."""
    reason: str
    """``bad-length``, ``bad-sub-type``."""
    sub_type: int | None = None
    """Of the long format; None: the extension has an 8-bit Length."""

    def encode(self) -> bytes:
        """The extension as it came."""
        return _encode_raw(self.type, self.sub_type, self.data)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A skippable extension (128 to 255) that is not understood (RFC 5944 §1.8)."""

    type: int
    data: bytes

    def encode(self) -> bytes:
        """The extension as it came."""
        return tlv(self.type, self.data)


@dataclass(frozen=True, slots=True)
class Padding:
    """One octet of padding, Type 0 (RFC 5944 §1.8): accepted, and encoded as nothing."""

    TYPE: ClassVar[int] = 0

    def encode(self) -> bytes:
        """No octets: common analysers lose their way at padding in a registration message."""
        return b""


Extension = (
    Authentication
    | MultipleTunnelRequest
    | UdpTunnelRequest
    | UdpTunnelReply
    | EncapsulatingDeliveryStyle
    | MobileNodeNai
    | Challenge
    | MessageString
    | ForeignAgentError
    | GreKey
    | GeneralizedAuthentication
    | RevocationSupport
    | VendorExtension
    | Recognised
    | Unusable
    | Skipped
    | Padding
)


def _encode_raw(type: int, sub_type: int | None, data: bytes) -> bytes:
    return tlv(type, data) if sub_type is None else long_extension(type, sub_type, data)


def encode_extension(extension: Extension, profile: WireProfile = DRAFT_02) -> bytes:
    """Any extension; only the Multiple Tunnel Request depends on the profile.

    :raises Malformed: ``field-out-of-range`` or ``too-long``.
    """
    if isinstance(extension, MultipleTunnelRequest):
        return extension.encode(profile)
    return extension.encode()
