# SPDX-License-Identifier: GPL-2.0-or-later
"""Token buckets in a table of bounded size: how often something is done for one who asks.

Sans-IO: time comes in as a number. A key that has all its tokens again takes no room. Without room a
new key gets nothing, so whoever invents keys cannot push another's out.
"""

from __future__ import annotations

from collections.abc import Hashable


class RateLimit:
    """Allows ``rate`` things per second for each key, and ``burst`` at once."""

    def __init__(self, rate: float, burst: int, keys: int) -> None:
        """``keys``: how many are remembered at most."""
        self._rate = rate
        self._burst = burst
        self._keys = keys
        self._full_at: dict[Hashable, float] = {}
        """When each bucket will be full again; the key used last stands last."""

    def __len__(self) -> int:
        return len(self._full_at)

    def allows(self, key: Hashable, now: float) -> bool:
        """Whether there is a token for the key; takes it.

        :param now: monotonic time in seconds.
        """
        self._forget(now)
        full_at = max(self._full_at.get(key, now), now) + 1 / self._rate
        if full_at - now > self._burst / self._rate + 1e-9:
            return False
        if self._full_at.pop(key, None) is None and len(self._full_at) >= self._keys:
            return False
        self._full_at[key] = full_at
        return True

    def _forget(self, now: float) -> None:
        """Drop the buckets that are full, as far as they stand in front; each is dropped once."""
        while self._full_at:
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now:
                return
            del self._full_at[oldest]
