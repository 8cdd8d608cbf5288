# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing Registration Requests and checking Registration Replies, as a mobile node does both.

Order of the authentications as RFC 5944 §3.6.1.3 requires, checks of a reply as in §3.6.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from agents.settings import SecurityAssociation
from agents.wire import (
    Authentication,
    AuthenticationType,
    Extension,
    ForeignAgentError,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    WireProfile,
    append,
    verify,
)

_FIRST_FOREIGN_AGENT_CODE = 64
_FIRST_HOME_AGENT_CODE = 128


class Verdict(StrEnum):
    """Who answered, and how (FACTS §9)."""

    ACCEPTED = "accepted"
    DENIED_BY_FOREIGN_AGENT = "denied-by-foreign-agent"
    DENIED_BY_HOME_AGENT = "denied-by-home-agent"


class ReplyError(ValueError):
    """A reply that must be silently discarded; ``reason`` is a counter's name."""

    def __init__(self, reason: str, security: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.security = security
        """A security exception, to be logged (RFC 5944 §3.6.2.1)."""


def sign_request(
    request: RegistrationRequest,
    profile: WireProfile,
    home: SecurityAssociation,
    foreign: SecurityAssociation | None,
) -> bytes:
    """The UDP payload: the request, Mobile-Home Authentication, and Mobile-Foreign if ``foreign``."""
    payload = append(
        request.encode(profile), AuthenticationType.MOBILE_HOME, home.spi, home.algorithm, home.key
    )
    if foreign is not None:
        payload = append(
            payload, AuthenticationType.MOBILE_FOREIGN, foreign.spi, foreign.algorithm, foreign.key
        )
    return payload


def _of_foreign_agent(code: int) -> bool:
    return _FIRST_FOREIGN_AGENT_CODE <= code < _FIRST_HOME_AGENT_CODE


def effective_code(reply: RegistrationReply) -> int:
    """The reply's code, or the objection a foreign agent added to an acceptance (RFC 4636)."""
    if reply.code < _FIRST_FOREIGN_AGENT_CODE:
        for extension in reply.extensions:
            if isinstance(extension, ForeignAgentError) and _of_foreign_agent(extension.status):
                return extension.status
    return reply.code


def check_reply(
    payload: bytes,
    reply: RegistrationReply,
    home: Sequence[SecurityAssociation],
    foreign: Sequence[SecurityAssociation],
) -> Verdict:
    """Authenticate a reply and say what it means.

    ``home`` and ``foreign`` are the associations with the home agent and with the foreign agent it
    came through; a foreign agent's denial carries no Mobile-Home Authentication.

    :raises ReplyError: if the reply must be silently discarded.
    """
    if foreign:
        _check_authentication(payload, reply, AuthenticationType.MOBILE_FOREIGN, foreign)
    if not _of_foreign_agent(reply.code):
        _check_authentication(payload, reply, AuthenticationType.MOBILE_HOME, home)
    code = effective_code(reply)
    if code in (ReplyCode.ACCEPTED, ReplyCode.ACCEPTED_NO_SIMULTANEOUS_BINDINGS):
        return Verdict.ACCEPTED
    if code >= _FIRST_HOME_AGENT_CODE:
        return Verdict.DENIED_BY_HOME_AGENT
    if _of_foreign_agent(code):
        return Verdict.DENIED_BY_FOREIGN_AGENT
    raise ReplyError("unknown-code")


def _check_authentication(
    payload: bytes,
    reply: RegistrationReply,
    kind: AuthenticationType,
    associations: Sequence[SecurityAssociation],
) -> None:
    found = [e for e in reply.extensions if isinstance(e, Authentication) and e.type == kind]
    word = "mobile-home" if kind is AuthenticationType.MOBILE_HOME else "mobile-foreign"
    if len(found) != 1:
        raise ReplyError(f"{word}-authentication-not-once", security=True)
    for association in associations:
        if association.spi == found[0].spi:
            if verify(payload, found[0], association.algorithm, association.key):
                return
            raise ReplyError(f"{word}-authentication-invalid", security=True)
    raise ReplyError(f"{word}-authentication-unknown-spi", security=True)


def protected_extensions(reply: RegistrationReply) -> tuple[Extension, ...]:
    """The extensions the home agent vouches for: those before the Mobile-Home Authentication."""
    for position, extension in enumerate(reply.extensions):
        if isinstance(extension, Authentication) and extension.type == AuthenticationType.MOBILE_HOME:
            return reply.extensions[:position]
    return ()
