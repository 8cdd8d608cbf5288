# SPDX-License-Identifier: GPL-2.0-or-later
"""Lifetimes of registrations on the monotonic clock (RFC 5944 §3.3)."""

from __future__ import annotations

from math import inf

INFINITE_LIFETIME = 0xFFFF
"""A Lifetime that never ends (RFC 5944 §3.3)."""

_CLOCK_ROUNDING = 1e-6
"""Seconds; keeps ``now + 600 - now`` from counting as 599."""


def expiry(lifetime: int, monotonic: float) -> float:
    """When a lifetime granted now ends."""
    return inf if lifetime == INFINITE_LIFETIME else monotonic + lifetime


def remaining(expires: float, monotonic: float) -> int:
    """Whole seconds of lifetime left; 65535 for ever."""
    if expires == inf:
        return INFINITE_LIFETIME
    return max(0, int(expires - monotonic + _CLOCK_ROUNDING))
