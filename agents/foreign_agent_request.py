# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Registration Request asks of the foreign agent, and whether the agent can give it.

The validity checks of RFC 5944 §3.7.2.1 and RFC 3024 §4.2.1 that need nothing but the request and the
settings. They change nothing. A deregistration is relayed if it is genuine and well formed, whatever it
would ask for otherwise (RFC 5944 §3.7, FACTS G18).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from agents.associations import Peer
from agents.effects import Datagram, Encapsulation
from agents.requests import FLAG_D, FLAG_G, FLAG_M, FLAG_T, DeniedError, is_unicast
from agents.settings import DeliveryStyle, ForeignAgentSettings
from agents.wire import (
    Authentication,
    AuthenticationType,
    EncapsulatingDeliveryStyle,
    GreKey,
    MultipleTunnelRequest,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    Unusable,
    VendorExtension,
)

ALL_MOBILITY_AGENTS = IPv4Address("224.0.0.11")
_UNSPECIFIED = IPv4Address(0)
_TTL = 255


@dataclass(slots=True)
class Asked:
    """The extensions of a request that matter to the foreign agent."""

    protected: int = 0
    """Octets up to the end of the last Mobile-Home Authentication, which are relayed as they are."""
    multiple_tunnels: MultipleTunnelRequest | None = None
    """The first one that is protected; any other one is not for the foreign agent to judge (G9, G10)."""
    malformed: str | None = None
    """What is wrong with a protected Multiple Tunnel Request, if anything is."""
    gre_key: bool = False
    mobile_foreign: list[Authentication] = field(default_factory=list)
    delivery: DeliveryStyle | None = DeliveryStyle.DIRECT
    """None: a style unknown here."""
    critical_vendor: bool = False

    @property
    def binding_id(self) -> int | None:
        """The Binding-Id asked for; None without the extension (FACTS G8)."""
        return None if self.multiple_tunnels is None else self.multiple_tunnels.binding_id


def end_of_protection(message: RegistrationRequest | RegistrationReply) -> int:
    """Octets up to the end of the last Mobile-Home Authentication; 0 if there is none."""
    return max(
        (
            extension.covered + len(extension.authenticator)
            for extension in message.extensions
            if isinstance(extension, Authentication) and extension.type is AuthenticationType.MOBILE_HOME
        ),
        default=0,
    )


def read(request: RegistrationRequest, multiple_tunnel_type: int) -> Asked:
    """Sort the extensions by meaning, once.

    Those behind the Mobile-Home Authentication are for the foreign agent, as far as a Mobile-Foreign
    Authentication protects them if there is one (RFC 5944 §3.6.1.3).
    """
    asked = Asked(protected=end_of_protection(request))
    behind = False
    for extension in request.extensions:
        match extension:
            case Authentication(type=AuthenticationType.MOBILE_HOME):
                behind = True
            case Authentication(type=AuthenticationType.MOBILE_FOREIGN):
                asked.mobile_foreign.append(extension)
            case MultipleTunnelRequest() if not behind and asked.multiple_tunnels is None:
                asked.multiple_tunnels = extension
            case Unusable(type=kind, reason=reason) if kind == multiple_tunnel_type and not behind:
                asked.malformed = asked.malformed or reason
            case GreKey() if not behind:
                asked.gre_key = True
            case EncapsulatingDeliveryStyle() if behind and not asked.mobile_foreign:
                asked.delivery = DeliveryStyle.ENCAPSULATING
            case Unusable(type=EncapsulatingDeliveryStyle.TYPE) if behind and not asked.mobile_foreign:
                asked.delivery = None
            case VendorExtension(critical=True):
                asked.critical_vendor = True
            case _:
                pass
    return asked


def encapsulation_of(request: RegistrationRequest, asked: Asked) -> Encapsulation | None:
    """The encapsulation asked for; None: two at once, of which the reply would not tell the chosen."""
    flags = int(request.flags)
    gre = bool(flags & FLAG_G) or asked.gre_key  # RFC 6245 §4.2
    if gre and flags & FLAG_M:
        return None
    return Encapsulation.GRE if gre else Encapsulation.MINIMAL if flags & FLAG_M else Encapsulation.IPIP


