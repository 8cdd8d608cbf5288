# SPDX-License-Identifier: GPL-2.0-or-later
"""The script for papers: its table is the summary's, and it draws every experiment's result."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import pytest

from experiments.estimates import interval
from experiments.store import write_json
from experiments.sweeps.table import write_parquet
from tests.documented.pages import ROOT
from tests.unit.disturbed.disturbed_lab import PLAN, outcome_of
from tests.unit.experiments.experiment_lab import distributions_of, summary_of

REFERENCES = sorted((ROOT / "results/reference").glob("*.json"))
PNG = b"\x89PNG\r\n"
GAINS = {(1, 0): 1.0, (1, 30): 0.5, (4, 0): 0.9, (4, 30): 0.25}


@pytest.fixture(scope="module")
def paper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper", ROOT / "docs/examples/paper.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_references() -> None:
    assert {path.stem for path in REFERENCES} >= {"equal-links", "unequal-links", "signalling"}


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda path: path.stem)
def test_the_table_has_every_sample_and_the_intervals_of_the_summary(
    paper: ModuleType, reference: Path
) -> None:
    summary = json.loads(reference.read_text())["summary"]
    cells = summary["cells"]
    table = paper.load(reference)
    key, quantity = {
        "aggregate": (["figure", "policy", "flows"], "goodput_mbps"),
        "asymmetry": (["ratio", "spread_ms", "flows"], "gain"),
        "failover": (["case", "policy"], "outage_s"),
        "handover": (["case", "policy"], "outage_s"),
        "signalling": (["bindings", "renewal"], "messages_per_hour"),
    }[summary["experiment"]]
    found = paper.intervals(table, quantity, key)
    assert len(found) == len(cells)
    for cell in cells:
        stat, row = cell[quantity], found.loc[tuple(cell[name] for name in key)]
        bounds = interval(stat["samples"])
        assert bounds is not None
        assert row["mean"] == pytest.approx(mean(stat["samples"]))
        assert row["mean"] - row["half"] == pytest.approx(bounds[0])
        if "mean" in stat:  # failover has medians instead
            assert (stat["mean"], stat["ci95"][0]) == pytest.approx((row["mean"], bounds[0]))
        assert row["count"] == cell["n"]
    samples = re.findall(r'"samples": (\[[^\]]*\])', json.dumps(cells))
    assert len(table) == sum(len(json.loads(text)) for text in samples) > 10
    assert table["value"].map(math.isfinite).all()


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("goodput_mbps", "Mbit/s"),
        ("goodput_mbps.difference", "Mbit/s"),
        ("rtt_ms.p95", "ms"),
        ("outage_s", "s"),
        ("octets_per_hour", "1/h"),
        ("reordering.max_extent", "packets"),
        ("lost_packets", "packets"),
        ("reordering.n3_ratio", "1"),
        ("false_alarms", "1"),
    ],
)
def test_units(paper: ModuleType, quantity: str, expected: str) -> None:
    assert paper.unit(quantity) == expected


def _disturbed() -> dict[str, Any]:
    from experiments.disturbed.summary import summarise

    outcomes = [(batch, outcome_of(batch)) for batch in PLAN.batches()]
    return summarise(PLAN, outcomes, kernel="guest", clock="virtual", quick=False)


def _asymmetry() -> dict[str, Any]:
    cells = [
        {"flows": 1, "ratio": ratio, "spread_ms": spread, "n": 1, "gain": {"mean": gain, "samples": [gain]}}
        for (ratio, spread), gain in GAINS.items()
    ]
    return {"schema": 1, "experiment": "asymmetry", "cells": cells}


def _sweep() -> dict[str, Any]:
    cells = [
        {"point": "1", "parameters": {"link": ["evdo=1/1:1"]}, "goodput_mbps": {"mean": 1, "samples": [1]}}
    ]
    return {"schema": 1, "experiment": "sweep", "cells": cells}


@pytest.mark.parametrize(
    ("summary", "figures"),
    [
        (summary_of, {"aggregate-figure3", "links-figure3-per-packet-8", "density-figure3-per-flow-1"}),
        (_disturbed, {"outage-figure3-silent-loss"}),
        (_asymmetry, {"asymmetry-1"}),
        (_sweep, set()),
        (lambda: json.loads((ROOT / "results/reference/signalling.json").read_text()), {"signalling-octets"}),
    ],
    ids=["aggregate", "failover", "asymmetry", "sweep", "signalling"],
)
def test_every_experiment_is_drawn_in_the_readers_style(
    paper: ModuleType, tmp_path: Path, summary: Any, figures: set[str]
) -> None:
    result = tmp_path / "result"
    result.mkdir()
    write_json(result / "summary.json", summary())
    if summary is summary_of:
        write_json(result / "distributions.json", distributions_of())
    style = tmp_path / "poster.mplstyle"
    style.write_text("figure.figsize: 2, 1\nsavefig.dpi: 50\n")
    drawn = paper.draw(result, style, tmp_path / "paper")
    assert figures <= {path.stem for path in drawn}
    assert bool(drawn) == bool(figures)
    for path in drawn:
        octets = path.read_bytes()
        if path.suffix == ".png":
            assert octets.startswith(PNG)
            # Width and height: the style's inches times its resolution.
            assert (int.from_bytes(octets[16:20]), int.from_bytes(octets[20:24])) == (100, 50)
        else:
            assert octets.startswith(b"%PDF")


def test_the_lines_about_a_sweeps_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/experiments/sweep.md says to pandas."""
    (code,) = re.findall(r"(?ms)^```python\n(.*?)^```$", (ROOT / "docs/experiments/sweep.md").read_text())
    head = ("policy", "flows", "link", "goodput_mbps", "valid")
    goodputs = [("per-flow", 69.0, True), ("per-flow", 71.0, True), ("per-packet", 1.0, False)]
    rows = [(policy, 8, None, goodput, valid) for policy, goodput, valid in goodputs]
    write_parquet((head, rows), tmp_path / "samples.parquet")
    monkeypatch.chdir(tmp_path)
    *lines, last = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    (told,) = eval(last, names).itertuples()
    assert (told.Index[0], told.mean, told.count) == ("per-flow", 70.0, 2)
    assert len(names["table"]) == 3


def test_the_lines_for_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/metrics.md says, in the checkout."""
    (code,) = re.findall(r"(?ms)^```python\n(.*?)^```$", (ROOT / "docs/metrics.md").read_text())
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "docs/examples"))
    *lines, goodputs, medians = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(lines).replace('sys.path.append("docs/examples")', ""), names)
    assert len(eval(goodputs, names)) == len(eval(medians, names)) == 4
