# SPDX-License-Identifier: GPL-2.0-or-later
"""How home agent and foreign agent judge a Registration Request: in silence, or with a code."""

from __future__ import annotations

from ipaddress import IPv4Address

from agents.wire import RequestFlags

FLAG_S, FLAG_B, FLAG_D, FLAG_M, FLAG_G, FLAG_T = (
    int(RequestFlags[name]) for name in ("S", "B", "D", "M", "G", "T")
)
"""As plain integers: masking an IntFlag costs more than authenticating the request."""

_MULTICAST = int(IPv4Address("224.0.0.0"))
_LOOPBACK = 127
_THIS_NETWORK = 0


class DiscardedError(Exception):
    """The message gets no answer (RFC 5944 §1.8, §3.7.3.1, §3.8.2.1); ``reason`` is a counter's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DeniedError(Exception):
    """The request is answered with a denial, and nothing has changed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def is_unicast(address: IPv4Address) -> bool:
    """Whether a tunnel can end there: not "this network", loopback, a group or a broadcast."""
    value = int(address)
    return value < _MULTICAST and value >> 24 not in (_THIS_NETWORK, _LOOPBACK)
