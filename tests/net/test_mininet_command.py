# SPDX-License-Identifier: GPL-2.0-or-later
"""``mn --custom topologies/mn.py --topo figure3``: Mininet's own command brings up the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.net.guests import WALL_LIMIT, Ended, job
from topologies.figures import available
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

LINES = """\
nodes
mn ping -q -c 2 cn
cn ping -q -c 2 mn
mn mipctl bindings --json
mn mipctl --node ha status --json | head -c 1
nosuch x
mn
"""
# Mininet's nodes write to terminals, and its prompt to stderr.
BEGIN = "cd /; export TERM=dumb; "
END = """
echo "code $?"; ls -d /run/mip4* /tmp/mip4-host-* 2>/dev/null; ps ax -o args= | grep -c '[m]ip-'; true
"""
LINE_BY_LINE = 'mn --custom "$0/topologies/mn.py" --topo figure3 --test none --post "$1" 2>&1'
ONE_LINE = 'echo "mn mipctl status --json" | mn -v output --custom "$0/topologies/mn.py" --topo "$1" 2>&1'


def shell(lab: Lab, folder: Path, script: str, word: str) -> Ended:
    """Mininet's prompt asks for input without waiting when there is none: only real time goes on then."""
    real = Lab(Clock.REAL, lab.guest_kernel)
    with real.start(
        job(["sh", "-c", BEGIN + script + END, str(ROOT), word], folder), wall_limit=WALL_LIMIT
    ) as running:
        return Ended(running.wait(), running.output("stdout"), running.output("stderr"))


def test_a_figure_with_mininets_prompt(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(LINES)
    ended = shell(lab, tmp_path, LINE_BY_LINE, str(tmp_path / "lines"))
    said = ended.stdout
    assert "cn evdo fa ha home internet lte mn wifi wimax" in said
    assert "PING 203.0.113.2 " in said  # names stand for addresses
    assert "PING 198.51.100.10 " in said
    assert said.count("2 packets transmitted, 2 received") == 2
    assert said.count('"state": "registered"') == 4
    assert said.count("which agent?") == 0  # mipctl knows them by name
    assert "Unknown command: nosuch x" in said
    assert "enter a command for node: mn" in said
    assert "Traceback" not in said
    assert said.endswith("\ncode 0\n0\n"), said[-500:]  # and nothing is left


@pytest.mark.parametrize("figure", [number for number in available() if number != 3])
def test_every_figure(lab: Lab, tmp_path: Path, figure: int) -> None:
    ended = shell(lab, tmp_path, ONE_LINE, f"figure{figure},policy=per-packet,evdo=10/5:20")
    assert '"registered": true' in ended.stdout, ended
    assert '"policy": "per-packet"' in ended.stdout
    assert ended.stdout.endswith("code 0\n0\n")


def test_all_problems_at_once_before_anything_is_built(lab: Lab, tmp_path: Path) -> None:
    ended = shell(lab, tmp_path, ONE_LINE, "figure3,policy=x,evd=1/1:1,lte=a")
    for part in ("policy=x: allowed is per-flow", "there is no link 'evd'", "lte=a: the form is"):
        assert part in ended.stdout
    assert ended.stdout.endswith("code 2\n0\n")
