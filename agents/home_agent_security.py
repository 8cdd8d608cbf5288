# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobility security associations of the home agent: who sent a request, and signing the reply.

RFC 5944 §3.8.2.1 (a), (c), (d) and §3.8.3.3; FACTS §3 and §8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.associations import Peer, authenticated
from agents.home_agent_request import Contents
from agents.requests import FLAG_D, DeniedError, DiscardedError
from agents.settings import ForeignAgentEntry, SecurityAssociation
from agents.wire import (
    AuthenticationType,
    Extension,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    WireProfile,
    encode_extension,
)


@dataclass(slots=True)
class Signers:
    """With what the reply to one request is authenticated."""

    mobile_home: SecurityAssociation
    foreign_home: SecurityAssociation | None = None


class ForeignAgents:
    """The foreign agents with which there is a mobility security association."""

    def __init__(self, entries: Iterable[ForeignAgentEntry]) -> None:
        self._peers = {entry.address: Peer(entry.security_association) for entry in entries}

    def find(self, request: RegistrationRequest, source: IPv4Address) -> Peer | None:
        """The foreign agent that relayed the request, if it has an association.

        By the IP source (RFC 5944 §3.5.4), or, where a NAT has changed that, by the care-of address,
        which is the foreign agent's own unless the D flag is set.
        """
        if not self._peers:
            return None
        peer = self._peers.get(source)
        if peer is None and not int(request.flags) & FLAG_D:
            peer = self._peers.get(request.care_of_address)
        return peer


def authenticate_mobile_node(payload: bytes, contents: Contents, peer: Peer) -> SecurityAssociation | None:
    """The context of the first Mobile-Home Authentication if every one is genuine, else None.

    :raises DiscardedError: there is none (RFC 5944 §3.8.2.1 a).
    """
    if not contents.mobile_home:
        raise DiscardedError("no-mobile-home-authentication")
    first: SecurityAssociation | None = None
    for extension in contents.mobile_home:
        context = peer.verify(payload, extension)
        if context is None:
            return None
        first = first or context
    return first


def authenticate_foreign_agent(
    payload: bytes, request: RegistrationRequest, contents: Contents, agent: Peer | None
) -> SecurityAssociation | None:
    """Check the Foreign-Home Authentication (RFC 5944 §3.8.2.1 c, d).

    It is required of an agent with an association, but not in what such an agent must not sign:
    a deregistration, or a co-located care-of address it does not advertise (§3.5.4).

    :return: the context of a genuine one, else None.
    :raises DeniedError: 132.
    :raises DiscardedError: there is one, but no association to check it with.
    """
    if agent is None:
        if contents.foreign_home:
            raise DiscardedError("foreign-home-authentication-without-association")
        return None
    if not request.lifetime:
        return None
    if len(contents.foreign_home) > 1:
        raise DeniedError(
            ReplyCode.HA_FOREIGN_AGENT_FAILED_AUTHENTICATION, "foreign-home-authentication-repeated"
        )
    if not contents.foreign_home:
        if int(request.flags) & FLAG_D:
            return None
        raise DeniedError(ReplyCode.HA_FOREIGN_AGENT_FAILED_AUTHENTICATION, "no-foreign-home-authentication")
    context = agent.verify(payload, contents.foreign_home[0])
    if context is None:
        raise DeniedError(ReplyCode.HA_FOREIGN_AGENT_FAILED_AUTHENTICATION, "bad-foreign-home-authenticator")
    return context


def sign(
    reply: RegistrationReply,
    for_foreign_agent: tuple[Extension, ...],
    signers: Signers,
    profile: WireProfile,
) -> bytes:
    """Encode a reply in the order of RFC 5944 §3.8.3.3.

    :param for_foreign_agent: extensions that only the foreign agent uses.
    """
    payload = authenticated(reply.encode(profile), AuthenticationType.MOBILE_HOME, signers.mobile_home)
    for extension in for_foreign_agent:
        payload += encode_extension(extension, profile)
    if signers.foreign_home is None:
        return payload
    return authenticated(payload, AuthenticationType.FOREIGN_HOME, signers.foreign_home)
