# SPDX-License-Identifier: GPL-2.0-or-later
"""All that the two captures of one run tell, as JSON can hold it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import numpy as np

from experiments.metrics import delay, density, reordering, tcp
from experiments.metrics.pcap import read_packets
from experiments.metrics.reordering import Numbers
from experiments.metrics.streams import Stream, streams

TCP_THRESHOLD = 3
"""Duplicate acknowledgements after which TCP sends again: the n of n-reordering."""
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Ends:
    """Between whom the traffic of a run goes."""

    source: IPv4Address
    destination: IPv4Address
    port: int
    """The receiver's."""


@dataclass(frozen=True, slots=True)
class _Arrivals:
    """Of one stream, the packets sent in the window that arrived, in the order of arrival."""

    numbers: Numbers
    times: Numbers
    delays: Numbers

    @classmethod
    def of(cls, stream: Stream, first: int, last: int) -> _Arrivals:
        chosen = (stream.arrived >= first) & (stream.arrived < last)
        numbers, times = stream.arrived[chosen], stream.arrival[chosen]
        return cls(numbers, times, times - stream.sent[numbers])


def evaluate(at_sender: Path, at_receiver: Path, ends: Ends, window: tuple[int, int]) -> dict[str, Any]:
    """Metrics of the packets sent in a window.

    :param window: its two ends in nanoseconds since 1970, by the clock both captures share.
    :raises CaptureError: if a capture cannot be read.
    """
    found = list(
        streams(
            read_packets(at_sender),
            read_packets(at_receiver),
            int(ends.source),
            int(ends.destination),
            ends.port,
        )
    )
    spans = [stream.in_window(*window) for stream in found]
    arrivals = [_Arrivals.of(stream, *span) for stream, span in zip(found, spans, strict=True)]
    sent = sum(last - first for first, last in spans)
    received = sum(len(one.numbers) for one in arrivals)
    duplicated = sum(
        int(np.count_nonzero((stream.duplicates >= first) & (stream.duplicates < last)))
        for stream, (first, last) in zip(found, spans, strict=True)
    )
    in_order_sent = [one.delays[np.argsort(one.numbers)] for one in arrivals]
    return {
        "sent": sent,
        "received": received,
        "lost": sent - received,
        "duplicated": duplicated,
        "whole_run": {
            "sent": sum(len(stream.sent) for stream in found),
            "received": sum(len(stream.arrived) for stream in found),
        },
        "reordering": _reordering(arrivals, received),
        "late_time_ms": delay.percentiles_ms(
            _joined([reordering.late_times(one.numbers, one.times) for one in arrivals])
        ),
        "one_way_delay_ms": delay.percentiles_ms(_joined([one.delays for one in arrivals])),
        "jitter_ms": delay.percentiles_ms(_joined([delay.variations(one) for one in in_order_sent])),
        "displacements": _sum([density.displacement_frequencies(one.numbers) for one in arrivals]),
        "buffer_occupancy": _sum(
            [
                density.buffer_frequencies(one.numbers, first)
                for one, (first, _) in zip(arrivals, spans, strict=True)
            ]
        ),
        **_tcp(found, spans, window),
    }


def _joined(parts: Sequence[Numbers]) -> Numbers:
    return np.concatenate([_NOTHING, *parts])


def _sum(parts: Sequence[dict[int, int]]) -> dict[str, int]:
    """Frequencies of all streams together, in the order of what was counted."""
    total: Counter[int] = Counter()
    for part in parts:
        total.update(part)
    return {str(value): total[value] for value in sorted(total)}


def _reordering(arrivals: Sequence[_Arrivals], received: int) -> dict[str, Any]:
    """RFC 4737's ratio, n-reordering and extents; without a reordered packet extents are 0."""
    extents = _joined([reordering.extents(one.numbers) for one in arrivals])
    after_n = sum(
        int(np.count_nonzero(reordering.n_reordered(one.numbers, TCP_THRESHOLD))) for one in arrivals
    )
    values, counts = np.unique(extents, return_counts=True)
    return {
        "ratio": len(extents) / received if received else None,
        "n3_ratio": after_n / received if received else None,
        "max_extent": int(extents.max(initial=0)),
        "mean_extent": math.fsum(extents.tolist()) / len(extents) if len(extents) else 0.0,
        "extents": {str(v): c for v, c in zip(values.tolist(), counts.tolist(), strict=True)},
    }


def _tcp(
    found: Sequence[Stream], spans: Sequence[tuple[int, int]], window: tuple[int, int]
) -> dict[str, Any]:
    if not all(stream.tcp for stream in found):
        return {"retransmissions": None, "spurious_retransmissions": None, "rtt_ms": None}
    again = spurious = 0
    for stream, (first, last) in zip(found, spans, strict=True):
        again += int(np.count_nonzero(tcp.retransmissions(stream)[first:last]))
        spurious += int(np.count_nonzero(tcp.spurious(stream)[first:last]))
    return {
        "retransmissions": again,
        "spurious_retransmissions": spurious,
        "rtt_ms": delay.percentiles_ms(_joined([tcp.round_trips(stream, *window) for stream in found])),
    }
