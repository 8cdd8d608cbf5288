# SPDX-License-Identifier: GPL-2.0-or-later
"""Slow links whose queues fill at once: that is no failure."""

from __future__ import annotations

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

RATES = {"wifi": 1.0, "evdo": 0.5, "wimax": 0.5, "lte": 2.0}
"""Mbit/s, as in tests/net/scenario_overload.py."""

IDLE = 100
"""Milliseconds: the time-out of a probe where no queue fills."""


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("overload"), "scenario_overload")


def test_the_onset_of_an_overload_is_no_failure(report: Report) -> None:
    assert len(report["onsets"]) == 12
    for seen in report["onsets"]:
        rate = RATES[seen["link"]]
        assert all(0.7 * rate < mbps < 1.1 * rate for mbps in seen["mbps"]), seen
        assert seen["time_out_ms"] > IDLE, "no queue to speak of"
        assert [event for event in seen["events"] if event["event"] != "registered"] == [], seen
