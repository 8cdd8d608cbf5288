# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures: the same octets for the same data, legible, drawn again from the folder alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib.colors
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from agents.settings import Policy
from experiments import figures, plot, style
from experiments.distributions import distributions
from experiments.plan import Plan
from experiments.store import write_json
from tests.unit.experiments.experiment_lab import CEILING, PLAN, distributions_of, summary_of

KINDS = ("aggregate", "links", "extent", "density")
Draw = Callable[..., Figure]
MANY = replace(PLAN, policies=tuple(Policy), flows=(1, 2, 4, 8, 16, 64, 256, 1000))


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Draw:
    """A drawing of a plan's result instead of its files."""
    drawn: dict[str, Figure] = {}

    def keep(drawing: Figure, folder: Path, name: str) -> list[Path]:  # noqa: ARG001
        drawn[name] = drawing
        return []

    monkeypatch.setattr(style, "save", keep)

    def made(plan: Plan, name: str = "aggregate") -> Figure:
        figures.aggregate(summary_of(plan), distributions_of(plan), tmp_path)
        assert set(drawn) == {f"{kind}-figure3" for kind in KINDS}
        drawing = drawn[f"{name}-figure3"]
        drawing.set_dpi(style.SETTINGS["savefig.dpi"])
        return drawing

    return made


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        MANY,
        replace(PLAN, policies=(Policy.PER_FLOW,), flows=(8,), runs=1, direction="up", protocol="udp"),
        replace(PLAN, links=tuple(replace(link, down=1000.0) for link in PLAN.links)),
        replace(PLAN, links=tuple(replace(link, down=0.01) for link in PLAN.links)),
    ],
    ids=["default", "many", "few", "fast", "slow"],
)
def test_text_is_legible_and_never_overlaps(
    draw: Draw, plan: Plan, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[int, Text] = {}
    draw_text = Text.draw

    def note(text: Text, *arguments: Any, **named: Any) -> None:
        # Of an axis' many ticks only those in sight are drawn.
        if text.get_visible() and text.get_text().strip():
            shown[id(text)] = text
        draw_text(text, *arguments, **named)

    drawing = draw(plan, name)
    monkeypatch.setattr(Text, "draw", note)
    assert drawing.get_size_inches()[0] in (3.3, 7.0)
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown.values()]
    assert len(boxes) > 6
    for text in shown.values():
        assert float(text.get_fontsize()) >= 7, text.get_text()
    for word, box in boxes:
        assert box.x0 >= 0, word
        assert box.y0 >= 0, word
        assert box.x1 <= drawing.bbox.x1, word
        assert box.y1 <= drawing.bbox.y1, word
    for (one, first), (other, second) in combinations(boxes, 2):
        assert not first.overlaps(second), (one, other)


def test_a_column_wide_with_units_and_every_series_named(draw: Draw) -> None:
    drawing = draw(replace(PLAN, direction="up"))
    assert drawing.get_size_inches()[0] == 3.3
    (axes,) = drawing.axes
    assert axes.get_ylabel() == "aggregate goodput [Mbit/s]"
    assert axes.get_xlabel() == "TCP flows from the mobile node"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "8"]
    (legend,) = drawing.legends
    named = {text.get_text() for text in legend.get_texts()}
    assert named == {"per-flow", "per-packet", "ceiling, all links", "best single link"}


def bars(drawing: Figure) -> list[BarContainer]:
    return [bar for bar in drawing.axes[0].containers if isinstance(bar, BarContainer)]


