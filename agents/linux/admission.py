# SPDX-License-Identifier: GPL-2.0-or-later
"""What may come out of a tunnel: everything else is dropped and counted.

The kernel's tunnel devices check the outer addresses only. Here a packet that came by a tunnel
must carry an address the tunnel is for (RFC 3024 §4.3.2, RFC 5944 §4.2.2), and an encapsulated
packet must come from an end point there is a tunnel to; that also stops packets nested in their
own tunnel, whose inner header is such a packet from a wrong end.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address

COUNTERS = ("unknown-end-point", "foreign-inner-address")
"""Why packets are dropped, as ``mipctl tunnels`` names it."""


def chains(
    inner_field: str,
    end_points: Collection[tuple[IPv4Address, IPv4Address]],
    inner: Collection[tuple[str, IPv4Address]],
    devices: Collection[str],
) -> str:
    """The chain at ``prerouting``, before anything else looks at a packet, as nft text.

    :param inner_field: which inner address must be a home address: ``saddr`` at the home agent,
        ``daddr`` at the other two.
    :param end_points: (outer source, outer destination) of every tunnel.
    :param inner: (device, home address) pairs that are allowed.
    :param devices: all tunnel devices.
    """
    text = "".join(f"  counter {name} {{}}\n" for name in COUNTERS)
    text += "  chain admission {\n    type filter hook prerouting priority raw\n"
    allowed = ", ".join(f"{source} . {destination}" for source, destination in sorted(end_points))
    unknown = f"counter name {COUNTERS[0]} drop"
    protocols = "ip protocol { 4, 47, 55 } fib daddr type local"
    if allowed:
        text += f"    {protocols} ip saddr . ip daddr != {{ {allowed} }} {unknown}\n"
    else:
        text += f"    {protocols} {unknown}\n"
    if devices:
        names = ", ".join(f'"{device}"' for device in sorted(devices))
        pairs = ", ".join(f'"{device}" . {address}' for device, address in sorted(inner))
        foreign = f"counter name {COUNTERS[1]} drop"
        if pairs:
            text += f"    iifname {{ {names} }} iifname . ip {inner_field} != {{ {pairs} }} {foreign}\n"
        else:
            text += f"    iifname {{ {names} }} {foreign}\n"
    return text + "  }\n"
