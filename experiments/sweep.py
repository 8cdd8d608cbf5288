#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every combination of parameters of an experiment, on this machine's cores or on a cluster."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.sweep")

import sys
from collections.abc import Sequence

from experiments.sweeps.command import Sweep


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    return Sweep(__doc__ or "").main(argv)


if __name__ == "__main__":
    sys.exit(main())
