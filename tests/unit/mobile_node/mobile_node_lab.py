# SPDX-License-Identifier: GPL-2.0-or-later
"""A mobile node between hand-made agents and a model of its shell.

Requests are read and replies built with ``struct`` and ``hmac`` straight from the figures of the
RFCs, not with the project's own wire package.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from random import Random
from typing import Any

from agents.effects import (
    AddTunnel,
    Datagram,
    Effect,
    Encapsulation,
    GratuitousArp,
    Instant,
    InterfaceState,
    Path,
    ReceiveBroadcasts,
    RemoveTunnel,
    Report,
    SendDatagram,
    SendIcmp,
    SendProbe,
    SetNeighbour,
    SetPaths,
    StartTimer,
    StopTimer,
    Tunnel,
)
from agents.mobile_node import MobileNode
from agents.mobile_node_liveness import PROBES
from agents.settings import MobileNodeSettings

S, B, D, M, G, T = 0x80, 0x40, 0x20, 0x10, 0x08, 0x02
KEY, SPI = bytes(range(16)), 256
AGENT_KEY, AGENT_SPI = b"foreign agent key", 700
HOME = IPv4Address("10.0.0.5")
HOME_AGENT = IPv4Address("10.0.0.1")
FOREIGN_AGENT = IPv4Address("192.0.2.1")
FOREIGN_CARE_OF = IPv4Address("198.51.100.7")
OTHER_AGENT = IPv4Address("192.0.2.2")
OTHER_CARE_OF = IPv4Address("198.51.100.8")
WIFI, EVDO, LTE = (IPv4Address(f"192.0.{n}.10") for n in (2, 3, 4))
ADDRESSES = {"wifi": WIFI, "evdo": EVDO, "lte": LTE}
DOWN = InterfaceState(up=False)
UNIX = 1_265_675_966.25
TYPE = 127
"""Of the Multiple Tunnel Request."""


_TUNNEL_DATA = b"\x04"


def up(*addresses: IPv4Address | str) -> InterfaceState:
    """An interface with carrier and these addresses."""
    return InterfaceState(True, tuple(IPv4Interface(f"{address}/24") for address in addresses), "02::1")


@dataclass(frozen=True)
class Request:
    """A Registration Request as it stood on the wire."""

    packet: SendDatagram
    time: float
    flags: int
    lifetime: int
    home_address: IPv4Address
    home_agent: IPv4Address
    care_of_address: IPv4Address
    identification: int
    extensions: tuple[tuple[int, bytes], ...]

    @property
    def types(self) -> list[int]:
        """Extension types in order."""
        return [kind for kind, _ in self.extensions]

    def extension(self, kind: int) -> bytes | None:
        """Data of the first extension of a type."""
        return next((data for type_, data in self.extensions if type_ == kind), None)

    @property
    def binding_id(self) -> int | None:
        """BID of the Multiple Tunnel Request."""
        data = self.extension(TYPE)
        return None if data is None else struct.unpack_from("!H", data, 2)[0]

    @property
    def bulk(self) -> bool:
        """B flag."""
        data = self.extension(TYPE)
        return data is not None and bool(data[4] & 0x80)

    @property
    def overwrite(self) -> bool:
        """O flag."""
        data = self.extension(TYPE)
        return data is not None and bool(data[4] & 0x40)


def read(packet: SendDatagram, time: float) -> Request:
    """Parse a request and check its Mobile-Home Authentication."""
    payload = packet.payload
    kind, flags, lifetime, home, agent, care_of, identification = struct.unpack_from("!BBHIIIQ", payload)
    assert kind == 1
    extensions = []
    offset = 24
    while offset < len(payload):
        kind, length = payload[offset], payload[offset + 1]
        start = offset + 2
        if kind == 48:  # the long format: Sub-Type, then a Length of 16 bits
            start, length = offset + 4, struct.unpack_from("!H", payload, offset + 2)[0]
        extensions.append((kind, payload[start : start + length]))
        if kind == 32:
            assert payload[start : start + 4] == struct.pack("!I", SPI)
            assert payload[start + 4 : start + length] == hmac.digest(KEY, payload[: start + 4], "md5")
        offset = start + length
    assert offset == len(payload)
    return Request(
        packet,
        time,
        flags,
        lifetime,
        IPv4Address(home),
        IPv4Address(agent),
        IPv4Address(care_of),
        identification,
        tuple(extensions),
    )


def authentication(message: bytes, kind: int = 32, spi: int = SPI, key: bytes = KEY) -> bytes:
    """An authentication extension for what precedes it."""
    head = struct.pack("!BBI", kind, 20, spi)
    return head + hmac.digest(key, message + head, "md5")


def keyed_md5(message: bytes, spi: int = SPI, key: bytes = KEY) -> bytes:
    """The same with the prefix+suffix mode of old."""
    head = struct.pack("!BBI", 32, 20, spi)
    return head + hashlib.md5(key + message + head + key).digest()


def reply_to(
    request: Request,
    code: int = 0,
    lifetime: int | None = None,
    extensions: bytes = b"",
    after: bytes = b"",
    authenticated: bool = True,
    identification: int | None = None,
    foreign_key: bytes | None = None,
) -> bytes:
    """A Registration Reply; ``after`` follows the Mobile-Home Authentication."""
    message = struct.pack(
        "!BBHIIQ",
        3,
        code,
        request.lifetime if lifetime is None else lifetime,
        int(HOME),
        int(HOME_AGENT),
        request.identification if identification is None else identification,
    )
    message += extensions
    if authenticated:
        message += authentication(message)
    message += after
    if foreign_key is not None:
        message += authentication(message, 33, AGENT_SPI, foreign_key)
    return message


def checksum(message: bytes) -> bytes:
    """ICMP message with its checksum (RFC 1071), summed word by word."""
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack("!H", total ^ 0xFFFF) + message[4:]


R_BIT, BUSY, H_BIT, F_BIT, M_BIT, G_BIT, T_BIT = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0400, 0x0100


def advertisement(
    sequence: int = 1,
    flags: int = F_BIT | T_BIT,
    care_of: Iterable[IPv4Address] = (FOREIGN_CARE_OF,),
    lifetime: int = 9,
    registration_lifetime: int = 600,
    router: IPv4Address | None = None,
    prefix: int | None = None,
) -> bytes:
    """An Agent Advertisement (RFC 5944 §2.1)."""
    routers = b"" if router is None else struct.pack("!Ii", int(router), 0)
    message = struct.pack("!BBHBBH", 9, 16, 0, len(routers) // 8, 2, lifetime) + routers
    addresses = b"".join(address.packed for address in care_of)
    message += struct.pack("!BBHHH", 16, 6 + len(addresses), sequence, registration_lifetime, flags)
    message += addresses
    if prefix is not None:
        message += bytes([19, 1, prefix])
    return checksum(message + b"\0" * (len(message) % 2))


def interface(name: str, binding_id: int, **more: Any) -> dict[str, Any]:
    """Settings of one interface."""
    return {"name": name, "binding_id": binding_id, "priority": 10 * binding_id} | more


@dataclass
class Lab:
    """The mobile node, its clock and its shell; every effect is checked."""

    settings: MobileNodeSettings
    machine: MobileNode
    time: float = 1000.0
    unix_offset: float = UNIX - 1000.0
    timers: dict[object, float] = field(default_factory=dict)
    tunnels: set[Tunnel] = field(default_factory=set)
    paths: tuple[Path, ...] = ()
    neighbours: dict[tuple[IPv4Address, str], str] = field(default_factory=dict)
    sent: list[Request] = field(default_factory=list)
    solicited: list[tuple[float, SendIcmp]] = field(default_factory=list)
    tunnelled: list[tuple[float, SendDatagram]] = field(default_factory=list)
    """Keepalives."""
    probes: list[SendProbe] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    broadcasts: list[ReceiveBroadcasts] = field(default_factory=list)

    @property
    def now(self) -> Instant:
        """Both clocks."""
        return Instant(self.time, self.time + self.unix_offset)

    def do(self, effects: list[Effect]) -> list[Effect]:
        """Carry out effects."""
        self.effects = effects
        for effect in effects:
            match effect:
                case SendDatagram(payload) if payload[:1] == _TUNNEL_DATA:
                    self.tunnelled.append((self.time, effect))
                case SendDatagram():
                    self.sent.append(read(effect, self.time))
                case SendIcmp():
                    self.solicited.append((self.time, effect))
                case SendProbe():
                    self.probes.append(effect)
                case StartTimer(key, at):
                    assert at > self.time
                    self.timers[key] = at
                case StopTimer(key):
                    del self.timers[key]
                case AddTunnel(tunnel):
                    assert tunnel not in self.tunnels
                    self.tunnels.add(tunnel)
                case RemoveTunnel(tunnel):
                    self.tunnels.remove(tunnel)
                    assert all(path.tunnel != tunnel for path in self.paths)
                case SetPaths(home_address, paths):
                    assert home_address == HOME
                    assert paths != self.paths
                    assert all(p.tunnel in self.tunnels for p in paths if isinstance(p.tunnel, Tunnel))
                    self.paths = paths
                case SetNeighbour(address, name, link_address):
                    if link_address is None:
                        del self.neighbours[address, name]
                    else:
                        self.neighbours[address, name] = link_address
                case ReceiveBroadcasts():
                    self.broadcasts.append(effect)
                case GratuitousArp():
                    pass
                case Report():
                    self.reports.append(effect)
                case _:
                    raise AssertionError(effect)
        return effects

    def start(self, *names: str) -> None:
        """Start with these interfaces up."""
        known = [i.name for i in self.settings.interface]
        self.do(
            self.machine.start(
                {name: up(ADDRESSES[name]) if name in names else DOWN for name in known}, self.now
            )
        )

    def change(self, name: str, state: InterfaceState) -> None:
        """An interface changes."""
        self.do(self.machine.interface_changed(name, state, self.now))

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.time + seconds
        while self.timers and min(self.timers.values()) <= end:
            key = min(self.timers, key=lambda k: self.timers[k])
            self.time = self.timers.pop(key)
            if key == PROBES:
                self.do(self.machine.probe({}, self.now))  # nothing but the answers arrives
            else:
                self.do(self.machine.timer(key, self.now))
        self.time = end

    def take(self) -> Request:
        """The one request sent since the last look."""
        assert len(self.sent) == 1, [(r.packet.interface, r.lifetime) for r in self.sent]
        return self.sent.pop()

    def wait(self, limit: float = 1000.0) -> Request:
        """The next request, whenever it comes."""
        end = self.time + limit
        while not self.sent:
            assert self.timers
            assert min(self.timers.values()) <= end, "no request"
            self.advance(min(self.timers.values()) - self.time)
        return self.take()

    def deliver(self, payload: bytes, name: str, source: IPv4Address = HOME_AGENT) -> None:
        """A datagram reaches the mobile node."""
        self.do(self.machine.receive(Datagram(payload, source, 434, HOME, name), self.now))

    def answer(self, request: Request, **how: Any) -> None:
        """The agent that was asked answers."""
        assert request.packet.interface is not None
        self.deliver(reply_to(request, **how), request.packet.interface, request.packet.destination)

    def accept_all(self, limit: float = 3.0) -> list[Request]:
        """Answer every request with code 0 after 20 ms until none comes for a while."""
        accepted = []
        end = self.time + limit
        while self.time < end:
            self.advance(0.02)
            waiting, self.sent = self.sent, []
            for request in waiting:
                accepted.append(request)
                self.answer(request)
        return accepted

    def hear(
        self,
        payload: bytes,
        name: str = "wifi",
        source: IPv4Address = FOREIGN_AGENT,
        link: str | None = "02::fa",
    ) -> None:
        """An ICMP message arrives."""
        self.do(self.machine.receive_icmp(payload, source, name, link, self.now))

    def row(self, name: str) -> dict[str, Any]:
        """Status of one interface."""
        rows = self.machine.status(self.now)["bindings"]
        assert isinstance(rows, list)
        return next(row for row in rows if row["interface"] == name)

    def states(self) -> dict[str, str]:
        """State word of every interface."""
        return {i.name: self.row(i.name)["state"] for i in self.settings.interface}

    def events(self, word: str) -> list[Report]:
        """Reports of one kind."""
        return [report for report in self.reports if report.event == word]

    def discards(self) -> list[object]:
        """Why messages were discarded."""
        return [report.fields["reason"] for report in self.events("message-discarded")]


def lab(*interfaces: dict[str, Any], seed: int = 1, **settings: Any) -> Lab:
    """A mobile node; by default with wifi, evdo and lte, all co-located."""
    chosen = interfaces or (interface("wifi", 1), interface("evdo", 2), interface("lte", 3))
    model = MobileNodeSettings.model_validate(
        {
            "home_address": HOME,
            "home_agent": HOME_AGENT,
            "security_association": [{"spi": SPI, "key": KEY.hex()}],
            "interface": chosen,
            # Ten probes a second would drown what these tests look at; those of probes turn it on.
            "liveness": {"enabled": False},
        }
        | settings
    )
    return Lab(model, MobileNode(model, Random(seed)))


def registered(**settings: Any) -> Lab:
    """Three interfaces, all registered."""
    node = lab(**settings)
    node.start("wifi", "evdo", "lte")
    node.accept_all()
    assert node.machine.registered
    return node


def tunnel(address: IPv4Address, name: str) -> Tunnel:
    """An IP-in-IP tunnel of the node."""
    return Tunnel(Encapsulation.IPIP, address, HOME_AGENT, interface=name)


def visitor(**settings: Any) -> Lab:
    """Wifi by foreign agent, evdo co-located."""
    return lab(interface("wifi", 1, care_of="foreign-agent"), interface("evdo", 2), **settings)


def visiting(**settings: Any) -> Lab:
    """Both registered."""
    node = visitor(**settings)
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO)}, node.now))
    node.hear(advertisement())
    node.accept_all()
    assert node.machine.registered
    return node


def keep_hearing(node: Lab, seconds: float, payload: bytes | None = None) -> None:
    """An advertisement every 3 s, requests accepted."""
    for _ in range(int(seconds / 3)):
        node.hear(payload or advertisement())
        node.accept_all(limit=3)
