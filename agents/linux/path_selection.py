# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tunnel: one nft table decides it, at ``prerouting`` for what is forwarded and at
``output`` for what this node sends.

A packet's mark names its tunnel, and a policy rule and a route table per mark lead to the
device. Every agent uses one mark layout: the low 16 bits are the tunnel's number, and
``PROBE`` says that a liveness probe chose it. A flow's tunnel is kept in its connection mark.
The order of the rules (docs/design.md, "Path selection"):

1. only packets from or to a home address;
2. a probe, or an echo answered by an agent, keeps the tunnel it came by;
3. ``per-packet``: the next slot of the packet cycle;
4. a live tunnel in the connection mark is kept; a mark of a dead one falls through;
5. the next slot of the flow cycle, remembered in the connection mark.

Never ``ct state new``: a flow that the mobile node opened reaches the home agent's direction
as a reply. ``per-flow-hash`` sets no mark; the kernel's multipath route decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from agents.linux.slots import flow_cycle, packet_cycle
from agents.settings import PathSelection, Policy

TUNNEL_MASK = 0xFFFF
PROBE = 0x10000
"""Set beside the tunnel's number on a liveness probe (SO_MARK)."""

Role = Literal["home-agent", "mobile-node"]


@dataclass(frozen=True, slots=True)
class NumberedPath:
    """A path as the kernel knows it."""

    number: int
    """The tunnel's number, its mark."""
    device: str
    weight: float
    rate: float
    """Breaks ties between equal weights."""


def _map(cycle: Sequence[int], paths: Sequence[NumberedPath]) -> str:
    """``numgen`` over a cycle of path indices, as an nft expression that yields a mark."""
    if len(cycle) == 1:
        return str(paths[cycle[0]].number)
    elements = ", ".join(f"{slot} : {paths[index].number}" for slot, index in enumerate(cycle))
    return f"numgen inc mod {len(cycle)} map {{ {elements} }}"


def _choose(name: str, paths: Sequence[NumberedPath], policy: Policy) -> str:
    """The chain that marks a packet of one home address."""
    weights = [path.weight for path in paths]
    live = ", ".join(str(path.number) for path in paths)
    if policy is Policy.PER_PACKET:
        body = f"    meta mark set {_map(packet_cycle(weights), paths)}\n"
    else:
        next_slot = _map(flow_cycle(weights, [path.rate for path in paths]), paths)
        body = (
            f"    ct mark & {TUNNEL_MASK:#x} {{ {live} }} meta mark set ct mark return\n"
            f"    meta mark set {next_slot}\n"
            "    ct mark set meta mark\n"
        )
    return (
        f"  chain {name} {{\n"
        # A probe comes with its mark set; its answer, and any echo an agent answers, follows it.
        f"    meta mark & {TUNNEL_MASK:#x} {{ {live} }} ct mark set meta mark return\n"
        "    icmp type { echo-request, echo-reply } "
        f"ct mark & {PROBE:#x} == {PROBE:#x} meta mark set ct mark return\n"
        f"{body}"
        "  }\n"
    )


def rules(
    table: str,
    role: Role,
    selection: PathSelection,
    addresses: Mapping[IPv4Address, Sequence[NumberedPath]],
    maximum_segment: int | None,
) -> str:
    """The whole table as nft text, replacing what was loaded: counters of the cycles start at 0.

    :param maximum_segment: largest TCP segment through the smallest tunnel, in octets; the
        option in forwarded SYNs is lowered to it (an unclamped flow dies where ICMP is filtered).
    """
    live = {address: paths for address, paths in addresses.items() if paths}
    field = "daddr" if role == "home-agent" else "saddr"
    marking = selection.policy is not Policy.PER_FLOW_HASH
    text = f"table ip {table} {{}}\ndelete table ip {table}\ntable ip {table} {{\n"
    jumps = []
    for address, paths in live.items() if marking else ():
        name = f"choose-{str(address).replace('.', '-')}"
        text += _choose(name, paths, selection.policy)
        jumps.append(f"{address} : goto {name}")
    text += "  map chosen {\n    type ipv4_addr : verdict\n"
    text += f"    elements = {{ {', '.join(jumps)} }}\n  }}\n" if jumps else "  }\n"
    text += _remember(live.values(), selection.mirror and marking)
    dispatch = f"    ip {field} vmap @chosen\n"
    text += "  chain forwarded {\n    type filter hook prerouting priority mangle\n    jump remember\n"
    text += dispatch if role == "home-agent" else ""
    text += "  }\n  chain own {\n    type route hook output priority mangle\n"
    # Only by the inner address: an encapsulated packet passes here too and must stay as it is.
    text += f"{dispatch}  }}\n"
    if maximum_segment is not None:
        text += (
            "  chain clamp {\n    type filter hook forward priority mangle\n"
            f"    tcp flags & (syn | rst) == syn tcp option maxseg size set {maximum_segment}\n  }}\n"
        )
    return text + "}\n"


def _remember(all_paths: Iterable[Sequence[NumberedPath]], mirror: bool) -> str:
    """The chain that notes by which tunnel an unmarked flow arrived.

    It also keeps connection tracking on, and with it the reassembly of fragments: ports are
    in the first one only.
    """
    text = "  chain remember {\n    ct state invalid counter\n"
    devices = {path.device: path.number for paths in all_paths for path in paths}
    if mirror and devices:
        elements = ", ".join(f'"{device}" : {number}' for device, number in devices.items())
        text += f"    ct mark 0 ct mark set iifname map {{ {elements} }}\n"
    return text + "  }\n"
