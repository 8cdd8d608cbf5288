# SPDX-License-Identifier: GPL-2.0-or-later
"""State machines joined by links that delay, lose, duplicate and reorder, on a simulated clock.

A node's shell is modelled with it: timers, tunnels, paths and neighbours are kept, and every effect
is checked for what must hold of it whatever the machine does.
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count
from typing import Protocol

from agents.effects import (
    AddTunnel,
    Datagram,
    Effect,
    GratuitousArp,
    Instant,
    Path,
    RemoveTunnel,
    Report,
    SendDatagram,
    SendIcmp,
    SendProbe,
    SetNeighbour,
    SetPaths,
    SetReversePath,
    StartInterception,
    StartTimer,
    StopInterception,
    StopTimer,
    Tunnel,
)
from agents.mobile_node import MobileNode
from agents.mobile_node_liveness import PROBES

EPOCH = 1_265_675_966.25
"""2010-02-09, the day of the draft's test vectors."""


class Machine(Protocol):
    """What the network needs of an agent."""

    def receive(self, datagram: Datagram, now: Instant) -> list[Effect]: ...
    def receive_icmp(
        self, payload: bytes, source: IPv4Address, interface: str, link_source: str | None, now: Instant
    ) -> list[Effect]: ...
    def timer(self, key: Hashable, now: Instant) -> list[Effect]: ...


class Clock:
    """Events in the order of their time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.watchers: list[Callable[[], None]] = []
        """Called after every event: the invariants."""

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Let something happen; what happens at one time does so in the order it was asked for."""
        heapq.heappush(self._events, (max(time, self.now), next(self._numbers), event))

    def run(self, until: float) -> int:
        """Let time pass; the number of events."""
        happened = 0
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
            happened += 1
            for watch in self.watchers:
                watch()
        self.now = until
        return happened


@dataclass
class Link:
    """One access link, the same in both directions."""

    delay: float = 0.02
    jitter: float = 0.0
    """Uniform addition to the delay; what is larger than the gap between packets reorders them."""
    loss: float = 0.0
    duplication: float = 0.0
    cut: bool = False
    """Everything is lost, and nobody is told."""

    def arrivals(self, random: random.Random) -> list[float]:
        """After how long each copy of a packet arrives."""
        copies = 2 if random.random() < self.duplication else 1
        kept = [1 for _ in range(copies) if random.random() >= self.loss]
        return [] if self.cut else [self.delay + random.random() * self.jitter for _ in kept]


@dataclass
class Node:
    """A machine in its shell."""

    name: str
    machine: Machine
    network: Network
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    timers: dict[Hashable, int] = field(default_factory=dict)
    tunnels: set[Tunnel] = field(default_factory=set)
    paths: dict[IPv4Address, tuple[Path, ...]] = field(default_factory=dict)
    neighbours: dict[tuple[IPv4Address, str], str] = field(default_factory=dict)
    reverse: dict[tuple[IPv4Address, str], Tunnel] = field(default_factory=dict)
    intercepted: set[IPv4Address] = field(default_factory=set)
    reports: list[Report] = field(default_factory=list)
    sent: list[tuple[float, SendDatagram]] = field(default_factory=list)
    fired: int = 0

    @property
    def now(self) -> Instant:
        """This node's clocks."""
        time = self.network.clock.now
        return Instant(time, EPOCH + time + self.skew)

    def perform(self, effects: Iterable[Effect]) -> None:
        """Carry out effects in order, checking each."""
        for effect in effects:
            match effect:
                case SendDatagram():
                    self.sent.append((self.network.clock.now, effect))
                    self.network.carry(self, effect)
                case SendIcmp():
                    self.network.carry_icmp(self, effect)
                case SendProbe():
                    self.network.carry_probe(self, effect)
                case StartTimer():
                    self._start_timer(effect)
                case StopTimer(key):
                    self.timers.pop(key, None)
                case AddTunnel(tunnel, name):
                    assert tunnel not in self.tunnels, "a tunnel added twice"
                    assert len(name) <= 40
                    self.tunnels.add(tunnel)
                case RemoveTunnel(tunnel):
                    self.tunnels.remove(tunnel)
                    for paths in self.paths.values():
                        assert all(path.tunnel != tunnel for path in paths), "removed while in use"
                    assert tunnel not in self.reverse.values(), "removed while in use"
                case SetPaths(home_address, paths):
                    assert paths != self.paths.get(home_address, ()), "paths set without a change"
                    for path in paths:
                        assert not isinstance(path.tunnel, Tunnel) or path.tunnel in self.tunnels
                        assert path.weight > 0
                    self.paths[home_address] = paths
                case SetNeighbour(address, interface, None):
                    del self.neighbours[address, interface]
                case SetNeighbour(address, interface, str(link_address)):
                    self.neighbours[address, interface] = link_address
                case SetReversePath(address, interface, None):
                    del self.reverse[address, interface]
                case SetReversePath(address, interface, Tunnel() as tunnel):
                    assert tunnel in self.tunnels
                    self.reverse[address, interface] = tunnel
                case StartInterception(home_address):
                    self.intercepted.add(home_address)
                case StopInterception(home_address):
                    self.intercepted.discard(home_address)
                case GratuitousArp():
                    pass
                case Report():
                    self.reports.append(effect)

    def _start_timer(self, effect: StartTimer) -> None:
        assert effect.at > self.network.clock.now, "a timer that is already over"
        number = self.timers[effect.key] = next(self.network.timer_numbers)

        def fire() -> None:
            if self.timers.get(effect.key) == number:
                del self.timers[effect.key]
                self.fired += 1
                if isinstance(self.machine, MobileNode) and effect.key == PROBES:
                    self.perform(self.machine.probe({}, self.now))  # no traffic but the probes
                else:
                    self.perform(self.machine.timer(effect.key, self.now))

        self.network.clock.at(effect.at, fire)

    def events(self, word: str) -> int:
        """How often something was reported."""
        return sum(report.event == word for report in self.reports)


