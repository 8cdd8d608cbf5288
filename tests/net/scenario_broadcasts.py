# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: the home link's broadcasts and multicasts for a mobile node that asks for them."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tests.net.scenario_stage import Scene, eventually
from topologies.figure import HOME_AGENT, HOME_ROUTER

PORT = 7400
HOME_LINK = "lan"
"""The router's interface there."""
GROUP = "239.1.2.3"
LIMITED, DIRECTED = "255.255.255.255", str(IPv4Network(HOME_AGENT.network).broadcast_address)
DATAGRAMS: tuple[tuple[str, str, int], ...] = (
    ("limited", LIMITED, 64),
    ("directed", DIRECTED, 64),
    ("multicast", GROUP, 64),
    ("link-local group", "224.0.0.251", 64),
    ("last hop", LIMITED, 1),
)
"""What is sent on the home link: what it says, its destination, its TTL."""
WAIT = 0.5


def broadcasts(scene: Scene) -> dict[str, Any]:
    """Not asked for; asked for by all four links; without WiFi, so by a care-of address of its own.

    Captures ``broadcasts-…`` at the home agent, of what it sends into tunnels.
    """
    report: dict[str, Any] = {"not asked for": _send(scene, "broadcasts-unasked")}
    scene.end("mn")
    scene.launch("mn", receive_broadcasts=True)
    scene.until_registered()
    report["asked for"] = _send(scene, "broadcasts-nested")
    report["forwarding"] = scene.ask("ha", "status")["broadcast_bindings"]
    report["from elsewhere"] = _send_from_home_agent(scene)
    scene.node("mn").namespace.set_up("wifi", False)
    eventually("binding of wifi gone", lambda: 1 not in scene.bindings())
    report["without wifi"] = _send(scene, "broadcasts-direct")
    scene.node("mn").namespace.set_up("wifi", True)
    scene.until_registered()
    scene.end("mn")
    report["route left"] = scene.run("mn", "ip", "route", "show", "table", "local", DIRECTED)[1]
    scene.launch("mn", receive_broadcasts=False)
    scene.until_registered()
    report["chain left"] = "dup to" in scene.run("ha", "nft", "list", "ruleset")[1]
    return report


def _send(scene: Scene, capture: str) -> dict[str, int]:
    """Send one of each on the home link; how many of each a program on the mobile node receives."""
    with (
        scene.capture(capture, "ha", "home", "ip proto 4"),
        _receiver(scene) as sink,
        scene.socket("home", socket.SOCK_DGRAM, HOME_ROUTER.ip) as sender,
    ):
        _emit(sender, HOME_LINK)
        time.sleep(WAIT)
        return _received(sink)


def _send_from_home_agent(scene: Scene) -> dict[str, int]:
    """The same, but sent by the home agent's own node: nothing that has arrived on the home link."""
    with (
        _receiver(scene) as sink,
        scene.socket("ha", socket.SOCK_DGRAM, HOME_AGENT.ip) as sender,
    ):
        _emit(sender, "home")
        time.sleep(WAIT)
        return _received(sink)


def _emit(sender: socket.socket, interface: str) -> None:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    for words, destination, ttl in DATAGRAMS:
        for option in (socket.IP_TTL, socket.IP_MULTICAST_TTL):
            sender.setsockopt(socket.IPPROTO_IP, option, ttl)
        sender.sendto(words.encode(), (destination, PORT))


@contextlib.contextmanager
def _receiver(scene: Scene) -> Iterator[socket.socket]:
    """A program on the mobile node that takes every broadcast, and the group by whatever tunnel it comes."""
    with scene.socket("mn", socket.SOCK_DGRAM, IPv4Address(0), PORT) as sink:
        sink.settimeout(0.0)
        with scene.node("mn").namespace.entered():
            names = [name for _, name in socket.if_nameindex() if name.startswith("mip")]
            for name in names:
                member = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), socket.if_nametoindex(name))
                sink.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        yield sink


def _received(sink: socket.socket) -> dict[str, int]:
    found: dict[str, int] = {}
    with contextlib.suppress(BlockingIOError):
        while True:
            words = sink.recv(100).decode()
            found[words] = found.get(words, 0) + 1
    return found
