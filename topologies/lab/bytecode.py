# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the checkout's byte code up to date, from outside the guest, which cannot write it.

Where it is stale, after an edit or when git has renewed files, every program in the guest would compile its
modules at each start.
"""

from __future__ import annotations

import py_compile
import struct
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from topologies.lab.guest_kernel import ROOT

PACKAGES = ("agents", "topologies", "experiments")
"""What runs inside the guest."""


def refresh(root: Path = ROOT) -> bool:
    """Compile what is not up to date; says on stderr if it cannot be written.

    :returns: whether Python finds nothing stale now. (A module that does not compile is told of by whoever
        imports it.)
    """
    stale = [path for package in PACKAGES for path in (root / package).rglob("*.py") if not _is_fresh(path)]
    try:
        for path in stale:
            py_compile.compile(str(path), quiet=2)
    except OSError as error:
        sys.stderr.write(
            f"{root.name}: byte code is out of date and cannot be written: {error.filename}:"
            f" {error.strerror}; programs start slower\n  mend it with: sudo make setup\n"
        )
        return False
    return True


def _is_fresh(path: Path) -> bool:
    """Whether Python takes the byte code of a module for that of its source."""
    facts = path.stat()
    wanted = MAGIC_NUMBER + struct.pack(
        "<LLL", 0, int(facts.st_mtime) & 0xFFFFFFFF, facts.st_size & 0xFFFFFFFF
    )
    try:
        with open(cache_from_source(path), "rb") as file:
            return file.read(len(wanted)) == wanted
    except OSError:
        return False
