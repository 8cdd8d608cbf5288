# SPDX-License-Identifier: GPL-2.0-or-later
"""The aggregate experiment on Figures 4 and 5, in short form: one run of 3 s."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.net.aggregate_commands import aggregate
from tests.net.scenario_report import LINKS

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

RATES = {"wifi": 20.0, "evdo": 3.1, "wimax": 10.0, "lte": 40.0}


@pytest.mark.parametrize("figure", [4, 5])
def test_eight_flows_fill_every_link_behind_the_foreign_agent(figure: int, tmp_path: Path) -> None:
    words = ("--policy", "per-flow", "--flows", "8", "--runs", "1", "--duration", "3")
    result = aggregate(tmp_path, "--figure", str(figure), *words)
    assert result.code == 0, result.stderr
    assert result.summary["valid"] is True, result.summary["problems"]
    cell = result.cell("per-flow", 8)
    assert cell["figure"] == figure
    assert cell["efficiency"]["mean"] >= 0.98
    total = sum(RATES.values())
    for link in LINKS:
        assert cell["link_share"][link] >= 0.9 * RATES[link] / total, cell["link_share"]
