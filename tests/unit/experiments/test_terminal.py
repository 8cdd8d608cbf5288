# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person sees on wide and narrow terminals, without colours, and where UTF-8 is missing."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from experiments.terminal import print_table

ROOT = Path(__file__).parents[3]
HEADINGS = ("fig", "policy", "goodput", "% wifi/evdo/wimax/lte")
ROWS = (("3", "per-flow", "69.27", "27/4/14/55"), ("4", "per-packet", "55.51", "27/4/14/55"))


def shown(width: int, encoding: str = "utf-8") -> str:
    """The table on a terminal of this width."""
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    console = Console(file=raw, width=width, highlight=False)
    table = Table(pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    for row in ROWS:
        table.add_row(*row)
    print_table(console, table)
    raw.flush()
    assert isinstance(raw.buffer, io.BytesIO)
    return raw.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [20, 40, 50, 80, 116])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_no_number_and_no_heading_is_cut_off(width: int, encoding: str) -> None:
    text = shown(width, encoding)
    assert [word for row in (HEADINGS, *ROWS) for word in row if word not in text] == []
    assert "…" not in text


def test_one_line_per_row_where_it_fits() -> None:
    assert len(shown(80).splitlines()) < len(shown(40).splitlines()) == len(ROWS) * (len(HEADINGS) + 1)


def test_no_colour_if_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True)
    console.print("missing", style="red")
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[31m" not in console.file.getvalue()


@pytest.mark.parametrize(
    "words",
    [["-m", "topologies", "--help"], ["experiments/aggregate.py", "--help"], ["-m", "topologies", "9"]],
)
def test_a_terminal_without_utf_8_gets_what_it_can_show(words: list[str]) -> None:
    done = subprocess.run(
        ["/usr/bin/python3", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == (2 if words[-1] == "9" else 0)
    assert (done.stdout + done.stderr).isascii()
    assert b"Traceback" not in done.stderr
