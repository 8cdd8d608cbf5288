# SPDX-License-Identifier: GPL-2.0-or-later
"""One access interface of a mobile node: what is registered there and what should be."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from ipaddress import IPv4Address

from agents.effects import MOBILE_IP_PORT, AccessLink, Encapsulation, InterfaceState, Tunnel
from agents.liveness import Reason
from agents.mobile_node_discovery import Agent, AgentDiscovery
from agents.mobile_node_paths import Way
from agents.mobile_node_requests import Route
from agents.settings import AccessInterface, MobileNodeSettings
from agents.wire import (
    AdvertisementFlags,
    Extension,
    GreKey,
    MultipleTunnelRequest,
    RegistrationRequest,
    RequestFlags,
    UdpTunnelReply,
    UdpTunnelRequest,
)

RETRANSMISSION_MINIMUM = 1.0
"""RFC 5944 §3.6.3."""
RETRANSMISSION_MAXIMUM = 30.0
LONGEST_WINDOW = 2.0
"""A request on a slower link than this may be overtaken; the worst of it is one rejection (133)."""
DENIAL_MINIMUM = 5.0
"""A denied request is repeated after this, doubling: the reason for it seldom goes away at once."""
DENIAL_MAXIMUM = 60.0
INFINITE_LIFETIME = 0xFFFF
DEFAULT_KEEPALIVE = 110
"""RFC 3519 §4.9, where the home agent leaves it to the mobile node."""
MINIMUM_KEEPALIVE = 10
_FIRST_DECLINING_CODE = 64
_IP_IN_IP = 4
_MAXIMUM_KBYTES = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a link would register, or has registered."""

    care_of_address: IPv4Address
    foreign_agent: IPv4Address | None
    """None: the care-of address is co-located and the home agent is asked directly."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a link should be registered."""

    attachment: Attachment
    multiple: bool
    """With the Multiple Tunnel Request."""


@dataclass(slots=True)
class Binding:
    """A registration the home agent has accepted, as this node may believe it."""

    plan: Plan
    way: Tunnel | AccessLink
    granted: int
    since: float
    expires: float
    renewal: float
    keepalive: int | None = None
    """Seconds between keepalives of a UDP tunnel (RFC 3519 §4.9)."""
    next_keepalive: float = math.inf

    @property
    def renewed_in_bulk(self) -> bool:
        """Whether a bulk re-registration does all that a renewal must do here (FACTS G24)."""
        return self.plan.multiple and self.plan.attachment.foreign_agent is None and self.keepalive is None


