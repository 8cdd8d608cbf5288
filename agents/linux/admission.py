# SPDX-License-Identifier: GPL-2.0-or-later
"""What may come out of a tunnel: everything else is dropped and counted.

The kernel's tunnel devices check the outer addresses only. Here a packet that came by a tunnel
must carry an address the tunnel is for (RFC 3024 §4.3.2, RFC 5944 §4.2.2), and an encapsulated
packet must come from an end point there is a tunnel to; that also stops packets nested in their
own tunnel, whose inner header is such a packet from a wrong end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

import nftables

from agents.effects import Encapsulation, Tunnel
from agents.linux.udp_tunnels import UNKNOWN

COUNTERS = ("unknown-end-point", "foreign-inner-address", "truncated", "wrong-payload", UNKNOWN)
"""Why packets are dropped, as ``mipctl tunnels`` names it."""
PROTOCOLS = {Encapsulation.IPIP: 4, Encapsulation.GRE: 47}
"""IP protocol numbers of what has no header between the two IP headers but its own."""


class Dropped(NamedTuple):
    """What has been dropped for one reason."""

    packets: int = 0
    octets: int = 0


def dropped(rules: nftables.Nftables, table: str) -> dict[str, Dropped]:
    """What the table in force has dropped so far, by reason; empty without a table."""
    code, listed, _ = rules.json_cmd({"nftables": [{"list": {"counters": {"family": "ip", "table": table}}}]})
    counters = [item["counter"] for item in listed["nftables"] if "counter" in item] if code == 0 else []
    return {counter["name"]: Dropped(counter["packets"], counter["bytes"]) for counter in counters}


def chains(
    tunnels: Collection[Tunnel],
    sources: Mapping[str, Collection[IPv4Address]],
    destinations: Mapping[str, Collection[IPv4Address]],
    broadcasts: bool = False,
    before: Mapping[str, Dropped] | None = None,
) -> str:
    """The chain at ``prerouting``, before anything else looks at a packet, as nft text.

    :param tunnels: every tunnel that packets may come by.
    :param sources: by tunnel device, the inner sources it may carry.
    :param destinations: by tunnel device, the inner destinations it may carry.
    :param broadcasts: whether they may also carry broadcasts and multicasts.
    :param before: what was dropped before; the counters go on from there.
    """
    text = ""
    for name in COUNTERS:
        packets, octets = (before or {}).get(name, Dropped())
        text += f"  counter {name} {{\n    packets {packets} bytes {octets}\n  }}\n"
    text += "  chain admission {\n    type filter hook prerouting priority raw\n"
    text += "    ip protocol { 4, 47, 55 } fib daddr type local jump tunnelled\n"
    for field, carried in (("saddr", sources), ("daddr", destinations)):
        if carried:
            names = ", ".join(f'"{device}"' for device in sorted(carried))
            pairs = ", ".join(
                f'"{device}" . {address}' for device in sorted(carried) for address in sorted(carried[device])
            )
            foreign = f" iifname . ip {field} != {{ {pairs} }}" if pairs else ""
            if broadcasts and field == "daddr":
                foreign += " fib daddr type != { broadcast, multicast }"
            text += f"    iifname {{ {names} }}{foreign} counter name {COUNTERS[1]} drop\n"
    text += "  }\n  chain tunnelled {\n"
    allowed = ", ".join(
        f"{PROTOCOLS[tunnel.encapsulation]} . {tunnel.remote} . {tunnel.local}"
        for tunnel in sorted(tunnels, key=lambda tunnel: (tunnel.encapsulation, tunnel.remote, tunnel.local))
        if tunnel.encapsulation in PROTOCOLS
    )
    known = f"ip protocol . ip saddr . ip daddr != {{ {allowed} }} " if allowed else ""
    text += f"    {known}counter name {COUNTERS[0]} drop\n"
    # The kernel would drop both too, but without a trace.
    text += f"    ip protocol 4 ip length < 40 counter name {COUNTERS[2]} drop\n"
    text += f"    ip protocol 47 ip length < 44 counter name {COUNTERS[2]} drop\n"
    # A GRE device takes any payload; only IPv4 is looked at further on.
    text += f"    ip protocol 47 @th,16,16 != 0x0800 counter name {COUNTERS[3]} drop\n"
    return text + "  }\n"
