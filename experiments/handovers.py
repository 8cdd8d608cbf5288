# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of ``handover``: one interface gets another care-of address while traffic runs."""

from __future__ import annotations

from experiments.disturbed.disturbance import CO_LOCATED, Disturbance, Step
from experiments.disturbed.site import Site, co_located, other_address

OVERLAP = 2.0
"""Seconds in which both addresses work: more than a registration and the draining of a tunnel take."""
GAP = 0.2
"""Seconds without any address: what a quick link-layer handover with a new address takes."""


def _make(site: Site) -> None:
    access = site.busiest(among=co_located)
    old = site.care_of_address(access)
    site.add_address(access, other_address(old))
    site.deprecate_address(access, old)


def _break_old(site: Site) -> None:
    access = site.busiest(among=co_located)
    site.remove_address(access, other_address(site.care_of_address(access)))


def _break(site: Site) -> None:
    access = site.busiest(among=co_located)
    site.note_address(access)
    site.remove_address(access, site.care_of_address(access))


def _make_new(site: Site) -> None:
    access = site.busiest(among=co_located)
    site.add_address(access, other_address(site.noted_address(access)))


HANDOVERS = (
    Disturbance(
        "make-before-break",
        f"the busiest co-located interface has old and new address for {OVERLAP:g} s, the old one deprecated",
        (Step(0, _make), Step(OVERLAP, _break_old)),
        needs=(CO_LOCATED,),
    ),
    Disturbance(
        "break-before-make",
        f"the busiest co-located interface has no address for {GAP:g} s, then the new one",
        (Step(0, _break), Step(GAP, _make_new)),
        needs=(CO_LOCATED,),
    ),
)
"""In the order in which results list them."""
