# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers and figures of the experiments' pages are those of the stored references."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image

from experiments import asymmetry_figures, figures, signalling_figures
from tests.documented.pages import ROOT

PAGES = sorted((ROOT / "docs/experiments").glob("*.md"))
TABLES = [
    (page.name, name, [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()])
    for page in PAGES
    for name, table in re.findall(
        r"(?m)^<!-- reference: (\S+) -->\n\n((?:\|.*\n)+)", page.read_text(encoding="utf-8")
    )
]


def summary(reference: str) -> dict[str, Any]:
    """A stored reference's summary."""
    stored: dict[str, Any] = json.loads((ROOT / f"results/reference/{reference}.json").read_text())["summary"]
    return stored


def test_the_pages_have_tables() -> None:
    measured = {"aggregate.md", "asymmetry.md", "failover.md", "handover.md", "signalling.md"}
    assert {page for page, _, _ in TABLES} == measured


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_is_claimed_how_it_is_measured_and_where_that_ends(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = [word for word in ("Claim", "Question", "Command", "Expected", "Limits") if f"**{word}" in text]
    assert found[0] in ("Claim", "Question")
    assert {"Command", "Limits"} <= set(found)


@pytest.mark.parametrize(("page", "reference", "table"), TABLES, ids=lambda part: str(part)[:20])
def test_each_number_of_a_table_is_the_references(page: str, reference: str, table: list[list[str]]) -> None:
    head, _, *rows = table
    cells = summary(reference)["cells"]
    assert len(rows) == len(cells), page
    for row in rows:
        told = dict(zip(head, row, strict=True))
        (cell,) = (cell for cell in cells if all(_is(_at(cell, key), word) for key, word in told.items()))
        for key, word in told.items():
            if isinstance(stat := _at(cell, key), dict):
                digits = len(word.partition(".")[2])
                assert word == f"{stat['mean']:.{digits}f}", (key, row)


def _is(value: Any, word: str) -> bool:
    if isinstance(value, float):
        return f"{value:.{len(word.partition('.')[2])}f}" == word
    return isinstance(value, dict) or str(value) == word


def _at(cell: Any, path: str) -> Any:
    for key in path.split("."):
        cell = cell[key]
    return cell


@pytest.mark.parametrize(
    ("name", "reference"),
    [("aggregate-figure3", "unequal-links"), ("asymmetry", "asymmetry"), ("signalling", "signalling")],
)
def test_an_image_is_drawn_from_its_reference(name: str, reference: str, tmp_path: Path) -> None:
    stored = summary(reference)
    if stored["experiment"] == "aggregate":
        figures.aggregate(stored, {"cells": []}, tmp_path)
    else:
        {"asymmetry": asymmetry_figures, "signalling": signalling_figures}[reference].draw(stored, tmp_path)
    drawn, shown = (
        np.asarray(image.imread(folder / f"{name}.png")) for folder in (tmp_path, ROOT / "docs/images")
    )
    said = f"the reference has changed; a new drawing of it is {tmp_path / name}.png"
    assert drawn.shape == shown.shape, said
    assert np.abs(drawn - shown).mean() < 1e-3, said  # another machine's fonts differ by shades
