# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mobile node tells about itself, in JSON's types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from agents.effects import Tunnel
from agents.mobile_node_link import Link
from agents.mobile_node_liveness import Watch
from agents.mobile_node_registrations import Registrations
from agents.settings import MobileNodeSettings
from agents.wire import describe_code

Status = dict[str, object]


def status_of(
    settings: MobileNodeSettings,
    registrations: Registrations,
    links: Iterable[Link],
    watch: Watch,
    *,
    home: tuple[str, bool] | None,
    counters: Mapping[str, int],
    stopping: bool,
    now: float,
) -> Status:
    """``home`` is the interface on the home link and whether the home agent has deleted all bindings."""
    support = registrations.support
    return {
        "role": "mobile-node",
        "home_address": str(settings.home_address),
        "home_agent": str(settings.home_agent),
        "enable_multiple_tunnel_support": support.enabled,
        "home_agent_support": str(support.belief),
        "home_agent_support_changes_in": _remaining(support.until, now),
        "at_home": None if home is None else {"interface": home[0], "deregistered": home[1]},
        "stopping": stopping,
        "home_agent_silent": watch.silent,
        "probe_answers_discarded": watch.answers_discarded,
        "clock_offset": round(registrations.requests.identifications.offset, 3),
        "deregistrations_pending": len(registrations.departures),
        "bindings": [_row(settings, link, watch, home is not None, now) for link in links],
        "counters": dict(sorted(counters.items())),
    }


def _row(settings: MobileNodeSettings, link: Link, watch: Watch, at_home: bool, now: float) -> Status:
    binding = link.binding
    plan = link.plan if binding is None else binding.plan
    foreign_agent = None if plan is None else plan.attachment.foreign_agent
    code = link.last_code
    return {
        "interface": link.settings.name,
        "binding_id": link.settings.binding_id,
        "state": _state(link, at_home),
        "multiple_tunnels": None if plan is None else plan.multiple,
        "care_of_address": None if plan is None else str(plan.attachment.care_of_address),
        "foreign_agent": None if foreign_agent is None else str(foreign_agent),
        "tunnel": None if binding is None else _way(link),
        "liveness": watch.row(link, now),
        "access_technology": link.settings.access_technology,
        "uplink_kbit": link.uplink_kbit,
        "lifetime": None if binding is None else binding.granted,
        "lifetime_remaining": None if binding is None else _remaining(binding.expires, now),
        "since": None if binding is None else round(now - binding.since, 3),
        "keepalive": None if binding is None else binding.keepalive,
        "next_request_in": None if link.plan is None else _remaining(link.earliest(), now),
        "attempts": link.failures,
        "unanswered": link.silent,
        "round_trip": round(link.round_trip, 6),
        "last_code": code,
        "last_code_text": None if code is None else describe_code(code, settings.profile.wire()),
    }


def _way(link: Link) -> Status:
    assert link.binding is not None
    way = link.binding.way
    if not isinstance(way, Tunnel):
        return {"encapsulation": None, "interface": way.interface, "gateway": str(way.gateway)}
    return {
        "encapsulation": str(way.encapsulation),
        "local": str(way.local),
        "remote": str(way.remote),
        "local_port": way.local_port,
        "remote_port": way.remote_port,
        "interface": way.interface,
        "key": way.key,
    }


def _state(link: Link, at_home: bool) -> str:
    """One word: what a person wants to know first."""
    if link.binding is not None:
        return "registered" if link.failures == 0 else "renewing"
    if not link.state.up:
        return "down"
    if at_home:
        return "at-home"
    if link.held:
        return "deregistered"
    if link.searching:
        return "searching"
    if link.plan is None:
        return "left-out"
    return "denied" if link.last_code and link.silent == 0 and link.failures else "registering"


def _remaining(until: float, now: float) -> float | None:
    """Seconds left, None for ever."""
    return None if until == math.inf else round(max(0.0, until - now), 3)
