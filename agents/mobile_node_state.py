# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mobile node keeps over a restart: its Identifications and run-time settings.

Its bindings are not kept: the first registration after a start replaces all there are (FACTS G16).
"""

from __future__ import annotations

from agents.kept_state import KeptModel, KeptSetting


class KeptIdentifications(KeptModel):
    """The generator of Identifications (RFC 5944 §5.7)."""

    last: int
    """The next must exceed this one."""
    accepted: int
    nonce: int | None
    offset: float
    """Seconds by which the home agent's clock is ahead."""


class MobileNodeState(KeptModel):
    """A mobile node's state."""

    enable_multiple_tunnel_support: KeptSetting[bool]
    uplink_kbit: dict[str, KeptSetting[int]]
    """By interface."""
    identifications: KeptIdentifications
