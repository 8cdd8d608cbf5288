# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lines of a prompt do."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from topologies.command_line import UsageError, read
from topologies.lab.guest import Clock
from topologies.prompt import Prompt

ADDRESSES = {"mn": "198.51.100.10", "cn": "203.0.113.2", "ha": "198.51.100.1"}


def serve(lines: str, tmp_path: Path, prompting: bool = False) -> tuple[int, list[list[str]], str]:
    """Exit code, what was run (node first), and what was written."""
    ran: list[list[str]] = []

    def run(node: str, argv: Sequence[str]) -> int:
        ran.append([node, *argv])
        if argv[0] == "stuck":
            raise KeyboardInterrupt
        return len(ran)

    target = tmp_path / "output"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT)
    try:
        code = Prompt(io.StringIO(lines), ADDRESSES, run, descriptor, prompting).serve()
    finally:
        os.close(descriptor)
    return code, ran, target.read_text()


def test_programs_run_on_nodes_and_names_stand_for_addresses(tmp_path: Path) -> None:
    code, ran, said = serve("mn ping -c1 cn  # here\n\nha echo 'a b'\n", tmp_path)
    assert ran == [["mn", "ping", "-c1", "203.0.113.2"], ["ha", "echo", "a b"]]
    assert (code, said) == (2, "")


def test_mipctl_keeps_names_and_asks_the_mobile_node(tmp_path: Path) -> None:
    _, ran, _ = serve("mipctl --node ha status\nha mipctl --node mn tunnels\n", tmp_path)
    assert ran == [["mn", "mipctl", "--node", "ha", "status"], ["ha", "mipctl", "--node", "mn", "tunnels"]]


@pytest.mark.parametrize("line", ["nosuch ls", "mn", "mn 'ls", "cd /", "mn ls\0", "mn " + "ä" * 2047])
def test_what_cannot_be_is_said_and_is_code_2(line: str, tmp_path: Path) -> None:
    code, ran, said = serve(line + "\n", tmp_path)
    assert (code, ran) == (2, [])
    assert said.endswith("\n")
    assert len(said) > 10


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_the_end(word: str, tmp_path: Path) -> None:
    assert serve(f"{word}\nmn ls\n", tmp_path) == (0, [], "")
    assert serve("nodes\n", tmp_path)[2].splitlines() == [
        "mn  198.51.100.10",
        "cn  203.0.113.2",
        "ha  198.51.100.1",
    ]
    assert "Ctrl-D" in serve("help\n", tmp_path)[2]


def test_an_interrupt_ends_the_program_only(tmp_path: Path) -> None:
    code, ran, said = serve("mn stuck\nmn ls\n", tmp_path, prompting=True)
    assert ran == [["mn", "stuck"], ["mn", "ls"]]
    assert (code, said) == (2, "mip4> \nmip4> mip4> \n")


def test_a_second_interrupt_does_not_cut_the_ending_of_a_program_short(tmp_path: Path) -> None:
    """And after the prompt, interrupts mean what they meant before it."""
    before = signal.getsignal(signal.SIGINT)
    steps: list[str] = []

    def run(_node: str, _argv: Sequence[str]) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            steps.append("ended")
        return 0

    with open(tmp_path / "output", "wb") as output:
        code = Prompt(io.StringIO("mn ls\nmn ls\n"), ADDRESSES, run, output.fileno(), False).serve()
    assert (code, steps) == (130, ["ended", "ended"])
    assert signal.getsignal(signal.SIGINT) is before


def test_output_that_nobody_reads_ends_it() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert Prompt(io.StringIO("nodes\n"), ADDRESSES, lambda _node, _argv: 0, writer, False).serve() == 141
    finally:
        os.close(writer)


def test_the_option(tmp_path: Path) -> None:
    request = read(["4", "--cli"], tmp_path, (False, False), prompting=True)
    assert request.scene.cli
    assert request.scene.prompting
    assert request.clock is Clock.REAL
    with pytest.raises(UsageError) as caught:
        read(["4", "--cli", "--clock", "virtual", "--exec", "mn", "ls"], tmp_path, (False, False))
    assert len(caught.value.problems) == 2
