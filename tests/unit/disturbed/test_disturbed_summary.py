# SPDX-License-Identifier: GPL-2.0-or-later
"""From outcomes to cells, rows, table and drawing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from experiments.disturbed import drawing
from experiments.disturbed.command import DisturbedExperiment
from experiments.disturbed.plan import DisturbedPlan
from experiments.disturbed.summary import (
    bound_of,
    distribution,
    quantile,
    samples,
    summarise,
    wanted_outage,
)
from tests.unit.disturbed.disturbed_lab import PLAN, outcome_of


def summary(**changes: Any) -> dict[str, Any]:
    outcomes = [(batch, outcome_of(batch, **changes)) for batch in PLAN.batches()]
    return summarise(PLAN, outcomes, kernel="guest", clock="virtual", quick=False)


def test_quantiles_are_samples() -> None:
    twenty = [float(n) for n in range(1, 21)]
    assert (quantile(twenty, 0.5), quantile(twenty, 0.95), quantile(twenty, 1)) == (10, 19, 20)
    assert quantile([3.0], 0.95) == 3.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0.01, 1))
def test_at_least_the_share_does_not_exceed_the_quantile(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)


def test_a_distribution_needs_every_sample() -> None:
    assert distribution([]) is None
    assert distribution([1.0, None]) is None
    assert distribution([2.0, 1.0]) == {"p50": 1.0, "p95": 2.0, "max": 2.0, "samples": [2.0, 1.0]}


def test_cells_stand_in_the_order_of_the_arguments() -> None:
    found = summary()
    assert (found["schema"], found["experiment"], found["valid"], found["problems"]) == (
        1,
        "failover",
        True,
        [],
    )
    assert [(cell["case"], cell["policy"]) for cell in found["cells"]] == [
        ("silent-loss", "per-flow"),
        ("silent-loss", "per-packet"),
        ("carrier-loss", "per-flow"),
        ("carrier-loss", "per-packet"),
    ]
    cell = found["cells"][0]
    assert {"figure", "case", "policy", "direction", "n", "outage_s", "lost_packets"} <= cell.keys()
    assert {"recovery_s", "false_alarms"} <= cell.keys()
    assert cell["n"] == 3
    assert cell["outage_s"]["samples"] == pytest.approx([0.4, 0.41, 0.42])
    assert cell["outage_s"]["p95"] == pytest.approx(0.42)
    assert cell["lost_packets"]["max"] == 420
    assert cell["false_alarms"] == 0


def test_what_does_not_hold_makes_the_result_invalid_and_stays_in_it() -> None:
    found = summary(broken=["the home agent lost binding 2"], recovery=None, false_alarms=2)
    assert not found["valid"]
    assert found["problems"][0].startswith("figure3-run001: ")
    assert found["problems"][0].endswith("the home agent lost binding 2")
    cell = found["cells"][0]
    assert (cell["n"], cell["broken"], cell["false_alarms"], cell["recovery_s"]) == (3, 3, 6, None)
    assert cell["outage_s"]["p50"] == pytest.approx(0.41)


def test_a_batch_that_failed_is_a_problem() -> None:
    outcomes = [(batch, {"problem": "no end", "runs": []}) for batch in PLAN.batches()]
    found = summarise(PLAN, outcomes, kernel="guest", clock="virtual", quick=True)
    assert found["problems"] == [f"figure3-run00{n}: no end" for n in (1, 2, 3)]
    assert [cell["outage_s"] for cell in found["cells"]] == [None] * 4
    assert [cell["n"] for cell in found["cells"]] == [0] * 4


def test_a_row_per_run() -> None:
    header, rows = samples(PLAN, [(batch, outcome_of(batch)) for batch in PLAN.batches()])
    assert len(rows) == 12
    assert all(len(row) == len(header) for row in rows)
    assert {row[list(header).index("busiest")] for row in rows} == {"lte"}


def test_the_plan_survives_its_journey_into_the_guest() -> None:
    batch = next(iter(PLAN.batches()))
    assert DisturbedPlan.from_json(batch.job()["plan"]) == PLAN
    assert (
        sorted(entry["case"] for entry in batch.job()["order"]) == ["carrier-loss"] * 2 + ["silent-loss"] * 2
    )


def test_more_runs_leave_the_first_ones_as_they_were() -> None:
    from dataclasses import replace

    longer = list(replace(PLAN, runs=5).batches())
    assert longer[:3] == list(PLAN.batches())
    assert len({batch.seed for batch in longer}) == 5


def test_the_table_and_the_drawing(tmp_path: Path) -> None:
    found = summary()
    screen = io.StringIO()
    DisturbedExperiment("failover", "").show(Console(file=screen, width=116), found)
    line = next(row for row in screen.getvalue().splitlines() if "silent-loss" in row and "per-packet" in row)
    assert "410/420" in line
    assert "1.50/1.50" in line
    paths = drawing.draw(found, tmp_path / "figures")
    assert {path.name for path in paths} == {
        f"failover-figure3-{case}.{kind}"
        for case in ("silent-loss", "carrier-loss")
        for kind in ("pdf", "svg", "png")
    }
    first = {path.name: path.read_bytes() for path in paths}
    again = drawing.draw(found, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again} == first


def test_what_is_wanted_stands_beside_what_was_measured() -> None:
    found = summary()
    carrier = next(cell for cell in found["cells"] if cell["case"] == "carrier-loss")
    # 15 held by the queue, 5 ms over WiFi, and 2.
    assert carrier["bound_packets"]["samples"] == [22, 22, 22]
    assert found["cells"][0]["bound_packets"] is None
    assert [wanted_outage(0.1), wanted_outage(0.16)] == pytest.approx([0.45, 0.61])
    assert bound_of({"case": "carrier-loss", "queued": 15, "next_delay_ms": 5}, "up") == 1
    screen = io.StringIO()
    DisturbedExperiment("failover", "").show(Console(file=screen, width=116), found)
    said = screen.getvalue()
    assert "silent-loss, per-flow: probe time-out 100 ms; outage p95 420 ms, wanted at most 450" in said
    assert "carrier-loss, per-flow: queue 15 packets; at most 420 lost, wanted at most 22" in said


def test_without_probes_there_is_no_time_out() -> None:
    found = summary(probe_timeout=None)
    assert found["cells"][0]["probe_timeout_s"] is None
