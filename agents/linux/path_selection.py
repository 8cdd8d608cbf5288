# SPDX-License-Identifier: GPL-2.0-or-later
"""Which way: nft chains decide it, at ``prerouting`` for what is forwarded and at ``output``
for what this node sends.

A packet's mark names its way (a tunnel, or an access link of a foreign agent), and a policy
rule and a route table per mark lead to the device. All agents use one layout: the low
``NUMBER_BITS`` of a packet's mark are the way's number; ``PROBE`` says that a liveness probe
chose it. A connection's mark holds two numbers, of the way in its original direction and, above
it, of the way in its reply direction: a flow between two mobile nodes has both.

The order of the rules (docs/design.md, "Path selection"):

1. only packets to a home address (mobile node: from it), never signalling;
2. a probe keeps the way it was marked for, and a home agent's echo reply the way its request came
   by, under every policy, pinned or not, and without taking a slot;
3. ``per-packet``: the next slot of the packet cycle;
4. a live way in the connection mark is kept; that of a dead one falls through;
5. the next slot of the flow cycle, remembered in the connection mark.

Never ``ct state new``: a flow that the mobile node opened reaches the home agent's direction
as a reply. ``per-flow-hash`` sets no mark; the kernel's multipath route decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from agents.effects import MOBILE_IP_PORT
from agents.linux.slots import flow_cycle, packet_cycle
from agents.settings import PathSelection, Policy

NUMBER_BITS = 12
NUMBER_MASK = (1 << NUMBER_BITS) - 1
PROBE = 1 << 2 * NUMBER_BITS
"""Set beside the way's number on a liveness probe (SO_MARK)."""
_REPLY_MASK = NUMBER_MASK << NUMBER_BITS
_ALL_BITS = 0xFFFFFFFF

Role = Literal["home-agent", "foreign-agent", "mobile-node"]


@dataclass(frozen=True, slots=True)
class NumberedPath:
    """A path as the kernel knows it."""

    number: int
    """The way's number, its mark."""
    device: str
    weight: float
    rate: float
    """Breaks ties between equal weights."""


def _map(cycle: Sequence[int], paths: Sequence[NumberedPath]) -> str:
    """``numgen`` over a cycle of path indices, as an nft expression that yields a mark."""
    elements = ", ".join(f"{slot} : {paths[index].number}" for slot, index in enumerate(cycle))
    return f"numgen inc mod {len(cycle)} map {{ {elements} }}"


def _choose(name: str, paths: Sequence[NumberedPath], policy: Policy) -> str:
    """The chains that mark a packet of one home address: by the policy, and by flow whatever it is."""
    weights = [path.weight for path in paths]
    live = ", ".join(str(path.number) for path in paths)
    original = ", ".join(f"{path.number} : {path.number}" for path in paths)
    reply = ", ".join(f"{path.number << NUMBER_BITS:#x} : {path.number}" for path in paths)
    next_slot = _map(flow_cycle(weights, [path.rate for path in paths]), paths)
    by_packet = ""
    if policy is Policy.PER_PACKET:
        by_packet = f"    meta mark set {_map(packet_cycle(weights), paths)} return\n"
    return (
        f"  chain {name}-by-flow {{\n"
        # A map without the number breaks the rule off: the next one finds a new way.
        f"    ct direction original meta mark set ct mark & {NUMBER_MASK:#x} map {{ {original} }} return\n"
        f"    ct direction reply meta mark set ct mark & {_REPLY_MASK:#x} map {{ {reply} }} return\n"
        f"    meta mark set {next_slot}\n"
        "    goto keep\n"
        "  }\n"
        f"  chain {name} {{\n"
        f"    meta mark & {NUMBER_MASK:#x} {{ {live} }} goto keep\n"
        f"{by_packet}"
        f"    goto {name}-by-flow\n"
        "  }\n"
    )


def _keep(paths: Iterable[NumberedPath]) -> str:
    """Chains that note a number in the connection mark, in the half of one direction."""
    numbers = sorted({path.number for path in paths})
    text = ""
    for number in numbers:
        text += (
            f"  chain original-{number} {{\n"
            f"    ct mark set ct mark & {_ALL_BITS ^ NUMBER_MASK:#x} | {number:#x}\n  }}\n"
            f"  chain reply-{number} {{\n"
            f"    ct mark set ct mark & {_ALL_BITS ^ _REPLY_MASK:#x} | {number << NUMBER_BITS:#x}\n  }}\n"
        )
    text += "  chain keep {\n"
    if numbers:
        for direction in ("original", "reply"):
            elements = ", ".join(f"{number} : goto {direction}-{number}" for number in numbers)
            text += f"    ct direction {direction} meta mark & {NUMBER_MASK:#x} vmap {{ {elements} }}\n"
    return text + "  }\n"


def _remember(ways: Mapping[IPv4Address, Sequence[NumberedPath]], field: str) -> str:
    """The chain that notes by which way a flow came, for the other direction (mirror).

    By home address too: visitors on one link of a foreign agent have a way each and the device in
    common.

    :param field: where the home address stands in a packet that arrives by a way.
    """
    numbers = _numbers(ways)
    text = "  chain remember {\n"
    for direction, half, other in (("original", _REPLY_MASK, "reply"), ("reply", NUMBER_MASK, "original")):
        if numbers:
            elements = ", ".join(f"{came} : jump {other}-{number}" for came, number in numbers.items())
            text += (
                f"    ct direction {direction} ct mark & {half:#x} == 0"
                f" iifname . ip {field} vmap {{ {elements} }}\n"
            )
    return text + "  }\n"


