# SPDX-License-Identifier: GPL-2.0-or-later
"""The figure of an ``asymmetry`` result, drawn from its ``summary.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from experiments import style

_RANGE = (0.1, 10.0)
"""Gains shown; even a policy ten times better or worse has a shade of its own."""


def draw(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Goodput of per-packet over that of per-flow, by rate ratio and delay spread, a panel for each number
    of flows.
    """
    cells = [cell for cell in summary["cells"] if cell["gain"]]
    if not cells:
        return []
    style.use()
    counts = list(dict.fromkeys(cell["flows"] for cell in cells))
    ratios = sorted({cell["ratio"] for cell in cells})
    spreads = sorted({cell["spread_ms"] for cell in cells})
    drawing = Figure(figsize=(style.PAGE, 2.3), layout="constrained")
    panels = drawing.subplots(1, len(counts), squeeze=False)[0]
    for axes, flows in zip(panels, counts, strict=True):
        grid = np.full((len(spreads), len(ratios)), np.nan)
        for cell in cells:
            if cell["flows"] == flows:
                gain = cell["gain"]["mean"]
                row, column = spreads.index(cell["spread_ms"]), ratios.index(cell["ratio"])
                grid[row, column] = gain
                dark = gain < 1
                colour = "white" if dark else "black"
                axes.text(column, row, f"{gain:.2f}", ha="center", va="center", color=colour)
        shades = axes.imshow(grid, origin="lower", aspect="auto", cmap="gray", norm=LogNorm(*_RANGE))
        axes.set_xticks(range(len(ratios)), [str(ratio) for ratio in ratios])
        axes.set_yticks(range(len(spreads)), [str(spread) for spread in spreads])
        axes.set_xlabel("fastest over slowest link's rate")
        axes.set_title(f"{flows} TCP flow{'s' if flows > 1 else ''}")
    panels[0].set_ylabel("delay spread [ms]")
    bar = drawing.colorbar(shades, ax=list(panels), ticks=[0.1, 1, 10], format="%g")
    bar.set_label("per-packet / per-flow")
    bar.ax.minorticks_off()
    return style.save(drawing, folder, "asymmetry")
