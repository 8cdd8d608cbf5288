# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.fuzz``: mutated messages against the state machines until something gives."""

from __future__ import annotations

import argparse
import math
import sys

from tests.fuzz.campaign import run


def main() -> int:
    """Exit code 0: nothing found, 1: the message that did it is printed."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, metavar="N", help="default: 1000000")
    parser.add_argument("--seconds", type=float, default=math.inf, metavar="S", help="stop after S seconds")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="default: 1; equal seeds, equal messages"
    )
    arguments = parser.parse_args()
    record = run(arguments.messages, arguments.seconds, arguments.seed)
    print(record.text())  # noqa: T201
    return 1 if record.failure else 0


if __name__ == "__main__":
    sys.exit(main())
