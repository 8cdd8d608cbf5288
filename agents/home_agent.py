# SPDX-License-Identifier: GPL-2.0-or-later
"""The home agent as a state machine: datagrams, timers and commands in, effects out.

One request is decided in the order at the end of FACTS §23. Its steps are the lines of
:meth:`HomeAgent._decide` and :meth:`HomeAgent._register`; each raises ``DiscardedError`` (no answer) or
``DeniedError`` (an answer with a code) where the request fails. Bindings change in one place at the end,
:meth:`HomeAgent._change`, so a request that fails anywhere has changed none.

RFC 5944 §3.8 and §4.2.3, RFC 3024 §4.3, RFC 3519 §4.6, draft §5.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

from agents.associations import Peer
from agents.bindings import Binding, BindingList, BindingTable, BindingTimer
from agents.effects import MOBILE_IP_PORT, Datagram, Effect, Instant, Report, SendDatagram, StartTimer
from agents.home_agent_advertiser import ADVERTISEMENT_TIMER, home_link_advertiser
from agents.home_agent_denials import DenialLimits
from agents.home_agent_exchange import Answered, Exchange, MobileNode, merge, new_binding, without_addressed
from agents.home_agent_identification import IdentificationCheck
from agents.home_agent_keepalive import complete, keepalive_addresses
from agents.home_agent_policy import Grant, TunnelPolicy
from agents.home_agent_request import check_format, sort_extensions
from agents.home_agent_security import (
    ForeignAgents,
    Signers,
    authenticate_foreign_agent,
    authenticate_mobile_node,
    sign,
)
from agents.home_agent_state import HomeAgentState, keep_all, restore_node
from agents.home_agent_status import status
from agents.kept_state import KeptSetting
from agents.path_weights import set_bandwidth
from agents.requests import FLAG_S, DeniedError, DiscardedError, is_unicast
from agents.settings import HomeAgentSettings
from agents.wire import (
    MessageType,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    WireError,
    decode_registration,
    ntp_timestamp,
)

_TUNNEL_DATA = bytes([MessageType.TUNNEL_DATA])
_NOTHING = Grant(tunnel=None, keepalive_source=None, lifetime=0)


class HomeAgent:
    """A home agent. Between :meth:`start` and :meth:`stop` it answers; otherwise it is silent."""

    def __init__(self, settings: HomeAgentSettings, random: Random) -> None:
        self._settings = settings
        self._profile = settings.profile.wire()
        self._nodes = {
            entry.home_address: MobileNode(Peer(entry.security_association), entry.multiple_tunnels)
            for entry in settings.mobile_node
        }
        self._foreign_agents = ForeignAgents(settings.foreign_agent)
        self._table = BindingTable(settings.path_selection.weights, settings.home_link is not None)
        self._identifications = IdentificationCheck(settings, random)
        self._policy = TunnelPolicy(settings, self._nodes, random)
        self._advertiser = home_link_advertiser(settings, random)
        self._multiple_tunnels = settings.enable_multiple_tunnel_support
        self._denials = DenialLimits()
        self._codes: Counter[int] = Counter()
        self._discards: Counter[str] = Counter()
        self._running = False
        self.generation = 0
        """Counts the changes of what :meth:`snapshot` gives."""
        network = IPv4Network((int(settings.address), settings.home_prefix_length), strict=False)
        self._broadcast = network.broadcast_address if network.prefixlen <= 30 else None

    # Life

    def start(self, now: Instant) -> list[Effect]:
        """Begin to work; bindings that are in the table already are installed again."""
        if self._running:
            return []
        self._running = True
        return [*self._table.install(), *self._advertiser.start(now)]

    def stop(self, now: Instant) -> list[Effect]:  # noqa: ARG002 — every input has the time it came at
        """Release tunnels, paths, proxy ARP and timers; the bindings stay in the table."""
        if not self._running:
            return []
        self._running = False
        return [*self._table.release(), *self._advertiser.stop()]

    def snapshot(self, now: Instant) -> HomeAgentState:
        """What is to be kept over a restart."""
        configured = self._settings.enable_multiple_tunnel_support
        return HomeAgentState(
            enable_multiple_tunnel_support=KeptSetting(configured=configured, current=self._multiple_tunnels),
            mobile_nodes=keep_all(self._nodes, self._table, now),
        )

    def restore(self, state: HomeAgentState, now: Instant) -> list[Effect]:
        """Take up again, before :meth:`start`, what an earlier life has kept.

        What has run out meanwhile and mobile nodes that are no longer in the settings are left out.
        """
        support = state.enable_multiple_tunnel_support
        self._multiple_tunnels = support.value(self._settings.enable_multiple_tunnel_support)
        lists = {
            kept.home_address: restore_node(self._nodes[kept.home_address], kept, now)
            for kept in state.mobile_nodes
            if kept.home_address in self._nodes
        }
        self._table.restore(lists)
        before = sum(len(kept.bindings) for kept in state.mobile_nodes)
        after = len(self._table.all())
        return [Report("state-restored", {"bindings": after, "ended": before - after})]

    def state_lost(self, now: Instant) -> None:
        """What was kept cannot be read: accept no timestamp that may have been accepted before."""
        latest = ntp_timestamp(now.unix + self._settings.timestamp_tolerance)
        for node in self._nodes.values():
            node.replay.raise_floor(latest)
        self.generation += 1

    # Input

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]:
        """A datagram for UDP port 434 with a good checksum."""
        if not self._running:
            return []
        try:
            if datagram.payload[:1] == _TUNNEL_DATA:
                return self._receive_keepalive(datagram)
            return self._receive_request(datagram, now)
        except (DiscardedError, WireError) as error:
            self._discards[error.reason] += 1
            fields = {"reason": error.reason, "source": str(datagram.source)}
            return [Report("message-discarded", fields, warning=True)]

    def receive_icmp(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]:
        """A router discovery message; solicitations on the home link are answered."""
        if not self._running:
            return []
        return self._advertiser.receive(payload, source, interface, link_source, now)

    def timer(self, key: Hashable, now: Instant) -> list[Effect]:
        """A timer asked for by ``StartTimer`` has run out."""
        if not self._running:
            return []
        if key == ADVERTISEMENT_TIMER:
            return self._advertiser.timer(now)
        if not isinstance(key, BindingTimer):
            return []
        # The binding goes, the others stay, and nobody is told (RFC 5944 §4.2.3).
        binding = self._table.of(key.home_address).get(key.binding_id)
        if binding is not None and binding.expires > now.monotonic:
            return [StartTimer(key, binding.expires)]
        return self._change(key.home_address, self._live(key.home_address, now), "expired", now)

    # Commands

    def set_multiple_tunnel_support(self, enabled: bool, now: Instant) -> list[Effect]:  # noqa: ARG002
        """Set EnableMultipleTunnelSupport; accepted bindings stay until they end (FACTS G18)."""
        self._multiple_tunnels = enabled
        self.generation += 1
        return [Report("multiple-tunnel-support-set", {"enabled": enabled})]

    def set_bandwidth(
        self, binding_id: int, kbytes: int, now: Instant, home_address: IPv4Address | None = None
    ) -> list[Effect]:
        """Weigh a binding by another bandwidth until its mobile node announces a new one.

        :param kbytes: kilobytes per second; 0: unknown.
        :param home_address: None: of every mobile node that has a binding of this Binding-Id.
        :raises ValueError: if ``kbytes`` is negative or has more than 32 bits.
        """

        def install(binding: Binding, bandwidth: int | None) -> list[Effect]:
            bindings = dict(self._table.of(binding.home_address))
            bindings[binding_id] = replace(binding, bandwidth_kbytes=bandwidth)
            return self._change(binding.home_address, bindings, "changed", now)

        meant = [
            binding
            for binding in self._table.all()
            if binding.binding_id == binding_id and home_address in (None, binding.home_address)
        ]
        return set_bandwidth(binding_id, kbytes, meant, install, _identity)

    def status(self, now: Instant) -> dict[str, Any]:
        """The state as JSON can hold it, for people and tests."""
        return {
            "role": "home-agent",
            "address": str(self._settings.address),
            "running": self._running,
            "enable_multiple_tunnel_support": self._multiple_tunnels,
            "mobile_nodes": len(self._nodes),
            **status(self._table, self._codes, self._discards, now),
        }

    # One request

    def _receive_request(self, datagram: Datagram, now: Instant) -> list[Effect]:
        """Steps 1 and 2 of the decision order: whose request it is."""
        request = decode_registration(datagram.payload, self._profile)
        if not isinstance(request, RegistrationRequest):
            raise DiscardedError("not-a-request")
        if not datagram.source_port or not is_unicast(datagram.source):
            raise DiscardedError("no-address-to-answer")
        node = self._nodes.get(request.home_address)
        if node is None:
            raise DiscardedError("unknown-mobile-node")
        contents = sort_extensions(request, self._profile)
        context = authenticate_mobile_node(datagram.payload, contents, node.peer)
        agent = self._foreign_agents.find(request, datagram.source)
        signers = Signers(context or node.peer.default)
        if agent is not None and request.lifetime:
            signers.foreign_home = agent.default
        exchange = Exchange(datagram, request, contents, node, now, signers, request.identification)
        try:
            if context is None:
                raise self._bad_authenticator(exchange, agent)
            return self._decide(exchange, agent)
        except DeniedError as denial:
            return self._deny(exchange, denial, genuine=context is not None)

    @staticmethod
    def _bad_authenticator(exchange: Exchange, agent: Peer | None) -> Exception:
        """131; but a foreign agent with an association must have vouched for it (RFC 5944 §3.8.2.1 a)."""
        if not exchange.timestamps:
            exchange.identification = exchange.node.replay.nonce_identification(exchange.identification)
        reason = "bad-mobile-home-authenticator"
        vouchers = exchange.contents.foreign_home[:1]
        payload = exchange.datagram.payload
        if agent is not None and not any(agent.verify(payload, voucher) for voucher in vouchers):
            return DiscardedError(reason)
        return DeniedError(ReplyCode.HA_MOBILE_NODE_FAILED_AUTHENTICATION, reason)

    def _decide(self, exchange: Exchange, agent: Peer | None) -> list[Effect]:
        """Steps 3 to 7: may it be looked at, and is it well formed."""
        datagram, request, contents = exchange.datagram, exchange.request, exchange.contents
        nonce = exchange.node.replay.nonce
        try:
            self._identifications.check(exchange)
        finally:
            if exchange.fresh or exchange.node.replay.nonce != nonce:
                self.generation += 1
        signer = authenticate_foreign_agent(datagram.payload, request, contents, agent)
        exchange.signers.foreign_home = signer or exchange.signers.foreign_home
        if not self._is_own(datagram.destination):
            raise DeniedError(ReplyCode.HA_UNKNOWN_HOME_AGENT, "sent-to-broadcast")
        if request.home_agent != self._settings.address:
            raise DeniedError(ReplyCode.HA_UNKNOWN_HOME_AGENT, "unknown-home-agent")
        exchange.bindings = self._live(request.home_address, exchange.now)
        if not exchange.fresh:
            return self._repeat(exchange)
        check_format(request, contents)
        return self._register(exchange) if request.lifetime else self._deregister(exchange)

    def _deregister(self, exchange: Exchange) -> list[Effect]:
        """Step 7: remove one binding or all; nothing to remove is no error (FACTS G30)."""
        request, datagram = exchange.request, exchange.datagram
        kept = without_addressed(exchange)
        self._identifications.check_order(exchange, kept)
        at_home = datagram.source == request.home_address and datagram.interface == self._settings.home_link
        link_address = datagram.link_source if at_home else None
        effects = self._change(request.home_address, kept, "deregistered", exchange.now, link_address)
        self._identifications.outdate(exchange, kept)
        return [*effects, *self._answer(exchange, ReplyCode.ACCEPTED, _NOTHING)]

    def _register(self, exchange: Exchange) -> list[Effect]:
        """Steps 8 to 13: validate the rest, then install (draft §5.3, RFC 5944 §3.8.2.2)."""
        request, contents, node = exchange.request, exchange.contents, exchange.node
        asked = contents.multiple_tunnels
        if asked is not None and not (self._multiple_tunnels and node.multiple_tunnels):
            raise DeniedError(self._profile.denied_by_home_agent, "multiple-tunnels-disabled")
        previous = exchange.bindings.get(contents.binding_id)
        grant = self._policy.grant(request, contents, exchange.datagram, previous)
        if contents.mobile_networks:
            raise DeniedError(ReplyCode.HA_MOBILE_NETWORK_DISALLOWED, "mobile-network-disallowed")
        binding = new_binding(exchange, grant)
        new = merge(exchange, binding)
        if previous is None and len(new) > self._settings.maximum_bindings:
            raise DeniedError(ReplyCode.HA_TOO_MANY_BINDINGS, "too-many-bindings")
        self._identifications.check_order(exchange, new)

        effects = self._change(request.home_address, new, "replaced", exchange.now)
        self._identifications.outdate(exchange, new)
        code = ReplyCode.ACCEPTED
        if asked is not None:
            node.remember(asked.binding_id)
        elif int(request.flags) & FLAG_S:
            code = ReplyCode.ACCEPTED_NO_SIMULTANEOUS_BINDINGS  # G15
        effects += self._answer(exchange, code, grant)
        effects.append(_registration_report(binding, previous))
        if binding.binding_id == 0 and previous is None:
            effects.append(Report("binding-id-zero", _identity(binding), warning=True))  # G8
        return effects

    def _repeat(self, exchange: Exchange) -> list[Effect]:
        """Answer a retransmission like the first copy; the lifetime goes on (RFC 5944 §3.8.2.2)."""
        last = exchange.node.answered
        assert last is not None
        grant = last.grant
        if last.registered:
            binding = exchange.bindings.get(exchange.contents.binding_id)
            remaining = 0
            if binding is not None and binding.identification == last.identification:
                remaining = binding.remaining(exchange.now.monotonic)
            if not remaining:
                raise DeniedError(ReplyCode.HA_IDENTIFICATION_MISMATCH, "repeated-after-end")
            grant = replace(grant, lifetime=min(grant.lifetime, remaining))
        if not self._may_answer(exchange, genuine=True):
            raise DiscardedError("repeated-too-often")
        return self._answer(exchange, last.code, grant)

    def _may_answer(self, exchange: Exchange, genuine: bool) -> bool:
        source, now = exchange.datagram.source, exchange.now.monotonic
        if genuine:
            return self._denials.mobile_node(exchange.request.home_address, source, now)
        return self._denials.stranger(source, now)

    def _deny(self, exchange: Exchange, denial: DeniedError, genuine: bool) -> list[Effect]:
        """``genuine``: the Mobile-Home Authentication was good."""
        request, datagram = exchange.request, exchange.datagram
        fields: dict[str, str | int | None] = {
            "code": int(denial.code),
            "reason": denial.reason,
            "home_address": str(request.home_address),
            "binding_id": exchange.contents.binding_id,
            "care_of_address": str(request.care_of_address),
            "source": str(datagram.source),
        }
        if not self._may_answer(exchange, genuine):
            return [Report("denial-suppressed", fields, warning=True)]
        # The Lifetime of a denial means nothing; it is copied (RFC 5944 §3.8.3.2).
        answer = self._answer(exchange, denial.code, replace(_NOTHING, lifetime=request.lifetime))
        return [*answer, Report("request-denied", fields, warning=True)]

    def _answer(self, exchange: Exchange, code: int, grant: Grant) -> list[Effect]:
        """The Registration Reply (RFC 5944 §3.8.3), from the address the request was sent to."""
        request, datagram, contents = exchange.request, exchange.datagram, exchange.contents
        code = int(code)
        self._codes[code] += 1
        if exchange.fresh and not exchange.timestamps:
            authenticator = contents.mobile_home[0].authenticator
            accepted = code in (ReplyCode.ACCEPTED, ReplyCode.ACCEPTED_NO_SIMULTANEOUS_BINDINGS)
            registered = accepted and request.lifetime > 0
            exchange.node.answered = Answered(request.identification, authenticator, code, grant, registered)
        reply = RegistrationReply(
            code,
            grant.lifetime,
            request.home_address,
            self._settings.address,
            exchange.identification,
            grant.for_mobile_node if contents.nai is None else (contents.nai, *grant.for_mobile_node),
        )
        # To a node that writes from its home address the answer goes onto the home link, whatever the
        # bindings say (RFC 5944 §3.8.3.1).
        at_home = datagram.source == request.home_address
        home_link = self._settings.home_link if at_home else None
        return [
            SendDatagram(
                payload=sign(reply, grant.for_foreign_agent, exchange.signers, self._profile),
                source=datagram.destination if self._is_own(datagram.destination) else self._settings.address,
                source_port=MOBILE_IP_PORT,
                destination=datagram.source,
                destination_port=datagram.source_port,
                interface=home_link,
                link_destination=datagram.link_source if home_link == datagram.interface else None,
            )
        ]

    def _receive_keepalive(self, datagram: Datagram) -> list[Effect]:
        home_address, destination = keepalive_addresses(datagram.payload)
        if destination != self._settings.address or not self._is_own(datagram.destination):
            raise DiscardedError("unexpected-tunnel-data")
        bindings = self._table.of(home_address)
        binding = complete(bindings, datagram, self._settings.address)
        effects = self._table.replace(home_address, {**bindings, binding.binding_id: binding})
        self.generation += 1
        return [*effects, Report("binding-completed", _identity(binding))]

    # State

    def _is_own(self, destination: IPv4Address) -> bool:
        """Whether a datagram was sent to an address of ours, not to a group or broadcast."""
        return destination == self._settings.address or (
            is_unicast(destination) and destination != self._broadcast
        )

    def _live(self, home_address: IPv4Address, now: Instant) -> BindingList:
        bindings = self._table.of(home_address)
        if all(binding.expires > now.monotonic for binding in bindings.values()):
            return bindings
        return {key: binding for key, binding in bindings.items() if binding.expires > now.monotonic}

    def _change(
        self,
        home_address: IPv4Address,
        new: BindingList,
        reason: str,
        now: Instant,
        link_address: str | None = None,
    ) -> list[Effect]:
        """Install a binding list; ``reason`` is why bindings that are not in it go."""
        old = self._table.of(home_address)
        effects = self._table.replace(home_address, new, link_address)
        self.generation += 1
        for binding_id, binding in old.items():
            if binding_id not in new:
                why = reason if binding.expires > now.monotonic else "expired"
                effects.append(Report("binding-removed", {**_identity(binding), "reason": why}))
        return effects


def _identity(binding: Binding) -> dict[str, str | int | None]:
    return {
        "home_address": str(binding.home_address),
        "binding_id": binding.binding_id,
        "care_of_address": str(binding.care_of_address),
    }


def _registration_report(binding: Binding, previous: Binding | None) -> Report:
    event = "binding-renewed"
    if previous is None:
        event = "binding-added"
    elif previous.care_of_address != binding.care_of_address or previous.tunnel != binding.tunnel:
        event = "binding-moved"
    return Report(event, {**_identity(binding), "lifetime": binding.lifetime})
