# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the home agent can be asked for several tunnels (FACTS G12, G14, G17, G18).

::

    ASSUMED --refused by the home agent, or legacy--> REFUSED --hold-down over--> PROBING
    PROBING --accepted with the extension--> ASSUMED
    PROBING --refused or silent--> REFUSED

Only in ASSUMED does every interface register. In REFUSED one registers plainly; in PROBING the
same one asks again with the extension while its plain binding lives on.
"""

from __future__ import annotations

import math
from enum import StrEnum

_CONFIRMATION = 2.0
"""After the first plain success that followed silence. The agent may simply have been away before:
only if it stays silent while it is known to be alive is it legacy."""


class Belief(StrEnum):
    """What the mobile node believes of its home agent."""

    ASSUMED = "assumed"
    REFUSED = "refused"
    PROBING = "probing"


class ExtensionSupport:
    """The belief, and until when it holds."""

    def __init__(self, enabled: bool, hold_down: float) -> None:
        self.enabled = enabled
        """The node's own EnableMultipleTunnelSupport (draft §8)."""
        self.belief = Belief.ASSUMED
        self.until = math.inf
        self.proven = False
        """The home agent has accepted the extension, so silence has another reason."""
        self._hold_down = hold_down

    @property
    def everywhere(self) -> bool:
        """Whether every interface registers with the extension."""
        return self.enabled and self.belief is Belief.ASSUMED

    @property
    def asking(self) -> bool:
        """Whether requests to the home agent carry the extension."""
        return self.enabled and self.belief is not Belief.REFUSED

    def refused(self, now: float) -> None:
        """The home agent has said no, or is silent although alive."""
        self.belief = Belief.REFUSED
        self.proven = False
        self.until = now + self._hold_down

    def suspected(self, now: float) -> None:
        """The home agent answers plain requests after it left those with the extension unanswered."""
        self.refused(now)
        self.until = now + min(_CONFIRMATION, self._hold_down)

    def accepted(self) -> None:
        """A registration with the extension was accepted."""
        self.belief = Belief.ASSUMED
        self.until = math.inf
        self.proven = True

    def disable(self) -> None:
        """The node itself no longer wants several tunnels."""
        self.enabled = False
        self.until = math.inf

    def probe(self) -> None:
        """Ask again."""
        self.belief = Belief.PROBING
        self.until = math.inf
