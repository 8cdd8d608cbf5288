# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures become numbers, and a run that lost packets nobody dropped counts for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.digest import digest
from tests.unit.metrics.captured import udp, write


def batch(folder: Path, came: int, **changes: Any) -> dict[str, Any]:
    """A batch of one run of ten datagrams, the last of which may be lost."""
    place = folder / "raw" / "run-0"
    place.mkdir(parents=True)
    write(place / "sender.pcap", [(n, True, udp(n)) for n in range(10)])
    write(place / "receiver.pcap", [(100 + n, False, udp(n)) for n in range(came)])
    run = {"name": "run-0", "window": [0, 50], "dropped": {"wifi": 0, "lte": 0}, "lateness": 0.0}
    return {"problem": None, "best_single_link": {}, "runs": [{**run, **changes}]}


def only_run(folder: Path, outcome: dict[str, Any], *, direction: str = "down") -> dict[str, Any]:
    (run,) = digest(folder, outcome, direction, keep_captures=False)["runs"]
    found: dict[str, Any] = run
    return found


def test_a_good_run(tmp_path: Path) -> None:
    run = only_run(tmp_path, batch(tmp_path, 10))
    assert run["problem"] is None
    assert (run["packets"]["sent"], run["packets"]["received"]) == (10, 10)
    assert not list(tmp_path.rglob("*.pcap"))


def test_captures_are_kept_when_asked_for(tmp_path: Path) -> None:
    digest(tmp_path, batch(tmp_path, 10), "down", keep_captures=True)
    assert len(list(tmp_path.rglob("*.pcap"))) == 2


@pytest.mark.parametrize("dropped", [3, 5])
def test_what_queues_dropped_is_accounted_for(tmp_path: Path, dropped: int) -> None:
    # Queues may have dropped more than was lost: signalling passes them too.
    outcome = batch(tmp_path, 7, dropped={"wifi": 2, "lte": dropped - 2})
    assert only_run(tmp_path, outcome)["problem"] is None


def test_packets_that_vanish_spoil_a_run(tmp_path: Path) -> None:
    problem = only_run(tmp_path, batch(tmp_path, 7, dropped={"wifi": 1, "lte": 1}))["problem"]
    assert problem == (
        "3 of 10 packets did not arrive, but the links' queues dropped 2 in all: packets vanished elsewhere"
    )


def test_a_busy_machine_spoils_a_run(tmp_path: Path) -> None:
    problem = only_run(tmp_path, batch(tmp_path, 10, lateness=0.0731))["problem"]
    assert problem == "disturbed: a program woke 73 ms late; run it on an idle machine"


def test_a_capture_cut_short_spoils_its_run_and_names_no_path(tmp_path: Path) -> None:
    outcome = batch(tmp_path, 10)
    capture = tmp_path / "raw" / "run-0" / "receiver.pcap"
    capture.write_bytes(capture.read_bytes()[:-1])
    run = only_run(tmp_path, outcome)
    assert run["packets"] is None
    assert run["problem"] == f"{tmp_path.name}/raw/run-0/receiver.pcap: ends in the middle of a packet"
