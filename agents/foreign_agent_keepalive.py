# SPDX-License-Identifier: GPL-2.0-or-later
"""Keepalives of a foreign agent behind a NAT (RFC 3519 §4.9).

The answer goes on to the mobile node, which did not ask and ignores it.
"""

from __future__ import annotations

from agents.effects import MOBILE_IP_PORT, SendDatagram
from agents.tunnel_keepalive import tunnelled_echo
from agents.visitors import Visitor


def keepalive(visitor: Visitor, sequence: int) -> SendDatagram:
    """The next keepalive of an entry with a UDP tunnel; ``sequence`` has 16 bits."""
    identifier = (visitor.key.binding_id or 0) & 0xFFFF
    return SendDatagram(
        payload=tunnelled_echo(visitor.key.home_address, visitor.home_agent, identifier, sequence),
        source=visitor.care_of_address,
        source_port=MOBILE_IP_PORT,
        destination=visitor.home_agent,
        destination_port=MOBILE_IP_PORT,
    )
