# SPDX-License-Identifier: GPL-2.0-or-later
"""What the home agent knows while it decides about one request, and the binding that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agents.associations import Peer
from agents.bindings import Binding, BindingList
from agents.effects import Datagram, Instant
from agents.home_agent_policy import Grant
from agents.home_agent_request import Contents
from agents.home_agent_security import Signers
from agents.lifetimes import expiry
from agents.replay import ReplayState
from agents.requests import FLAG_B, FLAG_D, FLAG_T
from agents.wire import RegistrationRequest

REMEMBERED_BINDING_IDS = 256
"""Binding-Ids per mobile node that are known to have been its own."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The last answer under a context with nonces, given again if the request comes again."""

    identification: int
    authenticator: bytes
    """Of the request: two requests with the same one are the same."""
    code: int
    grant: Grant
    registered: bool
    """The request made or renewed a binding."""


@dataclass(slots=True)
class MobileNode:
    """What the home agent knows of one of its mobile nodes, besides the bindings."""

    peer: Peer
    multiple_tunnels: bool
    """Whether this node may use the extension at all (FACTS G18)."""
    replay: ReplayState = field(default_factory=ReplayState)
    binding_ids: dict[int, None] = field(default_factory=dict)
    """Binding-Ids used before, oldest first."""
    answered: Answered | None = None

    def remember(self, binding_id: int) -> None:
        """Note that a Binding-Id is in use, forgetting the oldest of too many."""
        if binding_id not in self.binding_ids:
            self.binding_ids[binding_id] = None
            if len(self.binding_ids) > REMEMBERED_BINDING_IDS:
                del self.binding_ids[next(iter(self.binding_ids))]


@dataclass(slots=True)
class Exchange:
    """One request on its way through the decision order."""

    datagram: Datagram
    request: RegistrationRequest
    contents: Contents
    node: MobileNode
    now: Instant
    signers: Signers
    identification: int
    """Of the reply."""
    bindings: BindingList = field(default_factory=dict)
    """The node's unexpired bindings as they were when the request came."""
    fresh: bool = False
    """The Identification was good, and is used up."""

    @property
    def timestamps(self) -> bool:
        """Whether the Identification is a timestamp, so that it tells which request is newer."""
        return self.signers.mobile_home.replay == "timestamps"

    @property
    def replaces_all(self) -> bool:
        """No extension, O, or a deregistration of everything: no other binding may stay."""
        asked = self.contents.multiple_tunnels
        if self.request.lifetime:
            return asked is None or asked.overwrite
        everything = self.request.care_of_address == self.request.home_address
        return everything or (asked is not None and asked.bulk)

    @property
    def touches_all(self) -> bool:
        """Nothing older may be accepted for any binding any more (FACTS G35)."""
        asked = self.contents.multiple_tunnels
        return self.replaces_all or asked is None or asked.bulk


def new_binding(exchange: Exchange, grant: Grant) -> Binding:
    """The binding a granted request makes, or makes of an older one with its Binding-Id."""
    request, asked = exchange.request, exchange.contents.multiple_tunnels
    flags = int(request.flags)
    binding_id = exchange.contents.binding_id
    announced = None if asked is None else asked.bandwidth_kbytes or None
    bandwidth, tunnel, since = announced, grant.tunnel, exchange.now.unix
    previous = exchange.bindings.get(binding_id)
    if previous is not None:
        since = previous.since
        if previous.announced_kbytes == announced:
            bandwidth = previous.bandwidth_kbytes
        if previous.tunnel == tunnel:
            tunnel = previous.tunnel  # the same object: the table sees at a glance that nothing moved
    return Binding(
        home_address=request.home_address,
        binding_id=binding_id,
        care_of_address=request.care_of_address,
        co_located=bool(flags & FLAG_D),
        identification=request.identification,
        tunnel=tunnel,
        keepalive_source=grant.keepalive_source,
        broadcasts=bool(flags & FLAG_B),
        reverse_tunnel=bool(flags & FLAG_T),
        access_technology=None if asked is None else asked.access_technology,
        announced_kbytes=announced,
        bandwidth_kbytes=bandwidth,
        lifetime=grant.lifetime,
        expires=expiry(grant.lifetime, exchange.now.monotonic),
        since=since,
    )


def merge(exchange: Exchange, binding: Binding) -> BindingList:
    """The node's binding list once ``binding`` is accepted (step 12 of the decision order).

    A binding registered without the extension goes (FACTS G16), and so does another one with the same
    co-located end point, which can belong to one interface only (G28).
    """
    if exchange.replaces_all:
        return {binding.binding_id: binding}
    new: dict[int | None, Binding] = {}
    for binding_id, other in exchange.bindings.items():
        if binding_id is None or binding_id == binding.binding_id:
            continue
        if binding.co_located and binding.end_point is not None and other.end_point == binding.end_point:
            continue
        new[binding_id] = other
    asked = exchange.contents.multiple_tunnels
    if asked is not None and asked.bulk:
        new = {
            binding_id: replace(other, lifetime=binding.lifetime, expires=binding.expires)
            for binding_id, other in new.items()
        }  # G22
    new[binding.binding_id] = binding
    return new


def without_addressed(exchange: Exchange) -> BindingList:
    """The node's binding list once a deregistration is accepted (FACTS G15, G23, G30).

    A Binding-Id that was used before names its own binding or none. Only one never seen falls back to
    the care-of address: that may be shared with bindings which stay (Figure 4), and a repeated
    deregistration must not take those.
    """
    if exchange.replaces_all:
        return {}
    asked = exchange.contents.multiple_tunnels
    if asked is not None and (
        asked.binding_id in exchange.bindings or asked.binding_id in exchange.node.binding_ids
    ):
        gone = asked.binding_id
        return {key: other for key, other in exchange.bindings.items() if key != gone}
    address = exchange.request.care_of_address
    return {key: other for key, other in exchange.bindings.items() if other.care_of_address != address}
