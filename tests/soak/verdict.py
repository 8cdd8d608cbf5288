# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether anything has leaked, by the samples of a soak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST_GROWTH_KIB = 4096
"""Of an agent's memory or the kernel's: caches fill and pages fragment, a leak goes on."""
EXACT = ("descriptors", "threads", "links", "rules", "routes", "nft_lines", "neighbours")
"""At rest these are the same after every fault."""
_WARM_UP = 0.25
"""Share of the samples after which memory must have come to rest."""


def leaks(samples: Sequence[dict[str, Any]]) -> list[str]:
    """What is more at the end than it was, one line each; empty if nothing is."""
    if len(samples) < 2:
        return ["fewer than two samples: nothing can be said"]
    found = []
    first, last = samples[0], samples[-1]
    for sample in samples:
        found += [f"hour {sample['hour']:.2f}, {line}" for line in sample["disagreement"]]
    for node, counts in last["counts"].items():
        for name in EXACT:
            if counts[name] != first["counts"][node][name]:
                found.append(f"{node}: {name} {first['counts'][node][name]} -> {counts[name]}")
        memory = [sample["counts"][node]["resident_kib"] for sample in samples]
        found += _grows(f"{node}: memory", memory)
    return [*found, *_grows("kernel: memory", [sample["unreclaimable_kib"] for sample in samples])]


def _grows(name: str, kib: Sequence[int]) -> list[str]:
    """Compare medians, because a restarted process begins small: the last quarter with the second."""
    quarter = max(1, int(len(kib) * _WARM_UP))
    early, late = sorted(kib[quarter : 2 * quarter] or kib[:1]), sorted(kib[-quarter:])
    growth = late[len(late) // 2] - early[len(early) // 2]
    return [f"{name} grew by {growth} KiB"] if growth > MOST_GROWTH_KIB else []
