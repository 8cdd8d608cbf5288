#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a stream notices when a link, an agent or a registration fails, and how soon all is back."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.failover")

import sys
from collections.abc import Sequence

from experiments.disturbed.cases import FAILOVER
from experiments.disturbed.command import DisturbedExperiment


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    return DisturbedExperiment(FAILOVER, __doc__ or "").main(argv)


if __name__ == "__main__":
    sys.exit(main())
