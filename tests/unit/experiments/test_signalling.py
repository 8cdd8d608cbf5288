# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``signalling`` experiment from words to result, with a lab that has no kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from scapy.layers.inet import IP, UDP

from experiments import command, plot, runner, signalling, signalling_figures, store, style
from experiments.signalling import SignallingPlan, Treatment, count
from experiments.signalling_batch import CAPTURE
from tests.unit.experiments.experiment_lab import FakeLab, leave
from tests.unit.metrics.captured import write
from topologies.lab.guest import Job

PLAN = SignallingPlan("signalling", (1, 4), 600, 3, 7)


def message(out: bool, octets: int = 50) -> IP:
    ends = ("192.0.2.2", "198.51.100.1") if out else ("198.51.100.1", "192.0.2.2")
    return IP(src=ends[0], dst=ends[1]) / UDP(sport=434, dport=434) / (b"m" * octets)


def test_messages_in_the_hour_are_counted_with_their_headers(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.pcap",
        [(t, out, message(out)) for t, out in [(5, True), (10, True), (12, False), (19, True), (20, False)]],
    )
    assert count(path, 10, 20) == {"requests": 2, "replies": 1, "octets": 3 * (50 + 28)}


def leave_messages(folder: Path, job: Job) -> int | None:
    """Ten pairs for each binding and hour; in bulk a fifth fewer; one more pair in each repetition."""
    wanted = json.loads((folder / "job.json").read_text())
    pairs = 10 * wanted["bindings"] + int(folder.name[-1])
    if wanted["renewal"] == "bulk" and wanted["bindings"] > 1:
        pairs -= 8
    (folder / "raw").mkdir()
    times = [(t, out, message(out)) for t in range(pairs) for out in (True, False)]
    write(folder / "raw" / CAPTURE, times)
    return leave({"problem": None, "runs": [{"window": [0, 1000]}]})(folder, job)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    made = FakeLab(leave_messages)
    monkeypatch.setattr(runner, "_POLL", 0.001)
    monkeypatch.setattr(store, "_output", lambda words: f"version of {words[0]}")
    monkeypatch.setattr(command, "choose", lambda kernel, clock: made)  # noqa: ARG005
    return made


WORDS = ("--bindings", "1,4", "--runs", "3", "--seed", "7")


def test_a_result(lab: FakeLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signalling.main([*WORDS, "--json", "--out", str(tmp_path)]) == 0
    assert len(lab.started) == 3 * 2 * 2
    said = capsys.readouterr()
    summary = json.loads(said.out)
    cells = {(cell["bindings"], cell["renewal"]): cell for cell in summary["cells"]}
    assert list(cells) == [(1, "individual"), (1, "bulk"), (4, "individual"), (4, "bulk")]
    assert cells[4, "individual"]["messages_per_hour"]["samples"] == [82.0, 84.0, 86.0]
    assert cells[4, "bulk"]["octets_per_hour"]["samples"] == [66 * 78.0, 68 * 78.0, 70 * 78.0]
    one, four = summary["savings"]
    assert one["messages_share"]["samples"] == [0.0, 0.0, 0.0]
    assert four["messages_share"]["samples"] == pytest.approx([16 / 82, 16 / 84, 16 / 86])
    assert four["messages_per_hour"]["difference"]["samples"] == [16.0, 16.0, 16.0]
    (folder,) = (tmp_path / "signalling").iterdir()
    assert (folder / "figures" / "signalling.pdf").exists()
    assert len((folder / "samples.csv").read_text().splitlines()) == 1 + 12
    first = (folder / "figures" / "signalling.pdf").read_bytes()
    (folder / "figures" / "signalling.pdf").unlink()
    assert plot.main([str(folder)]) == 0
    assert (folder / "figures" / "signalling.pdf").read_bytes() == first


def test_a_capture_cut_short_spoils_its_batch(
    lab: FakeLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(folder: Path, job: Job) -> int | None:
        code = leave_messages(folder, job)
        path = folder / "raw" / CAPTURE
        path.write_bytes(path.read_bytes()[:-1])
        return code

    lab._behaviour = cut
    assert signalling.main([*WORDS, "--json", "--out", str(tmp_path)]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["problems"]) == 12
    assert "ends in the middle of a packet" in summary["problems"][0]
    assert str(tmp_path) not in summary["problems"][0]
    assert all(cell["messages_per_hour"] is None for cell in summary["cells"])


def test_both_renewals_of_one_repetition_share_a_seed() -> None:
    batches = list(PLAN.batches())
    seeds = {(b.repetition, b.treatment.bindings): b.seed for b in batches}
    assert all(seeds[b.repetition, b.treatment.bindings] == b.seed for b in batches)
    assert len(set(seeds.values())) == len(seeds)
    assert len({batch.name for batch in batches}) == len(batches)
    assert batches[0].treatment == Treatment(1, "individual")


def test_all_problems_of_a_command_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert signalling.main(["--bindings", "0,9", "--lifetime", "x", "--runs", "", "--figure", "3"]) == 2
    said = capsys.readouterr().err
    for word in ("--bindings 0", "--bindings 9", "--lifetime x", "--runs ''", "--figure"):
        assert word in said


def test_the_figure(monkeypatch: pytest.MonkeyPatch, lab: FakeLab, tmp_path: Path) -> None:  # noqa: ARG001
    drawn: list[Figure] = []

    def keep(drawing: Figure, folder: Path, name: str) -> list[Path]:  # noqa: ARG001
        drawn.append(drawing)
        return []

    monkeypatch.setattr(style, "save", keep)
    assert signalling.main([*WORDS, "--out", str(tmp_path)]) == 0
    (drawing,) = drawn
    assert drawing.get_size_inches()[0] == 7.0
    left, right = drawing.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("messages per hour", "signalling per hour [kB]")
    assert signalling_figures.draw({"cells": []}, tmp_path) == []
