# SPDX-License-Identifier: GPL-2.0-or-later
"""The cumulative distribution of the outage, one figure of ours per figure of the draft and case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import style

_LINES: Mapping[str, Any] = {"per-flow": "-", "per-flow-hash": ":", "per-packet": "--"}


def draw(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw a summary."""
    style.use()
    paths: list[Path] = []
    for figure, case in dict.fromkeys((cell["figure"], cell["case"]) for cell in summary["cells"]):
        cells = [
            cell
            for cell in summary["cells"]
            if (cell["figure"], cell["case"]) == (figure, case) and cell["outage_s"]
        ]
        if cells:
            name = f"{summary['experiment']}-figure{figure}-{case}"
            paths += _cumulative(cells, f"Figure {figure}: {case}", folder, name)
    return paths


def _cumulative(cells: Sequence[Mapping[str, Any]], title: str, folder: Path, name: str) -> list[Path]:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(style.COLUMN, 2.2), layout="constrained")
    axes = drawing.add_subplot()
    for cell in cells:
        axes.ecdf(
            [1000 * sample for sample in cell["outage_s"]["samples"]],
            label=f"{cell['policy']}, n = {cell['n']}",
            color=style.look(cell["policy"])["color"] if cell["policy"] != "per-packet" else "#9a6b1f",
            linestyle=_LINES.get(cell["policy"], "-."),
            linewidth=1.2,
        )
    direction = {"down": "to", "up": "from"}[cells[0]["direction"]]
    axes.set_title(title)
    axes.set_xlabel(f"outage of a UDP stream {direction} the mobile node [ms]")
    axes.set_ylabel("share of runs")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0, right=max(1.0, 1.05e3 * max(cell["outage_s"]["max"] for cell in cells)))
    drawing.legend(loc="outside upper center", ncols=2, frameon=False)
    return style.save(drawing, folder, name)
