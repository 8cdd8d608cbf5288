# SPDX-License-Identifier: GPL-2.0-or-later
"""The keepalive that completes a half-bound UDP tunnel (RFC 3519 §4.6, §4.11).

All other Tunnel Data belongs to the kernel; what reaches the agent matched no tunnel there.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address

from agents.bindings import Binding, BindingList
from agents.effects import MOBILE_IP_PORT, Datagram, Encapsulation, Tunnel
from agents.requests import DiscardedError
from agents.wire import TunnelData

_IP_IN_IP = 4
_ICMP = 1
_ECHO_REQUEST = 8
_IP_HEADER = struct.Struct("!BxHxxHxBxxII")
_FRAGMENT_OFFSET = 0x1FFF


def keepalive_addresses(payload: bytes) -> tuple[IPv4Address, IPv4Address]:
    """Inner source (home address) and inner destination of a tunnelled ICMP echo request.

    :raises DiscardedError: it is something else.
    :raises WireError: the Tunnel Data header is incomplete.
    """
    data = TunnelData.decode(payload)
    packet = data.payload
    if data.next_header != _IP_IN_IP or len(packet) < _IP_HEADER.size:
        raise DiscardedError("unexpected-tunnel-data")
    first, total, fragment, protocol, source, destination = _IP_HEADER.unpack_from(packet)
    header = (first & 0x0F) * 4
    if (
        first >> 4 != 4
        or header < _IP_HEADER.size
        or not header < total <= len(packet)
        or fragment & _FRAGMENT_OFFSET
        or protocol != _ICMP
        or packet[header] != _ECHO_REQUEST
    ):
        raise DiscardedError("unexpected-tunnel-data")
    return IPv4Address(source), IPv4Address(destination)


def complete(bindings: BindingList, datagram: Datagram, local: IPv4Address) -> Binding:
    """The binding that waits for this keepalive, now with its tunnel.

    The address must be that from which the registration came; only the port may be another.

    :raises DiscardedError: no binding waits for it.
    """
    waiting = [binding for binding in bindings.values() if binding.keepalive_source == datagram.source]
    end_point = (datagram.source, datagram.source_port)
    if not waiting or any(binding.end_point == end_point for binding in bindings.values()):
        raise DiscardedError("unexpected-tunnel-data")
    chosen = min(waiting, key=lambda binding: (binding.tunnel is not None, binding.binding_id or 0))
    tunnel = Tunnel(
        Encapsulation.UDP,
        local,
        datagram.source,
        local_port=MOBILE_IP_PORT,
        remote_port=datagram.source_port,
    )
    return replace(chosen, tunnel=tunnel, keepalive_source=None)
