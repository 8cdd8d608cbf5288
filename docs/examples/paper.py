# SPDX-License-Identifier: GPL-2.0-or-later
"""Any result as a pandas table with units, and its figures again in a style of one's own.

``.venv/bin/python docs/examples/paper.py RESULT [STYLE] [FOLDER]``: RESULT is a folder in ``results/`` or a
file in ``results/reference``, STYLE a file or name of matplotlib's, FOLDER takes the figures (``paper``).
Of this project it needs nothing but the result, so a copy of it can go with a paper.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas
from scipy import stats

mpl.use("Agg")
from matplotlib import pyplot

UNITS = {
    "mbps": "Mbit/s",
    "ms": "ms",
    "s": "s",
    "per_hour": "1/h",
    "extent": "packets",
    "packets": "packets",
    "retransmits": "segments",
}
"""By the end of a quantity's name; the others are ratios and counts, and have the unit 1."""
STYLE = Path(__file__).with_suffix(".mplstyle")


def unit(quantity: str) -> str:
    """The unit of a quantity of ``summary.json``, as ``rtt_ms.p95``."""
    ends = (
        known
        for part in quantity.split(".")
        for end, known in UNITS.items()
        if f"_{part}".endswith(f"_{end}")
    )
    return next(ends, "1")


def read(result: Path) -> dict[str, Any]:
    """The summary in a result's folder, or in a file of ``results/reference``."""
    document = json.loads(
        (result / "summary.json" if result.is_dir() else result).read_text(encoding="utf-8")
    )
    return dict(document.get("summary", document))


def load(result: Path) -> pandas.DataFrame:
    """One row per cell, quantity and run: the cell's parameters, ``quantity``, ``unit``, ``run``, ``value``.

    What is no sample of a run, as ``ceiling_mbps`` or ``link_share.lte``, is a column with the parameters.
    """
    rows = []
    for cell in read(result)["cells"]:
        columns: dict[str, Any] = {}
        samples: dict[str, tuple[float, ...]] = {}
        for name, value in _flat(cell):
            (samples if isinstance(value, tuple) else columns)[name] = value
        rows += [
            {**columns, "quantity": name, "unit": unit(name), "run": run, "value": float(value)}
            for name, values in samples.items()
            for run, value in enumerate(values, 1)
        ]
    return pandas.DataFrame(rows)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and "samples" in value:
            yield prefix + name, tuple(value["samples"])
        elif isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):  # the links of a sweep's point
            yield prefix + name, " ".join(map(str, value))
        elif value is not None:
            yield prefix + name, value


def intervals(table: pandas.DataFrame, quantity: str, by: list[str]) -> pandas.DataFrame:
    """Mean of a quantity and half its 95 % confidence interval (Student's t), a row for each ``by``."""
    values = table[table.quantity == quantity].groupby(by, sort=False)["value"].agg(["mean", "sem", "count"])
    values["half"] = stats.t.ppf(0.975, values["count"] - 1) * values["sem"]
    return values[["mean", "half", "count"]]


# --- a figure for each experiment: its name and what is on it; sizes, fonts and colours are the style's


def _named(axes: pyplot.Axes, **names: str) -> pyplot.Figure:
    """The axes' figure, with their names and a legend that covers nothing."""
    axes.set(**names)
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return axes.figure


def aggregate(table: pandas.DataFrame, result: Path) -> Iterator[tuple[str, pyplot.Figure]]:
    """Goodput by flows and policy; then how packets came and what the links carried, where that was kept."""
    for figure, cells in table.groupby("figure"):
        found = intervals(cells, "goodput_mbps", ["flows", "policy"])
        axes = found["mean"].unstack().plot.bar(yerr=found["half"].unstack(), capsize=2, rot=0)
        axes.axhline(cells["ceiling_mbps"].iloc[0], color="black", linewidth=0.6, label="ceiling")
        yield f"aggregate-figure{figure}", _named(axes, xlabel="flows", ylabel="aggregate goodput [Mbit/s]")
    kept = result / "distributions.json"
    cells = json.loads(kept.read_text(encoding="utf-8"))["cells"] if kept.exists() else []
    for cell in cells:
        if not cell["n"]:
            continue
        name = f"figure{cell['figure']}-{cell['policy']}-{cell['flows']}"
        series = cell["link_series"]
        carried = pandas.DataFrame(series["mbps"])
        carried.index = carried.index * series["interval"] - series["warm_up"]
        time, rate = "time since the warm-up [s]", "carried by the link [Mbit/s]"
        yield f"links-{name}", _named(carried.plot(), xlabel=time, ylabel=rate)
        late = pandas.Series({int(extent): count for extent, count in cell["extents"].items()}, dtype=float)
        late[0] = cell["received"] - late.sum()
        shares = late.sort_index().cumsum() / cell["received"]
        axes = shares.plot(drawstyle="steps-post", marker=".", ylim=(0, 1.03))
        extent, share = "reordering extent [packets]", "share of the packets received"
        yield f"extent-{name}", _named(axes, xlabel=extent, ylabel=share)
        density = pandas.Series({int(by): count for by, count in cell["displacements"].items()}, dtype=float)
        axes = (density.sort_index() / cell["received"]).plot(style=".", logy=True)
        yield f"density-{name}", _named(axes, xlabel="displacement [packets]", ylabel="reorder density")


