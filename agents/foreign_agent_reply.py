# SPDX-License-Identifier: GPL-2.0-or-later
"""What a home agent's reply means to the foreign agent, and the octets that are relayed.

RFC 5944 §3.7.3, RFC 4636 §6, RFC 3519 §4.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.effects import MOBILE_IP_PORT, Encapsulation, Instant, Tunnel
from agents.foreign_agent_pending import Pending
from agents.foreign_agent_request import encapsulation_of, end_of_protection
from agents.lifetimes import expiry
from agents.requests import FLAG_D, FLAG_S, FLAG_T, DeniedError
from agents.settings import DeliveryStyle, ForeignAgentSettings
from agents.visitors import Visitor, VisitorList
from agents.wire import (
    Authentication,
    AuthenticationType,
    ForeignAgentError,
    GreKey,
    RegistrationReply,
    ReplyCode,
    UdpTunnelReply,
    VendorExtension,
)

_ACCEPTED = (ReplyCode.ACCEPTED, ReplyCode.ACCEPTED_NO_SIMULTANEOUS_BINDINGS)
_FIRST_DECLINING_CODE = 64
_DEFAULT_KEEPALIVE = 110
_MINIMUM_KEEPALIVE = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that matches a pending request."""

    payload: bytes
    reply: RegistrationReply
    protected: int
    """Octets up to the end of the last Mobile-Home Authentication; 0: there is none."""

    @property
    def accepted(self) -> bool:
        """The home agent has done what it was asked."""
        return self.reply.code in _ACCEPTED

    def relayed(self, objection: int | None = None) -> bytes:
        """What goes on to the mobile node, before our own authentication.

        :param objection: why we do not honour the reply (RFC 4636).
        """
        octets = self.payload[: self.protected]
        return octets if objection is None else octets + ForeignAgentError(objection).encode()


def answer_of(payload: bytes, reply: RegistrationReply) -> Answer:
    """A decoded reply with its octets."""
    return Answer(payload, reply, end_of_protection(reply))


def check_reply(answer: Answer, pending: Pending) -> None:
    """Whether the reply may be believed (RFC 5944 §3.7.3.1).

    :raises DeniedError: 68, 71 or 101: why the registration cannot be honoured.
    """
    reply = answer.reply
    if pending.home_agent is not None:
        code = ReplyCode.FA_HOME_AGENT_FAILED_AUTHENTICATION
        found = [
            extension
            for extension in reply.extensions
            if isinstance(extension, Authentication) and extension.type is AuthenticationType.FOREIGN_HOME
        ]
        if len(found) != 1:
            raise DeniedError(code, "foreign-home-authentication-not-once")
        if found[0].covered < answer.protected:
            raise DeniedError(code, "foreign-home-authentication-misplaced")
        if pending.home_agent.verify(answer.payload, found[0]) is None:
            raise DeniedError(code, "bad-foreign-home-authenticator")
    if not answer.protected:
        raise DeniedError(ReplyCode.FA_POORLY_FORMED_REPLY, "no-mobile-home-authentication")
    if answer.accepted and reply.home_agent != pending.request.home_agent:
        # An acceptance repeats the address (RFC 5944 §3.8.3.2); the tunnel would go elsewhere.
        raise DeniedError(ReplyCode.FA_POORLY_FORMED_REPLY, "home-agent-differs")
    if any(isinstance(extension, VendorExtension) and extension.critical for extension in reply.extensions):
        raise DeniedError(ReplyCode.FA_UNKNOWN_CVSE_FROM_HOME_AGENT, "unknown-critical-vendor-extension")


def _udp_reply(answer: Answer, pending: Pending) -> UdpTunnelReply | None:
    """The assent to our own UDP Tunnel Request."""
    if pending.udp_asked:
        for extension in answer.reply.extensions:
            if isinstance(extension, UdpTunnelReply) and extension.code < _FIRST_DECLINING_CODE:
                return extension
    return None


