# SPDX-License-Identifier: GPL-2.0-or-later
"""Stored references: whole, compared number by number, and the page of claims that is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import claims, reference
from experiments.estimates import stat
from experiments.reference import REFERENCES, differences, load
from experiments.store import StoreError


def summary(*goodputs: float, policy: str = "per-flow") -> dict[str, Any]:
    cell = {
        "figure": 3,
        "policy": policy,
        "flows": 8,
        "goodput_mbps": stat(goodputs),
        "rtt_ms": {"p50": None},
    }
    return {"cells": [{**cell, "reordering": {"ratio": stat([0.0] * len(goodputs))}}]}


def verdicts(stored: dict[str, Any], found: dict[str, Any]) -> dict[str, str]:
    return {row.metric: row.verdict for row in differences(stored, found)}


def test_the_same_to_the_last_digit() -> None:
    stored = summary(60.0, 61.0, 62.0)
    assert verdicts(stored, stored) == {"goodput_mbps": "same", "reordering.ratio": "same"}
    # A batch depends on the arguments and the seed only: fewer runs are the first of them.
    assert verdicts(stored, summary(60.0)) == {"goodput_mbps": "same", "reordering.ratio": "same"}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        # Mean 61, deviation 1, t(0.9995; 2) = 31.6, so one more run may differ by 31.6 × √(4/3) = 36.5.
        ((97.0,), "within"),
        ((24.6,), "within"),
        ((24.0,), "CHANGED"),
        # As logarithms the deviation is 0.0164, so one more run may be larger by a factor of 1.82.
        ((110.0,), "within"),
        ((112.0,), "CHANGED"),
    ],
)
def test_what_chance_explains(found: tuple[float, ...], verdict: str) -> None:
    assert verdicts(summary(60.0, 61.0, 62.0), summary(*found))["goodput_mbps"] == verdict


def test_values_without_spread_may_differ_by_less_than_a_hundredth() -> None:
    stored = summary(50.0, 50.0, 50.0)
    assert verdicts(stored, summary(50.4))["goodput_mbps"] == "within"
    assert verdicts(stored, summary(50.6))["goodput_mbps"] == "CHANGED"
    worse = summary(50.0)
    worse["cells"][0]["reordering"]["ratio"] = stat([0.001])
    assert verdicts(stored, worse)["reordering.ratio"] == "CHANGED"


def test_only_cells_of_both_are_compared() -> None:
    assert verdicts(summary(1.0, 2.0), summary(1.0, policy="per-packet")) == {}


@pytest.mark.parametrize("name", REFERENCES)
def test_every_reference_is_stored_and_valid(name: str) -> None:
    found = load(name)
    assert found["summary"]["valid"] is True
    assert found["kernel_key"]
    for cell in found["summary"]["cells"]:
        assert cell["n"] >= 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("{", "is no reference"),
        ("[]", "is no reference"),
        ('{"schema": 2, "words": []}', "another schema or command"),
        ('{"schema": 1, "words": ["--seed", "5"]}', "another schema or command"),
        (json.dumps({"schema": 1, "words": REFERENCES["signalling"].words}), "is no reference"),
    ],
)
def test_a_reference_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    if text is not None:
        (tmp_path / "signalling.json").write_text(text)
    with pytest.raises(StoreError, match=said) as error:
        load("signalling")
    assert "mend it with: python experiments/reference.py --renew signalling" in str(error.value)


def test_the_page_of_claims_is_that_of_the_references() -> None:
    assert claims.main([]) == 0, "mend it with: python experiments/claims.py --write"


def test_references_show_what_the_draft_claims() -> None:
    unequal = {(c["policy"], c["flows"]): c for c in load("unequal-links")["summary"]["cells"]}
    equal = {c["flows"]: c for c in load("equal-links")["summary"]["cells"]}
    assert unequal["per-flow", 8]["efficiency"]["ci95"][0] >= 0.98
    assert max(unequal["per-flow", 8]["reordering"]["ratio"]["samples"]) == 0
    one = unequal["per-packet", 1]
    assert one["goodput_mbps"]["ci95"][1] < one["best_single_link_mbps"]
    assert equal[1]["efficiency"]["mean"] > 2 * one["efficiency"]["mean"]
    spread = [
        load(f"stream-{name}")["summary"]["cells"][0]["reordering"]["ratio"]
        for name in ("equal-links", "unequal-delays")
    ]
    assert spread[1]["ci95"][0] > 10 * spread[0]["ci95"][1]
    savings = {
        row["bindings"]: row["messages_share"]["mean"] for row in load("signalling")["summary"]["savings"]
    }
    assert all(savings[bindings] > 0.2 for bindings in savings if bindings > 1)


def test_what_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["nothing", "--renew", "--runs", "1"]) == 2
    said = capsys.readouterr().err
    assert "there is no reference nothing" in said
    assert "not with --renew" in said


def test_one_that_cannot_be_read_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also if its command was changed: that is when one must be renewed."""
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    monkeypatch.setattr(reference, "measure", lambda name: (summary(60.0, 61.0), f"key of {name}"))
    stored = tmp_path / "signalling.json"
    stored.write_text('{"schema": 1, "words": ["--runs", "1"], "summary": {}}')
    assert reference.main(["--renew", "signalling"]) == 0
    assert "of another schema or command; the new one is compared with nothing" in capsys.readouterr().err
    assert load("signalling")["summary"] == summary(60.0, 61.0)
    assert json.loads(stored.read_text())["kernel_key"] == "key of signalling"


def test_one_that_cannot_be_read_is_said_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    monkeypatch.setattr(reference, "measure", lambda _name, *_words: pytest.fail("measured"))
    assert reference.main(["signalling"]) == 2
    assert "--renew signalling" in capsys.readouterr().err


def test_the_code_has_another_name_when_what_decides_about_results_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("agents/a.py", "topologies/figures.py", "experiments/batch.py", "experiments/claims.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before\n")
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup/requirements.lock").write_text("before\n")
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    names = [reference.code()]

    def change(name: str) -> bool:
        (tmp_path / name).write_text("after\n")
        names.append(reference.code())
        return names[-1] != names[-2]

    assert change("agents/a.py")
    assert change("topologies/figures.py")  # chooses what is built; the experiments' figures only draw
    assert change("experiments/batch.py")
    assert change("setup/requirements.lock")
    assert not change("experiments/claims.py")
    (tmp_path / "agents/a.py").rename(tmp_path / "agents/b.py")
    assert reference.code() != names[-1]


def test_outages_are_compared_though_they_have_no_mean() -> None:
    def found(*outages: float) -> dict[str, Any]:
        distribution = {"p50": outages[0], "p95": outages[-1], "max": outages[-1], "samples": list(outages)}
        return {"cells": [{"figure": 3, "case": "silent-loss", "outage_s": distribution}]}

    stored = found(0.31, 0.32, 0.33)
    assert verdicts(stored, found(0.31)) == {"outage_s": "same"}
    assert verdicts(stored, found(0.34)) == {"outage_s": "within"}
    assert verdicts(stored, found(2.0)) == {"outage_s": "CHANGED"}
    (row,) = differences(stored, found(2.0))
    assert row.cell == "figure 3, case silent-loss"
    assert (row.stored, row.found) == pytest.approx((0.32, 2.0))
