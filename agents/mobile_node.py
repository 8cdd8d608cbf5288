# SPDX-License-Identifier: GPL-2.0-or-later
"""The mobile node: registers a care-of address for each of its interfaces (draft §5.1, RFC 5944 §3.6).

A sans-IO state machine. Every input first changes what is known: links, agents, replies, time.
Then ``_settle`` compares how each link *should* be registered (its plan) with what is there,
changes the paths, sends what may be sent, and asks for one timer, at the next moment something
is due. So no order of events needs code of its own.

At most one interface is registered without the Multiple Tunnel Request, and never while another
has a binding with it, because a plain registration deletes all others (FACTS G14).
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping
from ipaddress import IPv4Address, IPv4Network

from agents.effects import (
    AccessLink,
    Datagram,
    Effect,
    Instant,
    InterfaceState,
    ReceiveBroadcasts,
    Report,
    SendIcmp,
    StartTimer,
    StopTimer,
    Tunnel,
)
from agents.kept_state import KeptSetting
from agents.liveness import Reason
from agents.mobile_node_departures import depart_on_stop, depart_one
from agents.mobile_node_discovery import AgentDiscovery
from agents.mobile_node_home import HomeLink
from agents.mobile_node_keepalive import Keepalives
from agents.mobile_node_link import Link
from agents.mobile_node_liveness import Carried, Watch
from agents.mobile_node_outbox import Outbox
from agents.mobile_node_paths import PathTable, Way
from agents.mobile_node_registrations import Registrations
from agents.mobile_node_requests import Requests
from agents.mobile_node_state import MobileNodeState
from agents.mobile_node_status import Status, status_of
from agents.settings import MobileNodeSettings
from agents.wire import AdvertisementFlags, AgentAdvertisement, RouterSolicitation, WireError, decode_icmp

ALL_MOBILITY_AGENTS = IPv4Address("224.0.0.11")
STOP_LIMIT = 2.0
"""Seconds for the deregistrations at stop."""
_WAKE = "wake"


class MobileNode:
    """One mobile node; see the module's text. Interfaces it was not told of are ignored."""

    def __init__(self, settings: MobileNodeSettings, random: random.Random) -> None:
        self._settings = settings
        self._outbox = Outbox()
        self._discoveries: dict[str, AgentDiscovery] = {}
        self._links: dict[str, Link] = {}
        for order, interface in enumerate(settings.interface):
            solicits = interface.care_of == "foreign-agent" or interface.name == settings.home_link
            discovery = AgentDiscovery(settings.home_agent, solicits, random)
            self._discoveries[interface.name] = discovery
            self._links[interface.name] = Link(interface, order, discovery, settings, random)
        if settings.home_link is not None and settings.home_link not in self._discoveries:
            self._discoveries[settings.home_link] = AgentDiscovery(settings.home_agent, True, random)
        self._requests = Requests(settings, random)
        self._registrations = Registrations(settings, self._links, self._requests, self._outbox)
        self._keepalives = Keepalives(self._links, self._outbox)
        self._paths = PathTable(settings.home_address, settings.path_selection.weights)
        self._watch = Watch(settings, random, self._outbox)
        self._home = HomeLink(settings, self._discoveries, self._links, self._registrations, self._outbox)
        self._wake = math.inf
        self._stop_at = math.inf
        self._stopping = False
        self._stopped = False
        self._orders = 0

    # ----- over a restart -----

    @property
    def generation(self) -> int:
        """Counts the changes of what :meth:`snapshot` gives."""
        return self._orders + self._requests.identifications.generation

    def snapshot(self, now: Instant) -> MobileNodeState:  # noqa: ARG002 - no moment in it
        """What is to be kept over a restart."""
        return MobileNodeState(
            enable_multiple_tunnel_support=KeptSetting(
                configured=self._settings.enable_multiple_tunnel_support,
                current=self._registrations.support.enabled,
            ),
            uplink_kbit={
                name: KeptSetting(configured=link.settings.uplink_kbit, current=link.uplink_kbit)
                for name, link in self._links.items()
            },
            identifications=self._requests.identifications.snapshot(),
        )

    def restore(self, state: MobileNodeState, now: Instant) -> list[Effect]:  # noqa: ARG002 - as above
        """Take up again, before :meth:`start`, what an earlier life has kept."""
        support = state.enable_multiple_tunnel_support
        self._registrations.support.enabled = support.value(self._settings.enable_multiple_tunnel_support)
        for name, uplink in state.uplink_kbit.items():
            if name in self._links:
                self._links[name].uplink_kbit = uplink.value(self._links[name].settings.uplink_kbit)
        self._requests.identifications.restore(state.identifications)
        return [Report("state-restored")]

    def state_lost(self, now: Instant) -> None:
        """What was kept cannot be read: the clock alone says which Identification comes next."""

    # ----- inputs -----

    def start(self, interfaces: Mapping[str, InterfaceState], now: Instant) -> list[Effect]:
        """Begin with the interfaces as they are."""
        settings = self._settings
        if settings.receive_broadcasts:
            network = IPv4Network((settings.home_address, settings.home_prefix_length), strict=False)
            self._outbox.emit(ReceiveBroadcasts(settings.home_address, settings.home_agent, network))
        for name, state in interfaces.items():
            self._take_state(name, state, now.monotonic)
        return self._settle(now)

    def interface_changed(self, name: str, state: InterfaceState, now: Instant) -> list[Effect]:
        """Carrier, administrative state or addresses of an interface have changed."""
        self._take_state(name, state, now.monotonic)
        return self._settle(now)

    def _take_state(self, name: str, state: InterfaceState, now: float) -> None:
        discovery = self._discoveries.get(name)
        if discovery is None:
            return
        if state.up and not discovery.up:
            discovery.link_up(now)
        elif not state.up and discovery.up:
            discovery.link_down()
        link = self._links.get(name)
        if link is not None and state != link.state:
            link.state = state
            link.link_event(now)

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]:
        """A datagram on the Mobile IP port."""
        self._registrations.receive(datagram, now)
        return self._settle(now)

    def receive_icmp(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]:
        """A router discovery message; only agent advertisements matter (RFC 5944 §2.4)."""
        discovery = self._discoveries.get(interface)
        if discovery is None or not discovery.up:
            return []
        try:
            message = decode_icmp(payload)
        except WireError as error:
            self._outbox.report(
                "advertisement-discarded",
                {"reason": error.reason, "interface": interface, "source": str(source)},
            )
            return self._settle(now)
        agent = AdvertisementFlags.F | AdvertisementFlags.H
        if isinstance(message, AgentAdvertisement) and message.flags & agent:
            rebooted = discovery.hear(message, source, link_source, now.monotonic)
            if rebooted and interface in self._links:
                self._outbox.report("agent-restarted", {"interface": interface, "agent": str(source)})
                self._links[interface].start_afresh(now.monotonic)
        return self._settle(now)

    def timer(self, key: Hashable, now: Instant) -> list[Effect]:
        """The timer has run out."""
        if key == _WAKE:
            self._wake = math.inf
        return self._settle(now)

    def probe(self, carried: Carried, now: Instant) -> list[Effect]:
        """The timer ``PROBES`` has run out: probe the tunnels and judge them (FACTS G25)."""
        self._watch.tick(carried, now.monotonic)
        return self._judge(now)

    def probe_answered(
        self,
        payload: bytes,
        source: IPv4Address,
        way: Tunnel | AccessLink | None,
        interface: str,
        now: Instant,
    ) -> list[Effect]:
        """An ICMP echo reply for this node.

        :param payload: from the ICMP type on.
        :param way: by which it came; None: bare by ``interface``.
        """
        if self._watch.take_answer(payload, source, way, interface, now.monotonic):
            return self._judge(now)
        return self._outbox.flush()

    def _judge(self, now: Instant) -> list[Effect]:
        failed = self._watch.failed() if self._active else []
        for link, reason in failed:
            self._registrations.lose_tunnel(link, reason, now.monotonic)
        silent = self._watch.to_renew(now.monotonic) if self._active else []
        for link in silent:
            link.due = now.monotonic
        if failed or silent or self._watch.recovered:
            return self._settle(now)
        return self._outbox.flush()

    def tunnel_failed(self, binding_id: int, now: Instant, reason: Reason = Reason.SILENT) -> list[Effect]:
        """Packets no longer come through the tunnel of this binding (FACTS G25)."""
        for link in self._links.values():
            if link.settings.binding_id == binding_id and link.binding is not None and self._active:
                self._registrations.lose_tunnel(link, reason, now.monotonic)
        return self._settle(now)

    # ----- orders -----

    def reregister(self, now: Instant, bulk: bool = False) -> list[Effect]:
        """Register every interface anew, also those denied, refused or deregistered by order.

        With ``bulk`` one request renews all co-located bindings, the others are renewed each.
        """
        bound = [k for k in self._links.values() if k.binding is not None and k.binding.renewed_in_bulk]
        together = bound if bulk and len(bound) > 1 else []
        for link in self._links.values():
            link.held = False
            link.discovery.forgive()
            if link not in together[1:]:
                link.start_afresh(now.monotonic)
            link.bulk_next = link in together[:1]
        if self._registrations.support.enabled and not self._registrations.support.asking:
            self._registrations.probe()
        return self._settle(now)

    def deregister(self, binding_id: int | None, now: Instant) -> list[Effect]:
        """End one binding, or with None all; they stay so until ``reregister``."""
        chosen = [k for k in self._links.values() if binding_id in (None, k.settings.binding_id)]
        if not chosen:
            self._outbox.report("unknown-binding", {"binding_id": binding_id}, warning=True)
        bound = [link for link in chosen if link.binding is not None]
        if self._active:
            if binding_id is None:
                departures = depart_on_stop(self._settings, bound, now.monotonic)
            else:
                departures = [
                    depart_one(link, link.binding.plan, link.binding.expires, now.monotonic)
                    for link in bound
                    if link.binding is not None
                ]
            self._registrations.departures += departures
        for link in chosen:
            link.held = True
            link.binding = None
        return self._settle(now)

    def set_care_of_address(self, binding_id: int, address: IPv4Address | None, now: Instant) -> list[Effect]:
        """Register another care-of address on the interface of a binding; the old one is used meanwhile.

        :param address: one of the interface's own or, with a foreign agent, one that it offers; None:
            any of these.
        :raises ValueError: if there is no such binding, or the address is none of these.
        """
        link = next((k for k in self._links.values() if k.settings.binding_id == binding_id), None)
        if link is None:
            raise ValueError(f"there is no binding {binding_id}; see mipctl bindings")
        possible = link.possible_care_of_addresses()
        if address is not None and address not in possible:
            there = ", ".join(map(str, possible)) or "none"
            raise ValueError(f"care-of address {address}: {link.settings.name} has {there}")
        link.settings = link.settings.model_copy(update={"care_of_address": address})
        return self._settle(now)

    def set_multiple_tunnel_support(self, enabled: bool, now: Instant) -> list[Effect]:
        """Change EnableMultipleTunnelSupport (draft §8); 0 leaves one interface, by priority."""
        self._orders += 1
        support = self._registrations.support
        if enabled and not support.enabled:
            support.enabled = True
            self._registrations.probe()
        elif support.enabled and not enabled:
            support.disable()
        return self._settle(now)

    def set_bandwidth(self, binding_id: int, kbytes: int, now: Instant) -> list[Effect]:
        """New weight of an uplink, in kilobytes per second, 0: unknown; what is announced stays the same.

        :raises ValueError: if ``kbytes`` is negative.
        """
        if kbytes < 0:
            raise ValueError(f"bandwidth {kbytes}: choose 0 or more kilobytes per second")
        chosen = [k for k in self._links.values() if k.settings.binding_id == binding_id]
        if not chosen:
            self._outbox.report("unknown-binding", {"binding_id": binding_id}, warning=True)
        for link in chosen:
            link.uplink_kbit = kbytes * 8
            self._orders += 1
        return self._settle(now)

    def stop(self, now: Instant) -> list[Effect]:
        """Deregister everything; ``stopped`` once that is answered or has taken too long."""
        if self._stopping:
            return []
        self._stopping = True
        self._stop_at = now.monotonic
        if self._settings.deregister_at_stop:
            self._stop_at += STOP_LIMIT
            if not self._home.reached:
                departures = depart_on_stop(self._settings, self._links.values(), now.monotonic)
                self._registrations.leave(departures)
        return self._settle(now)

    # ----- views -----

    @property
    def stopped(self) -> bool:
        """Whether nothing is left to be done after ``stop``."""
        return self._stopped

    @property
    def _active(self) -> bool:
        """Whether the node registers: away from home and not about to stop."""
        return not self._home.reached and not self._stopping

    @property
    def registered(self) -> bool:
        """Whether every usable interface has a live binding, or the home agent knows we are at home.

        Usable is what is up, not deregistered by order and not left out for want of the extension.
        """
        if self._home.reached:
            return self._home.settled
        everywhere = self._registrations.support.everywhere
        wanted = [
            link for link in self._links.values() if link.plan is not None or (everywhere and link.searching)
        ]
        return bool(wanted) and all(
            link.binding is not None and link.binding.plan == link.plan for link in wanted
        )

    def status(self, now: Instant) -> Status:
        """Everything a person may want to know, in JSON's types."""
        return status_of(
            self._settings,
            self._registrations,
            self._links.values(),
            self._watch,
            home=self._home.state,
            counters=self._outbox.counters,
            stopping=self._stopping,
            now=now.monotonic,
        )

    # ----- settling -----

    def _settle(self, now: Instant) -> list[Effect]:
        if not self._stopped:
            self._expire(now.monotonic)
            self._home.find(now.monotonic, self._stopping)
            self._registrations.replan(now.monotonic, self._active)
            self._end_if_stopped(now.monotonic)
            self._outbox.emit(*self._paths.update(self._ways()))
            self._watch.follow(self._links.values(), now.monotonic)
        if not self._stopped:
            self._registrations.transmit(now)
            self._keepalives.transmit(now.monotonic)
            self._set_timer(now.monotonic)
        return self._outbox.flush()

    def _expire(self, now: float) -> None:
        for name, discovery in self._discoveries.items():
            discovery.expire(now)
            if discovery.solicit(now):
                solicitation = RouterSolicitation().encode()
                self._outbox.emit(
                    SendIcmp(solicitation, self._settings.home_address, ALL_MOBILITY_AGENTS, name)
                )
        self._registrations.expire(now)

    def _end_if_stopped(self, now: float) -> None:
        if not self._stopping:
            return
        links = self._links.values()
        waiting = any(departure.route(links) is not None for departure in self._registrations.departures)
        if waiting and now < self._stop_at:
            return
        for link in links:
            link.binding = None
        self._home.forget()
        self._stopped = True
        self._outbox.report("stopped")
        if self._wake < math.inf:
            self._outbox.emit(StopTimer(_WAKE))

    def _ways(self) -> list[Way]:
        way = self._home.way
        if way is not None:
            return [way]
        return [k.way(k.binding) for k in self._links.values() if k.binding is not None]

    def _set_timer(self, now: float) -> None:
        deadlines = [discovery.deadline() for discovery in self._discoveries.values()]
        if self._active:
            deadlines.append(self._home.deadline(now))
        deadline = min(self._registrations.deadline(), self._keepalives.deadline(), *deadlines)
        if self._stopping:
            deadline = min(deadline, self._stop_at)
        if deadline == self._wake:
            return
        if deadline < math.inf:
            self._outbox.emit(StartTimer(_WAKE, deadline))
        else:
            self._outbox.emit(StopTimer(_WAKE))
        self._wake = deadline
