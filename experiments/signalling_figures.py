# SPDX-License-Identifier: GPL-2.0-or-later
"""The figure of a ``signalling`` result, drawn from its ``summary.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments import style


def draw(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Messages and octets per hour by number of bindings, a line for each way of renewal."""
    cells = [cell for cell in summary["cells"] if cell["messages_per_hour"]]
    if not cells:
        return []
    style.use()
    drawing = Figure(figsize=(style.PAGE, 2.3), layout="constrained")
    left, right = drawing.subplots(1, 2)
    for axes, key, label, scale in (
        (left, "messages_per_hour", "messages per hour", 1.0),
        (right, "octets_per_hour", "signalling per hour [kB]", 1000.0),
    ):
        for renewal, look in zip(dict.fromkeys(cell["renewal"] for cell in cells), style.LINES, strict=False):
            chosen = [cell for cell in cells if cell["renewal"] == renewal]
            means = [cell[key]["mean"] / scale for cell in chosen]
            highs = [(cell[key]["ci95"][1] or cell[key]["mean"]) / scale for cell in chosen]
            axes.errorbar(
                [cell["bindings"] for cell in chosen],
                means,
                yerr=[high - mean for high, mean in zip(highs, means, strict=True)],
                capsize=2,
                label=f"{renewal} renewal",
                **look,
            )
        axes.set_xlabel("bindings")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    handles, labels = left.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return style.save(drawing, folder, "signalling")
