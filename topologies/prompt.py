# SPDX-License-Identifier: GPL-2.0-or-later
"""A prompt for the nodes of a network that is up, in the manner of Mininet's: ``NODE PROGRAM …``.

Inside the lab kernel only. Mininet's own (``topologies/mn.py``) never waits for input that is not there.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

PROMPT = "mip4> "
HELP = """\
NODE PROGRAM …   run a program on a node, without a shell: mn ping -c 3 cn
                 a node's name stands for its address (not for mipctl)
mipctl …         ask an agent, the mobile node's by default: mipctl --node ha bindings
nodes            the nodes and their addresses
help             this text
exit             take the network down (also: quit, Ctrl-D)
Ctrl-C           end the program that runs
"""
_USAGE, _INTERRUPTED, _NO_READER = 2, 128 + signal.SIGINT, 128 + signal.SIGPIPE
_LONGEST = 4094
"""Octets of a line; a terminal, as the guest's is, cuts off what is beyond 4095 without a word."""
Run = Callable[[str, Sequence[str]], int]
"""Runs a program on a node to its end; its exit code."""


class Prompt:
    """Reads lines and does what they say until one ends it."""

    def __init__(
        self, source: TextIO, addresses: Mapping[str, str], run: Run, output: int, prompting: bool
    ) -> None:
        """Serve some nodes.

        :param source: of the lines.
        :param addresses: of each node, what its name stands for in a command.
        :param output: where to write; the programs' output goes there too.
        :param prompting: whether somebody is there to see a prompt.
        """
        self._source = source
        self._addresses = addresses
        self._run = run
        self._output = output
        self._prompting = prompting
        self._code = 0

    def serve(self) -> int:
        """Until the lines end; the exit code of the last program.

        SIGINT ends what a line does, not the prompt.
        """
        before = signal.getsignal(signal.SIGINT)
        going_on = True
        while going_on:
            try:
                signal.signal(signal.SIGINT, _interrupt)
                going_on = self._next()
                signal.signal(signal.SIGINT, before)
            except KeyboardInterrupt:
                self._code = _INTERRUPTED
                self._write("\n")
            except BrokenPipeError:
                signal.signal(signal.SIGINT, before)
                return _NO_READER
        return self._code

    def _next(self) -> bool:
        if self._prompting:
            self._write(PROMPT)
        line = self._source.readline()
        if not line:
            self._write("\n" if self._prompting else "")
            return False
        return self.do(line)

    def do(self, line: str) -> bool:
        """Do what one line says; whether to go on."""
        if "\0" in line or len(line.encode()) > _LONGEST:
            return self._refuse(f"a line has at most {_LONGEST} octets, and no zero among them")
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            return self._refuse(f"{error}: {line.strip()}")
        match words:
            case []:
                pass
            case ["exit" | "quit"]:
                return False
            case ["help" | "?"]:
                self._write(HELP)
            case ["nodes"]:
                width = max(map(len, self._addresses))
                lines = (f"{name:{width}}  {address}" for name, address in self._addresses.items())
                self._write("".join(f"{line.rstrip()}\n" for line in lines))
            case ["mipctl", *_]:
                self._code = self._run("mn", words)
            case [node, program, *rest] if node in self._addresses:
                if Path(program).name != "mipctl":
                    rest = [self._addresses.get(word, word) for word in rest]
                self._code = self._run(node, [program, *rest])
            case [node] if node in self._addresses:
                return self._refuse(f"{node}: run what there? as in: {node} ip route")
            case [word, *_]:
                return self._refuse(f"{word}: no such node or command; help lists them")
        return True

    def _refuse(self, why: str) -> bool:
        self._code = _USAGE
        self._write(f"{why}\n")
        return True

    def _write(self, text: str) -> None:
        octets = text.encode()
        while octets:
            octets = octets[os.write(self._output, octets) :]


def _interrupt(number: int, _frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # an impatient second one must not cut the ending short
    raise KeyboardInterrupt