def test_bars_show_means_and_intervals(draw: Draw) -> None:
    drawing = draw(PLAN)
    containers = bars(drawing)
    assert [bar.get_label() for bar in containers] == ["per-flow", "per-packet"]
    for container in containers:
        # Goodput 60, 61, 62 in every cell: 61 ± 2.484.
        assert [patch.get_height() for patch in container.patches] == [61, 61]
        assert container.errorbar is not None
        (lines,) = container.errorbar.lines[2]
        for segment in lines.get_segments():
            assert [point[1] for point in segment] == pytest.approx([58.516, 63.484], abs=1e-3)
    edges = sorted((p.get_x(), p.get_x() + p.get_width()) for bar in containers for p in bar.patches)
    assert all(left[1] <= right[0] + 1e-9 for left, right in pairwise(edges))


def test_reference_lines_and_the_axis_from_zero(draw: Draw) -> None:
    axes = draw(PLAN).axes[0]
    levels = {line.get_label(): line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2}  # type: ignore[index, arg-type]
    assert levels["ceiling, all links"] == pytest.approx(CEILING)
    assert levels["best single link"] == 37.0
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > CEILING


def test_an_interval_above_the_ceiling_stays_in_sight(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = summary_of(goodput=90.0)
    monkeypatch.setattr("tests.unit.experiments.test_figures.summary_of", lambda plan: summary)  # noqa: ARG005
    assert draw(PLAN).axes[0].get_ylim()[1] >= summary["cells"][0]["goodput_mbps"]["ci95"][1] > 93


def test_flows_stand_in_order_of_their_number(draw: Draw) -> None:
    axes = draw(replace(PLAN, flows=(8, 1))).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "8"]


