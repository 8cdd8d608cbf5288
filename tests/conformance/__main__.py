# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.conformance``: check the matrix; with ``--write`` make its page anew."""

from __future__ import annotations

import argparse
import sys

from tests.conformance.matrix import PAGE, load, page, problems


def main() -> int:
    """Exit code 0: nothing is wrong, and the page is up to date."""
    parser = argparse.ArgumentParser("python -m tests.conformance", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    arguments = parser.parse_args()
    rules = load()
    found = problems(rules)
    if arguments.write:
        PAGE.write_text(page(rules), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(rules):
        found.append(f"{PAGE.name} is out of date; mend it with: python -m tests.conformance --write")
    for line in found:
        print(line)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
