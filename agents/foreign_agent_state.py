# SPDX-License-Identifier: GPL-2.0-or-later
"""What a foreign agent keeps over a restart: current visitor entries and run-time settings.

Pending parts are not kept: the mobile node sends its request again (RFC 5944 §3.6.3). Nor are the
advertisements' sequence numbers: they begin anew (§2.3.2), so that every visitor registers again.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from agents.effects import Instant
from agents.kept_state import KeptModel, KeptSetting, monotonic_expiry, unix_expiry
from agents.settings import ForeignAgentSettings
from agents.visitors import Visitor, VisitorKey, VisitorList, VisitorTable


class ForeignAgentState(KeptModel):
    """A foreign agent's state."""

    enable_multiple_tunnel_support: KeptSetting[bool]
    visitors: tuple[Visitor, ...]
    """``expires`` is in seconds since 1970."""


def keep_all(
    table: VisitorTable, settings: ForeignAgentSettings, multiple_tunnels: bool, now: Instant
) -> ForeignAgentState:
    """The state as it is kept.

    :param multiple_tunnels: EnableMultipleTunnelSupport as it is now.
    """
    configured = settings.enable_multiple_tunnel_support
    return ForeignAgentState(
        enable_multiple_tunnel_support=KeptSetting(configured=configured, current=multiple_tunnels),
        visitors=tuple(replace(v, expires=unix_expiry(v.expires, now)) for v in table.all()),
    )


def visitor_lists(
    state: ForeignAgentState, settings: ForeignAgentSettings, now: Instant
) -> dict[IPv4Address, VisitorList]:
    """The entries as they are taken up again.

    What has run out meanwhile, or is on an interface or care-of address we no longer have, is left out.
    """
    interfaces = {interface.name for interface in settings.interface}
    lists: dict[IPv4Address, dict[VisitorKey, Visitor]] = {}
    for kept in state.visitors:
        visitor = replace(kept, expires=monotonic_expiry(kept.expires, kept.lifetime, now))
        ours = kept.tunnel is None or kept.care_of_address in settings.care_of_addresses
        if visitor.expires > now.monotonic and ours and kept.attachment.interface in interfaces:
            lists.setdefault(kept.key.home_address, {})[kept.key] = visitor
    return dict(lists)
