# SPDX-License-Identifier: GPL-2.0-or-later
"""Deregistrations a mobile node still owes its home agent (FACTS G30, G31, G51)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from agents.mobile_node_link import RETRANSMISSION_MINIMUM, Link, Plan
from agents.mobile_node_requests import Route
from agents.settings import MobileNodeSettings
from agents.wire import RegistrationRequest, RequestFlags

MAXIMUM_ATTEMPTS = 6
"""Then the binding is left to run out; at home there is no limit."""
_MAXIMUM_INTERVAL = 30.0


@dataclass(slots=True, eq=False)
class Departure:
    """One deregistration until it is answered or pointless."""

    request: RegistrationRequest
    link: Link | None
    """Whose binding it ends; None: those of all."""
    due: float
    until: float
    """When the binding is over at the home agent anyway."""
    elsewhere: bool = False
    """Its own link is up but does not carry packets."""
    home: Route | None = None
    """Of a deregistration on the home link: the only way to send it."""
    attempts: int = 0
    mismatches: int = 0
    answered: bool = False

    def over(self, now: float) -> bool:
        """Whether there is nothing left to try."""
        if self.answered or now >= self.until:
            return True
        return self.home is None and self.attempts >= MAXIMUM_ATTEMPTS and now >= self.due

    def sent(self, now: float) -> None:
        """It has gone out once more."""
        doublings = min(self.attempts, 16)
        self.attempts += 1
        self.due = now + min(RETRANSMISSION_MINIMUM * 2.0**doublings, _MAXIMUM_INTERVAL)

    def route(self, links: Iterable[Link]) -> Route | None:
        """Its own link if that works, else the best other one; None while there is none."""
        if self.home is not None:
            return self.home
        best: tuple[tuple[float, ...], Route] | None = None
        for link in links:
            attachment = link.attachment(refused_too=True)
            if attachment is None or (link is self.link and self.elsewhere):
                continue
            key = (
                link is not self.link,
                link.binding is None,
                link.doubtful,
                attachment.foreign_agent is not None and not self._relayed_safely_by(link),
                link.settings.priority,
                link.probe_round_trip,
                link.order,
            )
            if best is None or key < best[0]:
                best = key, link.route(attachment)
        return None if best is None else best[1]

    def _relayed_safely_by(self, link: Link) -> bool:
        """Whether the link's foreign agent ends no more than this binding for it.

        It relays any deregistration (RFC 5944 §3.7.2), but deletes "its visitor list entry for the mobile
        node" with the answer (§3.7.3.2). One that has let the extension pass keeps an entry for each
        Binding-Id (FACTS G50).
        """
        binding = link.binding
        return bool(self.request.extensions) and binding is not None and binding.plan.multiple


def depart_one(link: Link, plan: Plan, until: float, now: float, elsewhere: bool = False) -> Departure:
    """End one binding, by its care-of address and, if it has one, its BID (FACTS G30).

    O is 0 in it, and it asks for no UDP tunnel (FACTS G21, G31).
    """
    request = RegistrationRequest(
        flags=link.flags(plan.attachment),
        lifetime=0,
        home_address=link.node.home_address,
        home_agent=link.node.home_agent,
        care_of_address=plan.attachment.care_of_address,
        identification=0,
        extensions=(link.multiple_tunnel_request(bulk=False, overwrite=False),) if plan.multiple else (),
    )
    return Departure(request, link, due=now, until=until, elsewhere=elsewhere)


def depart_all(
    settings: MobileNodeSettings, now: float, until: float, home: Route | None = None
) -> Departure:
    """End all bindings, in the base form (RFC 5944 §3.6.1.2 and C.3, FACTS G23, G32)."""
    request = RegistrationRequest(
        flags=RequestFlags(0),
        lifetime=0,
        home_address=settings.home_address,
        home_agent=settings.home_agent,
        care_of_address=settings.home_address,
        identification=0,
    )
    return Departure(request, None, due=now, until=until, home=home)


def depart_on_stop(settings: MobileNodeSettings, links: Iterable[Link], now: float) -> list[Departure]:
    """End everything: by each foreign agent, so that its visitor entry goes too, then all the rest."""
    bound = [(link, link.binding) for link in links if link.binding is not None]
    departures = [
        depart_one(link, binding.plan, binding.expires, now)
        for link, binding in bound
        if binding.plan.attachment.foreign_agent is not None
    ]
    if len(departures) < len(bound) or not bound:
        departures.append(depart_all(settings, now, math.inf))
    return departures
