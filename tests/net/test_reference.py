# SPDX-License-Identifier: GPL-2.0-or-later
"""Today's code gives what the stored references say: one run of each, the whole by ``reference.py``.

With the kernel and the code that made a reference the numbers are the same to the last digit, on any machine.
After a change of the code, or with another kernel, they are what chance explains.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from experiments.reference import code, differences, load, measure
from topologies.lab.lab import Lab

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

PARTS = {
    "unequal-links": ("--runs", "1"),
    "equal-links": ("--runs", "1"),
    "stream-equal-links": ("--runs", "1"),
    "stream-unequal-delays": ("--runs", "1"),
    "asymmetry": ("--runs", "1", "--ratio", "4", "--spread", "30", "--flows", "1"),
    "signalling": ("--runs", "1", "--bindings", "4"),
    "unequal-links-later": ("--runs", "1"),
    "all-figures": ("--runs", "1", "--figure", "4,6"),
    "asymmetry-start": ("--runs", "1", "--ratio", "1", "--spread", "30", "--flows", "1,8"),
    "failover": ("--runs", "1"),
    "handover": ("--runs", "1"),
}
"""What is measured of each: whole batches, because what one holds decides about each number in it."""
Measured = dict[str, tuple[dict[str, Any], str]]
"""Summary and kernel key, by name."""


@pytest.fixture(scope="module")
def measured(lab: Lab) -> Measured:  # noqa: ARG001 - a guest
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(measure, name, *words) for name, words in PARTS.items()}
    return {name: run.result() for name, run in runs.items()}


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", PARTS)
def test_what_is_stored_is_measured_again(measured: Measured, name: str) -> None:
    stored = load(name)
    summary, key = measured[name]
    found = list(differences(stored["summary"], summary))
    assert len(found) > 1
    made_alike = (stored["kernel_key"], stored.get("code")) == (key, code())
    wrong = [row for row in found if row.verdict not in (("same",) if made_alike else ("same", "within"))]
    assert not wrong, "if it is meant: python experiments/reference.py --renew && claims.py --write"
