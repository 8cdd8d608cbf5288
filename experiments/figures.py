# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures of a result, drawn from its ``summary.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import distribution_figures, style

_BAR = 0.8
"""Share of a group's width that its bars fill."""


def aggregate(summary: Mapping[str, Any], distributions: Mapping[str, Any], folder: Path) -> list[Path]:
    """All figures of an ``aggregate`` result, for each figure of the draft its own."""
    style.use()
    paths: list[Path] = []
    for figure in dict.fromkeys(cell["figure"] for cell in summary["cells"]):
        cells = [cell for cell in summary["cells"] if cell["figure"] == figure and cell["goodput_mbps"]]
        if cells:
            paths += _aggregate(cells, folder, f"aggregate-figure{figure}")
    return paths + distribution_figures.draw(distributions, folder)


def _aggregate(cells: Sequence[Mapping[str, Any]], folder: Path, name: str) -> list[Path]:
    from matplotlib.figure import Figure

    flows = sorted({cell["flows"] for cell in cells})
    policies = list(dict.fromkeys(cell["policy"] for cell in cells))
    drawing = Figure(figsize=(style.COLUMN, 2.5), layout="constrained")
    axes = drawing.add_subplot()
    width = _BAR / len(policies)
    for number, policy in enumerate(policies):
        chosen = [cell for cell in cells if cell["policy"] == policy]
        means = [cell["goodput_mbps"]["mean"] for cell in chosen]
        axes.bar(
            [flows.index(cell["flows"]) + (number - (len(policies) - 1) / 2) * width for cell in chosen],
            means,
            width,
            yerr=_errors(chosen),
            capsize=2,
            edgecolor="black",
            linewidth=0.5,
            error_kw={"linewidth": 0.7},
            label=policy,
            **style.look(policy),
        )
    ceiling = cells[0]["ceiling_mbps"]
    best = cells[0]["best_single_link_mbps"]
    axes.axhline(ceiling, color="black", linewidth=0.8, linestyle="--", label="ceiling, all links")
    if best is not None:
        axes.axhline(best, color="black", linewidth=0.8, linestyle=":", label="best single link")
    direction = {"down": "to", "up": "from"}[cells[0]["direction"]]
    protocol = cells[0]["protocol"].upper()
    axes.set_xticks(range(len(flows)), [str(count) for count in flows])
    axes.set_xlabel(f"{protocol} flows {direction} the mobile node")
    axes.set_ylabel("aggregate goodput [Mbit/s]")
    highest = max(cell["goodput_mbps"]["ci95"][1] or 0 for cell in cells)
    axes.set_ylim(0, max(ceiling * 1.08, highest))
    drawing.legend(loc="outside upper center", ncols=2, frameon=False)
    return style.save(drawing, folder, name)


def _errors(cells: Sequence[Mapping[str, Any]]) -> list[list[float]] | None:
    """Distances from the mean to the interval's ends; None where there is no interval."""
    if any(cell["goodput_mbps"]["ci95"][0] is None for cell in cells):
        return None
    stats = [cell["goodput_mbps"] for cell in cells]
    return [
        [stat["mean"] - stat["ci95"][0] for stat in stats],
        [stat["ci95"][1] - stat["mean"] for stat in stats],
    ]
