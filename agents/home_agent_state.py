# SPDX-License-Identifier: GPL-2.0-or-later
"""What a home agent keeps over a restart: bindings, replay state, run-time settings (FACTS G18, G25)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from agents.bindings import Binding, BindingList, BindingTable
from agents.effects import Instant
from agents.home_agent_exchange import MobileNode
from agents.kept_state import KeptModel, KeptSetting, monotonic_expiry, unix_expiry
from agents.replay import ReplayState


class KeptMobileNode(KeptModel):
    """One mobile node. The last answer under nonces is not kept: who repeats a request from before the
    restart is told the next nonce (133) and asks again."""

    home_address: IPv4Address
    floor: int | None
    """Every new timestamp must exceed this one, see :class:`agents.replay.ReplayState`."""
    floors: tuple[tuple[int | None, int], ...]
    """The same by Binding-Id."""
    nonce: int | None
    binding_ids: tuple[int, ...]
    """Used before, oldest first."""
    bindings: tuple[Binding, ...]
    """``expires`` is in seconds since 1970."""


class HomeAgentState(KeptModel):
    """A home agent's state."""

    enable_multiple_tunnel_support: KeptSetting[bool]
    mobile_nodes: tuple[KeptMobileNode, ...]


def keep(node: MobileNode, bindings: BindingList, home_address: IPv4Address, now: Instant) -> KeptMobileNode:
    """One mobile node as it is kept."""
    return KeptMobileNode(
        home_address=home_address,
        floor=node.replay.floor,
        floors=tuple(node.replay.floors.items()),
        nonce=node.replay.nonce,
        binding_ids=tuple(node.binding_ids),
        bindings=tuple(replace(b, expires=unix_expiry(b.expires, now)) for b in bindings.values()),
    )


def keep_all(
    nodes: Mapping[IPv4Address, MobileNode], table: BindingTable, now: Instant
) -> tuple[KeptMobileNode, ...]:
    """Every mobile node that has ever been heard."""
    unheard = ReplayState()
    return tuple(
        keep(node, table.of(address), address, now)
        for address, node in nodes.items()
        if node.replay != unheard or table.of(address)
    )


def restore_node(node: MobileNode, kept: KeptMobileNode, now: Instant) -> BindingList:
    """Give a mobile node its replay state back; the bindings that have not run out meanwhile."""
    node.replay = ReplayState(kept.floor, dict(kept.floors), kept.nonce)
    node.binding_ids = dict.fromkeys(kept.binding_ids)
    bindings = (replace(b, expires=monotonic_expiry(b.expires, b.lifetime, now)) for b in kept.bindings)
    return {binding.binding_id: binding for binding in bindings if binding.expires > now.monotonic}
