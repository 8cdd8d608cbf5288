# SPDX-License-Identifier: GPL-2.0-or-later
"""Today's code gives what the stored references say: one run of each, the whole by ``reference.py``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from experiments.reference import differences, load, measure
from topologies.lab.lab import Lab

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

PARTS = {
    "unequal-links": ("--runs", "1"),
    "equal-links": ("--runs", "1", "--flows", "1"),
    "stream-equal-links": ("--runs", "1"),
    "stream-unequal-delays": ("--runs", "1"),
    "asymmetry": ("--runs", "1", "--ratio", "4", "--spread", "30", "--flows", "1"),
    "signalling": ("--runs", "1", "--bindings", "4"),
}
"""What is measured of each: the first run of it all, or of one cell."""
Measured = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def measured(lab: Lab) -> Measured:  # noqa: ARG001 - a guest
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(measure, name, *words) for name, words in PARTS.items()}
    return {name: run.result()[0] for name, run in runs.items()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PARTS)
def test_what_is_stored_is_measured_again(measured: Measured, name: str) -> None:
    found = list(differences(load(name)["summary"], measured[name]))
    assert len(found) > 1
    changed = [row for row in found if row.verdict == "CHANGED"]
    assert not changed, "if it is meant: python experiments/reference.py --renew && claims.py --write"
