# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that need the lab kernel run in the guest, on virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.aggregate_commands import within
from tests.net.leftovers import TOKEN, guest_folders, survivors
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import find
from topologies.lab.lab import Lab

_GOES = 5.0
"""Wall-clock seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the lab kernel."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("net")


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The guest on virtual time."""
    kernel = find()
    if kernel is None:
        pytest.skip("there is no guest kernel; make one with: make setup")
    return Lab(Clock.VIRTUAL, kernel)


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test leaves a process or a guest's folder behind, however it ends."""
    name, _, value = TOKEN.partition("=")
    monkeypatch.setenv(name, value)
    yield
    # What was killed a moment ago may not be gone yet.
    assert within(_GOES, lambda: not survivors()), survivors()
    assert guest_folders(str(tmp_path)) == []
