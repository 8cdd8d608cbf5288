# SPDX-License-Identifier: GPL-2.0-or-later
"""How the foreign agent names requests and entries in what it reports."""

from __future__ import annotations

from agents.effects import Report
from agents.foreign_agent_pending import Pending
from agents.visitors import Visitor

Fields = dict[str, str | int | float | bool | None]


def names(part: Pending) -> Fields:
    """A request under way."""
    return {
        "home_address": str(part.request.home_address),
        "binding_id": part.asked.binding_id,
        "care_of_address": str(part.request.care_of_address),
        "interface": part.attachment.interface,
    }


def identity(visitor: Visitor) -> Fields:
    """A current entry."""
    return {
        "home_address": str(visitor.key.home_address),
        "binding_id": visitor.key.binding_id,
        "care_of_address": str(visitor.care_of_address),
        "interface": visitor.attachment.interface,
    }


def registration_report(visitor: Visitor, previous: Visitor | None) -> Report:
    """What an accepted registration has made of the entry before."""
    event = "visitor-renewed"
    if previous is None:
        event = "visitor-added"
    elif (previous.attachment, previous.tunnel) != (visitor.attachment, visitor.tunnel):
        event = "visitor-moved"
    return Report(event, {**identity(visitor), "lifetime": visitor.lifetime})
