# SPDX-License-Identifier: GPL-2.0-or-later
"""From octets to extensions (RFC 5944 §1.8 to §1.11).

Every recognised type has one reader, which gets the data behind the header and gives an extension.
Nothing on the wire tells the long format from the others, so the types that use it are known here.
Two of them, 139 and 154, break the rule that a skippable extension never uses it: a receiver that
does not know them would read the Sub-Type as the Length and lose its way (FACTS §16).

The non-skippable types 40 to 43, 46, 47, 49 and 50 have been assigned, but no agent here can do what
they ask for, so they count as unrecognised: to accept the message would be to ignore the request.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from agents.wire.errors import Truncated, UnknownExtension
from agents.wire.extensions import (
    Authentication,
    AuthenticationType,
    Challenge,
    EncapsulatingDeliveryStyle,
    Extension,
    ForeignAgentError,
    GeneralizedAuthentication,
    GreKey,
    MessageString,
    MobileNodeNai,
    MultipleTunnelRequest,
    Padding,
    Recognised,
    RevocationSupport,
    Skipped,
    UdpTunnelReply,
    UdpTunnelRequest,
    Unusable,
    VendorExtension,
)
from agents.wire.profile import WireProfile

_SPI = struct.Struct("!I")
_MULTIPLE_TUNNEL = struct.Struct("!xBHH")
_UDP_REQUEST = struct.Struct("!BxBBH")
_UDP_REPLY = struct.Struct("!xBHH")
_REVOCATION_SUPPORT = struct.Struct("!HI")
_VENDOR = struct.Struct("!IH")
_LONG_HEADER = struct.Struct("!xBH")

_MULTIPLE_TUNNEL_LENGTHS = frozenset({10, 8, 6})
"""With an Interface Bandwidth of 32 bits, of 16, and without (FACTS G1, G2)."""
_AUTHENTICATION = {kind.value: kind for kind in AuthenticationType}
_PADDING = Padding()


def _authentication(kind: AuthenticationType, data: bytes, start: int) -> Extension:
    if len(data) < _SPI.size:
        return Unusable(kind, data, "bad-length")
    return Authentication(kind, _SPI.unpack_from(data)[0], data[4:], start + 4)


def _multiple_tunnel_request(kind: int, data: bytes) -> Extension:
    if len(data) not in _MULTIPLE_TUNNEL_LENGTHS:
        return Unusable(kind, data, "bad-length")
    if data[0]:
        return Unusable(kind, data, "bad-sub-type")
    technology, binding_id, flags = _MULTIPLE_TUNNEL.unpack_from(data)
    bandwidth = int.from_bytes(data[6:], "big") if len(data) > _MULTIPLE_TUNNEL.size else None
    return MultipleTunnelRequest(technology, binding_id, flags & 0x8000 != 0, flags & 0x4000 != 0, bandwidth)


def _udp_tunnel_request(kind: int, data: bytes) -> Extension:
    if len(data) != _UDP_REQUEST.size:
        return Unusable(kind, data, "bad-length")
    sub_type, flags, encapsulation, reserved3 = _UDP_REQUEST.unpack(data)
    if sub_type or reserved3:
        # "MUST be handled as not understood and silently skipped" (RFC 3519 §3.1.3, FACTS §24.4).
        return Skipped(kind, data)
    return UdpTunnelRequest(flags & 0x80 != 0, flags & 0x40 != 0, encapsulation)


def _udp_tunnel_reply(kind: int, data: bytes) -> Extension:
    if len(data) != _UDP_REPLY.size:
        return Unusable(kind, data, "bad-length")
    if data[0]:
        return Unusable(kind, data, "bad-sub-type")
    code, flags, keepalive = _UDP_REPLY.unpack(data)
    return UdpTunnelReply(code, flags & 0x8000 != 0, keepalive)


def _foreign_agent_error(kind: int, data: bytes) -> Extension:
    if len(data) != 2:
        return Unusable(kind, data, "bad-length")
    if data[0]:
        return Unusable(kind, data, "bad-sub-type")
    return ForeignAgentError(data[1])


def _encapsulating_delivery_style(kind: int, data: bytes) -> Extension:
    return Unusable(kind, data, "bad-length") if data else EncapsulatingDeliveryStyle()


def _message_string(kind: int, data: bytes) -> Extension:
    if not data:
        return Unusable(kind, data, "bad-length")
    return MessageString(data[0], data[1:].decode("utf-8", "replace"))


def _revocation_support(kind: int, data: bytes) -> Extension:
    # A longer one is allowed for "should more bits be required in the future" (RFC 3543 §3.2).
    if len(data) < _REVOCATION_SUPPORT.size:
        return Unusable(kind, data, "bad-length")
    flags, timestamp = _REVOCATION_SUPPORT.unpack_from(data)
    return RevocationSupport(flags & 0x8000 != 0, timestamp)


def _normal_vendor_extension(kind: int, data: bytes) -> Extension:
    if len(data) < 2 + _VENDOR.size:
        return Unusable(kind, data, "bad-length")
    vendor, vendor_type = _VENDOR.unpack_from(data, 2)
    return VendorExtension(False, vendor, vendor_type, data[2 + _VENDOR.size :])


def _critical_vendor_extension(kind: int, data: bytes, reserved: int) -> Extension:
    if len(data) < _VENDOR.size:
        return Unusable(kind, data, "bad-length", reserved)
    vendor, vendor_type = _VENDOR.unpack_from(data)
    return VendorExtension(True, vendor, vendor_type, data[_VENDOR.size :])


def _generalized_authentication(kind: int, data: bytes, sub_type: int) -> Extension:
    if len(data) < 20:
        return Unusable(kind, data, "bad-length", sub_type)
    return GeneralizedAuthentication(sub_type, _SPI.unpack_from(data)[0], data[4:])


def _gre_key(kind: int, data: bytes, sub_type: int) -> Extension:
    if sub_type:
        return Unusable(kind, data, "bad-sub-type", sub_type)
    if len(data) != 4:
        return Unusable(kind, data, "bad-length", sub_type)
    return GreKey(int.from_bytes(data, "big"))


_READERS: dict[int, Callable[[int, bytes], Extension]] = {
    44: _udp_tunnel_reply,
    45: _foreign_agent_error,
    130: _encapsulating_delivery_style,
    131: lambda _, data: MobileNodeNai(data),
    132: lambda _, data: Challenge(data),
    134: _normal_vendor_extension,
    136: Recognised,  # NAI Carrying, RFC 3846
    137: _revocation_support,
    144: _udp_tunnel_request,
    145: _message_string,
    148: Recognised,  # Mobile Network, RFC 5177
}

_NON_SKIPPABLE = frozenset(_AUTHENTICATION) | frozenset(kind for kind in _READERS if kind < 128)
"""With an 8-bit Length, besides the profile's Multiple Tunnel Request."""

