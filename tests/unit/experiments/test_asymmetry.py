# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``asymmetry`` experiment from words to result, with a lab that has no kernel."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from experiments import asymmetry, asymmetry_figures, command, plot, runner, store, style
from experiments.asymmetry import Point
from experiments.estimates import stat
from experiments.plan import Plan
from tests.unit.experiments.experiment_lab import FakeLab, leave, run_of
from topologies.lab.guest import Job

WORDS = ("--ratio", "1,4", "--spread", "0,30", "--flows", "8", "--runs", "3")


def test_equal_links() -> None:
    assert [(link.down, link.up, link.delay) for link in Point(1, 0).links] == [(10.0, 10.0, 15.0)] * 4


def test_unequal_links_by_hand() -> None:
    # Rates 1 : 2 : 4 : 8, together 40; delays in equal steps, the slow link's the longest.
    links = Point(8, 30).links
    assert [link.down for link in links] == pytest.approx([40 / 15, 80 / 15, 160 / 15, 320 / 15], abs=1e-3)
    assert [link.delay for link in links] == [45.0, 35.0, 25.0, 15.0]


def leave_goodput(folder: Path, job: Job) -> int | None:
    """30 and, in each repetition, 3 more by per-flow; per-packet gets half where delays differ."""
    document = json.loads((folder / "job.json").read_text())
    plan = Plan.from_json(document["plan"])
    spread = max(link.delay for link in plan.links) - min(link.delay for link in plan.links)
    goodput = 30.0 + 3 * (int(folder.name[-1]) - 1)
    runs = [
        run_of(t["policy"], t["flows"], goodput * (0.5 if spread and t["policy"] == "per-packet" else 1.0))
        for t in document["order"]
    ]
    return leave({"problem": None, "best_single_link": {"wifi": 10.0}, "runs": runs})(folder, job)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    made = FakeLab(leave_goodput)
    monkeypatch.setattr(runner, "_POLL", 0.001)
    monkeypatch.setattr(store, "_output", lambda words: f"version of {words[0]}")
    monkeypatch.setattr(asymmetry, "digest", lambda folder, outcome, direction, **_: outcome)  # noqa: ARG005
    monkeypatch.setattr(command, "choose", lambda kernel, clock: made)  # noqa: ARG005
    return made


def test_a_result(lab: FakeLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asymmetry.main([*WORDS, "--json", "--out", str(tmp_path)]) == 0
    assert len(lab.started) == 4 * 3
    summary = json.loads(capsys.readouterr().out)
    cells = {(cell["ratio"], cell["spread_ms"]): cell for cell in summary["cells"]}
    assert list(cells) == [(1, 0), (4, 0), (1, 30), (4, 30)]
    assert cells[4, 0]["gain"]["samples"] == [1.0, 1.0, 1.0]
    assert cells[4, 30]["gain"]["samples"] == [0.5, 0.5, 0.5]
    assert cells[4, 30]["goodput_mbps"]["difference"]["samples"] == [-15.0, -16.5, -18.0]
    assert cells[1, 30]["n"] == 3
    (folder,) = (tmp_path / "asymmetry").iterdir()
    first = (folder / "figures" / "asymmetry.png").read_bytes()
    assert plot.main([str(folder)]) == 0
    assert (folder / "figures" / "asymmetry.png").read_bytes() == first


def test_every_batch_has_a_name_and_a_seed_of_its_own(lab: FakeLab, tmp_path: Path) -> None:
    assert asymmetry.main([*WORDS, "--out", str(tmp_path)]) == 0
    assert len({seed for _, seed in lab.started}) == 12
    (folder,) = (tmp_path / "asymmetry").iterdir()
    assert (folder / "raw" / "ratio4-spread30-run003" / "job.json").exists()


def test_all_problems_of_a_command_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert asymmetry.main(["--ratio", "0,x", "--spread", "-1", "--duration", "0", "--policy", "best"]) == 2
    said = capsys.readouterr().err
    for word in ("--ratio 0", "--ratio x", "--spread -1", "--duration 0", "--policy"):
        assert word in said


def test_the_map_is_legible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[Figure] = []
    shown: dict[int, Text] = {}
    draw_text = Text.draw

    def keep(drawing: Figure, folder: Path, name: str) -> list[Path]:  # noqa: ARG001
        drawn.append(drawing)
        return []

    def note(text: Text, *arguments: object, **named: object) -> None:
        if text.get_visible() and text.get_text().strip():
            shown[id(text)] = text
        draw_text(text, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(style, "save", keep)
    cells = [
        {"flows": flows, "ratio": ratio, "spread_ms": spread, "gain": stat([0.12 * ratio + spread / 90])}
        for flows in (1, 8)
        for spread in (0, 10, 30)
        for ratio in (1, 2, 4, 8)
    ]
    asymmetry_figures.draw({"cells": cells}, tmp_path)
    (drawing,) = drawn
    drawing.set_dpi(style.SETTINGS["savefig.dpi"])
    monkeypatch.setattr(Text, "draw", note)
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown.values()]
    assert len(boxes) > 2 * 12
    assert min(float(text.get_fontsize()) for text in shown.values()) >= 7
    for word, box in boxes:
        assert 0 <= box.x0 < box.x1 <= drawing.bbox.x1, word
        assert 0 <= box.y0 < box.y1 <= drawing.bbox.y1, word
    for (one, first), (other, second) in combinations(boxes, 2):
        assert not first.overlaps(second), (one, other)
