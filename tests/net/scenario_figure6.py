# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 6, four UDP tunnels behind one NAT; LTE takes packets of 1400 octets at most."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import sys
import time
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from agents.settings import Policy, Weights
from tests.net.scenario_packets import SECRET_PORT, UDP, inject, ip, secret
from tests.net.scenario_path_mtu import ping, transfers_without_icmp
from tests.net.scenario_stage import Scene, act, eventually
from tests.net.scenario_traffic import ENDS, carried, traffic
from topologies.figure import CORRESPONDENT, HOME_ADDRESS, HOME_AGENT
from topologies.figure6 import PUBLIC, TIME_OUTS, Figure6
from topologies.links import DEFAULT_LINKS
from topologies.registered import AgentNetworkError

LTE_MTU = 1400
STRANGER = IPv4Address("198.51.100.99")
OTHER_ADDRESS = IPv4Interface("192.168.0.100/27")
"""Of the mobile node on LTE, for a while."""
_MAPPING = re.compile(
    rf"src=(?P<inside>\S+) dst={HOME_AGENT.ip} sport=434 dport=434 src={HOME_AGENT.ip} "
    rf"dst=(?P<public>\S+) sport=434 dport=(?P<port>\d+)"
)
_RENEWAL = 45.0
"""Seconds; a binding of 60 s is renewed before 40 s have passed."""


def _mappings(scene: Scene) -> dict[str, tuple[str, int]]:
    """Of the NAT: private address, and the public address and port it shows."""
    _, said = scene.run("nat", "sh", "-c", "conntrack -L -p udp 2>/dev/null")
    return {m["inside"]: (m["public"], int(m["port"])) for m in _MAPPING.finditer(said)}


def _far_ends(scene: Scene) -> list[tuple[str, int]]:
    rows = scene.ask("ha", "status")["tunnels"]
    return sorted((row["remote"], row["remote_port"]) for row in rows)


def structure(scene: Scene) -> dict[str, Any]:
    """Mappings, tunnels, and traffic on the wire between NAT and internet; capture ``nat``."""
    with scene.capture("nat", "nat", "internet", "host", str(PUBLIC.ip)):
        report = {"carried": carried(scene)}
        scene.ask("mn", "reregister", bulk=False)
        scene.until_registered()
    return {
        **report,
        "encapsulations": sorted({row["encapsulation"] for row in scene.ask("ha", "status")["bindings"]}),
        "mappings": _mappings(scene),
        "far_ends": _far_ends(scene),
        "mtus": {
            node: sorted({row["mtu"] for row in scene.ask(node, "status")["devices"]})
            for node in ("ha", "fa", "mn")
        },
        "time_outs": {name: scene.node("nat").namespace.read_sysctl(name) for name in TIME_OUTS},
    }


def _datagram(source_port: int, payload: bytes, target: int = 434) -> bytes:
    return struct.pack("!HHHH", source_port, target, 8 + len(payload), 0) + payload


def bad_data(scene: Scene) -> dict[str, Any]:
    """Tunnel Data no one may believe, each alone: what was counted; captures ``bad-cn``, ``good-cn``."""
    public, agent, correspondent = PUBLIC.ip, HOME_AGENT.ip, CORRESPONDENT.ip
    port = next(
        row["remote_port"] for row in scene.ask("ha", "status")["tunnels"] if row["remote_port"] != 434
    )
    _, devices = scene.run("ha", "ip", "-details", "link", "show", "type", "ipip")
    pseudo = min(re.findall(r"remote (198\.18\.\d+\.\d+)", devices))
    right, foreign = secret(HOME_ADDRESS, correspondent), secret(STRANGER, correspondent)
    data = b"\x04\x04\0\0"
    cases = {
        "wrong next header": ip(public, agent, _datagram(port, b"\x04\x2f\0\0" + right), UDP),
        "another port": ip(public, agent, _datagram(port + 1000, data + right), UDP),
        "another address": ip(correspondent, agent, _datagram(port, data + right), UDP),
        "header cut": ip(public, agent, _datagram(port, data[:2]), UDP),
        "no inner packet": ip(public, agent, _datagram(port, data), UDP),
        "foreign inner source": ip(public, agent, _datagram(port, data + foreign), UDP),
        "GUE from outside": ip(public, agent, _datagram(port, b"\0\x04\0\0" + right, 4340), UDP),
        "GUE from a pseudo address": ip(pseudo, agent, _datagram(port, b"\0\x04\0\0" + right, 4340), UDP),
        "bare, from a pseudo address": ip("198.18.0.1", agent, right),
        "bare, from the end point": ip(public, agent, right),
    }
    before, found = scene.still("ha"), {}
    with scene.capture("bad-cn", "cn", "internet", "udp port 6666"):
        for name, packet in cases.items():
            drops = scene.drops("ha")
            inject(scene, "internet", packet)
            time.sleep(0.2)
            after = scene.drops("ha")
            found[name] = {key: after[key] - drops[key] for key in after if after[key] != drops[key]}
    with scene.capture("good-cn", "cn", "internet", "udp port 6666"):
        # The reserved octets are ignored (RFC 3519 §3.3); and the captures would see a secret.
        inject(scene, "internet", ip(public, agent, _datagram(port, b"\x04\x04\xff\xff" + right), UDP))
        time.sleep(0.2)
    now = scene.still("ha")
    return {"cases": found, "unchanged": {kind: before[kind] == now[kind] for kind in before}}