def new_visitor(
    answer: Answer, pending: Pending, previous: Visitor | None, settings: ForeignAgentSettings, now: Instant
) -> Visitor:
    """The entry that an acceptance makes of a pending part."""
    request, asked = pending.request, pending.asked
    flags = int(request.flags)
    udp = _udp_reply(answer, pending)
    tunnel = None if flags & FLAG_D else _tunnel(answer, pending, udp is not None)
    keepalive = None
    if udp is not None:
        keepalive = max(settings.udp_keepalive or udp.keepalive or _DEFAULT_KEEPALIVE, _MINIMUM_KEEPALIVE)
    lifetime = min(answer.reply.lifetime, request.lifetime)  # and that was within our own maximum
    multiple = asked.multiple_tunnels
    announced = None if multiple is None else multiple.bandwidth_kbytes or None
    bandwidth = announced
    if previous is not None and previous.announced_kbytes == announced:
        bandwidth = previous.bandwidth_kbytes
    return Visitor(
        key=pending.visitor,
        attachment=pending.attachment,
        home_agent=request.home_agent,
        care_of_address=request.care_of_address,
        identification=request.identification,
        requested_lifetime=request.lifetime,
        lifetime=lifetime,
        expires=expiry(lifetime, now.monotonic),
        since=now.unix if previous is None else previous.since,
        tunnel=tunnel,
        reverse_tunnel=bool(flags & FLAG_T),
        delivery=encapsulation_of(request, asked) if asked.delivery is DeliveryStyle.ENCAPSULATING else None,
        keepalive=keepalive,
        access_technology=None if multiple is None else multiple.access_technology,
        announced_kbytes=announced,
        bandwidth_kbytes=bandwidth,
    )


def _tunnel(answer: Answer, pending: Pending, udp: bool) -> Tunnel:
    local, remote = pending.request.care_of_address, pending.request.home_agent
    if udp:
        return Tunnel(Encapsulation.UDP, local, remote, local_port=MOBILE_IP_PORT, remote_port=MOBILE_IP_PORT)
    encapsulation = encapsulation_of(pending.request, pending.asked)
    assert encapsulation is not None  # checked before the request was relayed
    keys = [extension.key for extension in answer.reply.extensions if isinstance(extension, GreKey)]
    key = keys[0] if keys and encapsulation is Encapsulation.GRE else None
    return Tunnel(encapsulation, local, remote, key=key)


def registered(answer: Answer, pending: Pending, visitors: VisitorList, new: Visitor) -> VisitorList:
    """The mobile node's entries once the home agent has accepted a registration.

    Entries here whose bindings it has replaced with it are dead and go too; those at other foreign
    agents run out (FACTS G40).
    """
    multiple = pending.asked.multiple_tunnels
    asked_alone = multiple.overwrite if multiple is not None else not int(pending.request.flags) & FLAG_S
    alone = asked_alone or answer.reply.code == ReplyCode.ACCEPTED_NO_SIMULTANEOUS_BINDINGS  # G13
    kept = {
        key: visitor
        for key, visitor in visitors.items()
        if not alone and key != new.key and (multiple is None or key.binding_id is not None)  # G16
    }
    return {**kept, new.key: new}


def deregistered(pending: Pending, visitors: VisitorList) -> VisitorList:
    """The mobile node's entries once the home agent has accepted a deregistration.

    All, or the one with the Binding-Id by whichever interface the request came (FACTS G50), or without
    the extension those of the care-of address. Only those of the home agent that was asked.
    """
    request, multiple = pending.request, pending.asked.multiple_tunnels
    everything = request.care_of_address == request.home_address or (multiple is not None and multiple.bulk)

    def ends(visitor: Visitor) -> bool:
        if visitor.home_agent != request.home_agent:
            return False
        if everything:
            return True
        if multiple is not None:
            return visitor.key.binding_id == multiple.binding_id
        return visitor.care_of_address == request.care_of_address

    return {key: visitor for key, visitor in visitors.items() if not ends(visitor)}
