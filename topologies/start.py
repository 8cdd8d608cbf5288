# SPDX-License-Identifier: GPL-2.0-or-later
"""``start.py MODULE WORDS…``: runs a module of the project; Ctrl-C before it is ready ends it without a word.

Loading its libraries takes a second or more, in which nothing has been begun that must be undone. Each
program sets its own handlers before it begins something.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # before all else: Python's own handler shows a traceback

import runpy  # noqa: E402
import sys  # noqa: E402

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
