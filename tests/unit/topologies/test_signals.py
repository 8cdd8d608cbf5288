# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that is told to end undoes what it made."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, subprocess, sys, time
from topologies.signals import end_on_signals
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
end_on_signals()
child = subprocess.run(["grep", "SigIgn", "/proc/self/status"], stdout=subprocess.PIPE, text=True).stdout
try:
    print("child ignores", int(child.split()[1], 16) & (1 << 0 | 1 << 1 | 1 << 14), flush=True)
    time.sleep(60)
finally:
    for again in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), again)
    print("undone", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_and_the_next_do_not_cut_the_undoing_short(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "child ignores 0\n"
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "undone\n"
    assert process.returncode == 128 + number