_LONG_READERS: dict[int, Callable[[int, bytes, int], Extension]] = {
    36: _generalized_authentication,
    38: _critical_vendor_extension,
    48: _gre_key,
    139: Recognised,  # Dynamic Home Agent, RFC 4433
    154: Recognised,  # Multipath and Flow-Binding, RFC 7629
}

_LONG_LENGTHS = {
    139: {1: range(4, 5), 2: range(4, 5)},
    154: {1: range(4, 5), 2: range(4, 0x10000)},
}
"""Of the skippable types in the long format, by Sub-Type: the Lengths their RFCs allow."""


def _is_long(payload: bytes, offset: int, kind: int) -> bool:
    if kind < 128:
        return True
    if len(payload) < offset + _LONG_HEADER.size:
        return False
    sub_type, length = _LONG_HEADER.unpack_from(payload, offset)
    allowed = _LONG_LENGTHS[kind].get(sub_type, ())
    return length in allowed and offset + _LONG_HEADER.size + length <= len(payload)


def parse_extensions(payload: bytes, offset: int, profile: WireProfile) -> tuple[Extension, ...]:
    """Read extensions from ``offset`` to the end of a UDP payload, in time linear in its length.

    :raises UnknownExtension: for an unrecognised type below 128; the message is to be discarded.
    :raises Truncated: if the payload ends inside an extension.
    """
    multiple_tunnel_request = profile.multiple_tunnel_request
    end = len(payload)
    extensions: list[Extension] = []
    while offset < end:
        kind = payload[offset]
        if kind == 0:
            extensions.append(_PADDING)
            offset += 1
            continue
        if kind in _LONG_READERS and _is_long(payload, offset, kind):
            start = offset + 4
            if start > end:
                raise Truncated(f"extension {kind} has no header")
            sub_type, length = _LONG_HEADER.unpack_from(payload, offset)
            offset = start + length
            if offset > end:
                raise Truncated(f"extension {kind} has {end - start} of {length} octets")
            extensions.append(_LONG_READERS[kind](kind, payload[start:offset], sub_type))
            continue

        if kind < 128 and kind not in _NON_SKIPPABLE and kind != multiple_tunnel_request:
            raise UnknownExtension(kind)
        start = offset + 2
        if start > end:
            raise Truncated(f"extension {kind} has no header")
        length = payload[offset + 1]
        offset = start + length
        if offset > end:
            raise Truncated(f"extension {kind} has {end - start} of {length} octets")
        data = payload[start:offset]
        if kind == multiple_tunnel_request:
            extensions.append(_multiple_tunnel_request(kind, data))
        elif kind in _AUTHENTICATION:
            extensions.append(_authentication(_AUTHENTICATION[kind], data, start))
        else:
            extensions.append(_READERS.get(kind, Skipped)(kind, data))
    return tuple(extensions)
