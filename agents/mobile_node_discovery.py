# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mobile node knows of the mobility agents on one of its links (RFC 5944 §2.4).

Solicits while it searches, and when the agent in use has been silent for long, for its advertisements
may have been lost. Remembers the agents it hears until their advertisements run out,
and chooses the foreign agent to register with. It keeps no timer: ``deadline`` says when
``expire`` and ``solicit`` have something to do.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from agents.wire import AdvertisementFlags, AgentAdvertisement

FIRST_SOLICITATIONS = 3
"""Sent at one per second, before the interval doubles (RFC 5944 §2.4)."""
SOLICITATION_INTERVAL = 1.0
SOLICITATION_MAXIMUM = 64.0
"""At least one minute (RFC 5944 §2.4)."""
OVERDUE = 2 / 3
"""Part of its lifetime after which an agent in use is asked whether it is still there. Three
advertisements fit into a lifetime (RFC 5944 §2.1): if the third is lost too, the agent counts as gone."""
MAXIMUM_AGENTS = 8
"""Per link; whoever can send advertisements could fill the memory otherwise."""
_FIRST_DELAY = 0.1
"""RFC 1256 allows a host up to 1 s so that not all that boot together shout together. A mobile node
solicits because it has moved, alone, and what it waits here lengthens its handover."""
_RANDOM_PART = 0.1
_REBOOTED_BELOW = 256


@dataclass(frozen=True, slots=True)
class Agent:
    """A mobility agent as its last advertisement describes it."""

    address: IPv4Address
    link_address: str | None
    care_of_addresses: tuple[IPv4Address, ...]
    flags: AdvertisementFlags
    registration_lifetime: int
    sequence: int
    routers: tuple[IPv4Address, ...]
    networks: frozenset[IPv4Network]
    """Of the router addresses; empty without a Prefix-Lengths extension."""
    heard: float
    """Monotonic time of the last advertisement."""
    lifetime: int

    @property
    def expires(self) -> float:
        """When the last advertisement must no longer be believed."""
        return self.heard + self.lifetime


