# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m topologies FIGURE …`` and ``python -m topologies doctor``, by whatever Python there is."""

from __future__ import annotations

import os
import sys

from topologies.environment import PYTHON, continue_as


def main() -> int:
    """Continue in the project's environment; the exit code."""
    if os.path.realpath(sys.prefix) != os.path.realpath(PYTHON.parent.parent):
        continue_as("topologies")
    # Only here: the system's Python knows none of what these need.
    from topologies import doctor, launcher

    command, *rest = sys.argv[1:] or [""]
    return doctor.main(rest) if command == "doctor" else launcher.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
