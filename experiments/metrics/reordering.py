# SPDX-License-Identifier: GPL-2.0-or-later
"""Reordering as RFC 4737 defines it (FACTS §19).

Every function takes ``arrived``: the sending numbers of one stream's packets in the order in which
they arrived, each once (duplicates removed, §4.1). Numbers need not be consecutive: lost packets leave gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def _highest(arrived: Numbers) -> Numbers:
    """The highest number up to and including each arrival: ``NextExp - 1``."""
    highest: Numbers = np.maximum.accumulate(arrived)
    return highest


def reordered(arrived: Numbers) -> Flags:
    """Which packets came after one that was sent later: s < NextExp (§3.3)."""
    flags: Flags = arrived < _highest(arrived)
    return flags


def discontinuities(arrived: Numbers) -> Numbers:
    """For each reordered packet, the arrival index j of the earliest packet sent later (§4.2.3)."""
    # The highest number so far never falls, and rises above s first at the packet sought.
    first: Numbers = np.searchsorted(_highest(arrived), arrived[reordered(arrived)], side="right")
    return first


def extents(arrived: Numbers) -> Numbers:
    """Extent e = i - j of each reordered packet, in packets (§4.2.3)."""
    late: Numbers = np.flatnonzero(reordered(arrived)) - discontinuities(arrived)
    return late


def late_times(arrived: Numbers, times: Numbers) -> Numbers:
    """How late each reordered packet came, in the unit of ``times``, its arrival times (§4.3.3)."""
    late: Numbers = times[reordered(arrived)] - times[discontinuities(arrived)]
    return late


def n_reordered(arrived: Numbers, n: int) -> Flags:
    """Which packets are n-reordered: each of the n arrivals before them was sent later (§5.3).

    :param n: at least 1; 3 is TCP's threshold of duplicate acknowledgements.
    """
    flags = np.zeros(len(arrived), dtype=np.bool_)
    if len(arrived) > n:
        flags[n:] = True
        for distance in range(1, n + 1):
            flags[n:] &= arrived[n - distance : -distance] > arrived[n:]
    return flags
