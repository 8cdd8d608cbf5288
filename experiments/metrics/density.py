# SPDX-License-Identifier: GPL-2.0-or-later
"""Reorder density and reorder buffer-occupancy density of RFC 5236 (FACTS §19).

Both take ``arrived`` as :mod:`experiments.metrics.reordering` does: sending numbers of one stream
in order of arrival, each once.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from experiments.metrics.reordering import Numbers

BUFFER_THRESHOLD = 1000
"""Packets the hypothetical buffer holds (BT); more than the links' delays ever put there."""


def displacements(arrived: Numbers) -> Numbers:
    """D = RI - s of each arrival, negative for early ones (§3.3).

    The receive index skips the numbers of lost packets (§3.1). Which are lost is known from the
    capture, so the threshold DT is the length of the stream, and the picture complete (§5).
    """
    found: Numbers = np.sort(arrived) - arrived
    return found


def displacement_frequencies(arrived: Numbers) -> dict[int, int]:
    """FD[k]: packets by displacement (§3.5); divided by their sum, the reorder density (§3.6)."""
    values, counts = np.unique(displacements(arrived), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def buffer_frequencies(arrived: Numbers, first: int, threshold: int = BUFFER_THRESHOLD) -> dict[int, int]:
    """FB[k]: arrivals after which k packets wait in the buffer, by the algorithm of §7.2.

    Divided by their sum, the reorder buffer-occupancy density (§3.11). Here a packet counts as
    lost when the buffer is full, so losses show, as the RFC has it.

    :param first: the number expected first.
    :param threshold: packets the buffer holds (BT).
    """
    expected = first
    waiting: set[int] = set()
    frequencies: Counter[int] = Counter()
    for number in arrived.tolist():
        if number < expected:  # excessively delayed
            continue
        waiting.add(number)
        if number != expected and len(waiting) > threshold:  # what is expected counts as lost
            expected = min(waiting)
        while expected in waiting:
            waiting.remove(expected)
            expected += 1
        frequencies[len(waiting)] += 1
    return dict(sorted(frequencies.items()))
