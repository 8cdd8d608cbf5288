# SPDX-License-Identifier: GPL-2.0-or-later
"""Which interface should be registered how, whose turn it is to send, and what the replies mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from agents.effects import Datagram, GratuitousArp, Instant
from agents.liveness import Reason
from agents.mobile_node_departures import Departure, depart_one
from agents.mobile_node_fallback import Belief, ExtensionSupport
from agents.mobile_node_link import Link, Plan
from agents.mobile_node_outbox import Fields, Outbox
from agents.mobile_node_requests import Pending, Requests, Route
from agents.registration import ReplyError, Verdict, effective_code, protected_extensions
from agents.settings import MobileNodeSettings
from agents.wire import (
    MultipleTunnelRequest,
    RegistrationReply,
    ReplyCode,
    WireError,
    describe_code,
)

DEPARTURE_WINDOW = 1.0
"""How long an unanswered deregistration holds up the next request."""
TUNNEL_FAILURE_MAXIMUM = 60.0
"""Longest hysteresis in seconds."""
STABLE_AFTER = 10.0
"""A tunnel that lived longer than so many seconds starts with the shortest."""


class Registrations:
    """The registration machines of all interfaces under one queue of requests."""

    def __init__(
        self, settings: MobileNodeSettings, links: Mapping[str, Link], requests: Requests, outbox: Outbox
    ) -> None:
        self._settings = settings
        self._profile = settings.profile.wire()
        self._links = links
        self._outbox = outbox
        self._overwrite = True
        self.requests = requests
        self.support = ExtensionSupport(settings.enable_multiple_tunnel_support, settings.legacy_hold_down)
        self.departures: list[Departure] = []
        self.turn_at = math.inf
        """When the next request may go out."""

    # ----- time -----

    def expire(self, now: float) -> None:
        """End bindings, departures and hold-downs whose time has come."""
        for link in self._links.values():
            if link.binding is not None and link.binding.expires <= now:
                self._outbox.report("binding-expired", _names(link), warning=True)
                link.binding = None
        for departure in [d for d in self.departures if d.over(now)]:
            self._outbox.report("deregistration-unanswered", {"attempts": departure.attempts}, warning=True)
            self.cancel(departure)
        if now >= self.support.until:
            self.probe()

    def deadline(self) -> float:
        """When ``expire`` or ``transmit`` has something to do."""
        ends = [link.binding.expires for link in self._links.values() if link.binding is not None]
        ends += [departure.until for departure in self.departures]
        return min(self.turn_at, self.support.until, *ends, math.inf)

    def lose_tunnel(self, link: Link, reason: Reason, now: float) -> None:
        """Packets no longer pass although the link is up: tell the home agent over another one (also
        what waits for a reply by this one, G51), register again with hysteresis (FACTS G25, G31).
        """
        self._report_failure(link, reason, now)
        link.recovering = self._settings.liveness.enabled
        for departure in self.departures:
            pending = self.requests.of(departure)
            if pending is not None and pending.route.interface == link.settings.name:
                self.requests.abandon(departure)
                departure.due = now
        binding = link.binding
        assert binding is not None
        if now - binding.since > STABLE_AFTER:
            link.tunnel_failures = 0
        link.due = now + min(2.0 ** min(link.tunnel_failures, 10), TUNNEL_FAILURE_MAXIMUM)
        link.tunnel_failures += 1
        link.binding = None
        self.requests.abandon(link)
        self.departures.append(depart_one(link, binding.plan, binding.expires, now, elsewhere=True))

    def _report_failure(self, link: Link, reason: Reason, now: float) -> None:
        link.failure, link.failed_at = reason, now
        self._outbox.report("tunnel-failed", {**_names(link), "reason": str(reason)}, warning=True)

    def probe(self) -> None:
        """Ask the home agent for several tunnels again, on one interface first."""
        self.support.probe()
        self._overwrite = True
        for link in self._links.values():
            link.silent = link.failures = 0
        self._outbox.report("extension-probed")

    # ----- plans -----

    def chosen(self, now: float) -> Link | None:
        """The one interface to use where only one can be (FACTS G14): by priority, if it works."""
        usable = [
            link
            for link in self._links.values()
            if not link.held and link.attachment(refused_too=True) is not None
        ]
        probing = self.support.belief is Belief.PROBING
        return min(
            usable,
            key=lambda link: (
                # The one with the plain binding asks: its answer shows that the home agent is alive.
                probing and link.binding is None,
                link.failed_rounds(now),
                link.settings.priority,
                link.order,
            ),
            default=None,
        )

    def replan(self, now: float, active: bool) -> None:
        """Bring the plans up to date; not ``active`` (at home, stopping) means no registration at all."""
        for link in self._links.values():
            self._leave_dead_way(link, now, active)
        chosen = None if self.support.everywhere else self.chosen(now)
        if chosen is not None and self._gives_up_probing(chosen, now):
            chosen = self.chosen(now)
        for link in self._links.values():
            several = link.binding is not None and link.binding.plan.multiple
            if several and active and not self.support.asking and link is not chosen:
                # The plain registration of the chosen one will delete it (FACTS G14).
                link.binding = None
            plan = self._plan(link, chosen) if active else None
            if plan is not None and self._suspects_foreign_agent(link, plan, now):
                plan = self._plan(link, chosen)
            if plan != link.plan:
                self.requests.abandon(link)
                link.change_plan(plan, now)
                if plan is not None:
                    if self.support.belief is Belief.PROBING and not link.failures:
                        link.due = now  # the question is put now, whatever binding there still is
                    self._cancel_departures(link)

    def _cancel_departures(self, link: Link) -> None:
        """The link is back; registering again replaces what was to be deregistered."""
        for departure in [d for d in self.departures if d.link is link and not d.elsewhere]:
            self.cancel(departure)

    def _plan(self, link: Link, chosen: Link | None) -> Plan | None:
        if link.held or (chosen is not link and not self.support.everywhere):
            return None
        if self.support.asking:
            attachment = link.attachment(refused_too=False)
            if attachment is not None:
                return Plan(attachment, multiple=True)
            if any(other.binding is not None for other in self._links.values() if other is not link):
                return None
        attachment = link.attachment(refused_too=True)
        return None if attachment is None else Plan(attachment, multiple=False)

    def _leave_dead_way(self, link: Link, now: float, active: bool) -> None:
        pending = self.requests.of(link)
        if pending is not None and link.asked is not None and not link.serves(link.asked.attachment):
            self.requests.abandon(link)
        else:
            pending = None
        lost, until = None, now
        if link.binding is not None and not link.serves(link.binding.plan.attachment):
            lost, until = link.binding.plan, link.binding.expires
            link.binding = None
            self._outbox.report("binding-lost", _names(link))
            if active:
                gone = Reason.CARE_OF_ADDRESS_GONE if link.state.up else Reason.LINK_DOWN
                self._report_failure(link, gone, now)
        elif pending is not None and link.binding is None and not self._overwrite:
            # Perhaps accepted, and the reply is lost with the link.
            lost, until = link.asked, pending.sent + pending.request.lifetime
        nowhere = link.attachment(refused_too=True) is None
        if lost is not None and until > now and active and nowhere:
            self.departures.append(depart_one(link, lost, until, now))

    def _gives_up_probing(self, chosen: Link, now: float) -> bool:
        silent = chosen.silent >= self._settings.legacy_attempts and now >= chosen.due
        if not silent or self.support.belief is not Belief.PROBING:
            return False
        self.support.refused(now)
        chosen.start_afresh(now)  # its silence was the extension's fault
        self._outbox.report("extension-unanswered", _names(chosen), warning=True)
        return True

    def _suspects_foreign_agent(self, link: Link, plan: Plan, now: float) -> bool:
        """Whether the agent lets no extension pass (FACTS G12): then it is not asked with it for a while."""
        address = plan.attachment.foreign_agent
        if address is None or not plan.multiple or now < link.due or link.plan not in (None, plan):
            return False
        if link.silent < self._settings.legacy_attempts:
            return False
        if not link.discovery.seems_legacy(address, since=link.first_unanswered):
            return False
        self._refuse_foreign_agent(link, address, now)
        return True

    def _refuse_foreign_agent(self, link: Link, address: IPv4Address, now: float) -> None:
        link.discovery.refuse(address, now + self._settings.legacy_hold_down)
        self._outbox.report(
            "foreign-agent-without-extension", {**_names(link), "agent": str(address)}, warning=True
        )

    # ----- sending -----

    def transmit(self, now: Instant) -> None:
        """Send what may be sent now, and note when the next may."""
        while True:
            self.turn_at, item, route = self._next(now.monotonic)
            if item is None or route is None or self.turn_at > now.monotonic:
                return
            if isinstance(item, Departure):
                self._send_departure(item, route, now)
            else:
                self._send_registration(item, now)

    def _next(self, now: float) -> tuple[float, Departure | Link | None, Route | None]:
        """Whose turn it is: departures first, then who has waited longest (FACTS G35, G51)."""
        candidates: list[tuple[tuple[float, ...], Departure | Link, Route]] = []
        free = self.requests.free_at(departure=True)
        for departure in self.departures:
            route = departure.route(self._links.values())
            if route is not None:
                candidates.append(((max(departure.due, free, now), 0, departure.due), departure, route))
        free = self.requests.free_at(departure=False)
        for link in self._links.values():
            at = max(link.earliest(), free, now)
            if link.plan is not None and at < math.inf:
                key = (at, 1, link.due, link.settings.priority, link.order)
                candidates.append((key, link, link.route(link.plan.attachment)))
        if not candidates:
            return math.inf, None, None
        (at, *_), item, route = min(candidates, key=lambda candidate: candidate[0])
        return at, item, route

    def _send_departure(self, departure: Departure, route: Route, now: Instant) -> None:
        departure.sent(now.monotonic)
        if departure.home is not None:
            self._outbox.emit(GratuitousArp(self._settings.home_address, route.interface))
        self._outbox.emit(self.requests.send(departure.request, route, departure, DEPARTURE_WINDOW, now))

    def _send_registration(self, link: Link, now: Instant) -> None:
        plan = link.plan
        assert plan is not None
        if plan.multiple and self._suspects_home_agent(link, plan):
            plan = replace(plan, multiple=False)
        overwrite = plan.multiple and self._overwrite
        bulk = plan.multiple and not overwrite and self._renews_in_bulk(link)
        if overwrite or not plan.multiple:
            # What is under way will be undone by this one; a late reply must not revive it.
            for other in self._links.values():
                if other is not link:
                    self.requests.abandon(other)
        for departure in list(self.departures):
            if departure.link in (None, link):
                self.cancel(departure)
        link.sent(plan, now.monotonic)
        request = link.request(plan, bulk=bulk, overwrite=overwrite)
        route = link.route(plan.attachment)
        self._outbox.emit(self.requests.send(request, route, link, link.response_window(), now))

    def _suspects_home_agent(self, link: Link, plan: Plan) -> bool:
        """Whether to try once without the extension: only that tells a legacy agent from a dead one."""
        attempts = self._settings.legacy_attempts
        return (
            plan.attachment.foreign_agent is None
            and self.support.everywhere
            and not self.support.proven
            and link.silent % (attempts + 1) == attempts
            and all(other.binding is None for other in self._links.values())
        )

    def _renews_in_bulk(self, link: Link) -> bool:
        bindings = [k.binding for k in self._links.values() if k.binding is not None]
        return (
            link.bulk_next
            and link.failures == 0
            and link.binding is not None
            and link.binding.plan == link.plan
            and link.binding.renewed_in_bulk
            and sum(binding.renewed_in_bulk for binding in bindings) > 1
        )

    def leave(self, departures: Sequence[Departure]) -> None:
        """Send these deregistrations and no other."""
        for departure in list(self.departures):
            self.cancel(departure)
        self.departures += departures

    def cancel(self, departure: Departure) -> None:
        """Nothing more is to be sent or expected for it."""
        self.requests.abandon(departure)
        self.departures.remove(departure)

    # ----- replies -----

    def receive(self, datagram: Datagram, now: Instant) -> None:
        """A datagram on the Mobile IP port."""
        try:
            pending, reply, verdict = self.requests.receive(datagram, now)
        except (WireError, ReplyError) as error:
            self._outbox.report(
                "message-discarded",
                {"reason": error.reason, "interface": datagram.interface, "source": str(datagram.source)},
                warning=isinstance(error, ReplyError) and error.security,
            )
            return
        if any(isinstance(extension, MultipleTunnelRequest) for extension in reply.extensions):
            self._outbox.report("extension-in-reply", {"interface": datagram.interface}, warning=True)
        owner = pending.owner
        if isinstance(owner, Departure):
            self._departure_answered(owner, reply, verdict, now.monotonic)
        else:
            assert isinstance(owner, Link)
            self._link_answered(owner, pending, reply, verdict, now.monotonic)

    def _link_answered(
        self, link: Link, pending: Pending, reply: RegistrationReply, verdict: Verdict, now: float
    ) -> None:
        link.silent = 0
        link.round_trip = now - pending.sent
        link.last_code = effective_code(reply)
        granted = min(reply.lifetime, pending.request.lifetime)
        if verdict is Verdict.ACCEPTED and granted:
            self._accepted(link, pending, reply, granted, now)
        else:
            self._denied(link, pending, reply, verdict, now)

    def _departure_answered(
        self, departure: Departure, reply: RegistrationReply, verdict: Verdict, now: float
    ) -> None:
        code = effective_code(reply)
        name = None if departure.link is None else departure.link.settings.binding_id
        if verdict is Verdict.ACCEPTED:
            departure.answered = True
            self.departures.remove(departure)
            self._outbox.report("deregistered", {"binding_id": name})
            return
        if code == ReplyCode.HA_IDENTIFICATION_MISMATCH and departure.mismatches == 0:
            departure.due = now
        departure.mismatches += 1
        self._outbox.report("deregistration-denied", {"binding_id": name, "code": code}, warning=True)

    def _accepted(
        self, link: Link, pending: Pending, reply: RegistrationReply, granted: int, now: float
    ) -> None:
        plan = link.asked
        assert plan is not None
        extension = pending.multiple_tunnel_request
        self._forget_replaced(link, extension, reply)
        new = link.binding is None
        link.bind(plan, protected_extensions(reply), pending.sent, granted)
        bulk = extension is not None and extension.bulk
        link.bulk_next = self._settings.bulk_renewal and not bulk
        if bulk:
            for other in self._links.values():
                if other is not link and other.binding is not None:
                    other.extend(other.binding, pending.sent, granted)
        self._outbox.report(
            "registered" if new else "renewed",
            {
                **_names(link),
                "care_of_address": str(plan.attachment.care_of_address),
                "lifetime": granted,
                "bulk": bulk,
            },
        )
        if link.failure is not None:
            after = round(now - link.failed_at, 3)
            recovered = {**_names(link), "reason": str(link.failure), "after": after}
            self._outbox.report("tunnel-recovered", recovered)
            link.failure = None
        if extension is None:
            self._overwrite = True
            if self.support.everywhere and link.plan is not None and link.plan.multiple:
                self.support.suspected(now)
                self._outbox.report("extension-unanswered", _names(link), warning=True)
        elif reply.code != ReplyCode.ACCEPTED:
            self.support.refused(now)
            self._outbox.report("simultaneous-bindings-unsupported", _names(link), warning=True)
        else:
            self._overwrite = False
            self.support.accepted()
            if plan.attachment.foreign_agent is not None:
                link.discovery.accept_extension(plan.attachment.foreign_agent)

    def _denied(
        self, link: Link, pending: Pending, reply: RegistrationReply, verdict: Verdict, now: float
    ) -> None:
        code = effective_code(reply)
        agent = pending.route.foreign_agent
        asked_for_more = pending.multiple_tunnel_request is not None
        link.due = now + link.denial_interval()
        self._outbox.report(
            "registration-denied",
            {**_names(link), "reason": str(code), "text": describe_code(code, self._profile)},
            warning=True,
        )
        if code != reply.code:
            self._undo(link, pending, reply, now)
        if verdict is Verdict.ACCEPTED:
            link.binding = None
        elif verdict is Verdict.DENIED_BY_HOME_AGENT:
            if code == ReplyCode.HA_IDENTIFICATION_MISMATCH:
                # At once, but only once: the second in a row waits like any retransmission.
                link.urgent = link.mismatches == 0
                link.due = now if link.urgent else now + link.retransmission_interval()
                link.mismatches += 1
            elif code == self._profile.denied_by_home_agent and asked_for_more:
                self.support.refused(now)
        elif code == self._profile.denied_by_foreign_agent and asked_for_more:
            self._refuse_foreign_agent(link, agent[0], now)
        elif code == ReplyCode.FA_LIFETIME_TOO_LONG and 0 < reply.lifetime < pending.request.lifetime:
            link.limit_lifetime(reply.lifetime)
            link.due = now
        elif code == ReplyCode.FA_INVALID_CARE_OF_ADDRESS:
            link.try_next_care_of_address()

    def _undo(self, link: Link, pending: Pending, reply: RegistrationReply, now: float) -> None:
        """End what the home agent has granted but the foreign agent does not honour (RFC 4636 §5)."""
        plan = link.asked
        assert plan is not None
        extension = pending.multiple_tunnel_request
        self._forget_replaced(link, extension, reply)
        link.binding = None
        until = pending.sent + min(reply.lifetime, pending.request.lifetime)
        self.departures.append(depart_one(link, plan, until, now))

    def _forget_replaced(
        self, link: Link, extension: MultipleTunnelRequest | None, reply: RegistrationReply
    ) -> None:
        """The home agent has deleted the other bindings for this one (FACTS G13, G23)."""
        if extension is None or extension.overwrite or reply.code != ReplyCode.ACCEPTED:
            for other in self._links.values():
                if other is not link:
                    other.binding = None


def _names(link: Link) -> Fields:
    return {"interface": link.settings.name, "binding_id": link.settings.binding_id}
