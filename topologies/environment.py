# SPDX-License-Identifier: GPL-2.0-or-later
"""Continues a program in the project's own environment. Standard library only."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
USAGE = 2


def continue_as(module: str) -> None:
    """Replace this process by ``module``, run by the environment's Python."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _continue(str(ROOT / "topologies" / "start.py"), module)


def continue_program(path: str) -> None:
    """Replace this process by the Python program in a file, run by the environment's Python."""
    _continue(path)


def _continue(*what: str) -> None:
    """``-P`` keeps the script's own folder off the module path.

    Its neighbours would stand before the standard library there.
    """
    if not os.access(PYTHON, os.X_OK):
        sys.stderr.write(
            f"{ROOT.name}: the project's environment is missing\n"
            f"  mend it with:  cd {shlex.quote(str(ROOT))} && make setup\n"
        )
        sys.exit(USAGE)
    encoding = sys.stdout.encoding or ""
    if encoding.lower().replace("-", "") != "utf8":
        # The terminal's, which the next line hides; what it does not have becomes a question mark.
        os.environ["PYTHONIOENCODING"] = f"{encoding}:replace"
    os.environ["LC_ALL"] = "C.UTF-8"  # the environment's own files name the checkout, accents and all
    os.environ["PYTHONPATH"] = str(ROOT)  # found even when the checkout was moved
    os.execv(PYTHON, [str(PYTHON), "-P", *what, *sys.argv[1:]])
