# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent of one's own: a home agent that has never heard of the Multiple Tunnel Request.

It discards what it must not skip, without a word (RFC 5944 §1.8), and answers ordinary requests.
This is the state machine: bytes and time in, effects out; no socket, no clock, no kernel.
"""

from __future__ import annotations

from agents.effects import Datagram, Effect, Instant, Report
from agents.home_agent import HomeAgent
from agents.wire import MultipleTunnelRequest, RegistrationRequest, WireError, decode_registration


class LegacyHomeAgent(HomeAgent):
    """Refuses nothing, but does not see requests that carry the extension."""

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]:
        """A datagram for UDP port 434."""
        try:
            message = decode_registration(datagram.payload)
        except WireError:
            return super().receive(datagram, now)  # counts it
        if isinstance(message, RegistrationRequest) and any(
            isinstance(extension, MultipleTunnelRequest) for extension in message.extensions
        ):
            return [Report("message-discarded", {"reason": "unknown-extension"}, warning=True)]
        return super().receive(datagram, now)
