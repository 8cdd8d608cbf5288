# SPDX-License-Identifier: GPL-2.0-or-later
"""One look for all figures: widths of a two-column paper, legible in grey, fonts embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from agents.settings import Policy

COLUMN, PAGE = 3.3, 7.0
"""Widths in inches of a figure over one column and over both."""
SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "mip4-multiple-tunnels",
    "savefig.dpi": 300,
    "hatch.linewidth": 0.5,
}
LOOKS: dict[str, dict[str, Any]] = {
    "per-flow": {"color": "#1b4f8a", "hatch": ""},
    "per-flow-hash": {"color": "#7fa8d1", "hatch": "////"},
    "per-packet": {"color": "#e0c9a0", "hatch": "...."},
}
"""Policies differ in luminance and in hatching."""
_OF_ONES_OWN: tuple[dict[str, Any], ...] = (
    {"color": "#b5b5b5", "hatch": "xxxx"},
    {"color": "#5c5c5c", "hatch": "\\\\\\\\"},
    {"color": "#ffffff", "hatch": "oo"},
)
"""Policies that a user has added have these, in their order."""
LINES: tuple[dict[str, Any], ...] = (
    {"color": "#000000", "linestyle": "-", "marker": "o"},
    {"color": "#1b4f8a", "linestyle": "--", "marker": "s"},
    {"color": "#7a4a00", "linestyle": "-.", "marker": "^"},
    {"color": "#5f8fc0", "linestyle": "-", "marker": "D"},
    {"color": "#b08a3e", "linestyle": "--", "marker": "v"},
    {"color": "#8c8c8c", "linestyle": ":", "marker": "x"},
)
"""Lines differ in marker and in stroke, for readers of a grey print."""


def look(policy: str) -> dict[str, Any]:
    """How a policy is drawn."""
    added = [known.value for known in Policy if known.value not in LOOKS]
    return LOOKS[policy] if policy in LOOKS else _OF_ONES_OWN[added.index(policy) % len(_OF_ONES_OWN)]


def use() -> None:
    """Draw without a screen, in the project's style."""
    mpl.use("Agg")
    mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]  # its keys are literals there


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PDF, SVG and PNG, the same octets for the same data."""
    folder.mkdir(exist_ok=True)
    paths = []
    for kind, metadata in (
        ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
        ("svg", {"Date": None, "Creator": None}),
        ("png", {"Software": None}),
    ):
        path = folder / f"{name}.{kind}"
        figure.savefig(path, metadata=metadata)
        paths.append(path)
    return paths
