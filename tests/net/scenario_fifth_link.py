# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: a figure of one's own, with a fifth link."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from agents.settings import Weights
from tests.net.scenario_actions import structure
from tests.net.scenario_stage import Scene, act
from topologies.figure import Figure
from topologies.links import DEFAULT_LINKS, AccessLink

FIFTH = AccessLink("satellite", 20, 5, 270)


class FiveLinks(Figure):
    """WiFi and LTE lead to a foreign agent, the others have co-located care-of addresses."""

    BEHIND_FOREIGN_AGENT: ClassVar[frozenset[str] | None] = frozenset({"wifi", "lte"})


def main(folder: Path) -> None:
    """The scene."""
    scene = Scene(folder, FiveLinks((*DEFAULT_LINKS, FIFTH), weights=Weights.BANDWIDTH))
    act(scene, [structure])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
