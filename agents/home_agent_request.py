# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Registration Request contains, as the home agent reads it, and whether it is well formed.

Only what stands before the first Mobile-Home Authentication comes from the mobile node for sure;
all behind it may have been added by a foreign agent, or by anybody (RFC 5944 §3.6.1.3, §3.7.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.requests import FLAG_D, DeniedError, is_unicast
from agents.wire import (
    Authentication,
    AuthenticationType,
    Extension,
    ForeignAgentError,
    GreKey,
    MobileNodeNai,
    MultipleTunnelRequest,
    Recognised,
    RegistrationRequest,
    ReplyCode,
    UdpTunnelReply,
    UdpTunnelRequest,
    Unusable,
    VendorExtension,
    WireProfile,
)

_MOBILE_NETWORK = 148


@dataclass(slots=True)
class Contents:
    """The extensions of one request, sorted by meaning."""

    mobile_home: list[Authentication] = field(default_factory=list)
    foreign_home: list[Authentication] = field(default_factory=list)
    multiple_tunnels: MultipleTunnelRequest | None = None
    """The first one before the Mobile-Home Authentication."""
    udp_tunnel: UdpTunnelRequest | None = None
    udp_from_foreign_agent: bool = False
    gre_key: GreKey | None = None
    gre_key_from_foreign_agent: bool = False
    nai: MobileNodeNai | None = None
    mobile_networks: bool = False
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Reply code and reason of what is wrong with the extensions, in wire order."""

    @property
    def binding_id(self) -> int | None:
        """The Binding-Id asked for; None without the extension (FACTS G8)."""
        return None if self.multiple_tunnels is None else self.multiple_tunnels.binding_id


def sort_extensions(request: RegistrationRequest, profile: WireProfile) -> Contents:
    """Read the extensions once; faults are collected, to be raised when their turn comes."""
    contents = Contents()
    for extension in request.extensions:
        kind = type(extension)
        if kind is Authentication:
            _sort_authentication(extension, contents)  # type: ignore[arg-type]
        elif kind is MultipleTunnelRequest:
            _sort_multiple_tunnels(extension, contents)  # type: ignore[arg-type]
        else:
            _sort_other(extension, contents, profile)
    return contents


def _sort_authentication(extension: Authentication, contents: Contents) -> None:
    if extension.type is AuthenticationType.MOBILE_HOME:
        contents.mobile_home.append(extension)
    elif extension.type is AuthenticationType.FOREIGN_HOME:
        contents.foreign_home.append(extension)


def _sort_multiple_tunnels(extension: MultipleTunnelRequest, contents: Contents) -> None:
    if contents.mobile_home:
        contents.faults.append(
            (ReplyCode.HA_POORLY_FORMED_REQUEST, "multiple-tunnel-request-unprotected")
        )  # G10, G11
    elif contents.multiple_tunnels is not None:
        contents.faults.append((ReplyCode.HA_POORLY_FORMED_REQUEST, "multiple-tunnel-request-repeated"))  # G9
    else:
        contents.multiple_tunnels = extension
        if extension.bulk and extension.overwrite:
            contents.faults.append((ReplyCode.HA_POORLY_FORMED_REQUEST, "bulk-and-overwrite"))  # G20


def _sort_other(extension: Extension, contents: Contents, profile: WireProfile) -> None:
    behind = bool(contents.mobile_home)
    match extension:
        case UdpTunnelRequest():
            if contents.udp_tunnel is None:
                contents.udp_tunnel = extension
                contents.udp_from_foreign_agent = behind
            else:
                contents.faults.append((ReplyCode.HA_POORLY_FORMED_REQUEST, "udp-tunnel-request-repeated"))
        case GreKey():
            contents.gre_key = extension
            contents.gre_key_from_foreign_agent = behind
        case MobileNodeNai() if not behind:
            contents.nai = extension
        case Recognised(type=type) if type == _MOBILE_NETWORK and not behind:
            contents.mobile_networks = True
        case VendorExtension(critical=True):
            # Answered, not passed over in silence: the type is known, the content is not (RFC 3115 §2.3).
            code = (
                ReplyCode.HA_UNKNOWN_CVSE_FROM_FOREIGN_AGENT
                if behind
                else ReplyCode.HA_UNKNOWN_CVSE_FROM_MOBILE_NODE
            )
            contents.faults.append((code, "unknown-critical-vendor-extension"))
        case UdpTunnelReply() | ForeignAgentError():
            contents.faults.append((ReplyCode.HA_POORLY_FORMED_REQUEST, "reply-extension-in-request"))
        case Unusable(type=type, reason=reason) if type < 128:
            # A skippable one with a bad content is passed over, as if it were not understood.
            who = "multiple-tunnel-request" if type == profile.multiple_tunnel_request else "extension"
            contents.faults.append((ReplyCode.HA_POORLY_FORMED_REQUEST, f"{who}-{reason}"))  # G1, G6


def check_format(request: RegistrationRequest, contents: Contents) -> None:
    """Steps 5 and 6 of the decision order (FACTS §23).

    :raises DeniedError: 134, or 140 or 141 for a critical vendor extension.
    """
    if contents.faults:
        raise DeniedError(*contents.faults[0])
    if request.lifetime:
        if request.care_of_address == request.home_address:
            raise DeniedError(ReplyCode.HA_POORLY_FORMED_REQUEST, "care-of-address-is-home-address")  # G32
        if not is_unicast(request.care_of_address):
            raise DeniedError(ReplyCode.HA_POORLY_FORMED_REQUEST, "care-of-address-not-unicast")
    if contents.udp_tunnel is not None:
        # The mobile node asks only for itself, a foreign agent only for itself (RFC 3519 §4.6.1).
        co_located = bool(int(request.flags) & FLAG_D)
        if contents.udp_from_foreign_agent and co_located:
            raise DeniedError(ReplyCode.HA_POORLY_FORMED_REQUEST, "udp-tunnel-request-by-foreign-agent")
        if not contents.udp_from_foreign_agent and not co_located:
            raise DeniedError(ReplyCode.HA_POORLY_FORMED_REQUEST, "udp-tunnel-request-not-co-located")
