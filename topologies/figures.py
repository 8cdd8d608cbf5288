# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures there are: each module ``figureN`` of this package is one."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topologies.figure import Figure

_PREFIX = "figure"


def available() -> tuple[int, ...]:
    """The numbers of the figures, found without importing them: IPMininet takes long to import."""
    names = (path.stem.removeprefix(_PREFIX) for path in Path(__file__).parent.glob(f"{_PREFIX}[0-9]*.py"))
    return tuple(sorted(int(name) for name in names if name.isdecimal()))


@cache
def load(number: int) -> type[Figure]:
    """The topology class of a figure: ``FigureN`` in ``figureN``.

    :raises KeyError: if there is none.
    """
    if number not in available():
        raise KeyError(f"no figure {number}; there are {', '.join(map(str, available()))}")
    found: type[Figure] = getattr(importlib.import_module(f"topologies.{_PREFIX}{number}"), f"Figure{number}")
    return found
