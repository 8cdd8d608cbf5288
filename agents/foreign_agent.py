# SPDX-License-Identifier: GPL-2.0-or-later
"""The foreign agent as a state machine: datagrams, timers and commands in, effects out.

A request that passes the checks becomes the pending part of a visitor list entry and is relayed; the
reply that matches it is checked and relayed back, and only if the home agent has accepted does the
current entry change, in :meth:`ForeignAgent._change`. Whatever fails raises ``DiscardedError`` (no
answer) or ``DeniedError`` (an answer of our own).

RFC 5944 §3.7, RFC 3024 §4.2, RFC 3519 §4.5, RFC 4636, draft §5.2; FACTS G38 to G40 and G50.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from ipaddress import IPv4Address
from random import Random
from typing import Any

from agents.associations import Peer, authenticated
from agents.effects import MOBILE_IP_PORT, Datagram, Effect, Instant, Report, SendDatagram, StartTimer
from agents.foreign_agent_admission import Admission
from agents.foreign_agent_advertiser import AdvertisementTimer, offered, visitor_link_advertiser
from agents.foreign_agent_denials import Denials, to_mobile_node
from agents.foreign_agent_keepalive import keepalive
from agents.foreign_agent_pending import Pending, PendingKey, PendingTable, deadline, pending_key, quotes
from agents.foreign_agent_reply import (
    Answer,
    answer_of,
    check_reply,
    deregistered,
    new_visitor,
    registered,
)
from agents.foreign_agent_reports import identity, names, registration_report
from agents.foreign_agent_request import Asked, RequestCheck, read
from agents.foreign_agent_state import ForeignAgentState, keep_all, visitor_lists
from agents.foreign_agent_status import pending_row, tunnel_row, visitor_row
from agents.path_weights import set_bandwidth
from agents.requests import FLAG_D, DeniedError, DiscardedError
from agents.settings import ForeignAgentSettings
from agents.visitors import (
    Attachment,
    KeepaliveTimer,
    Visitor,
    VisitorKey,
    VisitorList,
    VisitorTable,
    VisitorTimer,
)
from agents.wire import (
    AuthenticationType,
    MessageType,
    MultipleTunnelRequest,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    UdpTunnelRequest,
    UnknownExtension,
    Unusable,
    WireError,
    decode_registration,
)

_IP_IN_IP = 4
_SEQUENCE_BITS = 0xFFFF
_FRAGMENTATION_NEEDED = 4
_UNREACHABLE_CODES = {
    0: ReplyCode.FA_HOME_NETWORK_UNREACHABLE,
    1: ReplyCode.FA_HOME_AGENT_HOST_UNREACHABLE,
    3: ReplyCode.FA_HOME_AGENT_PORT_UNREACHABLE,
}
"""By the code of an ICMP Destination Unreachable; for any other it is 88."""


class ForeignAgent:
    """A foreign agent. Between :meth:`start` and :meth:`stop` it answers; otherwise it is silent."""

    def __init__(self, settings: ForeignAgentSettings, random: Random) -> None:
        self._settings = settings
        self._profile = settings.profile.wire()
        self._interfaces = {interface.name: interface for interface in settings.interface}
        self._own = frozenset(
            (*settings.care_of_addresses, *(interface.address for interface in settings.interface))
        )
        self._mobile_nodes = {e.home_address: Peer(e.security_association) for e in settings.mobile_node}
        self._home_agents = {e.address: Peer(e.security_association) for e in settings.home_agent}
        self._check = RequestCheck(settings, self._own)
        self._denials = Denials(settings.maximum_lifetime)
        self._pending = PendingTable()
        self._table = VisitorTable(settings.path_selection.weights)
        self._admission = Admission(settings, self._pending, self._table)
        self._advertisers = {
            interface.name: visitor_link_advertiser(
                settings, interface, self._check.reverse_tunnel, lambda: self._busy, random
            )
            for interface in settings.interface
        }
        self._multiple_tunnels = settings.enable_multiple_tunnel_support
        self._relayed: Counter[int] = Counter()
        self._discards: Counter[str] = Counter()
        self._keepalives = 0
        self._running = False
        self.generation = 0  # counts the changes of what ``snapshot`` gives

    # Life

    def start(self, now: Instant) -> list[Effect]:
        """Begin with an empty visitor list, or with what :meth:`restore` has put there."""
        if self._running:
            return []
        self._running = True
        effects = self._table.install(now.monotonic)
        for advertiser in self._advertisers.values():
            effects += advertiser.start(now)
        return effects

    def stop(self, now: Instant) -> list[Effect]:
        """Forget every visitor, release all they have in the kernel, and take leave of the links."""
        if not self._running:
            return []
        self._running = False
        effects = [*self._pending.clear(), *self._table.clear(now.monotonic)]
        self.generation += 1
        for advertiser in self._advertisers.values():
            effects += advertiser.stop()
        return effects

    def snapshot(self, now: Instant) -> ForeignAgentState:
        """What is to be kept over a restart."""
        return keep_all(self._table, self._settings, self._multiple_tunnels, now)

    def restore(self, state: ForeignAgentState, now: Instant) -> list[Effect]:
        """Take up again, before :meth:`start`, what an earlier life has kept and has not run out."""
        support = state.enable_multiple_tunnel_support
        self._multiple_tunnels = support.value(self._settings.enable_multiple_tunnel_support)
        self._table.restore(visitor_lists(state, self._settings, now))
        count = len(self._table)
        return [Report("state-restored", {"visitors": count, "ended": len(state.visitors) - count})]

    def state_lost(self, now: Instant) -> None:
        """What was kept cannot be read: visitors register again, as after any restart."""

    # Input

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]:
        """A datagram for UDP port 434 with a good checksum."""
        if not self._running:
            return []
        try:
            if datagram.payload[:1] == bytes([MessageType.TUNNEL_DATA]):
                raise DiscardedError("unexpected-tunnel-data")
            message = decode_registration(datagram.payload, self._profile)
            if not self._settings.recognise_multiple_tunnels:
                self._refuse_extension(message)
            if isinstance(message, RegistrationRequest):
                return self._receive_request(message, datagram, now)
            return self._receive_reply(message, datagram, now)
        except (DiscardedError, WireError) as error:
            self._discards[error.reason] += 1
            fields = {
                "reason": error.reason,
                "source": str(datagram.source),
                "interface": datagram.interface,
            }
            return [Report("message-discarded", fields, warning=True)]

    def receive_icmp(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]:
        """A router discovery message; solicitations are answered (RFC 5944 §2.3)."""
        advertiser = self._advertisers.get(interface)
        if not self._running or advertiser is None:
            return []
        return advertiser.receive(payload, source, interface, link_source, now)

    def unreachable(
        self, destination: IPv4Address, icmp_code: int, now: Instant, quoted: bytes = b""
    ) -> list[Effect]:
        """An ICMP Destination Unreachable about something we sent to a home agent (RFC 5944 §3.7.3).

        :param destination: where it was sent.
        :param icmp_code: 4, "fragmentation needed", says nothing about a request and is ignored.
        :param quoted: UDP payload of the datagram as far as it was sent back. The requests to this home
            agent that begin so fail: one if it is long enough, without any of it all.
        """
        if not self._running or icmp_code == _FRAGMENTATION_NEEDED:
            return []
        code = _UNREACHABLE_CODES.get(icmp_code, ReplyCode.FA_HOME_AGENT_UNREACHABLE)
        effects: list[Effect] = []
        for part in self._pending.all():
            if part.request.home_agent == destination and quotes(quoted, part.request):
                effects += self._give_up(part, DeniedError(code, "home-agent-unreachable"), now)
        return effects

    def timer(self, key: Hashable, now: Instant) -> list[Effect]:
        """A timer asked for by ``StartTimer`` has run out."""
        if not self._running:
            return []
        match key:
            case AdvertisementTimer(interface):
                return self._advertisers[interface].timer(now)
            case PendingKey():
                return self._time_out(key, now)
            case VisitorTimer(visitor):
                return self._expire(visitor, now)
            case KeepaliveTimer(visitor):
                return self._keep_alive(visitor, now)
        return []

    # Commands

    def set_multiple_tunnel_support(self, enabled: bool, now: Instant) -> list[Effect]:  # noqa: ARG002
        """Set EnableMultipleTunnelSupport; entries stay until they end (FACTS G18)."""
        self._multiple_tunnels = enabled
        self.generation += 1
        return [Report("multiple-tunnel-support-set", {"enabled": enabled})]

    def set_bandwidth(
        self, binding_id: int, kbytes: int, now: Instant, home_address: IPv4Address | None = None
    ) -> list[Effect]:
        """Weigh an entry by another bandwidth until its mobile node announces a new one.

        :param kbytes: kilobytes per second; 0: unknown.
        :param home_address: None: of every mobile node that has an entry of this Binding-Id.
        :raises ValueError: if ``kbytes`` is negative or has more than 32 bits.
        """

        def install(visitor: Visitor, bandwidth: int | None) -> list[Effect]:
            address = visitor.key.home_address
            changed = replace(visitor, bandwidth_kbytes=bandwidth)
            visitors = {**self._table.of(address), visitor.key: changed}
            self.generation += 1
            return self._table.replace(address, visitors, now.monotonic)

        meant = [
            visitor
            for visitor in self._table.all()
            if visitor.key.binding_id == binding_id and home_address in (None, visitor.key.home_address)
        ]
        return set_bandwidth(binding_id, kbytes, meant, install, identity)

    def status(self, now: Instant) -> dict[str, Any]:
        """The state as JSON can hold it, for people and tests."""
        return {
            "role": "foreign-agent",
            "care_of_addresses": [str(address) for address in self._settings.care_of_addresses],
            "running": self._running,
            "enable_multiple_tunnel_support": self._multiple_tunnels,
            "busy": self._busy,
            "visitors": [visitor_row(visitor, now) for visitor in self._table.all()],
            "pending": [pending_row(part, now) for part in self._pending.all()],
            "tunnels": [tunnel_row(tunnel, uses) for tunnel, uses in self._table.tunnels().items()],
            "replies": {str(code): count for code, count in sorted(self._denials.codes.items())},
            "relayed": {str(code): count for code, count in sorted(self._relayed.items())},
            "discarded": dict(sorted(self._discards.items())),
        }

    # Requests

    def _refuse_extension(self, message: RegistrationRequest | RegistrationReply) -> None:
        """Without the draft the type is one more unknown, non-skippable one (RFC 5944 §1.8)."""
        number = self._profile.multiple_tunnel_request
        for extension in message.extensions:
            known = isinstance(extension, Unusable) and extension.type == number
            if known or isinstance(extension, MultipleTunnelRequest):
                raise UnknownExtension(number)

    def _receive_request(
        self, request: RegistrationRequest, datagram: Datagram, now: Instant
    ) -> list[Effect]:
        attachment = self._attachment(datagram)
        asked = read(request, self._profile.multiple_tunnel_request)
        peer = self._mobile_nodes.get(request.home_address)
        try:
            self._check.authenticate(datagram.payload, asked, peer)
            self._check.check_format(request, asked)
            if request.lifetime:
                self._check.check_service(request, asked, datagram, self._multiple_tunnels)
            part = self._new_part(request, asked, attachment, peer, now)
            return self._relay(part, datagram.payload)
        except DeniedError as denial:
            return self._denials.deny(request, attachment, peer, denial, now)

    def _attachment(self, datagram: Datagram) -> Attachment:
        interface = self._interfaces.get(datagram.interface)
        if interface is None:
            raise DiscardedError("not-by-a-visitor-link")
        if datagram.link_source is None or not datagram.source_port:
            raise DiscardedError("no-address-to-answer")
        return Attachment(
            interface.name,
            datagram.link_source,
            datagram.source,
            datagram.source_port,
            datagram.destination if datagram.destination in self._own else interface.address,
        )

    def _new_part(
        self,
        request: RegistrationRequest,
        asked: Asked,
        attachment: Attachment,
        peer: Peer | None,
        now: Instant,
    ) -> Pending:
        """The pending part of a request that is well formed and asks for nothing we do not have."""
        interface = self._interfaces[attachment.interface]
        ours = request.care_of_address in self._settings.care_of_addresses
        by_place = attachment.place if asked.binding_id is None else ()
        at, ends_unheard = deadline(request.lifetime, self._settings.pending_time, now.monotonic)
        registers_with_us = bool(request.lifetime) and not int(request.flags) & FLAG_D
        return Pending(
            request=request,
            asked=asked,
            visitor=VisitorKey(request.home_address, asked.binding_id, *by_place),
            attachment=attachment,
            relay_source=request.care_of_address if ours else offered(self._settings, interface)[0],
            mobile_node=peer,
            home_agent=self._home_agents.get(request.home_agent) if registers_with_us else None,
            udp_asked=self._settings.behind_nat and registers_with_us,
            deadline=at,
            ends_unheard=ends_unheard,
        )

    def _relay(self, part: Pending, payload: bytes) -> list[Effect]:
        """Send the request on to the home agent (RFC 5944 §3.7.2.2)."""
        request = part.request
        former = self._pending.superseded_by(part)
        same = self._pending.find(part.key)
        if same is not None and same not in former:
            # Whoever repeats another's request must not get its reply, and with it the traffic.
            raise DiscardedError("identification-in-use")
        if request.lifetime:
            self._admission.check_conflicts(part)
        former = former + self._admission.check_resources(part, former)
        payload = payload[: part.asked.protected]
        if part.udp_asked:
            payload += UdpTunnelRequest(self._settings.udp_forced, False, _IP_IN_IP).encode()
        if part.home_agent is not None:
            payload = authenticated(payload, AuthenticationType.FOREIGN_HOME, part.home_agent.default)
        effects = [effect for older in former for effect in self._pending.remove(older)]
        effects += self._pending.add(part)
        effects.append(
            SendDatagram(payload, part.relay_source, MOBILE_IP_PORT, request.home_agent, MOBILE_IP_PORT)
        )
        fields = {**names(part), "lifetime": request.lifetime, "home_agent": str(request.home_agent)}
        return [*effects, Report("request-relayed", fields)]

    def _give_up(self, part: Pending, denial: DeniedError, now: Instant) -> list[Effect]:
        """End a pending part with a denial of our own; the current part stays as it is."""
        denied = self._denials.deny(part.request, part.attachment, part.mobile_node, denial, now)
        return [*self._pending.remove(part), *denied]

    def _time_out(self, key: PendingKey, now: Instant) -> list[Effect]:
        part = self._pending.find(key)
        if part is None:
            return []
        if part.deadline > now.monotonic:
            return [StartTimer(key, part.deadline)]
        if part.ends_unheard:
            return [*self._pending.remove(part), Report("request-ended", names(part))]
        return self._give_up(
            part, DeniedError(ReplyCode.FA_REGISTRATION_TIMEOUT, "registration-timeout"), now
        )

    # Replies

    def _receive_reply(self, reply: RegistrationReply, datagram: Datagram, now: Instant) -> list[Effect]:
        if self._settings.uplink not in (None, datagram.interface):
            raise DiscardedError("reply-by-a-visitor-link")
        part = self._pending.find(pending_key(reply.home_address, reply.identification))
        if part is None:
            raise DiscardedError("no-matching-request")
        answer = answer_of(datagram.payload, reply)
        try:
            check_reply(answer, part)
        except DeniedError as denial:
            return self._object(part, answer, denial, now)
        self._relayed[reply.code] += 1
        effects = self._pending.remove(part)
        relayed = to_mobile_node(answer.relayed(), reply.home_address, part.attachment, part.mobile_node)
        fields = {**names(part), "code": reply.code}
        if not answer.accepted:
            return [*effects, relayed, Report("reply-relayed", fields)]
        visitors = self._table.of(reply.home_address)
        if not part.request.lifetime:
            ended = self._change(reply.home_address, deregistered(part, visitors), "deregistered", now)
            return [*effects, relayed, *ended]
        if not reply.lifetime:
            rest = {key: visitor for key, visitor in visitors.items() if key != part.visitor}
            return [*effects, relayed, *self._change(reply.home_address, rest, "deregistered", now)]
        previous = visitors.get(part.visitor)
        visitor = new_visitor(answer, part, previous, self._settings, now)
        new = registered(answer, part, visitors, visitor)
        effects += self._change(reply.home_address, new, "replaced", now)
        return [*effects, relayed, registration_report(visitor, previous)]

    def _object(self, part: Pending, answer: Answer, denial: DeniedError, now: Instant) -> list[Effect]:
        """Refuse what the reply offers.

        An acceptance is relayed with our objection, so that the mobile node knows of the binding and can
        end it (RFC 4636 §5); nothing else in it is believed.
        """
        if not (answer.accepted and answer.protected):
            return self._give_up(part, denial, now)
        relayed = to_mobile_node(
            answer.relayed(int(denial.code)), part.request.home_address, part.attachment, part.mobile_node
        )
        fields = {**names(part), "code": int(denial.code), "reason": denial.reason}
        return [*self._pending.remove(part), relayed, Report("reply-refused", fields, warning=True)]

    # State

    @property
    def _busy(self) -> bool:
        """Whether a new mobile node would be turned away."""
        return len(self._table) >= self._settings.maximum_visitors

    def _expire(self, key: VisitorKey, now: Instant) -> list[Effect]:
        """End an entry whose lifetime is over; nobody is told (RFC 5944 §3.7)."""
        visitors = self._table.of(key.home_address)
        visitor = visitors.get(key)
        if visitor is None:
            return []
        if visitor.expires > now.monotonic:
            return [StartTimer(VisitorTimer(key), visitor.expires)]
        rest = {other: v for other, v in visitors.items() if other != key}
        return self._change(key.home_address, rest, "expired", now)

    def _keep_alive(self, key: VisitorKey, now: Instant) -> list[Effect]:
        visitor = self._table.of(key.home_address).get(key)
        if visitor is None or not visitor.keepalive:
            return []
        self._keepalives = (self._keepalives + 1) & _SEQUENCE_BITS
        again = StartTimer(KeepaliveTimer(key), now.monotonic + visitor.keepalive)
        return [keepalive(visitor, self._keepalives), again]

    def _change(self, home_address: IPv4Address, new: VisitorList, reason: str, now: Instant) -> list[Effect]:
        """Install a mobile node's entries; ``reason`` is why those that are not in it go."""
        gone = [visitor for key, visitor in self._table.of(home_address).items() if key not in new]
        effects = self._table.replace(home_address, new, now.monotonic)
        self.generation += 1
        return [
            *effects,
            *(Report("visitor-removed", {**identity(visitor), "reason": reason}) for visitor in gone),
        ]
