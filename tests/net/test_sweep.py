# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep with real guests, and its table."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.net.aggregate_commands import SLOW_LINKS, within
from tests.net.guests import SYSTEM_PYTHON
from tests.net.leftovers import survivors
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


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0, 4.0, 8.0])
def test_ctrl_c_whenever_it_comes_leaves_nothing(tmp_path: Path, seconds: float) -> None:
    """While libraries load, the cluster begins, guests start, or a network is built."""
    before = set(Path("/tmp").glob("mip4-sweep-*"))
    command = _begin(tmp_path, 600)
    with pytest.raises(subprocess.TimeoutExpired):
        command.communicate(timeout=seconds)
    os.killpg(command.pid, signal.SIGINT)
    said = command.communicate(timeout=60)[1].decode()
    assert command.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert "Traceback" not in said
    assert not list(tmp_path.glob("out/sweep/*/summary.json"))
    assert within(10, lambda: not survivors())
    assert within(10, lambda: set(Path("/tmp").glob("mip4-sweep-*")) <= before)
