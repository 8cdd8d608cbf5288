# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 4 of the draft: every link to one foreign agent with one care-of address.

::

                 cn                      ha
                 |                       |
                 |          +--- home ---+ home link
                 |          |            |
               internet ----+            : (mn, when it returns home)
                   |
                   fa                    one care-of address
              /   |   |   \\
            wifi evdo wimax lte          layer-2, shaped both ways
              \\   |   |   /
                   mn

One tunnel ends at the home agent, shared by four bindings; the foreign agent spreads the traffic.
"""

from __future__ import annotations

from topologies.figure import Figure


class Figure4(Figure):
    """All links lead to a foreign agent with a single care-of address."""

    BEHIND_FOREIGN_AGENT = None