class AgentDiscovery:
    """Agents heard on one interface.

    ``solicits`` tells whether this interface looks for agents: with a co-located care-of address
    it only listens (RFC 5944 §2.4).
    """

    def __init__(self, home_agent: IPv4Address, solicits: bool, random: random.Random) -> None:
        self._home_agent = home_agent
        self._solicits = solicits
        self._random = random
        self._solicit_at = math.inf
        self._solicitations = 0
        self._refused: dict[IPv4Address, float] = {}
        self._extension_accepted: set[IPv4Address] = set()
        self.agents: dict[IPv4Address, Agent] = {}
        self.up = False
        self.preferred: IPv4Address | None = None
        """The foreign agent in use; it is kept as long as it is heard and nothing speaks against it."""
        self.home_since = math.inf
        """Since when the own home agent is heard without a break."""

    @property
    def home(self) -> Agent | None:
        """The own home agent, if it is on this link (RFC 5944 §2.4.3)."""
        return self.agents.get(self._home_agent)

    def link_up(self, now: float) -> None:
        """The link has come up: it may be another one than before, so nothing is known."""
        self.link_down()
        self.up = True
        self._search(now)

    def link_down(self) -> None:
        """Forget everything that was heard."""
        self.up = False
        self.agents.clear()
        self._refused.clear()
        self._extension_accepted.clear()
        self.preferred = None
        self.home_since = math.inf
        self._solicit_at = math.inf

    def _search(self, now: float) -> None:
        self._solicitations = 0
        if self._solicits:
            self._solicit_at = now + self._random.random() * _FIRST_DELAY

    def solicit(self, now: float) -> bool:
        """Whether a router solicitation is due; counts it as sent."""
        if now < self._solicit_at:
            return False
        self._solicitations += 1
        if self.preferred in self.agents and self._solicitations >= FIRST_SOLICITATIONS:
            self._solicit_at = math.inf  # more may send only who has no agent (§2.4)
            return True
        doublings = max(0, self._solicitations - FIRST_SOLICITATIONS)
        nominal = min(SOLICITATION_MAXIMUM, SOLICITATION_INTERVAL * 2.0 ** min(doublings, 10))
        self._solicit_at = now + nominal * (1 + self._random.random() * _RANDOM_PART)
        return True

    def hear(
        self, advertisement: AgentAdvertisement, source: IPv4Address, link_source: str | None, now: float
    ) -> bool:
        """Take in an advertisement; True if the agent in use has restarted (RFC 5944 §2.4.4)."""
        before = self.agents.get(source)
        if advertisement.lifetime == 0:
            self._forget(source, now)
            return False
        if before is None and len(self.agents) >= MAXIMUM_AGENTS:
            spare = [a for a in self.agents.values() if a.address not in (self.preferred, self._home_agent)]
            del self.agents[min(spare, key=lambda agent: agent.heard).address]
        self.agents[source] = Agent(
            address=source,
            link_address=link_source,
            care_of_addresses=advertisement.care_of_addresses,
            flags=advertisement.flags,
            registration_lifetime=advertisement.registration_lifetime,
            sequence=advertisement.sequence,
            routers=tuple(address for address, _ in advertisement.router_addresses),
            networks=frozenset(
                IPv4Network((address, length), strict=False)
                for (address, _), length in zip(
                    advertisement.router_addresses, advertisement.prefix_lengths, strict=False
                )
            ),
            heard=now,
            lifetime=advertisement.lifetime,
        )
        self._heard(source)
        if source == self._home_agent and before is None:
            self.home_since = now
        rebooted = before is not None and advertisement.sequence < min(before.sequence, _REBOOTED_BELOW)
        if rebooted:
            self._refused.pop(source, None)
            self._extension_accepted.discard(source)
        return rebooted and source == self.preferred

    def _heard(self, source: IPv4Address) -> None:
        """The search is over; ask again when the agent in use is overdue."""
        in_use = self.agents.get(self.preferred) if self.preferred is not None else None
        if in_use is not None and source != in_use.address:
            return
        self._solicitations = 0
        self._solicit_at = math.inf
        if in_use is not None and self._solicits:
            self._solicit_at = in_use.heard + OVERDUE * in_use.lifetime

    def expire(self, now: float) -> None:
        """Forget agents not heard for the lifetime they announced, and refusals that are over."""
        for agent in list(self.agents.values()):
            if agent.expires <= now:
                self._forget(agent.address, now)
        self._refused = {address: until for address, until in self._refused.items() if until > now}

    def _forget(self, address: IPv4Address, now: float) -> None:
        self.agents.pop(address, None)
        self._extension_accepted.discard(address)
        if address == self.preferred:
            self.preferred = None
            self._solicit_at = math.inf
        if address == self._home_agent:
            self.home_since = math.inf
        if not self.agents and self._solicit_at == math.inf:
            self._search(now)

    def deadline(self) -> float:
        """When ``expire`` or ``solicit`` has something to do; infinity: never."""
        return min(
            (self._solicit_at, *self._refused.values(), *(agent.expires for agent in self.agents.values()))
        )

    def refuse(self, address: IPv4Address, until: float) -> None:
        """Do not use the extension with this foreign agent until then (FACTS G12, G14)."""
        self._refused[address] = until
        self._extension_accepted.discard(address)

    def forgive(self) -> None:
        """Forget all refusals."""
        self._refused.clear()

    def accept_extension(self, address: IPv4Address) -> None:
        """A registration with the extension has passed this foreign agent."""
        self._extension_accepted.add(address)

    def seems_legacy(self, address: IPv4Address, since: float) -> bool:
        """Whether the agent was heard after ``since`` and never let the extension pass (FACTS G12)."""
        agent = self.agents.get(address)
        return agent is not None and agent.heard > since and address not in self._extension_accepted

    def choose(self, refused_too: bool) -> Agent | None:
        """The foreign agent to register with.

        The one in use stays while it is heard (RFC 5944 §3.6), unless the prefixes show that the
        node has moved (§2.4.2.2). A busy agent takes no new mobile nodes.
        """
        fit = [
            agent
            for agent in self.agents.values()
            if agent.flags & AdvertisementFlags.F
            and agent.care_of_addresses
            and agent.registration_lifetime
            and (refused_too or agent.address not in self._refused)
        ]
        current = next((agent for agent in fit if agent.address == self.preferred), None)
        if current is not None and not self._moved_from(current):
            return current
        # Who was heard before the current one is no better, and would be left for it again at once.
        last = -math.inf if current is None else current.heard
        others = [a for a in fit if a.heard > last and not a.flags & AdvertisementFlags.B]
        return max(others, key=lambda agent: agent.heard, default=current)

    def _moved_from(self, current: Agent) -> bool:
        # Both agents must announce prefixes, and the current one must have missed its turn: three
        # advertisements fit into a lifetime (RFC 5944 §2.1), so half of it without one is a gap.
        return bool(current.networks) and any(
            agent.networks.isdisjoint(current.networks) and agent.heard - current.heard > current.lifetime / 2
            for agent in self.agents.values()
            if agent.networks
        )
