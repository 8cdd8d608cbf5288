# SPDX-License-Identifier: GPL-2.0-or-later
"""Identification as a timestamp in the format of NTP (RFC 5944 §5.7.1)."""

from __future__ import annotations

import math

_SECONDS_1900_TO_1970 = 2_208_988_800
_ERA = 1 << 32
_HALF_ERA = 1 << 31


def ntp_timestamp(unix: float, low: int | None = None) -> int:
    """Seconds since 1970 as a 64-bit timestamp: 32 bits of seconds since 1900, 32 of fraction.

    ``low`` replaces the fraction: the format asks for random bits where the clock has none, and a
    reply must repeat those of its request. The seconds wrap in 2036, as those of NTP do.
    """
    seconds = math.floor(unix)
    fraction = int((unix - seconds) * _ERA) if low is None else low & (_ERA - 1)
    return (seconds + _SECONDS_1900_TO_1970) % _ERA << 32 | fraction


def unix_time(identification: int) -> float:
    """Seconds since 1970 of a timestamp.

    Values with the first bit clear are of the era that begins in 2036, so 1968 to 2104 can be told.
    """
    seconds = identification >> 32
    if seconds < _HALF_ERA:
        seconds += _ERA
    return seconds - _SECONDS_1900_TO_1970 + (identification & (_ERA - 1)) / _ERA
