# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of how packets were reordered and of what each link carried, from ``distributions.json``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments import style

Cell = Mapping[str, Any]
_SHOWN = 0.999
"""Share of the packets whose displacements are shown: a few lie far out."""


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """All figures of a result, for each figure of the draft its own."""
    style.use()
    paths: list[Path] = []
    for number in dict.fromkeys(cell["figure"] for cell in document["cells"]):
        cells = [cell for cell in document["cells"] if cell["figure"] == number and cell["n"]]
        if cells:
            paths += _link_series(cells, folder, f"links-figure{number}")
        if any(cell["extents"] for cell in cells):
            paths += _extents(cells, folder, f"extent-figure{number}")
            paths += _densities(cells, folder, f"density-figure{number}")
    return paths


def _link_series(cells: Sequence[Cell], folder: Path, name: str) -> list[Path]:
    """What each link carried in time, a panel for each policy, with the most flows measured."""
    most = max(cell["flows"] for cell in cells)
    chosen = [cell for cell in cells if cell["flows"] == most]
    drawing = Figure(figsize=(style.PAGE, 2.3), layout="constrained")
    panels = drawing.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for axes, cell in zip(panels, chosen, strict=True):
        series = cell["link_series"]
        step, warm_up = series["interval"], series["warm_up"]
        for (link, rates), look in zip(series["mbps"].items(), itertools.cycle(style.LINES)):
            moments = [(i + 0.5) * step - warm_up for i in range(len(rates))]
            axes.plot(moments, rates, label=link, markevery=max(1, len(rates) // 8), **look)
            axes.set_xlim(-warm_up, len(rates) * step - warm_up)
        if warm_up:
            axes.axvspan(-warm_up, 0, color="0.92", linewidth=0)
        axes.set_title(f"{cell['policy']}, {most} flow{'s' if most > 1 else ''}")
        axes.set_xlabel("time since the warm-up [s]")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[0].set_ylabel("carried by the link [Mbit/s]")
    handles, labels = panels[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return style.save(drawing, folder, name)


def _labelled(cells: Sequence[Cell]) -> list[tuple[str, Cell]]:
    """Cells with the fewest and the most flows, with their names: more lines cannot be told apart."""
    ends = {pick(cell["flows"] for cell in cells) for pick in (min, max)}
    cells = [cell for cell in cells if cell["flows"] in ends]
    return [
        (f"{cell['policy']}, {cell['flows']} flow{'s' if cell['flows'] > 1 else ''}", cell) for cell in cells
    ]


def _extents(cells: Sequence[Cell], folder: Path, name: str) -> list[Path]:
    """Distribution of the reordering extent over all packets received: 0 is a packet in order."""
    drawing = Figure(figsize=(style.COLUMN, 2.5), layout="constrained")
    axes = drawing.add_subplot()
    largest = max(int(extent) for cell in cells for extent in cell["extents"])
    for (label, cell), look in zip(_labelled(cells), itertools.cycle(style.LINES)):
        in_order = cell["received"] - sum(cell["extents"].values())
        extents = [0, *(int(extent) for extent in cell["extents"]), largest]
        counts = itertools.accumulate([in_order, *cell["extents"].values(), 0])
        shares = [count / cell["received"] for count in counts]
        axes.step(extents, shares, where="post", label=label, markevery=max(1, len(extents) // 6), **look)
    axes.set_xlabel("reordering extent [packets] (RFC 4737)")
    axes.set_ylabel("share of the packets received")
    axes.set_xlim(0, largest)
    axes.set_ylim(0, 1.03)
    drawing.legend(loc="outside upper center", ncols=2, frameon=False)
    return style.save(drawing, folder, name)


def _densities(cells: Sequence[Cell], folder: Path, name: str) -> list[Path]:
    """Reorder density (RFC 5236): negative displacements are early packets, positive late ones."""
    drawing = Figure(figsize=(style.COLUMN, 2.5), layout="constrained")
    axes = drawing.add_subplot()
    reach = max(_reach(cell["displacements"]) for cell in cells)
    for (label, cell), look in zip(_labelled(cells), itertools.cycle(style.LINES)):
        total = sum(cell["displacements"].values())
        known = {int(value): count / total for value, count in cell["displacements"].items()}
        values = range(-reach, reach + 1)
        shares = [known.get(value, math.nan) for value in values]
        plotted = {"markersize": 3, **look, "linewidth": 0.7}
        # Marked at 0 at least: all there is to see of a stream in order.
        every = max(1, len(values) // 12)
        axes.plot(values, shares, label=label, markevery=(reach % every, every), **plotted)
    axes.set_yscale("log")
    axes.set_xlabel("displacement [packets] (RFC 5236)")
    axes.set_ylabel("reorder density")
    drawing.legend(loc="outside upper center", ncols=2, frameon=False)
    return style.save(drawing, folder, name)


def _reach(displacements: Mapping[str, int]) -> int:
    """The distance within which ``_SHOWN`` of the packets lie; at least 1."""
    by_distance = sorted((abs(int(value)), count) for value, count in displacements.items())
    needed = _SHOWN * sum(count for _, count in by_distance)
    for distance, reached in zip(
        (distance for distance, _ in by_distance),
        itertools.accumulate(count for _, count in by_distance),
        strict=True,
    ):
        if reached >= needed:
            return max(1, distance)
    return 1
