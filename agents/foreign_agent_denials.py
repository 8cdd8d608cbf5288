# SPDX-License-Identifier: GPL-2.0-or-later
"""Registration Replies that come from the foreign agent itself: denials (RFC 5944 §3.7.2.3)."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address

from agents.associations import Peer, authenticated
from agents.effects import MOBILE_IP_PORT, Effect, Instant, Report, SendDatagram
from agents.rate_limit import RateLimit
from agents.requests import DeniedError, is_unicast
from agents.visitors import Attachment
from agents.wire import AuthenticationType, RegistrationReply, RegistrationRequest, ReplyCode

_BROADCAST = IPv4Address("255.255.255.255")
_PER_SECOND = 1.0
"""Denials to one mobile node (RFC 5944 §3.7.2)."""
_MOBILE_NODES = 1000
"""Denied within a second; whoever invents home addresses gets no more answers."""


def to_mobile_node(
    payload: bytes, home_address: IPv4Address, attachment: Attachment, peer: Peer | None
) -> SendDatagram:
    """A reply on its way to where the request came from.

    :param peer: the mobile node, if there is an association: the reply is authenticated for it.
    """
    if peer is not None:
        payload = authenticated(payload, AuthenticationType.MOBILE_FOREIGN, peer.default)
    return SendDatagram(
        payload=payload,
        source=attachment.agent_address,
        source_port=MOBILE_IP_PORT,
        destination=home_address if is_unicast(home_address) else _BROADCAST,
        destination_port=attachment.source_port,
        interface=attachment.interface,
        link_destination=attachment.link_address,
    )


class Denials:
    """Denies requests, at most one per second for a mobile node."""

    def __init__(self, maximum_lifetime: int) -> None:
        self._maximum_lifetime = maximum_lifetime
        self._mobile_nodes = RateLimit(_PER_SECOND, 1, _MOBILE_NODES)
        self._too_distant = RateLimit(_PER_SECOND, 1, 1)
        self.codes: Counter[int] = Counter()

    def deny(
        self,
        request: RegistrationRequest,
        attachment: Attachment,
        peer: Peer | None,
        denial: DeniedError,
        now: Instant,
    ) -> list[Effect]:
        """The reply, unless it would be too soon after the last one, and a report of it."""
        code = int(denial.code)
        fields: dict[str, str | int | float | bool | None] = {
            "code": code,
            "reason": denial.reason,
            "home_address": str(request.home_address),
            "interface": attachment.interface,
            "link_address": attachment.link_address,
        }
        if not self._may_answer(code, request.home_address, now.monotonic):
            return [Report("denial-suppressed", fields, warning=True)]
        self.codes[code] += 1
        too_long = code == ReplyCode.FA_LIFETIME_TOO_LONG
        reply = RegistrationReply(
            code,
            self._maximum_lifetime if too_long else request.lifetime,
            request.home_address,
            request.home_agent,
            request.identification,
        )
        return [
            to_mobile_node(reply.encode(), request.home_address, attachment, peer),
            Report("request-denied", fields, warning=True),
        ]

    def _may_answer(self, code: int, home_address: IPv4Address, now: float) -> bool:
        # Of those too distant only one per second in all (RFC 3024 §4.2.1).
        distant = code == ReplyCode.FA_MOBILE_NODE_TOO_DISTANT
        if distant and not self._too_distant.allows(None, now):
            return False
        return self._mobile_nodes.allows(home_address, now)
