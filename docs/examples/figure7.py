# SPDX-License-Identifier: GPL-2.0-or-later
"""A figure of one's own, as topologies/figure7.py: two links behind a foreign agent, three direct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from topologies.figure import Figure
from topologies.links import DEFAULT_LINKS, AccessLink

SATELLITE = AccessLink("satellite", down=20, up=5, delay=45)


class Figure7(Figure):
    """WiFi and LTE lead to the foreign agent; a satellite link comes to the draft's four."""

    BEHIND_FOREIGN_AGENT: ClassVar[frozenset[str] | None] = frozenset({"wifi", "lte"})

    def __init__(self, links: Sequence[AccessLink] = DEFAULT_LINKS, **params: Any) -> None:
        """Take the links given, and one more."""
        super().__init__((*links, SATELLITE), **params)