def test_policies_can_be_told_apart_in_grey() -> None:
    def luminance(colour: str) -> float:
        red, green, blue = matplotlib.colors.to_rgb(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    greys = sorted(luminance(look["color"]) for look in style.LOOKS.values())
    assert set(style.LOOKS) == set(Policy)
    assert all(lighter - darker > 0.1 for darker, lighter in pairwise(greys))
    assert len({look["hatch"] for look in style.LOOKS.values()}) == len(style.LOOKS)


def test_lines_can_be_told_apart_without_colour(draw: Draw) -> None:
    assert len({look["marker"] for look in style.LINES}) == len(style.LINES)
    for name in ("links", "extent", "density"):
        for axes in draw(MANY, name).axes:
            looks = {(line.get_marker(), line.get_linestyle()) for line in axes.lines}
            assert len(looks) == len(axes.lines) > 3


def test_the_share_of_packets_by_extent_ends_at_one(draw: Draw) -> None:
    for line in draw(PLAN, "extent").axes[0].lines:
        # 3 packets of extent 1 and 2 of extent 9, of 990, in each of three runs.
        assert list(line.get_xdata()) == [0, 1, 9, 9]  # type: ignore[arg-type]
        assert list(line.get_ydata()) == pytest.approx([985 / 990, 988 / 990, 1, 1])  # type: ignore[arg-type]


def test_the_density_shows_where_most_packets_are(draw: Draw) -> None:
    for line in draw(PLAN, "density").axes[0].lines:
        assert list(line.get_xdata()) == [-1, 0, 1]  # type: ignore[arg-type]
        assert list(line.get_ydata()) == pytest.approx([2 / 990, 986 / 990, 2 / 990])  # type: ignore[arg-type]


def test_links_in_time_begin_before_the_window(draw: Draw) -> None:
    axes, _ = draw(PLAN, "links").axes
    assert [line.get_label() for line in axes.lines] == ["wifi", "evdo", "wimax", "lte"]
    moments = list(axes.lines[0].get_xdata())  # type: ignore[arg-type]
    assert len(moments) == 60
    assert moments[0] == pytest.approx(-1.9)


# --- drawn again from the folder ---------------------------------------------------------


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    write_json(folder / "summary.json", summary_of())
    write_json(folder / "distributions.json", distributions_of())
    return folder


def test_drawn_twice_the_octets_are_the_same(result: Path) -> None:
    assert plot.main([str(result)]) == 0
    first = {path.name: path.read_bytes() for path in (result / "figures").iterdir()}
    assert set(first) == {f"{name}-figure3.{kind}" for name in KINDS for kind in ("pdf", "svg", "png")}
    for path in (result / "figures").iterdir():
        path.unlink()
    assert plot.main([str(result)]) == 0
    assert {path.name: path.read_bytes() for path in (result / "figures").iterdir()} == first
    assert b"Date" not in first["aggregate-figure3.pdf"]
    assert str(result).encode() not in b"".join(first.values())
    # Type 3 fonts are refused by publishers; 42 is TrueType, embedded.
    assert b"/Type3" not in first["aggregate-figure3.pdf"]
    assert b"/FontFile2" in first["aggregate-figure3.pdf"]


def change(document: Any, keys: Sequence[str | int], value: Any) -> Any:
    """Put a value into a document; ``...`` removes what is there."""
    *way, last = keys
    place = document
    for key in way:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


STAT = ["cells", 0, "goodput_mbps"]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["schema"], 2),
        (["schema"], "1"),
        (["schema"], ...),
        (["cells"], ...),
        (["cells"], None),
        (["cells", 0], "cell"),
        (["cells", 0, "figure"], "../../elsewhere"),
        (["cells", 0, "flows"], 0),
        (["cells", 0, "flows"], True),
        (["cells", 0, "policy"], "per-bit"),
        (["cells", 0, "direction"], "left"),
        (["cells", 0, "protocol"], 5),
        (["cells", 0, "ceiling_mbps"], float("nan")),
        (["cells", 0, "ceiling_mbps"], float("inf")),
        (["cells", 0, "ceiling_mbps"], -1),
        (["cells", 0, "ceiling_mbps"], None),
        (["cells", 0, "best_single_link_mbps"], "fast"),
        (STAT, ...),
        (STAT, 61.0),
        ([*STAT, "mean"], "61"),
        ([*STAT, "mean"], 65.0),
        ([*STAT, "mean"], float("nan")),
        ([*STAT, "ci95"], []),
        ([*STAT, "ci95"], [58.0, 64.0]),
        ([*STAT, "ci95"], [None, None]),
        ([*STAT, "samples"], []),
        ([*STAT, "samples", 0], 70.0),
    ],
)
def test_an_edited_summary_is_refused(
    result: Path, keys: Sequence[str | int], value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    source = result / "summary.json"
    source.write_text(json.dumps(change(json.loads(source.read_text()), keys, value)))
    refused(result, capsys)


@pytest.mark.parametrize(
    "octets", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"7", b"[" * 100_000, b'{"schema": 1}']
)
def test_what_is_no_summary_is_refused(
    result: Path, octets: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (result / "summary.json").write_bytes(octets)
    refused(result, capsys)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_summary_is_refused(
    result: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    octets = (result / "summary.json").read_bytes()
    (result / "summary.json").write_bytes(octets[: int(len(octets) * share)])
    refused(result, capsys)


def refused(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot.main([str(result)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"plot: {result / 'summary.json'}: ")
    assert len(said.err.splitlines()) == 1
    assert {path.name for path in result.iterdir()} == {"summary.json", "distributions.json"}


def test_a_missing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot.main([str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err == f"plot: {tmp_path}/gone/summary.json: No such file or directory\n"


def test_figures_that_cannot_be_written(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (result / "figures").write_text("in the way")
    assert plot.main([str(result)]) == 2
    assert capsys.readouterr().err == f"plot: {result}/figures: File exists\n"


def test_a_result_without_numbers_has_no_figures(result: Path) -> None:
    summary = summary_of()
    for cell in summary["cells"]:
        cell["goodput_mbps"] = None
    write_json(result / "summary.json", summary)
    nothing = [(batch, {"problem": "no end", "best_single_link": {}, "runs": []}) for batch in PLAN.batches()]
    write_json(result / "distributions.json", distributions(PLAN, nothing))
    assert plot.main([str(result)]) == 0
    assert not (result / "figures").exists()
