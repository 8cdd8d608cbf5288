# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make test-vagrant` takes for plausible numbers of a slow machine."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.vagrant.plausible import FIGURES, FLOWS, POLICIES, implausible


def summary() -> dict[str, Any]:
    """Of a run in which all went well."""
    goodput = {("per-flow", 1): 3.7, ("per-flow", 8): 6.9, ("per-packet", 1): 2.0, ("per-packet", 8): 6.0}
    cells = [
        {
            "figure": figure,
            "policy": policy,
            "flows": flows,
            "n": 2,
            "goodput_mbps": {"mean": goodput[policy, flows]},
            "efficiency": {"mean": goodput[policy, flows] / 6.9},
            "best_single_link_mbps": 3.77,
        }
        for figure, policy, flows in product(FIGURES, POLICIES, FLOWS)
    ]
    return {"problems": [], "cells": cells}


def test_disturbed_runs_are_no_fault() -> None:
    seen = summary()
    seen["problems"].append("figure3-run001, per-flow, 1 flows: disturbed: a program woke 56 ms late")
    assert implausible(seen) == []


def test_any_other_failure_is_one() -> None:
    seen = summary()
    seen["problems"].append("figure3-run001: calibration: wifi alone carried 1 Mbit/s; its rate is 2")
    assert implausible(seen) == seen["problems"]


@pytest.mark.parametrize(
    ("number", "changed", "said"),
    [
        (0, {"n": 0}, "figure 3, per-flow, 1 flows: no run was valid"),
        (0, {"goodput_mbps": {"mean": 2.5}}, "figure 3, per-flow, 1 flows: 2.50 Mbit/s"),
        (1, {"efficiency": {"mean": 0.7}}, "figure 3, per-flow, 8 flows: only 0.700 of the ceiling"),
        (15, {"efficiency": {"mean": 1.2}}, "figure 6, per-packet, 8 flows: 1.200 of the ceiling"),
        (15, {"efficiency": {"mean": 0.0}}, "figure 6, per-packet, 8 flows: 0.000 of the ceiling"),
    ],
)
def test_what_is_not_plausible(number: int, changed: dict[str, Any], said: str) -> None:
    seen = summary()
    seen["cells"][number].update(changed)
    (problem,) = implausible(seen)
    assert problem.startswith(said)


def test_a_missing_cell_is_named() -> None:
    seen = summary()
    del seen["cells"][5]
    assert implausible(seen) == ["figure 4, per-flow, 8 flows: no run was valid"]
