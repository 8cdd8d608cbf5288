# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 5, with a care-of address of the foreign agent for each link."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agents.settings import Weights
from tests.net.scenario_actions import (
    foreign_agent_crashes,
    foreign_agent_restarts,
    lose,
    overwrite,
    returns_home,
    structure,
)
from tests.net.scenario_headers import signalling
from tests.net.scenario_stage import Scene, act
from topologies.figure5 import Figure5


def interface_lost(scene: Scene) -> dict[str, Any]:
    """LTE."""
    return lose(scene, "lte")


STEPS = (
    structure,
    interface_lost,
    signalling,
    overwrite,
    foreign_agent_restarts,
    foreign_agent_crashes,
    returns_home,
)


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    scene = Scene(folder, Figure5(weights=Weights.BANDWIDTH))
    act(scene, STEPS, chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