class RequestCheck:
    """The checks of one foreign agent."""

    def __init__(self, settings: ForeignAgentSettings, own: Collection[IPv4Address]) -> None:
        self._settings = settings
        self._own = own
        self._denied_code = settings.profile.denied_by_foreign_agent
        default = "required" if settings.behind_nat else "optional"
        self.reverse_tunnel = settings.reverse_tunnel or default

    def authenticate(self, payload: bytes, asked: Asked, peer: Peer | None) -> None:
        """Check the Mobile-Foreign Authentication if there is an association (RFC 5944 §3.7.2.1).

        :raises DeniedError: 67.
        """
        if peer is None:
            return
        code = ReplyCode.FA_MOBILE_NODE_FAILED_AUTHENTICATION
        if len(asked.mobile_foreign) != 1:
            raise DeniedError(code, "mobile-foreign-authentication-not-once")
        if asked.mobile_foreign[0].covered < asked.protected:
            raise DeniedError(code, "mobile-foreign-authentication-misplaced")
        if peer.verify(payload, asked.mobile_foreign[0]) is None:
            raise DeniedError(code, "bad-mobile-foreign-authenticator")

    def check_format(self, request: RegistrationRequest, asked: Asked) -> None:
        """What every request must be, a deregistration too.

        :raises DeniedError: 65, 70, 90, 96, 100 or 116.
        """
        if request.home_address == _UNSPECIFIED:
            raise DeniedError(ReplyCode.FA_NONZERO_HOME_ADDRESS_REQUIRED, "no-home-address")
        if request.home_agent == _UNSPECIFIED:
            raise DeniedError(ReplyCode.FA_NONZERO_HOME_AGENT_REQUIRED, "no-home-agent")
        for address, word in ((request.home_address, "home-address"), (request.home_agent, "home-agent")):
            if not is_unicast(address):
                raise DeniedError(ReplyCode.FA_POORLY_FORMED_REQUEST, f"{word}-not-unicast")
        if not asked.protected:
            raise DeniedError(ReplyCode.FA_POORLY_FORMED_REQUEST, "no-mobile-home-authentication")
        if asked.critical_vendor:
            raise DeniedError(ReplyCode.FA_UNKNOWN_CVSE_FROM_MOBILE_NODE, "unknown-critical-vendor-extension")
        if request.home_agent in self._own:
            raise DeniedError(ReplyCode.FA_INVALID_HOME_AGENT_ADDRESS, "home-agent-is-this-agent")
        if request.home_address in self._own or request.home_address == request.home_agent:
            # Its packets would be led to a visitor, with all that depends on them.
            raise DeniedError(ReplyCode.FA_ADMINISTRATIVELY_PROHIBITED, "home-address-of-an-agent")

    def check_service(
        self, request: RegistrationRequest, asked: Asked, datagram: Datagram, multiple_tunnels: bool
    ) -> None:
        """What a registration asks for.

        :param multiple_tunnels: EnableMultipleTunnelSupport (draft §5.2).
        :raises DeniedError: 69, 70, 72, 74, 75, 76, 77, 79 or the draft's own.
        """
        flags = int(request.flags)
        if asked.malformed is not None:
            raise DeniedError(
                ReplyCode.FA_POORLY_FORMED_REQUEST, f"multiple-tunnel-request-{asked.malformed}"
            )  # G1, G6
        if asked.delivery is not DeliveryStyle.DIRECT and not flags & FLAG_T:
            raise DeniedError(
                ReplyCode.FA_POORLY_FORMED_REQUEST, "delivery-style-without-reverse-tunnel"
            )  # RFC 3024 §3.3
        if asked.multiple_tunnels is not None and not multiple_tunnels:
            raise DeniedError(self._denied_code, "multiple-tunnels-disabled")
        ours = request.care_of_address in self._settings.care_of_addresses
        if ours == bool(flags & FLAG_D):
            # Not ours and without D, or ours with D: no tunnel to it could end where it should.
            raise DeniedError(ReplyCode.FA_INVALID_CARE_OF_ADDRESS, "care-of-address-not-offered")
        if request.lifetime > self._settings.maximum_lifetime:
            raise DeniedError(ReplyCode.FA_LIFETIME_TOO_LONG, "lifetime-too-long")
        if not flags & FLAG_D:
            self._check_tunnel(request, asked)
        if flags & FLAG_T and datagram.ttl != _TTL and datagram.destination != ALL_MOBILITY_AGENTS:
            raise DeniedError(ReplyCode.FA_MOBILE_NODE_TOO_DISTANT, "mobile-node-too-distant")  # §24.5
        if flags & FLAG_T and not flags & FLAG_D and self.reverse_tunnel == "forbidden":
            raise DeniedError(ReplyCode.FA_REVERSE_TUNNEL_UNAVAILABLE, "reverse-tunnel-forbidden")

    def _check_tunnel(self, request: RegistrationRequest, asked: Asked) -> None:
        """Whether the foreign agent can be the end of this tunnel, in the order of RFC 3024 §4.2.1."""
        if encapsulation_of(request, asked) not in self._settings.encapsulations:
            raise DeniedError(ReplyCode.FA_ENCAPSULATION_UNAVAILABLE, "encapsulation-unavailable")
        if asked.delivery not in self._settings.delivery_styles:
            raise DeniedError(ReplyCode.FA_DELIVERY_STYLE_NOT_SUPPORTED, "delivery-style-not-supported")
        if self.reverse_tunnel == "required" and not int(request.flags) & FLAG_T:
            raise DeniedError(ReplyCode.FA_REVERSE_TUNNEL_MANDATORY, "reverse-tunnel-required")
