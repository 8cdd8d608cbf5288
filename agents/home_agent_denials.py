# SPDX-License-Identifier: GPL-2.0-or-later
"""How often the home agent says no, so that forged requests neither reach others nor cost much.

A denial costs a signature and goes to whatever source address stood on the request. Who has not shown a
key gets few of them, all such together not many; the rest of their requests end in silence (a denial
is only a SHOULD, RFC 5944 §3.8.2.1). A recorded genuine request is counted with its mobile node and
source, so that strangers cannot use up what a mobile node needs to set its clock right (133).
"""

from __future__ import annotations

from ipaddress import IPv4Address

from agents.rate_limit import RateLimit

DENIALS_PER_SECOND, DENIALS_AT_ONCE = 10.0, 20
"""To one source address; a mobile node repeats a request after a second at the earliest."""
STRANGERS_PER_SECOND, STRANGERS_AT_ONCE = 200.0, 400
"""Without a valid authenticator, to all source addresses together."""
_SOURCES = 1024
_NODES = 4096


class DenialLimits:
    """What is left of the denials of one home agent."""

    def __init__(self) -> None:
        self._sources = RateLimit(DENIALS_PER_SECOND, DENIALS_AT_ONCE, _SOURCES)
        self._strangers = RateLimit(STRANGERS_PER_SECOND, STRANGERS_AT_ONCE, 1)
        self._nodes = RateLimit(DENIALS_PER_SECOND, DENIALS_AT_ONCE, _NODES)

    def stranger(self, source: IPv4Address, monotonic: float) -> bool:
        """Whether a request without a valid authenticator may be answered."""
        return self._sources.allows(source, monotonic) and self._strangers.allows(None, monotonic)

    def mobile_node(self, home_address: IPv4Address, source: IPv4Address, monotonic: float) -> bool:
        """Whether a genuine request may be denied, or answered once more."""
        return self._nodes.allows((home_address, source), monotonic)
