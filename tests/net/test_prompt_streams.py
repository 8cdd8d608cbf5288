# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m topologies 3 --cli``, as a script and as a person at a terminal call it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.net.guests import SYSTEM_PYTHON, WALL_LIMIT, python_in_guest
from tests.net.leftovers import guest_folders
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

pytestmark = pytest.mark.usefixtures("lab")
ARGV = (SYSTEM_PYTHON, "-m", "topologies", "3", "--cli")


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A prompt between pipes."""
    return subprocess.Popen(
        ARGV,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_lines_from_a_pipe(tmp_path: Path) -> None:
    """More than a terminal holds at once, octets that mean something to one, and no last newline."""
    lines = [
        b"nodes\r",
        b"",
        b"mn echo \x03\x04\x08\x11\x13\x15\x16\x1a\x1c\x7f" + "Prüfstand".encode(),
        *(b"# %04d %s" % (number, b"x" * 90) for number in range(1000)),
        b"mn echo " + b"y" * 5000,
        b"mn sh -c 'cat; tty'",
        b"mn ping -q -c 1 -W 5 cn",
        b"nosuch x",
        b"mn nosuch",
        b"mipctl bindings",
        b"mn sh -c 'exit 7'",
    ]
    with start(tmp_path) as process:
        output, errors = process.communicate(b"\n".join(lines), timeout=WALL_LIMIT)
    said = output.decode().splitlines()
    assert (process.returncode, errors) == (7, b"topologies: nosuch: no such program\n")
    assert {"mn        198.51.100.10", "wifi"} <= set(said)
    # By codes, not splitlines: some of these separate lines for Python.
    assert b"\n\x08\x11\x13\x15\x16\x1a\x1c\x7fPr\xc3\xbcfstand\n" in output
    assert "a line has at most 4094 octets, and no zero among them" in said
    assert "not a tty" in said
    assert "1 packets transmitted, 1 received" in output.decode()
    assert "nosuch: no such node or command; help lists them" in said
    assert output.count(b"registered") == 4
    assert b"yyy" not in output
    assert b"mip4>" not in output
    assert guest_folders(str(tmp_path)) == []


def test_an_interrupted_script_ends_at_once(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"mn sh -c 'echo ready; sleep 1000'\n" + b"mn echo more\n" * 10_000)
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(WALL_LIMIT) == 130
    assert guest_folders(str(tmp_path)) == []


class Terminal:
    """A person's: what is typed, and what has appeared."""

    def __init__(self, folder: Path) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(ARGV[0], ARGV, {**os.environ, "PYTHONPATH": str(ROOT)})
        self._unread = b""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def until(self, mark: str) -> str:
        """What appears up to and with a mark, as lines end on a terminal; all of it at the end."""
        deadline = time.monotonic() + WALL_LIMIT
        while mark.encode() not in self._unread:
            assert time.monotonic() < deadline, self._unread
            if select.select([self._descriptor], [], [], 0.5)[0]:
                try:
                    self._unread += os.read(self._descriptor, 4096)
                except OSError:  # the end, for a terminal
                    raise EOFError(self._unread.decode()) from None
        end = self._unread.index(mark.encode()) + len(mark.encode())
        read, self._unread = self._unread[:end], self._unread[end:]
        return read.decode()

    def code(self) -> tuple[int, str]:
        """Exit code and what appeared before the end."""
        with pytest.raises(EOFError) as caught:
            self.until("\0")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), str(caught.value)

    def close(self) -> None:
        """As if its window were closed; what it ran has ended."""
        os.close(self._descriptor)
        with contextlib.suppress(ChildProcessError):  # its code was asked for
            os.waitpid(self.pid, 0)


def test_a_person_at_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    try:
        assert "topologies: bringing up figure 3 (guest kernel, real clock)\r\n" in terminal.until("mip4> ")
        terminal.type("mn test -t 1\n")
        assert terminal.until("mip4> ") == "mn test -t 1\r\nmip4> "
        terminal.type("mn ping cn\n")
        terminal.until("icmp_seq=2")
        terminal.type("\x03")
        assert " packet loss" in terminal.until("mip4> ")  # ping's last words
        terminal.type("half a line\x03")
        terminal.until("mip4> ")
        terminal.type("mn sh -c 'trap \"\" INT TERM; echo deaf; sleep 1000'\n")
        terminal.until("\r\ndeaf\r\n")
        terminal.type("\x03")
        terminal.until("mip4> ")
        terminal.type("mipctl --node ha bindings\n")
        assert terminal.until("mip4> ").count("198.51.100.10") == 4
        terminal.type("\nmn sh -c 'exit 9'\n\x04")
        code, last = terminal.code()
        assert code == 9
        assert last.endswith("mip4> \r\n")
        assert guest_folders(str(tmp_path)) == []
    finally:
        terminal.close()


def test_an_interrupt_while_the_network_comes_up(tmp_path: Path) -> None:
    """Whether the guest has opened its input by then or not."""
    for wait_for_input in (False, True):
        terminal = Terminal(tmp_path)
        try:
            terminal.until("real clock)")
            deadline = time.monotonic() + WALL_LIMIT
            while wait_for_input and not any(
                (folder / "input-open").exists() for folder in guest_folders(str(tmp_path))
            ):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            terminal.type("\x03")
            assert terminal.code() == (130, "\r\n^C")
            assert guest_folders(str(tmp_path)) == []
        finally:
            terminal.close()


# The guest is a full kernel: what --kernel host does can be seen in it without touching this machine.
ON_A_HOST_KERNEL = """
import subprocess, sys
lines = 'nosuch\\nmn ping -q -c 1 -W 5 cn\\nmn sh -c "exit 7"'
command = [sys.executable, "-P", "-m", "topologies", "3", "--kernel", "host", "--cli"]
done = subprocess.run(command, input=lines, text=True, capture_output=True)
print(done.returncode, done.stdout, done.stderr)
"""


def test_on_a_host_kernel(lab: Lab, tmp_path: Path) -> None:
    ended = python_in_guest(lab, tmp_path, ON_A_HOST_KERNEL)
    assert ended.stdout.startswith("7 nosuch: no such node")
    assert "1 packets transmitted, 1 received" in ended.stdout
    assert (ended.stdout.endswith("\n \n"), ended.stderr) == (True, "")
