# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 5 of the draft: every link to one foreign agent with a care-of address per interface.

::

                 cn                      ha
                 |                       |
                 |          +--- home ---+ home link
                 |          |            |
               internet ----+            : (mn, when it returns home)
                   |
                   fa                    a care-of address per access network
              /   |   |   \\
            wifi evdo wimax lte          layer-2, shaped both ways
              \\   |   |   /
                   mn

Four tunnels end at the home agent, all of them at ``fa``.
"""

from __future__ import annotations

from topologies.figure import Figure


class Figure5(Figure):
    """All links lead to a foreign agent with a care-of address for each of its interfaces."""

    BEHIND_FOREIGN_AGENT = None
    CARE_OF_ADDRESS_PER_INTERFACE = True
