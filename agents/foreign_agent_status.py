# SPDX-License-Identifier: GPL-2.0-or-later
"""The foreign agent's state as JSON can hold it."""

from __future__ import annotations

from typing import Any

from agents.effects import Instant, Tunnel
from agents.foreign_agent_pending import Pending
from agents.visitors import Visitor


def tunnel_row(tunnel: Tunnel, visitors: int) -> dict[str, Any]:
    """One tunnel and how many entries use it."""
    return {
        "encapsulation": tunnel.encapsulation.value,
        "local": str(tunnel.local),
        "remote": str(tunnel.remote),
        "key": tunnel.key,
        "visitors": visitors,
    }


def visitor_row(visitor: Visitor, now: Instant) -> dict[str, Any]:
    """One current entry; ``lifetime_remaining`` 65535 is for ever."""
    tunnel, attachment = visitor.tunnel, visitor.attachment
    return {
        "home_address": str(visitor.key.home_address),
        "binding_id": visitor.key.binding_id,
        "interface": attachment.interface,
        "link_address": attachment.link_address,
        "source": str(attachment.source),
        "source_port": attachment.source_port,
        "agent_address": str(attachment.agent_address),
        "home_agent": str(visitor.home_agent),
        "care_of_address": str(visitor.care_of_address),
        "co_located": tunnel is None,
        "encapsulation": None if tunnel is None else tunnel.encapsulation.value,
        "reverse_tunnel": visitor.reverse_tunnel,
        "delivery": "direct" if visitor.delivery is None else "encapsulating",
        "access_technology": visitor.access_technology,
        "bandwidth_kbytes": visitor.bandwidth_kbytes,
        "identification": f"{visitor.identification:016x}",
        "requested_lifetime": visitor.requested_lifetime,
        "lifetime": visitor.lifetime,
        "lifetime_remaining": visitor.remaining(now.monotonic),
        "since": visitor.since,
    }


def pending_row(part: Pending, now: Instant) -> dict[str, Any]:
    """One request that waits for its reply."""
    request = part.request
    return {
        "home_address": str(request.home_address),
        "binding_id": part.asked.binding_id,
        "interface": part.attachment.interface,
        "link_address": part.attachment.link_address,
        "home_agent": str(request.home_agent),
        "care_of_address": str(request.care_of_address),
        "identification": f"{request.identification:016x}",
        "lifetime": request.lifetime,
        "seconds_left": max(0.0, part.deadline - now.monotonic),
    }
