# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 3 of the draft: one care-of address at a foreign agent, three co-located.

::

                 cn                      ha
                 |                       |
                 |          +--- home ---+ home link
                 |          |            |
               internet ----+            : (mn, when it returns home)
              /   |   |   \\
             fa   |   |    |
             |    |   |    |
            wifi evdo wimax lte          layer-2, shaped both ways
              \\   |   |   /
                   mn

Four tunnels end at the home agent: one at ``fa``, three at ``mn``.
"""

from __future__ import annotations

from typing import ClassVar

from topologies.figure import Figure


class Figure3(Figure):
    """WiFi leads to a foreign agent; EV-DO, WiMAX and LTE have co-located care-of addresses."""

    BEHIND_FOREIGN_AGENT: ClassVar[frozenset[str] | None] = frozenset({"wifi"})
