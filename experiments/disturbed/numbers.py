# SPDX-License-Identifier: GPL-2.0-or-later
"""From the logs of a stream's ends to outage, loss, reordering and stall. Pure; times in nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

SECOND = 1_000_000_000
RESUMED = 0.2
"""Seconds of silence at the end of a stream from which it counts as not having resumed."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One datagram that came."""

    number: int
    sent: int
    arrived: int


@dataclass(frozen=True, slots=True)
class StreamNumbers:
    """What a stream of evenly spaced, numbered datagrams went through."""

    sent: int
    lost: int
    """Sent and never seen."""
    duplicates: int
    """Arrivals beyond the first of each datagram."""
    reordered: int
    """Datagrams that came after a later one (RFC 4737's Type-P-Reordered)."""
    outage: float
    """Seconds: the longest time without a new datagram, less the time between two of them."""
    outage_began: float | None
    """Seconds from the first sending to the last arrival before the outage; None: nothing came."""
    resumed: bool
    """False: the outage lasted to the end of the stream and is only known to be as long."""
    delay: tuple[float, float] | None
    """Smallest and largest one-way delay in seconds; None: nothing came."""


def stream_numbers(
    arrivals: Sequence[Arrival], sent: int, begun: int, ended: int, interval: int
) -> StreamNumbers:
    """Judge a stream.

    :param arrivals: in the order in which they came.
    :param sent: datagrams sent, numbered from 0.
    :param begun: when the first was sent.
    :param ended: when sending ended.
    :param interval: between two sendings.
    :raises ValueError: if a datagram came that was not sent.
    """
    seen: set[int] = set()
    fresh: list[int] = []
    duplicates = reordered = 0
    highest = -1
    for arrival in arrivals:
        if not 0 <= arrival.number < sent:
            raise ValueError(f"datagram {arrival.number} came; {sent} were sent")
        if arrival.number in seen:
            duplicates += 1
            continue
        seen.add(arrival.number)
        fresh.append(arrival.arrived)
        reordered += arrival.number < highest
        highest = max(highest, arrival.number)
    delays = [arrival.arrived - arrival.sent for arrival in arrivals]
    fastest = min(delays, default=0)
    # When the first could have come at the earliest, and the one after the last.
    edges = [begun + fastest, *fresh, max(ended + fastest, *fresh)] if fresh else [begun, ended]
    gap, start = max(((later - earlier, earlier) for earlier, later in pairwise(edges)), key=lambda g: g[0])
    silence = edges[-1] - edges[-2]
    return StreamNumbers(
        sent=sent,
        lost=sent - len(seen),
        duplicates=duplicates,
        reordered=reordered,
        outage=max(0, gap - interval) / SECOND,
        outage_began=(start - begun) / SECOND if fresh else None,
        resumed=bool(fresh) and silence < max(RESUMED * SECOND, 2 * interval),
        delay=(fastest / SECOND, max(delays) / SECOND) if delays else None,
    )


def longest_stall(
    deliveries: Iterable[tuple[int, int]], connections: int, begun: int, ended: int, interval: int
) -> float:
    """Longest time in seconds in which one of several TCP connections delivered nothing.

    :param deliveries: (connection, moment) of each read at the receiver, connections from 0.
    :param connections: how many there are; each is watched from ``begun`` to ``ended``.
    :param interval: between two sendings; a gap is counted less this.
    """
    moments: list[list[int]] = [[begun] for _ in range(connections)]
    for connection, moment in deliveries:
        if moment > begun:
            moments[connection].append(min(moment, ended))
    gaps = [later - earlier for times in moments for earlier, later in pairwise([*times, max(ended, begun)])]
    return max(0, max(gaps, default=0) - interval) / SECOND
