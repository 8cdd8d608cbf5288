# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep with real guests, and its table."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from tests.net.aggregate_commands import SLOW_LINKS
from tests.net.guests import SYSTEM_PYTHON
from topologies.lab.guest_kernel import ROOT

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]


def _begin(folder: Path, duration: float) -> subprocess.Popen[bytes]:
    links = ", ".join(f'"{word}"' for word in SLOW_LINKS if word != "--link")
    (folder / "sweep.toml").write_text(
        'experiment = "aggregate"\n[parameters]\nfigure = 3\nflows = 1\nruns = 1\n'
        f'policy = ["per-flow", "per-packet"]\nlink = [[{links}]]\nduration = {duration}\n'
    )
    program = [SYSTEM_PYTHON, str(ROOT / "experiments/sweep.py"), "sweep.toml", "--kernel", "guest"]
    return subprocess.Popen(
        [*program, "--out", "out", "--jobs", "2"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_two_guests_make_a_table(tmp_path: Path) -> None:
    command = _begin(tmp_path, 0.5)
    said = command.communicate(timeout=250)[1].decode()
    assert command.returncode == 0, said
    (result,) = (tmp_path / "out" / "sweep").iterdir()
    with (result / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["policy"] for row in rows] == ["per-flow", "per-packet"]
    assert all(0.2 < float(row["goodput_mbps"]) < 4 and row["valid"] == "True" for row in rows)
    assert (result / "samples.parquet").stat().st_size > 0
