# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of README and docs that look into a network, run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.documented.pages import Documented, commands, copy_of_the_checkout, run
from tests.documented.rules import Way, chosen, rule_for
from tests.net.guests import WALL_LIMIT

pytestmark = pytest.mark.usefixtures("lab")
LTE_ROUND_TRIP = 30.1
BLOCKS = {(documented.page, documented.block) for documented in chosen(Way.BLOCK)}


def check(command: str, said: str) -> None:
    """What must have been said, by the command's own words."""
    if count := re.search(r"ping -c (\d)", command):
        times = [float(time) for time in re.findall(r"time=([\d.]+) ms", said)]
        if "for flow in 1 2 3 4 5" in command:
            assert times == pytest.approx([LTE_ROUND_TRIP] * 5, abs=0.5)  # not a flow by another link
        else:
            assert len(times) == int(count[1])
    elif "bindings" in command:
        assert said.count("registered") == (5 if " 7 " in command else 4)
    elif "tunnels" in command:
        assert "192.0.2.98" in said
    elif "status" in command:
        assert "198.51.100.10" in said


def test_lines_of_one_prompt(tmp_path: Path) -> None:
    """Each command of ``--exec NODE`` is a line ``NODE …`` there; its exit code is told after it."""
    looks = chosen(Way.PROMPT)
    (prompt, *_) = [documented.command for documented in looks if documented.command.endswith(" --cli")]
    lines = []
    for documented in looks:
        _, _, words = documented.command.partition(" --exec ")
        node, _, words = (words or f"mn {documented.command}").partition(" ")
        if not documented.command.endswith(" --cli"):
            lines.append((f"{node} {words}", f"{node} sh -c {shlex.quote(words + '; echo ended with $?')}"))
    lines.sort(key=lambda line: "deregister" in line[0])  # last: nothing is there afterwards
    assert len(lines) > 6
    done = run(prompt, copy_of_the_checkout(tmp_path), WALL_LIMIT, "".join(f"{line}\n" for _, line in lines))
    assert (done.returncode, done.stderr) == (0, "")
    *told, rest = re.split(r"^ended with (\d+)\n", done.stdout, flags=re.MULTILINE)
    assert rest == ""
    for (words, _), said, code in zip(lines, told[::2], told[1::2], strict=True):
        assert code == "0", (words, said)
        check(words, said)


@pytest.mark.parametrize(("page", "block"), sorted(BLOCKS, key=str))
def test_a_block_of_commands(page: str, block: int, tmp_path: Path) -> None:
    copy = copy_of_the_checkout(tmp_path)
    for documented in commands():
        if (documented.page, documented.block) == (page, block) and _in_blocks(documented):
            done = run(documented.command, copy, WALL_LIMIT)
            assert done.returncode == 0, done.stdout + done.stderr
            check(documented.command, done.stdout)


def _in_blocks(documented: Documented) -> bool:
    rule = rule_for(documented)
    return rule is not None and rule.way is Way.BLOCK
