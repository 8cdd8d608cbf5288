#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What streams notice when one interface gets another care-of address while they run."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.handover")

import sys
from collections.abc import Sequence

from experiments.disturbed.cases import HANDOVER
from experiments.disturbed.command import DisturbedExperiment


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    return DisturbedExperiment(HANDOVER, __doc__ or "").main(argv)


if __name__ == "__main__":
    sys.exit(main())
