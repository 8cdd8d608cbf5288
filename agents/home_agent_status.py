# SPDX-License-Identifier: GPL-2.0-or-later
"""The home agent's state as JSON can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from agents.bindings import Binding, BindingTable, broadcast_binding
from agents.effects import Instant, Tunnel


def tunnel_row(tunnel: Tunnel, bindings: int) -> dict[str, Any]:
    """One tunnel and how many bindings use it."""
    return {
        "encapsulation": tunnel.encapsulation.value,
        "local": str(tunnel.local),
        "local_port": tunnel.local_port,
        "remote": str(tunnel.remote),
        "remote_port": tunnel.remote_port,
        "key": tunnel.key,
        "bindings": bindings,
    }


def binding_row(binding: Binding, now: Instant) -> dict[str, Any]:
    """One binding; a half-bound one has no end point yet, ``lifetime_remaining`` 65535 is for ever."""
    tunnel = binding.tunnel
    return {
        "home_address": str(binding.home_address),
        "binding_id": binding.binding_id,
        "care_of_address": str(binding.care_of_address),
        "co_located": binding.co_located,
        "end_point": None if tunnel is None else str(tunnel.remote),
        "end_point_port": None if tunnel is None else tunnel.remote_port,
        "encapsulation": None if tunnel is None else tunnel.encapsulation.value,
        "reverse_tunnel": binding.reverse_tunnel,
        "access_technology": binding.access_technology,
        "bandwidth_kbytes": binding.bandwidth_kbytes,
        "lifetime": binding.lifetime,
        "lifetime_remaining": binding.remaining(now.monotonic),
        "since": binding.since,
    }


def status(
    table: BindingTable, codes: Mapping[int, int], discards: Mapping[str, int], now: Instant
) -> dict[str, Any]:
    """Bindings, tunnels and counters: replies by code, discarded messages by reason."""
    bindings = table.all()
    return {
        "bindings": [binding_row(binding, now) for binding in bindings],
        "broadcast_bindings": _broadcast_bindings(bindings),
        "tunnels": [tunnel_row(tunnel, bindings) for tunnel, bindings in table.tunnels().items()],
        "replies": {str(code): count for code, count in sorted(codes.items())},
        "discarded": dict(sorted(discards.items())),
    }


def _broadcast_bindings(bindings: list[Binding]) -> dict[str, int | None]:
    """By home address, the one binding that gets the node's copy of broadcasts."""
    lists: dict[IPv4Address, dict[int | None, Binding]] = {}
    for binding in bindings:
        lists.setdefault(binding.home_address, {})[binding.binding_id] = binding
    chosen = {address: broadcast_binding(of_node) for address, of_node in lists.items()}
    return {str(address): binding.binding_id for address, binding in chosen.items() if binding is not None}