class Network:
    """A mobile node on access links, all of which lead to one home agent.

    ``where`` tells on which access link an address of the mobile node can be reached now.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.timer_numbers = count()
        self.links: dict[str, Link] = {}
        self.addresses: dict[IPv4Address, str] = {}
        self.mobile_node: Node
        self.home_agent: Node
        self.home_agent_address: IPv4Address
        self.home_link: str | None = None
        """The access link that is the home link now, if there is one."""
        self.datagrams = 0
        self.broken: set[IPv4Address] = set()
        """Care-of addresses whose tunnel carries nothing, though the path does."""
        self.to_lose: set[int] = set()
        """Numbers of datagrams, counted from 0, that get lost."""
        self.listeners: list[Callable[[Node, Datagram], None]] = []
        """Called with every datagram that is sent, and the node it is for."""

    def carry(self, sender: Node, packet: SendDatagram) -> None:
        """A datagram on its way."""
        if sender is self.mobile_node:
            assert packet.interface is not None
            if packet.destination == self.home_agent_address:
                self._travel(packet.interface, self.home_agent, "eth0", packet, sender)
            return
        link = self.addresses.get(packet.destination)
        if link is not None:
            self._travel(link, self.mobile_node, link, packet, sender)

    def _travel(
        self,
        link: str,
        receiver: Node,
        interface: str,
        packet: SendDatagram,
        sender: Node,
        link_source: str | None = None,
    ) -> None:
        datagram = Datagram(
            payload=packet.payload,
            source=packet.source,
            source_port=packet.source_port,
            destination=packet.destination,
            interface=interface,
            ttl=packet.ttl,
            link_source=link_source or sender.name,
        )
        for listen in self.listeners:
            listen(receiver, datagram)
        number = self.datagrams
        self.datagrams += 1
        for delay in [] if number in self.to_lose else self.links[link].arrivals(self.random):
            self.clock.at(
                self.clock.now + delay,
                lambda: receiver.perform(receiver.machine.receive(datagram, receiver.now)),
            )

    def carry_icmp(self, sender: Node, packet: SendIcmp) -> None:
        """Router discovery between the home agent and a mobile node on the home link."""
        link = self.home_link
        if link is None or (sender is self.mobile_node and packet.interface != link):
            return
        receiver = self.home_agent if sender is self.mobile_node else self.mobile_node
        interface = "home0" if receiver is self.home_agent else link
        for delay in self.links[link].arrivals(self.random):
            self.clock.at(
                self.clock.now + delay,
                lambda: receiver.perform(
                    receiver.machine.receive_icmp(
                        packet.payload, packet.source, interface, sender.name, receiver.now
                    )
                ),
            )

    def carry_probe(self, sender: Node, probe: SendProbe) -> None:
        """To the home agent's kernel, which answers what comes by a tunnel it has, and back the same way."""
        machine = sender.machine
        assert isinstance(machine, MobileNode)
        kind, code, _, *rest = struct.unpack("!BBHHH", probe.payload[:8])
        assert (kind, code) == (8, 0)
        reply = struct.pack("!BBHHH", 0, 0, 0, *rest) + probe.payload[8:]
        reply = reply[:2] + struct.pack("!H", -int.from_bytes(reply, "big") % 0xFFFF) + reply[4:]

        def arrive() -> None:
            sender.perform(
                machine.probe_answered(
                    reply, self.home_agent_address, probe.through, probe.interface, sender.now
                )
            )

        def turn() -> None:
            ways = (path.tunnel for path in self.home_agent.paths.get(probe.source, ()))
            ends = {way.remote for way in ways if isinstance(way, Tunnel)}
            if isinstance(probe.through, Tunnel) and probe.through.local not in ends - self.broken:
                return
            for delay in self.links[probe.interface].arrivals(self.random):
                self.clock.at(self.clock.now + delay, arrive)

        for delay in self.links[probe.interface].arrivals(self.random):
            self.clock.at(self.clock.now + delay, turn)
