#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what makes a shell complete the options of an installed program.

For bash: python tools/completion.py bash mipctl > ~/.local/share/bash-completion/completions/mipctl
For zsh, into a folder of $fpath: python tools/completion.py zsh mipctl > FOLDER/_mipctl
"""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("tools.completion")

import argparse
import sys
from collections.abc import Sequence

import shtab

from tools.commands import COMMANDS

PROGRAMS = {command.name: command for command in COMMANDS if command.installed}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        "completion.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    parser.add_argument("program", choices=sorted(PROGRAMS))
    given = parser.parse_args(argv)
    sys.stdout.write(shtab.complete(PROGRAMS[given.program].parser(), shell=given.shell) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
