# SPDX-License-Identifier: GPL-2.0-or-later
"""What the states that agents keep over a restart have in common.

Each state machine gives its state as a model (``snapshot``) and takes it up again (``restore``).
Moments are seconds since 1970 in it, because the monotonic clock of one life means nothing in the
next; infinity is written as the word ``Infinity``.
"""

from __future__ import annotations

from math import inf
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from agents.effects import Instant
from agents.lifetimes import expiry

Value = TypeVar("Value")


class KeptModel(BaseModel):
    """Base of all kept state: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class KeptSetting(KeptModel, Generic[Value]):
    """A setting that can be changed at run time.

    The change holds over restarts until somebody changes the settings file, which is then the newer word.
    """

    configured: Value
    """What the settings file said meanwhile."""
    current: Value

    def value(self, configured: Value) -> Value:
        """What holds now.

        :param configured: what the settings file says today.
        """
        return self.current if self.configured == configured else configured


def unix_expiry(expires: float, now: Instant) -> float:
    """When a lifetime ends, in seconds since 1970.

    :param expires: on the monotonic clock; infinity stays infinity.
    """
    return expires if expires == inf else expires - now.monotonic + now.unix


def monotonic_expiry(expires: float, lifetime: int, now: Instant) -> float:
    """The inverse of :func:`unix_expiry` in another life.

    Never later than the lifetime granted: the clock may have been set back meanwhile.

    :param expires: seconds since 1970.
    :param lifetime: as granted, in seconds.
    """
    return min(expires - now.unix + now.monotonic, expiry(lifetime, now.monotonic))
