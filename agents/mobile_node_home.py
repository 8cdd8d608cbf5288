# SPDX-License-Identifier: GPL-2.0-or-later
"""A mobile node's arrival on its home link, and its departure (FACTS G32)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agents.effects import AccessLink
from agents.mobile_node_departures import Departure, depart_all
from agents.mobile_node_discovery import AgentDiscovery
from agents.mobile_node_link import Link
from agents.mobile_node_outbox import Outbox
from agents.mobile_node_paths import Way
from agents.mobile_node_registrations import Registrations
from agents.mobile_node_requests import Route
from agents.settings import MobileNodeSettings

HOME_DEBOUNCE = 0.5
"""Seconds the home agent must be heard before the node gives up its bindings (FACTS G32)."""


@dataclass(slots=True)
class _Home:
    """The node is on its home link."""

    interface: str
    departure: Departure
    settled: bool = False
    """The home agent has deleted all bindings."""


class HomeLink:
    """Whether the node is on its home link, and what the home agent knows of it."""

    def __init__(
        self,
        settings: MobileNodeSettings,
        discoveries: Mapping[str, AgentDiscovery],
        links: Mapping[str, Link],
        registrations: Registrations,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._discoveries = discoveries
        self._links = links
        self._registrations = registrations
        self._outbox = outbox
        self._home: _Home | None = None

    @property
    def reached(self) -> bool:
        """Whether the node is there."""
        return self._home is not None

    @property
    def settled(self) -> bool:
        """Whether it is there and the home agent has deleted all bindings."""
        return self._home is not None and self._home.settled

    @property
    def state(self) -> tuple[str, bool] | None:
        """The interface on the home link, and whether it is settled; None away from home."""
        return None if self._home is None else (self._home.interface, self._home.settled)

    @property
    def way(self) -> Way | None:
        """The way of a settled node's own traffic."""
        if self._home is None or not self._home.settled:
            return None
        agent = self._discoveries[self._home.interface].home
        routers = () if agent is None else agent.routers
        gateway = self._settings.home_gateway or next(iter(routers), self._settings.home_agent)
        name = self._home.interface
        return Way(AccessLink(name, gateway), name, None, 0)

    def deadline(self, now: float) -> float:
        """When :meth:`find` may find the node at home."""
        moments = (discovery.home_since + HOME_DEBOUNCE for discovery in self._discoveries.values())
        return min((moment for moment in moments if moment > now), default=math.inf)

    def forget(self) -> None:
        """The node ends."""
        self._home = None

    def find(self, now: float, stopping: bool) -> None:
        """Notice arrival on the home link, the home agent's consent, and departure (FACTS G32)."""
        home = self._home
        if home is not None and self._discoveries[home.interface].home is None:
            self._leave(home, now)
            home = None
        if home is None:
            # Also straight from one home link to another: no registration in between.
            if not stopping:
                self._arrive(now)
        elif home.departure.answered and not home.settled:
            home.settled = True
            for link in self._links.values():
                link.binding = None

    def _arrive(self, now: float) -> None:
        # Where the home link has an interface of its own, nobody on a visited link can feign it.
        believed = self._settings.home_link
        for name, discovery in self._discoveries.items():
            agent = discovery.home if believed in (None, name) else None
            if agent is not None and now >= discovery.home_since + HOME_DEBOUNCE:
                route = Route(self._settings.home_address, name, agent.address, agent.link_address)
                departure = depart_all(self._settings, now, math.inf, route)
                self._registrations.leave([departure])
                self._home = _Home(name, departure)
                self._outbox.report("at-home", {"interface": name})
                return

    def _leave(self, home: _Home, now: float) -> None:
        self._home = None
        self._outbox.report("away-from-home", {"interface": home.interface})
        if not home.departure.answered:
            self._registrations.cancel(home.departure)
        for link in self._links.values():
            link.start_afresh(now)
            link.urgent = True
            # Unanswered does not mean undone: the home agent may have deleted all.
            link.binding = None
