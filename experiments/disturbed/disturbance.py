# SPDX-License-Identifier: GPL-2.0-or-later
"""A disturbance as a declaration: what is done when, and which networks can have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from experiments.disturbed.site import Site
from topologies.figures import load


@dataclass(frozen=True, slots=True)
class Step:
    """Something done to the network."""

    at: float
    """Seconds after the first step."""
    do: Callable[[Site], None]
    """Raises :class:`~experiments.disturbed.site.BrokenError` if something that must hold does not."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Something a figure must have for a disturbance to make sense."""

    what: str
    """Completes "figure 4 has no …"."""
    has: Callable[[int], bool]
    """Whether a figure has it."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One case of an experiment."""

    name: str
    what: str
    """One line for a person."""
    steps: Sequence[Step]
    """In order. The last one undoes what is left to undo: recovery counts from it."""
    needs: Sequence[Needs] = ()

    def lacks(self, figure: int) -> str | None:
        """Why a figure cannot have it; None if it can."""
        missing = [need.what for need in self.needs if not need.has(figure)]
        return f"figure {figure} has no {' and no '.join(missing)}" if missing else None


def _behind(figure: int) -> list[bool]:
    topology = load(figure)()
    return [access.address is None for access in topology.accesses]


FOREIGN_AGENT = Needs("foreign agent", lambda figure: any(_behind(figure)))
CO_LOCATED = Needs("co-located care-of address", lambda figure: not all(_behind(figure)))
NAT = Needs("NAT", lambda figure: "nat" in load(figure)().nodes())
"""A node ``nat``."""
