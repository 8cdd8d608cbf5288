# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the lab kernel: bring a figure up, run one command on a node (or a prompt), take everything down.

``python -m topologies.exec SCENE [WORKING_FOLDER]``, with what ``Scene.as_json`` gives. Exit code:
the command's as a shell gives it (126 not executable, 127 not found), 125 if the network did not
come up.

In the guest our streams are consoles. A command whose caller redirected a stream must not take
it for a terminal (colours, columns, line by line), so it then gets a pipe.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from topologies.command_line import Scene
from topologies.figures import load
from topologies.lab.leftovers import working_folder
from topologies.prompt import Prompt
from topologies.registered import AgentNetwork, AgentNetworkError, addresses
from topologies.signals import end_on_signals

NOT_UP, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
_CONSOLE = 9
"""Where the prompt's input is kept."""
_END_LIMIT = 5.0
"""Seconds a command may take to end after it was told to."""


def _say(text: str) -> None:
    for line in text.splitlines():
        sys.stderr.write(f"topologies: {line}\n")
    sys.stderr.flush()


def _unusable(program: str) -> int | None:
    """Why a program cannot be started, as a shell's exit code; None if it can."""
    if shutil.which(program) is not None:
        return None
    if "/" in program and Path(program).exists():
        _say(f"{program}: is not an executable file")
        return NOT_EXECUTABLE
    _say(f"{program}: no such program")
    return NOT_FOUND


@contextlib.contextmanager
def _pipe_to(stream: int) -> Iterator[int]:
    """The writing end of a pipe into one of our streams; at the end, all of it has gone there.

    The relay is a process of the highest priority, or a command that never waits would keep its
    output to itself: while it runs, virtual time stands still, and with it the time slices.
    """
    relayed = ["chrt", "--fifo", "1", "cat"]
    # In a group of its own: Ctrl-C at a prompt must leave it alive.
    with subprocess.Popen(relayed, stdin=subprocess.PIPE, stdout=stream, process_group=0) as relay:
        assert relay.stdin is not None
        yield relay.stdin.fileno()
        relay.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            relay.wait(_END_LIMIT)
        relay.kill()  # a process that went its own way may hold the pipe open


def _run(network: AgentNetwork, scene: Scene, working_folder: Path) -> int:
    """Run the scene's command on its node until it ends or we are told to end."""
    with contextlib.ExitStack() as pipes:
        streams = [
            pipes.enter_context(_pipe_to(stream)) if redirected and os.isatty(stream) else stream
            for stream, redirected in zip((1, 2), scene.redirected, strict=True)
        ]
        # ping takes a clock below one second for one that it has not read yet, and floods.
        # A short wait at least: then the relays are ready.
        time.sleep(max(0.01, 1.0 - time.clock_gettime(time.CLOCK_MONOTONIC_RAW)))
        if scene.cli:
            return _prompt(network, scene, working_folder, *streams)
        return _run_to_end(network, scene, working_folder, *streams)


def _prompt(network: AgentNetwork, scene: Scene, working_folder: Path, output: int, errors: int) -> int:
    def run(node: str, argv: Sequence[str]) -> int:
        unusable = _unusable(argv[0])
        if unusable is not None:
            return unusable
        command = replace(scene, node=node, argv=tuple(argv))
        return _run_to_end(network, command, working_folder, output, errors)

    with open(_CONSOLE, encoding="utf-8", errors="replace") as source:
        return Prompt(source, addresses(network.net), run, output, scene.prompting).serve()


def _run_to_end(network: AgentNetwork, scene: Scene, working_folder: Path, output: int, errors: int) -> int:
    process = network.net[scene.node].popen(
        list(scene.argv),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env={**os.environ, "MIPCTL_NODE": scene.node, "MIPCTL_FOLDER": str(working_folder)},
    )
    try:
        code = int(process.wait())
    except KeyboardInterrupt:  # at a prompt; what ends by it may have last words, as ping has
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGINT)
            process.wait(_END_LIMIT)
        raise
    finally:
        # It leads a session of its own (mnexec -d), with whatever it left in the background.
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(_END_LIMIT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code if code >= 0 else 128 - code


def perform(scene: Scene, working_folder: Path) -> int:
    """Bring the scene up, run its command, take it down; the exit code."""
    topology = load(int(scene.figure))(
        scene.links, policy=scene.policy, weights=scene.weights, encapsulation=scene.encapsulation
    )
    network = AgentNetwork(topology, working_folder)
    try:
        network.start()
        return _run(network, scene, working_folder)
    except AgentNetworkError as error:
        _say(f"figure {scene.figure} did not come up: {error}")
        return NOT_UP
    finally:
        network.stop()


def main(arguments: Sequence[str]) -> int:
    """The module's command line."""
    end_on_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    scene = Scene.from_json(arguments[0])
    if scene.cli:
        # For the prompt alone: whatever else is started would read its lines.
        os.dup2(0, _CONSOLE, inheritable=False)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    unusable = None if scene.cli else _unusable(scene.argv[0])
    if unusable is not None:
        return unusable
    with working_folder(arguments[1] if len(arguments) > 1 else None) as folder:
        return perform(scene, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