def _numbers(ways: Mapping[IPv4Address, Sequence[NumberedPath]]) -> dict[str, int]:
    """The number of the way by which a packet came, by its device and the home address, as nft has it."""
    found = {(path.device, address): path.number for address, paths in ways.items() for path in paths}
    return {f'"{device}" . {address}': number for (device, address), number in sorted(found.items())}


def _probes(ways: Mapping[IPv4Address, Sequence[NumberedPath]]) -> str:
    """Chains that lead the answer to a liveness probe back by the way the probe came.

    The way is noted on each request anew: after a restart its number may be another.
    """
    numbers = _numbers(ways)
    came = answer = ""
    if numbers:
        jumps = (f"{way} : jump reply-{number}" for way, number in numbers.items())
        came = f"    ct direction original iifname . ip saddr vmap {{ {', '.join(jumps)} }}\n"
        elements = (f"{number << NUMBER_BITS:#x} : {number}" for number in sorted(set(numbers.values())))
        noted = f"ct mark & {_REPLY_MASK:#x} map {{ {', '.join(elements)} }}"
        answer = f"    ct direction reply meta mark set {noted} accept\n"
    return f"  chain echo-request {{\n{came}  }}\n  chain echo-reply {{\n{answer}  }}\n"


def chains(
    role: Role,
    selection: PathSelection,
    addresses: Mapping[IPv4Address, Sequence[NumberedPath]],
    probed: Mapping[IPv4Address, Sequence[NumberedPath]] | None = None,
    home_agents: Collection[IPv4Address] = (),
) -> str:
    """The chains of path selection as nft text; loaded anew, every cycle starts at its first slot.

    :param addresses: the ways each home address may use, after pinning.
    :param probed: every way of each, pinned or not: a probe is answered by it.
    :param home_agents: whose echo replies a foreign agent leads back by the way of their request.
    """
    live = {address: paths for address, paths in addresses.items() if paths}
    if selection.policy is Policy.PER_FLOW_HASH:
        live = {}
    every = [path for paths in live.values() for path in paths]
    # Of the home address: in what leaves by a way, and in what comes by one.
    field, came_from = ("saddr", "daddr") if role == "mobile-node" else ("daddr", "saddr")
    probed = probed or {}
    text = _keep([*every, *(path for paths in probed.values() for path in paths)])
    forwarded, own = [], []
    for address, paths in live.items():
        name = f"choose-{str(address).replace('.', '-')}"
        text += _choose(name, paths, selection.policy)
        forwarded.append(f"{address} : goto {name}")
        # What an agent itself sends to a mobile node answers it, and follows the question's way.
        own.append(f"{address} : goto {name}" + ("" if role == "mobile-node" else "-by-flow"))
    text += _remember(live if selection.mirror else {}, came_from)
    if role != "mobile-node":
        text += _probes(probed)
    text += "  chain forwarded {\n    type filter hook prerouting priority mangle\n"
    # The first rule also keeps connection tracking on, and with it the reassembly of fragments.
    text += "    ct state invalid counter\n"
    if role != "mobile-node":
        text += "    icmp type echo-request jump echo-request\n"
        if home_agents:
            sources = ", ".join(str(address) for address in sorted(home_agents))
            text += f"    ip saddr {{ {sources} }} icmp type echo-reply jump echo-reply\n"
    text += "    jump remember\n"
    if forwarded and role != "mobile-node":
        text += f"    ip {field} vmap {{ {', '.join(forwarded)} }}\n"
    text += "  }\n  chain own {\n    type route hook output priority mangle\n"
    # What a prober has marked, and what answers it, before any choice: a choice takes a slot.
    if role == "mobile-node":
        text += f"    meta mark & {PROBE:#x} != 0 accept\n"
    else:
        text += "    icmp type echo-reply jump echo-reply\n"
    if own:
        # Signalling leaves by the interface the agent chose.
        text += f"    udp sport {MOBILE_IP_PORT} return\n    udp dport {MOBILE_IP_PORT} return\n"
        if role == "home-agent":
            # The copy of a broadcast, in a datagram to the home address, has its tunnel already.
            text += "    ip protocol 4 return\n"
        # Only by the inner address: an encapsulated packet passes here too and must stay as it is.
        text += f"    ip {field} vmap {{ {', '.join(own)} }}\n"
    return text + "  }\n"


def clamp(maximum_segment: int | None) -> str:
    """Lower the TCP segment size that forwarded SYNs announce to what the smallest tunnel takes.

    An unclamped flow dies where ICMP is filtered.

    :param maximum_segment: octets; None without a tunnel.
    """
    if maximum_segment is None:
        return ""
    return (
        "  chain clamp {\n    type filter hook forward priority mangle\n"
        f"    tcp flags & (syn | rst) == syn tcp option maxseg size set {maximum_segment}\n  }}\n"
    )


def congestion() -> str:
    """Copy "congestion experienced" to the outer header, where Linux writes ECT(0) (RFC 6040 §4.1).

    It stands in the last two bits of the inner header's second octet, wherever that header begins.
    """
    return (
        "  chain congestion {\n    type filter hook postrouting priority mangle\n"
        "    ip ecn != ce fib saddr type local jump copy-congestion\n  }\n"
        "  chain copy-congestion {\n"
        "    ip protocol 4 @th,14,2 3 ip ecn set ce\n"
        "    ip protocol 47 @th,0,16 0 @th,46,2 3 ip ecn set ce\n"
        "    ip protocol 47 @th,0,16 0x2000 @th,78,2 3 ip ecn set ce\n"
        f"    udp sport {MOBILE_IP_PORT} @th,64,8 4 @th,110,2 3 ip ecn set ce\n  }}\n"
    )
