# SPDX-License-Identifier: GPL-2.0-or-later
"""``summary.json``: its schema key by key, and which batches count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiments.store import as_text
from experiments.summary import samples, summarise
from experiments.summary_document import invalid
from tests.unit.experiments.experiment_lab import CEILING, PACKETS, PLAN, SHARES, outcome_of, summary_of

BATCHES = list(PLAN.batches())


def summarised(*outcomes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    plan = replace(PLAN, **changes)
    pairs = list(zip(plan.batches(), outcomes, strict=True))
    return summarise(plan, pairs, kernel="guest", clock="virtual", quick=False)


def test_the_keys_of_a_summary() -> None:
    summary = summary_of()
    assert list(summary) == [
        "schema",
        "experiment",
        "seed",
        "kernel",
        "clock",
        "quick",
        "valid",
        "problems",
        "cells",
        "comparisons",
    ]
    facts = {key: value for key, value in summary.items() if key not in {"cells", "comparisons"}}
    assert facts == {
        "schema": 1,
        "experiment": "aggregate",
        "seed": 1,
        "kernel": "guest",
        "clock": "virtual",
        "quick": False,
        "valid": True,
        "problems": [],
    }


def test_a_cell_key_by_key() -> None:
    # Goodput 60, 61, 62: mean 61, deviation 1, half width 4.303 / √3 = 2.4843.
    cell = summary_of()["cells"][0]
    assert list(cell) == [
        "figure",
        "policy",
        "weights",
        "protocol",
        "flows",
        "direction",
        "encapsulation",
        "n",
        "goodput_mbps",
        "ceiling_mbps",
        "best_single_link_mbps",
        "efficiency",
        "link_share",
        "reordering",
        "retransmits",
        "rtt_ms",
        "spurious_retransmits",
        "late_time_ms",
        "one_way_delay_ms",
        "jitter_ms",
        "loss_ratio",
        "duplication_ratio",
        "fairness",
    ]
    words = ("figure", "policy", "weights", "protocol", "flows", "direction", "encapsulation", "n")
    assert [cell[key] for key in words] == [3, "per-flow", "bandwidth", "tcp", 1, "down", "ipip", 3]
    assert cell["goodput_mbps"] == {
        "mean": 61.0,
        "ci95": pytest.approx([58.5157, 63.4843], abs=1e-3),
        "samples": [60.0, 61.0, 62.0],
    }
    assert cell["ceiling_mbps"] == pytest.approx(CEILING)
    assert cell["best_single_link_mbps"] == 37.0
    assert cell["efficiency"]["mean"] == pytest.approx(61 / CEILING)
    assert cell["efficiency"]["samples"] == pytest.approx([60 / CEILING, 61 / CEILING, 62 / CEILING])
    assert cell["link_share"] == pytest.approx(SHARES)
    assert list(cell["link_share"]) == ["wifi", "evdo", "wimax", "lte"]
    assert cell["retransmits"] == {"mean": 7.0, "ci95": [7.0, 7.0], "samples": [7, 7, 7]}
    means = {key: found["mean"] for key, found in cell["reordering"].items()}
    assert means == {"ratio": 0.5, "n3_ratio": 0.25, "max_extent": 9.0, "mean_extent": 4.5}
    assert {key: found["mean"] for key, found in cell["rtt_ms"].items()} == {"p50": 21.0, "p95": 22.0}
    assert [cell["late_time_ms"][name]["mean"] for name in ("p50", "p95", "p99")] == [1.0, 2.0, 3.0]
    assert [cell["one_way_delay_ms"][name]["mean"] for name in ("p50", "p95", "p99")] == [11.0, 12.0, 13.0]
    assert [cell["jitter_ms"][name]["mean"] for name in ("p50", "p95", "p99")] == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    counted = [cell[key]["mean"] for key in ("spurious_retransmits", "loss_ratio", "duplication_ratio")]
    assert counted == pytest.approx([6, 10 / 1000, 1 / 1000])
    assert cell["fairness"]["mean"] == 1.0


def test_times_that_a_run_has_none_of_are_null() -> None:
    outcomes = [outcome_of(batch) for batch in BATCHES]
    for outcome in outcomes:
        for run in outcome["runs"]:
            run["packets"] = {**PACKETS, "late_time_ms": None, "rtt_ms": None}
    cell = summarised(*outcomes)["cells"][0]
    assert cell["late_time_ms"] == {"p50": None, "p95": None, "p99": None}
    assert cell["rtt_ms"] == {"p50": None, "p95": None}


def test_a_run_with_a_problem_is_named_and_left_out_alone() -> None:
    outcomes = [outcome_of(batch) for batch in BATCHES]
    spoilt = next(run for run in outcomes[1]["runs"] if (run["policy"], run["flows"]) == ("per-packet", 8))
    spoilt |= {"problem": "3 packets vanished", "packets": None, "goodput": 1e6}
    summary = summarised(*outcomes)
    assert summary["problems"] == ["figure3-run002, per-packet, 8 flows: 3 packets vanished"]
    assert [cell["n"] for cell in summary["cells"]] == [3, 3, 3, 2]
    assert summary["cells"][3]["goodput_mbps"]["samples"] == [60.0, 62.0]
    assert [one["n"] for one in summary["comparisons"]] == [3, 2]


def test_policies_are_compared_run_by_run() -> None:
    # Differences 5, 7 and 9: mean 7, deviation 2, effect size 3.5.
    outcomes = [outcome_of(batch) for batch in BATCHES]
    for number, outcome in enumerate(outcomes):
        for run in outcome["runs"]:
            run["goodput"] = 10.0 * number + (5 + 2 * number if run["policy"] == "per-packet" else 0)
    first, _ = summarised(*outcomes)["comparisons"]
    assert (first["figure"], first["flows"], first["n"]) == (3, 1, 3)
    assert first["policies"] == ["per-packet", "per-flow"]
    assert first["goodput_mbps"]["difference"]["samples"] == [5.0, 7.0, 9.0]
    assert first["goodput_mbps"]["effect_size"] == pytest.approx(3.5)


def test_cells_are_policies_by_flows_in_the_order_of_the_arguments() -> None:
    cells = [(cell["policy"], cell["flows"]) for cell in summary_of()["cells"]]
    assert cells == [("per-flow", 1), ("per-flow", 8), ("per-packet", 1), ("per-packet", 8)]


def test_each_cell_counts_its_own_runs_whatever_their_order() -> None:
    outcomes = [outcome_of(batch) for batch in BATCHES]
    for outcome in outcomes:
        for run in outcome["runs"]:
            run["goodput"] = 10.0 * run["flows"] + (1 if run["policy"] == "per-packet" else 0)
        outcome["runs"].reverse()
    means = [cell["goodput_mbps"]["mean"] for cell in summarised(*outcomes)["cells"]]
    assert means == [10.0, 80.0, 11.0, 81.0]


def test_the_best_single_link_is_the_mean_of_each_batches_best() -> None:
    outcomes = [outcome_of(batch, best=best) for batch, best in zip(BATCHES, (30.0, 36.0, 3.0), strict=True)]
    assert summarised(*outcomes)["cells"][0]["best_single_link_mbps"] == pytest.approx((30 + 36 + 18) / 3)


def test_an_invalid_batch_is_named_and_left_out() -> None:
    outcomes = [outcome_of(batch) for batch in BATCHES]
    outcomes[1] = outcome_of(BATCHES[1], goodput=1e6, problem="calibration: lte alone carried 12 Mbit/s")
    summary = summarised(*outcomes)
    assert summary["valid"] is False
    assert summary["problems"] == ["figure3-run002: calibration: lte alone carried 12 Mbit/s"]
    for cell in summary["cells"]:
        assert cell["n"] == 2
        assert cell["goodput_mbps"]["samples"] == [60.0, 62.0]


def test_with_no_good_batch_nothing_is_a_number() -> None:
    gone = {"problem": "no end", "best_single_link": {}, "runs": []}
    summary = summarised(gone, gone, gone)
    assert len(summary["problems"]) == 3
    for cell in summary["cells"]:
        assert cell["n"] == 0
        assert cell["goodput_mbps"] is cell["efficiency"] is cell["retransmits"] is None
        assert cell["best_single_link_mbps"] is None
        assert cell["link_share"] == dict.fromkeys(SHARES)
        assert cell["ceiling_mbps"] == pytest.approx(CEILING)


def test_udp_has_no_retransmits() -> None:
    outcomes = [outcome_of(batch) for batch in BATCHES]
    for outcome in outcomes:
        for run in outcome["runs"]:
            run["retransmits"] = None
    assert summarised(*outcomes, protocol="udp")["cells"][0]["retransmits"] is None


def test_one_run_has_a_mean_and_no_interval() -> None:
    cell = summary_of(replace(PLAN, runs=1))["cells"][0]
    assert cell["goodput_mbps"] == {"mean": 60.0, "ci95": [None, None], "samples": [60.0]}


def test_what_json_prints_when_nothing_was_run() -> None:
    assert list(invalid(["a", "b"]).items()) == [
        ("schema", 1),
        ("valid", False),
        ("problems", ["a", "b"]),
        ("cells", []),
    ]


def test_no_document_holds_what_json_has_not() -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            as_text({"value": number})


def test_a_document_is_ascii_whatever_stands_in_it() -> None:
    assert as_text(invalid(["\udcff é"])).isascii()


def test_every_run_is_a_row_valid_or_not() -> None:
    outcomes = [outcome_of(batch) for batch in BATCHES]
    outcomes[2]["problem"] = "spoilt"
    header, rows = samples(PLAN, list(zip(BATCHES, outcomes, strict=True)))
    assert len(rows) == 3 * 4
    assert all(len(row) == len(header) for row in rows)
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["valid"] for row in table] == [True] * 8 + [False] * 4
    assert [row["position"] for row in table] == [0, 1, 2, 3] * 3
    first = table[0]
    assert (first["batch"], first["seed"]) == ("figure3-run001", BATCHES[0].seed)
    assert (first["goodput_mbps"], first["share_lte"], first["share_evdo"]) == (60.0, 0.6, 0.05)
    assert [(row["policy"], row["flows"]) for row in table[:4]] == [
        (treatment.policy, treatment.flows) for treatment in BATCHES[0].order
    ]
