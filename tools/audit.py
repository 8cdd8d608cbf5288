# SPDX-License-Identifier: GPL-2.0-or-later
"""``make audit``: is every Python package pinned by hash, and does the advisory database know faults of one?

The database is asked by pip-audit, if that is installed and can be reached; the answer always says
whether it was. Exit code 1 for a line of a lock file that pins nothing, or a known fault.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

SETUP = Path(__file__).resolve().parents[1] / "setup"
LOCKS = (SETUP / "requirements.lock", SETUP / "ipmininet.lock")
_PIN = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>[0-9][0-9a-z.]*)(?: --hash=sha256:[0-9a-f]{64})+")
_LIMIT = 120.0
"""Seconds for the database to answer."""


def pins(text: str) -> tuple[dict[str, str], list[str]]:
    """Name to version of a lock file's lines, and the lines that are no version with hashes.

    So there is no room for an option (an index, a trusted host) or an address.
    """
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    matches = {line: _PIN.fullmatch(line) for line in lines}
    found = {match["name"]: match["version"] for match in matches.values() if match}
    return found, [line for line, match in matches.items() if match is None]


def ask(lock: Path) -> tuple[list[str], str | None]:
    """The known faults of what a lock file names, and why the database could not be asked, if so."""
    program = shutil.which("pip-audit")
    if program is None:
        return [], "there is no pip-audit; get it with: pipx install pip-audit"
    command = [program, "--requirement", str(lock), "--require-hashes", "--disable-pip", "--format", "json"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
        packages = json.loads(ended.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], f"the database did not answer within {_LIMIT:.0f} s"
    except (json.JSONDecodeError, KeyError):
        return [], (ended.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
    unknown = [
        f"{package['name']}: {package['skip_reason']}" for package in packages if "skip_reason" in package
    ]
    faults = [
        f"{package['name']} {package['version']}: {fault['id']}, "
        f"mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for package in packages
        for fault in package.get("vulns", ())
    ]
    return faults, "; ".join(unknown) or None


def main(locks: Sequence[Path] = LOCKS) -> int:
    """The command."""
    table = Table("lock file", "pinned by hash", "not pinned", "known faults", "advisory database", box=None)
    problems: list[str] = []
    for lock in locks:
        pinned, wrong = pins(lock.read_text(encoding="utf-8"))
        faults, unasked = ask(lock)
        problems += [f"{lock}: not a version with hashes: {line[:70]}" for line in wrong] + faults
        known = str(len(faults)) if unasked is None or faults else "?"
        table.add_row(lock.name, str(len(pinned)), str(len(wrong)), known, unasked or "asked")
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for problem in problems:
        sys.stderr.write(f"audit: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
