# SPDX-License-Identifier: GPL-2.0-or-later
"""A fifth link, or a figure that is not the draft's, takes one small file and no change elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.net.scenario_report import CO_LOCATED, FOREIGN_AGENT, HOME_AGENT, LINKS, check_carried, play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

FIFTH_CARE_OF_ADDRESS = "192.0.2.130"


def test_a_fifth_link(lab: Lab, tmp_path: Path) -> None:
    seen = play(lab, tmp_path, "scenario_fifth_link")["structure"]
    ends = [FOREIGN_AGENT, CO_LOCATED["evdo"], CO_LOCATED["wimax"], FIFTH_CARE_OF_ADDRESS]
    assert seen["home_agent"] == sorted([HOME_AGENT, end] for end in ends)
    assert seen["bindings"] == [1, 2, 3, 4, 5]
    assert seen["visitors"] == {"wifi": [1], "lte": [4]}
    check_carried(seen["carried"], {*LINKS, "satellite"})