class Link:
    """Registration state of one interface.

    ``due`` is when the next request should go out if there is a plan; ``failures`` counts the
    requests since the last acceptance and ``silent`` those since the last reply of any kind.
    """

    def __init__(
        self,
        settings: AccessInterface,
        order: int,
        discovery: AgentDiscovery,
        node: MobileNodeSettings,
        random: random.Random,
    ) -> None:
        self.settings = settings
        self.order = order
        self.discovery = discovery
        self.state = InterfaceState(up=False)
        self.uplink_kbit = settings.uplink_kbit
        self.binding: Binding | None = None
        self.asked: Plan | None = None
        """What the last request asked for."""
        self.plan: Plan | None = None
        self.held = False
        """Deregistered by order; stays so until the order to register."""
        self.bulk_next = False
        self.due = math.inf
        self.urgent = False
        """Exempt from one registration per second: a link event (RFC 5944 §3.6)."""
        self.failures = 0
        self.silent = 0
        self.tunnel_failures = 0
        self.failure: Reason | None = None
        """Why the last tunnel was given up, until the next one is there."""
        self.failed_at = -math.inf
        self.recovering = False
        """Not to be registered before the path has shown that it works again."""
        self.doubtful = False
        """The latest probes through the tunnel are missing."""
        self.probe_round_trip = 0.0
        """Of those answered, smoothed; 0 without any."""
        self.mismatches = 0
        self.first_unanswered = 0.0
        self.last_sent = -math.inf
        self.round_trip = 0.0
        self.last_code: int | None = None
        self.node = node
        self._random = random
        self._care_of_turn = 0
        self._lifetime_limit: int | None = None
        self._gre_key = random.getrandbits(32) or 1

    # ----- where to register -----

    def address(self) -> IPv4Address | None:
        """The co-located care-of address; the one in use is kept as long as the interface has it."""
        wanted = self.settings.care_of_address
        addresses = [a.ip for a in self.state.addresses if a.ip != self.node.home_address]
        if self.settings.care_of == "co-located" and wanted is not None:
            return wanted if wanted in addresses else None
        if self.binding is not None and self.binding.plan.attachment.care_of_address in addresses:
            return self.binding.plan.attachment.care_of_address
        return addresses[0] if addresses else None

    def possible_care_of_addresses(self) -> list[IPv4Address]:
        """What ``care_of_address`` may name now."""
        if self.settings.care_of == "co-located":
            return [a.ip for a in self.state.addresses if a.ip != self.node.home_address]
        return [a for agent in self.discovery.agents.values() for a in agent.care_of_addresses]

    def attachment(self, refused_too: bool) -> Attachment | None:
        """Where this link can register now.

        With ``refused_too`` also through a foreign agent that does not let the extension pass;
        otherwise, without another agent, by the interface's own address unless the agent insists
        on registrations (R bit; FACTS G14).
        """
        if not self.state.up:
            return None
        insists = any(agent.flags & AdvertisementFlags.R for agent in self.discovery.agents.values())
        wants_agent = self.settings.care_of == "foreign-agent"
        if wants_agent or insists:
            agent = self.discovery.choose(refused_too)
            if agent is not None:
                return Attachment(self._care_of_address_of(agent), agent.address)
            fallback = not insists and not refused_too and self.discovery.choose(refused_too=True) is not None
            if not fallback:
                return None
        address = self.address()
        return None if address is None else Attachment(address, None)

    def _care_of_address_of(self, agent: Agent) -> IPv4Address:
        if self.settings.care_of_address in agent.care_of_addresses:
            return self.settings.care_of_address
        return agent.care_of_addresses[self._care_of_turn % len(agent.care_of_addresses)]

    def try_next_care_of_address(self) -> None:
        """The foreign agent has called its care-of address invalid (RFC 5944 §2.4)."""
        self._care_of_turn += 1

    def serves(self, attachment: Attachment) -> bool:
        """Whether packets can still take this way: link up, address there, agent heard."""
        if not self.state.up:
            return False
        if attachment.foreign_agent is not None:
            return attachment.foreign_agent in self.discovery.agents
        return any(attachment.care_of_address == address.ip for address in self.state.addresses)

    def agent(self, attachment: Attachment) -> Agent | None:
        """The foreign agent of an attachment, if it is one and still heard."""
        if attachment.foreign_agent is None:
            return None
        return self.discovery.agents.get(attachment.foreign_agent)

    def route(self, attachment: Attachment) -> Route:
        """How a request of this attachment leaves (RFC 5944 §3.6.1.1)."""
        name = self.settings.name
        agent = self.agent(attachment)
        if agent is None:
            return Route(attachment.care_of_address, name, self.node.home_agent)
        return Route(
            self.node.home_address,
            name,
            agent.address,
            agent.link_address,
            (agent.address, *agent.care_of_addresses),
        )

    @property
    def searching(self) -> bool:
        """Up, but with nowhere to register yet: no address, no agent heard."""
        return self.state.up and not self.held and self.attachment(refused_too=True) is None

    # ----- what to ask for -----

    def request(self, plan: Plan, bulk: bool, overwrite: bool) -> RegistrationRequest:
        """The registration of ``plan``, Identification still 0."""
        extensions: list[Extension] = []
        if plan.multiple:
            extensions.append(self.multiple_tunnel_request(bulk=bulk, overwrite=overwrite))
        encapsulation = self.settings.encapsulation
        co_located = plan.attachment.foreign_agent is None
        udp = encapsulation is Encapsulation.UDP and co_located
        if udp:
            extensions.append(UdpTunnelRequest(self.settings.udp_forced, False, _IP_IN_IP))
        flags = self.flags(plan.attachment)
        if flags & RequestFlags.G and co_located and self.settings.gre_key:
            extensions.append(GreKey(self._gre_key))
        if plan.multiple and not overwrite:
            flags |= RequestFlags.S
        return RegistrationRequest(
            flags=flags,
            lifetime=self._lifetime(plan, udp),
            home_address=self.node.home_address,
            home_agent=self.node.home_agent,
            care_of_address=plan.attachment.care_of_address,
            identification=0,
            extensions=tuple(extensions),
        )

    def multiple_tunnel_request(self, bulk: bool, overwrite: bool) -> MultipleTunnelRequest:
        """The extension with this interface's properties (draft §4.1, FACTS G3)."""
        kbit = self.settings.downlink_kbit
        kbytes = min(max(1, (kbit + 4) // 8), _MAXIMUM_KBYTES) if kbit else 0
        return MultipleTunnelRequest(
            access_technology=self.settings.access_technology,
            binding_id=self.settings.binding_id,
            bulk=bulk,
            overwrite=overwrite,
            bandwidth_kbytes=kbytes,
        )

    def flags(self, attachment: Attachment) -> RequestFlags:
        """T always (FACTS G45), D if co-located, B, M, G if wanted and possible (RFC 5944 §3.6.1.2)."""
        flags = RequestFlags.T
        agent = self.agent(attachment)
        if self.node.receive_broadcasts:
            flags |= RequestFlags.B
        if attachment.foreign_agent is None:
            flags |= RequestFlags.D
        for encapsulation, flag, offered in (
            (Encapsulation.MINIMAL, RequestFlags.M, AdvertisementFlags.M),
            (Encapsulation.GRE, RequestFlags.G, AdvertisementFlags.G),
        ):
            able = attachment.foreign_agent is None or (agent is not None and agent.flags & offered)
            if self.settings.encapsulation is encapsulation and able:
                flags |= flag
        return flags

    def _lifetime(self, plan: Plan, udp: bool) -> int:
        agent = self.agent(plan.attachment)
        limits = [self._own_lifetime(udp)]
        if agent is not None:
            limits.append(agent.registration_lifetime)
            if self._lifetime_limit is not None:
                limits.append(self._lifetime_limit)
        return min(limits)

    def _own_lifetime(self, udp: bool) -> int:
        return self.node.udp_lifetime if udp else self.node.lifetime

    def limit_lifetime(self, maximum: int) -> None:
        """The foreign agent takes no longer one (code 69)."""
        self._lifetime_limit = max(1, maximum)

    # ----- when -----

    def retransmission_interval(self) -> float:
        """Until the next request if this one stays unanswered (RFC 5944 §3.6.3)."""
        return min(self._response_time() * 2.0 ** min(self.failures - 1, 16), self._retransmission_maximum())

    def _retransmission_maximum(self) -> float:
        lifetime = self._own_lifetime(self.settings.encapsulation is Encapsulation.UDP)
        return max(RETRANSMISSION_MINIMUM, min(RETRANSMISSION_MAXIMUM, lifetime))

    def _response_time(self) -> float:
        return max(RETRANSMISSION_MINIMUM, 2 * self.round_trip + 0.1)

    def response_window(self) -> float:
        """How long an unanswered request holds up the other interfaces (FACTS G35)."""
        return min(self._response_time(), LONGEST_WINDOW)

    def denial_interval(self) -> float:
        """Until the next request after a denial."""
        return min(DENIAL_MINIMUM * 2.0 ** min(self.failures - 1, 16), DENIAL_MAXIMUM)

    def earliest(self) -> float:
        """When the next request may go out: ``due``, but one per second (FACTS G36)."""
        if self.recovering:
            return math.inf
        return self.due if self.urgent else max(self.due, self.last_sent + RETRANSMISSION_MINIMUM)

    def failed_rounds(self, now: float) -> int:
        """How often ``legacy_attempts`` requests in a row have come to nothing."""
        return max(0, self.failures - (now < self.due)) // self.node.legacy_attempts

    def change_plan(self, plan: Plan | None, now: float) -> None:
        """Register in another way from now on, or not at all."""
        if plan is not None and self.plan is not None:
            self.silent = 0
        self.plan = plan
        if plan is None or (self.failures and self.asked == plan):
            # Asked for lately: asked again at once, it would count as one more failure, and the choice
            # of the one interface would turn on itself.
            return
        self.failures = 0  # what failed was asked of another agent, or in another way
        self.due = self.binding.renewal if self.binding is not None and self.binding.plan == plan else now

    def link_event(self, now: float) -> None:
        """The kernel reports a change: unless the binding outlives it, register at once."""
        if self.binding is None or not self.serves(self.binding.plan.attachment):
            self.start_afresh(now)
            self.urgent = True

    def start_afresh(self, now: float) -> None:
        """Whatever failed before says nothing about what comes now."""
        self.failures = self.silent = self.mismatches = self.tunnel_failures = 0
        self.recovering = False
        self.due = now

    def sent(self, plan: Plan, now: float) -> None:
        """A registration request has gone out."""
        self.asked = plan
        if plan.attachment.foreign_agent is not None:
            self.discovery.preferred = plan.attachment.foreign_agent
        if self.silent == 0:
            self.first_unanswered = now
        self.failures += 1
        self.silent += 1
        self.last_sent = now
        self.urgent = False
        self.due = now + self.retransmission_interval()

    # ----- what was granted -----

    def granted_way(
        self, plan: Plan, extensions: tuple[Extension, ...]
    ) -> tuple[Tunnel | AccessLink, int | None]:
        """The way a success reply opens and, for a UDP tunnel, its keepalive interval.

        ``extensions`` are those of the reply that the home agent vouches for. Without a Reply
        extension UDP must not be used (RFC 3519 §3.1.1).
        """
        name = self.settings.name
        if plan.attachment.foreign_agent is not None:
            return AccessLink(name, plan.attachment.foreign_agent), None
        encapsulation = self.settings.encapsulation
        keepalive = key = None
        port = 0
        if encapsulation is Encapsulation.UDP:
            encapsulation = Encapsulation.IPIP
            for extension in extensions:
                if isinstance(extension, UdpTunnelReply) and extension.code < _FIRST_DECLINING_CODE:
                    encapsulation, port = Encapsulation.UDP, MOBILE_IP_PORT
                    keepalive = max(extension.keepalive or DEFAULT_KEEPALIVE, MINIMUM_KEEPALIVE)
        elif encapsulation is Encapsulation.GRE and self.settings.gre_key:
            keys = [extension.key for extension in extensions if isinstance(extension, GreKey)]
            key = keys[0] if keys else self._gre_key
        tunnel = Tunnel(
            encapsulation=encapsulation,
            local=plan.attachment.care_of_address,
            remote=self.node.home_agent,
            local_port=port,
            remote_port=port,
            interface=name,
            key=key,
        )
        return tunnel, keepalive

    def bind(self, plan: Plan, extensions: tuple[Extension, ...], sent: float, granted: int) -> None:
        """Install what the home agent has granted, counted from when the request was sent (§3.6.2.2)."""
        way, keepalive = self.granted_way(plan, extensions)
        self.binding = Binding(
            plan=plan,
            way=way,
            granted=granted,
            since=sent if self.binding is None else self.binding.since,
            expires=_end(sent, granted),
            renewal=self._renewal(sent, granted),
            keepalive=keepalive,
            next_keepalive=math.inf if keepalive is None else sent + keepalive,
        )
        self.failures = self.silent = self.mismatches = 0
        self.due = self.binding.renewal

    def way(self, binding: Binding) -> Way:
        """The binding as a way for the node's own traffic."""
        agent = self.agent(binding.plan.attachment)
        return Way(
            through=binding.way,
            interface=self.settings.name,
            binding_id=self.settings.binding_id if binding.plan.multiple else None,
            uplink_kbit=self.uplink_kbit,
            link_address=None if agent is None else agent.link_address,
        )

    def extend(self, binding: Binding, sent: float, granted: int) -> None:
        """Mirror a bulk re-registration sent on another interface (FACTS G22, G24).

        A foreign agent and a NAT know nothing of it: there it can only shorten the lifetime. Where
        the own renewal is already unanswered it goes on being tried.
        """
        expires = _end(sent, granted)
        if not binding.renewed_in_bulk:
            binding.expires = min(binding.expires, expires)
            return
        binding.granted = granted
        binding.expires = expires
        binding.renewal = self._renewal(sent, granted)
        self.bulk_next = False
        if self.failures == 0:
            self.due = binding.renewal

    def _renewal(self, sent: float, granted: int) -> float:
        fraction = self._random.uniform(*self.node.renew_at)
        return math.inf if granted == INFINITE_LIFETIME else sent + granted * fraction


def _end(sent: float, granted: int) -> float:
    return math.inf if granted == INFINITE_LIFETIME else sent + granted
