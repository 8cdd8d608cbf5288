# SPDX-License-Identifier: GPL-2.0-or-later
"""The ceiling of a plan on one of its figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from experiments.ceiling import ceiling, payload
from experiments.plan import Plan
from topologies.figures import load
from topologies.links import AccessLink


@cache
def links_of(plan: Plan, figure: int) -> tuple[AccessLink, ...]:
    """The links of a figure that is given the plan's: one of a user's own may add some."""
    return tuple(load(figure)(plan.links).links_of_figure)


def _bare(plan: Plan, figure: int) -> frozenset[str]:
    topology = load(figure)
    return frozenset(link.name for link in links_of(plan, figure) if topology.behind_foreign_agent(link))


def encapsulation_of(plan: Plan, figure: int) -> str:
    """The plan's encapsulation, or the only one that works on this figure."""
    return load(figure).ENCAPSULATION or plan.encapsulation


def payload_of(plan: Plan, figure: int) -> int:
    """Octets of payload in a full packet."""
    return payload(links_of(plan, figure), plan.protocol, encapsulation_of(plan, figure), _bare(plan, figure))


def ceiling_of(plan: Plan, figure: int, used: Sequence[AccessLink]) -> float:
    """Payload rate in Mbit/s with every link of ``used`` full."""
    links, bare = links_of(plan, figure), _bare(plan, figure)
    return ceiling(used, links, plan.direction, plan.protocol, encapsulation_of(plan, figure), bare)