def asymmetry(table: pandas.DataFrame, _: Path) -> Iterator[tuple[str, pyplot.Figure]]:
    """Goodput of per-packet over that of per-flow, by rate ratio and delay spread."""
    for flows, cells in table[table.quantity == "gain"].groupby("flows"):
        grid = cells.pivot_table(index="spread_ms", columns="ratio", values="value")
        figure, axes = pyplot.subplots()
        shades = axes.pcolormesh(grid.to_numpy(), edgecolors="black", linewidth=0.3)
        axes.set_xticks([number + 0.5 for number in range(len(grid.columns))], grid.columns)
        axes.set_yticks([number + 0.5 for number in range(len(grid.index))], grid.index)
        for (row, column), gain in np.ndenumerate(grid):
            axes.text(
                column + 0.5, row + 0.5, f"{gain:.2f}", ha="center", va="center", backgroundcolor="white"
            )
        figure.colorbar(shades, label="per-packet / per-flow")
        ratio = "fastest over slowest link's rate"
        yield f"asymmetry-{flows}", _named(axes, xlabel=ratio, ylabel="delay spread [ms]")


def outages(table: pandas.DataFrame, _: Path) -> Iterator[tuple[str, pyplot.Figure]]:
    """Distribution of the outage over the runs, for each figure of the draft and case."""
    seen = table[table.quantity == "outage_s"]
    for (number, case), cells in seen.groupby(["figure", "case"]):
        axes = pyplot.subplots()[1]
        for policy, runs in cells.groupby("policy", sort=False):
            axes.ecdf(runs["value"] * 1000, label=policy)
        axes.set_xlim(0, 1050 * cells["value"].max())
        yield f"outage-figure{number}-{case}", _named(axes, xlabel="outage [ms]", ylabel="share of runs")


def signalling(table: pandas.DataFrame, _: Path) -> Iterator[tuple[str, pyplot.Figure]]:
    """Messages and octets per hour by number of bindings."""
    for quantity, what in (("messages_per_hour", "messages"), ("octets_per_hour", "octets")):
        found = intervals(table, quantity, ["bindings", "renewal"])
        axes = found["mean"].unstack().plot(yerr=found["half"].unstack(), capsize=2, ylim=(0, None))
        yield f"signalling-{what}", _named(axes, xlabel="bindings", ylabel=f"{what} per hour")


FIGURES = {
    "aggregate": aggregate,
    "asymmetry": asymmetry,
    "failover": outages,
    "handover": outages,
    "signalling": signalling,
}


def draw(result: Path, style: str | Path = STYLE, folder: Path = Path("paper")) -> list[Path]:
    """Draw all figures of a result (a sweep has none), as PDF for the paper and as PNG to look at."""
    experiment = read(result)["experiment"]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with pyplot.style.context(style):
        for name, figure in FIGURES[experiment](load(result), result) if experiment in FIGURES else ():
            for kind in ("pdf", "png"):
                paths.append(folder / f"{name}.{kind}")
                figure.savefig(paths[-1])
            pyplot.close(figure)
    return paths


def main(result: str, style: str = str(STYLE), folder: str = "paper") -> None:
    """Which quantities there are and how far they reach, then the figures' paths."""
    table = load(Path(result))
    found = table.groupby(["quantity", "unit"], sort=False)["value"].describe()[["count", "min", "max"]]
    print(found.to_string(float_format="{:.4g}".format))  # noqa: T201
    for path in draw(Path(result), style, Path(folder)):
        print(path)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
