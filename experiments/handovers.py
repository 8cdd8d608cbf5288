# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of ``handover``: the busiest link gets another care-of address while traffic runs.

A co-located one is another address of the interface; one at the foreign agent is another that
the agent offers.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from experiments.disturbed.disturbance import Disturbance, Step
from experiments.disturbed.site import BrokenError, Site, co_located, other_address
from topologies.mobile_ip import Access

OVERLAP = 2.0
"""Seconds in which both addresses work: more than a registration and the draining of a tunnel take."""
GAP = 0.2
"""Seconds without any address: what a quick link-layer handover with a new address takes."""


def _new_care_of_address(site: Site, access: Access) -> IPv4Address:
    """The one to come: the spare one of the foreign agent, or back from that."""
    old = site.noted_care_of_address(access)
    if co_located(access):
        return other_address(access, old).ip
    assert site.spare is not None
    offered = site.offered[access.link.name]
    return site.spare.ip if old == offered else offered


def _make(site: Site) -> None:
    access = site.busiest()
    old = site.note_care_of_address(access)
    if co_located(access):
        site.add_address(access, other_address(access, old))
    site.order_care_of_address(access, _new_care_of_address(site, access))


def _break_old(site: Site) -> None:
    access = site.busiest()
    now, wanted = site.care_of_address(access), _new_care_of_address(site, access)
    if co_located(access):
        site.remove_address(access, site.noted_care_of_address(access))
        site.order_care_of_address(access, None)
    if now != wanted:
        raise BrokenError(f"after {OVERLAP:g} s the care-of address is still {now}, not {wanted}")


def _break(site: Site) -> None:
    access = site.busiest()
    old = site.note_care_of_address(access)
    if co_located(access):
        site.remove_address(access, old)
    else:
        site.agents.ask("mn", "deregister", binding_id=access.binding_id)


def _make_new(site: Site) -> None:
    access = site.busiest()
    if co_located(access):
        site.add_address(access, other_address(access, site.noted_care_of_address(access)))
    else:
        site.order_care_of_address(access, _new_care_of_address(site, access))
        site.agents.ask("mn", "reregister", bulk=False)


HANDOVERS = (
    Disturbance(
        "make-before-break",
        f"the new care-of address is registered while the old one works for {OVERLAP:g} s more",
        (Step(0, _make), Step(OVERLAP, _break_old)),
    ),
    Disturbance(
        "break-before-make",
        f"the old care-of address goes, and the new one comes {GAP:g} s later",
        (Step(0, _break), Step(GAP, _make_new)),
    ),
)
"""In the order in which results list them."""
