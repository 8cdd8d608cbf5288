# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends a program by an exception when it is told to end, so that it undoes what it made."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise ``SystemExit`` with 128 + their number, once.

    Programs started later get the default behaviour, also where this process was made to ignore
    a signal.
    """
    for number in _ENDING:
        signal.signal(number, end)


def end(number: int, _frame: object) -> NoReturn:
    """End by ``SystemExit``, as a handler of a signal.

    :raises SystemExit: with 128 + its number.
    """
    for other in _ENDING:  # an impatient second signal must not cut the undoing short
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)
