# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m topologies FIGURE …``, ``doctor`` and ``cleanup``, by whatever Python there is."""

from __future__ import annotations

import os
import sys

from topologies.environment import PYTHON, continue_as


def main() -> int:
    """Continue in the project's environment; the exit code."""
    if os.path.realpath(sys.prefix) != os.path.realpath(PYTHON.parent.parent):
        continue_as("topologies")
    # Only here: the system's Python knows none of what these need.
    from topologies import cleanup, doctor, launcher

    command, *rest = sys.argv[1:] or [""]
    commands = {"doctor": doctor.main, "cleanup": cleanup.main}
    return commands[command](rest) if command in commands else launcher.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
