# SPDX-License-Identifier: GPL-2.0-or-later
"""Keepalives of a mobile node behind a NAT (RFC 3519 §4.9).

A registration is as good as one: the first comes an interval after the latest, so with short lifetimes
none is sent at all. They are sent whether or not data was: the kernel carries data, and tells nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from agents.effects import MOBILE_IP_PORT, SendDatagram
from agents.mobile_node_link import Link
from agents.mobile_node_outbox import Outbox
from agents.tunnel_keepalive import tunnelled_echo

_SEQUENCE_BITS = 0xFFFF


class Keepalives:
    """Sends what keeps the mappings of the links' UDP tunnels alive."""

    def __init__(self, links: Mapping[str, Link], outbox: Outbox) -> None:
        self._links = links
        self._outbox = outbox
        self._sequence = 0

    def transmit(self, now: float) -> None:
        """Send those that are due."""
        for link in self._links.values():
            binding = link.binding
            if binding is None or binding.keepalive is None or now < binding.next_keepalive:
                continue
            self._sequence = (self._sequence + 1) & _SEQUENCE_BITS
            node = link.node
            payload = tunnelled_echo(
                node.home_address, node.home_agent, link.settings.binding_id, self._sequence
            )
            source, name = binding.plan.attachment.care_of_address, link.settings.name
            self._outbox.emit(
                SendDatagram(payload, source, MOBILE_IP_PORT, node.home_agent, MOBILE_IP_PORT, name)
            )
            binding.next_keepalive = now + binding.keepalive

    def deadline(self) -> float:
        """When the next one is due."""
        return min(
            (k.binding.next_keepalive for k in self._links.values() if k.binding is not None),
            default=math.inf,
        )