def bad_data_behind_the_nat(scene: Scene) -> dict[str, Any]:
    """The same at the other ends: through a mapping, or, where none lets it in, from the NAT itself."""
    bindings = {row["interface"]: row["care_of_address"] for row in scene.ask("mn", "status")["bindings"]}
    ends = {"mn": bindings["lte"], "fa": bindings["wifi"]}
    return {node: _bad_data_at(scene, node, IPv4Address(local)) for node, local in ends.items()}


def _bad_data_at(scene: Scene, node: str, local: IPv4Address) -> dict[str, Any]:
    agent, correspondent = HOME_AGENT.ip, CORRESPONDENT.ip
    right, foreign = secret(correspondent, HOME_ADDRESS), secret(correspondent, STRANGER)
    data = b"\x04\x04\0\0"
    port = _mappings(scene)[str(local)][1]
    mapped = {
        "wrong next header": b"\x04\x2f\0\0" + right,
        "header cut": data[:2],
        "no inner packet": data,
        "foreign inner destination": data + foreign,
    }
    unmapped = {
        "another port": ip(agent, local, _datagram(1434, data + right), UDP),
        "another address": ip(correspondent, local, _datagram(434, data + right), UDP),
        "GUE from outside": ip(agent, local, _datagram(434, b"\0\x04\0\0" + right, 4340), UDP),
        "bare, from the end point": ip(agent, local, right),
    }

    def through(payload: bytes) -> bytes:
        return ip(agent, PUBLIC.ip, _datagram(434, payload, port), UDP)

    cases = [(name, "internet", through(payload)) for name, payload in mapped.items()]
    cases += [(name, "nat", packet) for name, packet in unmapped.items()]
    before, found = scene.still(node), {}
    with scene.socket("mn", socket.SOCK_DGRAM, HOME_ADDRESS, SECRET_PORT) as sink:
        for name, origin, packet in cases:
            drops = scene.drops(node)
            inject(scene, origin, packet)
            time.sleep(0.2)
            after = scene.drops(node)
            found[name] = {key: after[key] - drops[key] for key in after if after[key] != drops[key]}
        came = [_arrived(sink)]
        inject(scene, "internet", through(data + right))
        time.sleep(0.2)
        came.append(_arrived(sink))
    now = scene.still(node)
    unchanged = {kind: before[kind] == now[kind] for kind in before}
    return {"cases": found, "came": came, "unchanged": unchanged}


def _arrived(sink: socket.socket) -> int:
    """How many datagrams wait in a socket."""
    sink.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while sink.recv(2000):
            count += 1
    return count


def path_mtu(scene: Scene) -> dict[str, Any]:
    """All traffic by LTE: TCP without any ICMP, then what path MTU discovery finds."""
    lte = scene.binding_ids[scene.links.index("lte")]
    for node in scene.agents.sockets:
        scene.ask(node, "pin", binding_id=lte)
        scene.node(node).namespace.forget_flows()
    report = {
        "transferred": transfers_without_icmp(scene),
        "too big for the tunnel": ping(scene, "cn", HOME_ADDRESS, 1469),
        "too big for the path": ping(scene, "cn", HOME_ADDRESS, 1400),
        "fits": ping(scene, "cn", HOME_ADDRESS, LTE_MTU - 32),
        "from the mobile node": ping(scene, "mn", CORRESPONDENT.ip, 1400),
        "learnt": scene.events("ha").get("path-mtu-learnt", 0),
    }
    for node in scene.agents.sockets:
        scene.ask(node, "pin", binding_id=None)
    return report


