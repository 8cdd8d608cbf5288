# SPDX-License-Identifier: GPL-2.0-or-later
"""What TCP made of it: segments sent again, those needlessly, and round-trip times under load."""

from __future__ import annotations

import numpy as np

from experiments.metrics.reordering import Flags, Numbers
from experiments.metrics.streams import Stream


def retransmissions(stream: Stream) -> Flags:
    """Which transmissions begin with data that was sent before."""
    ends = np.maximum.accumulate(stream.sequence + stream.payload)
    flags = np.zeros(len(ends), dtype=np.bool_)
    flags[1:] = stream.sequence[1:] < ends[:-1]
    return flags


def spurious(stream: Stream) -> Flags:
    """Which retransmissions were needless: an earlier transmission of the same octets arrived, if late."""
    again = retransmissions(stream)
    received = stream.received()
    flags = np.zeros(len(again), dtype=np.bool_)
    arrived_before: set[int] = set()
    sequence = stream.sequence.tolist()
    for number in np.flatnonzero(received | again).tolist():
        if again[number] and sequence[number] in arrived_before:
            flags[number] = True
        if received[number]:
            arrived_before.add(sequence[number])
    return flags


def round_trips(stream: Stream, begin: int, end: int) -> Numbers:
    """Nanoseconds from a segment to the acknowledgement that echoes its timestamp (RFC 7323 §4.1).

    Only acknowledgements of new data count. Several segments of one millisecond share a timestamp; the
    first of them is taken, so a time may be up to 1 ms too long.

    :param begin: nanoseconds; acknowledgements from here on.
    :param end: and before here.
    """
    highest = np.maximum.accumulate(stream.acknowledged)
    advances = np.diff(highest, prepend=0) > 0
    chosen = advances & (stream.acknowledgement >= begin) & (stream.acknowledgement < end)
    values, first = np.unique(stream.timestamp, return_index=True)
    echoes = stream.echo[chosen]
    place = np.minimum(np.searchsorted(values, echoes), len(values) - 1)
    known = values[place] == echoes
    times: Numbers = stream.acknowledgement[chosen][known] - stream.sent[first[place[known]]]
    return times