def fragments(scene: Scene) -> dict[str, Any]:
    """Datagrams larger than any link, by policy: how many arrive whole."""
    found: dict[str, Any] = {}
    for policy in Policy:
        scene.select(policy)
        for sender, receiver in (("cn", "mn"), ("mn", "cn")):
            with (
                scene.socket(sender, socket.SOCK_DGRAM, ENDS[sender]) as source,
                scene.socket(receiver, socket.SOCK_DGRAM, ENDS[receiver], 7500) as sink,
            ):
                # The sender itself cuts, and goes on when the path turns out to be narrower.
                source.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
                sink.settimeout(1.0)
                arrived = 0
                for number in range(8):
                    source.sendto(bytes([number]) * 4000, (str(ENDS[receiver]), 7500))
                    with contextlib.suppress(TimeoutError):
                        arrived += sink.recv(5000) == bytes([number]) * 4000
                found[f"{policy} {sender}"] = arrived
    scene.select(Policy.PER_FLOW)
    return found


def make_before_break(scene: Scene) -> dict[str, Any]:
    """LTE gets another care-of address under traffic, the old one goes when the new one is bound."""
    report: dict[str, Any] = {}
    lte = scene.binding_ids[scene.links.index("lte")]
    namespace = scene.node("mn").namespace
    old = next(a.address for a in scene.topology.accesses if a.link.name == "lte")
    assert old is not None
    with traffic(scene, report):
        for new, gone in ((OTHER_ADDRESS, old), (old, OTHER_ADDRESS)):
            namespace.add_address("lte", new)
            eventually("the mobile node takes it", partial(_taken, scene, lte, new))
            eventually("bound", partial(_bound, scene, new))
            time.sleep(1.5)  # what drains goes
            namespace.remove_address("lte", gone)
            time.sleep(0.5)
    scene.until_registered()
    report["care_of_addresses"] = _care_of_addresses(scene)
    return report


def _taken(scene: Scene, binding_id: int, address: IPv4Interface) -> bool:
    with contextlib.suppress(AgentNetworkError):  # it does not see the address yet
        scene.ask("mn", "set-care-of-address", binding_id=binding_id, address=str(address.ip))
        return True
    return False


def _bound(scene: Scene, address: IPv4Interface) -> bool:
    return str(address.ip) in _care_of_addresses(scene)


def _care_of_addresses(scene: Scene) -> list[str]:
    return [row["care_of_address"] for row in scene.ask("mn", "status")["bindings"]]


def nat_reboots(scene: Scene) -> dict[str, Any]:
    """The NAT forgets every mapping; then the mobile node registers anew, as after any failure."""
    before = _mappings(scene)
    scene.run(
        "nat",
        "nft",
        "flush chain ip nat outwards; add rule ip nat outwards oifname internet masquerade random",
    )
    scene.run("nat", "conntrack", "-F")
    scene.ask("mn", "reregister", bulk=False)
    scene.until_registered()
    report = {"before": before, "mappings": _mappings(scene), "far_ends": _far_ends(scene)}
    return {**report, "carried": carried(scene)}


def mapping_expires(scene: Scene) -> dict[str, Any]:
    """The NAT forgets what is idle for 5 s; the next renewals mend it without anybody's help."""
    for name in TIME_OUTS:
        scene.node("nat").namespace.sysctl(name, 5)
    former = _far_ends(scene)
    eventually("mappings gone", lambda: not _mappings(scene), 2 * _RENEWAL)
    for name, seconds in TIME_OUTS.items():
        scene.node("nat").namespace.sysctl(name, seconds)
    took = eventually("every mapping is back", lambda: len(_mappings(scene)) == len(scene.links), _RENEWAL)
    scene.until_registered()
    eventually("far ends follow", lambda: _far_ends(scene) == sorted(_mappings(scene).values()), _RENEWAL)
    return {"former": former, "seconds": took, "carried": carried(scene)}


STEPS = (
    structure,
    bad_data,
    bad_data_behind_the_nat,
    path_mtu,
    fragments,
    make_before_break,
    nat_reboots,
    mapping_expires,
)


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    links = [replace(link, mtu=LTE_MTU) if link.name == "lte" else link for link in DEFAULT_LINKS]
    act(Scene(folder, Figure6(links, weights=Weights.BANDWIDTH)), STEPS, chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
