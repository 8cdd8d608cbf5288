# SPDX-License-Identifier: GPL-2.0-or-later
"""A foreign agent between a hand-made mobile node, a hand-made home agent and a model of the kernel.

Messages are built and read with ``struct`` and ``hmac`` from the figures of the RFCs, not with the
project's own wire package. The kernel model checks the order of effects.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Hashable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random
from typing import Any

from agents.effects import (
    AccessLink,
    AddTunnel,
    Datagram,
    Effect,
    Encapsulation,
    Instant,
    Path,
    RemoveTunnel,
    Report,
    SendDatagram,
    SendIcmp,
    SetEncapsulatedReversePath,
    SetNeighbour,
    SetPaths,
    SetReversePath,
    StartTimer,
    StopTimer,
    Tunnel,
)
from agents.foreign_agent import ForeignAgent
from agents.foreign_agent_state import ForeignAgentState
from agents.settings import ForeignAgentSettings
from tests.unit.home_agent.home_agent_lab import (
    FOREIGN_HOME,
    HOME,
    HOME_AGENT,
    KEY,
    SPI,
    START,
    T,
    authentication,
    fixed_request,
    multiple,
    ntp,
)

MOBILE_FOREIGN = 33
WIFI_AGENT, LTE_AGENT = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1")
CARE_OF, OTHER_CARE_OF = IPv4Address("203.0.113.1"), IPv4Address("203.0.113.2")
CO_LOCATED = IPv4Address("198.51.100.77")
OTHER_HOME_AGENT = IPv4Address("10.9.0.1")
ALL_AGENTS = IPv4Address("224.0.0.11")
WIFI_LINK, LTE_LINK, STRANGER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:66"
LINKS = {"wifi": WIFI_LINK, "lte": LTE_LINK}
AGENTS = {"wifi": WIFI_AGENT, "lte": LTE_AGENT}
NODE_KEY, NODE_SPI = b"mobile-foreign key", 400
HOME_KEY, HOME_SPI = b"foreign-home key", 500
NODE_ENTRY = {"home_address": HOME, "security_association": [{"spi": NODE_SPI, "key": NODE_KEY}]}
HOME_ENTRY = {"address": HOME_AGENT, "security_association": [{"spi": HOME_SPI, "key": HOME_KEY}]}


def extension(kind: int, data: bytes = b"") -> bytes:
    """A simple extension, RFC 5944 §1.9."""
    return bytes([kind, len(data)]) + data


ENCAPSULATING = extension(130)
CRITICAL_VENDOR = struct.pack("!BBHIH", 38, 0, 6, 9999, 1)


@dataclass(frozen=True)
class Denial:
    """A reply that the foreign agent made itself, read by hand."""

    code: int
    lifetime: int
    home_agent: IPv4Address
    identification: int
    sent: SendDatagram


def read_denial(sent: SendDatagram, key: bytes | None = None) -> Denial:
    """Parse it; with ``key`` it must end in a Mobile-Foreign Authentication, else with the fixed part."""
    payload = sent.payload
    kind, code, lifetime, home_address, home_agent, identification = struct.unpack_from("!BBHIIQ", payload)
    assert kind == 3
    assert 64 <= code <= 127
    if home_address >> 24 not in (0, 127, *range(224, 256)):
        assert IPv4Address(home_address) == sent.destination
    assert payload == payload[:20] if key is None else payload == signed_for_node(payload[:20], key)
    assert len(payload) == (20 if key is None else 42)
    return Denial(code, lifetime, IPv4Address(home_agent), identification, sent)


def signed_for_node(octets: bytes, key: bytes = NODE_KEY) -> bytes:
    """With a Mobile-Foreign Authentication, RFC 5944 §3.5.3."""
    return authentication(octets, MOBILE_FOREIGN, key, NODE_SPI)


def signed_for_agent(octets: bytes, key: bytes = HOME_KEY) -> bytes:
    """With a Foreign-Home Authentication, RFC 5944 §3.5.4."""
    return authentication(octets, FOREIGN_HOME, key, HOME_SPI)


def reply_to(
    relayed: bytes,
    *,
    code: int = 0,
    lifetime: int | None = None,
    home_agent: IPv4Address | None = None,
    before: bytes = b"",
    after: bytes = b"",
    sign: bool = True,
) -> bytes:
    """A home agent's reply to a relayed request, RFC 5944 §3.4."""
    asked, home, agent, identification = struct.unpack_from("!2xHII4xQ", relayed)
    octets = struct.pack(
        "!BBHIIQ",
        3,
        code,
        asked if lifetime is None else lifetime,
        home,
        agent if home_agent is None else int(home_agent),
        identification,
    )
    return (authentication(octets + before) if sign else octets + before) + after


@dataclass
class Kernel:
    """What the effects made; every effect must make sense when its turn comes."""

    tunnels: dict[Tunnel, str] = field(default_factory=dict)
    paths: dict[IPv4Address, tuple[Path, ...]] = field(default_factory=dict)
    neighbours: dict[tuple[IPv4Address, str], str] = field(default_factory=dict)
    reverse: dict[tuple[IPv4Address, str], Tunnel] = field(default_factory=dict)
    delivered: dict[tuple[IPv4Address, str], tuple[Tunnel, Encapsulation, IPv4Address]] = field(
        default_factory=dict
    )
    timers: dict[Hashable, float] = field(default_factory=dict)

    def apply(self, effects: list[Effect], now: float) -> None:
        for effect in effects:
            self._apply(effect, now)
        for home_address, paths in self.paths.items():
            links = {path.tunnel for path in paths}
            assert len(links) == len(paths)
            for link in links:
                assert isinstance(link, AccessLink)
                assert link.gateway == home_address
                assert (home_address, link.interface) in self.neighbours
        assert {address for address, _ in self.neighbours} == self.paths.keys()
        assert not self.reverse.keys() & self.delivered.keys()

    def _apply(self, effect: Effect, now: float) -> None:
        match effect:
            case AddTunnel(tunnel, name):
                assert tunnel not in self.tunnels
                assert len(name) <= 40
                self.tunnels[tunnel] = name
            case RemoveTunnel(tunnel):
                assert tunnel not in self.reverse.values()
                assert tunnel not in [path[0] for path in self.delivered.values()]
                del self.tunnels[tunnel]
            case SetPaths(home_address, paths):
                assert paths != self.paths.get(home_address, ()), "unchanged paths set again"
                assert all((home_address, p.tunnel.interface) in self.neighbours for p in paths)
                self.paths[home_address] = paths
                if not paths:
                    del self.paths[home_address]
            case SetNeighbour(address, interface, None):
                del self.neighbours[address, interface]
            case SetNeighbour(address, interface, str(link_address)):
                assert self.neighbours.get((address, interface)) != link_address
                self.neighbours[address, interface] = link_address
            case SetReversePath(address, interface, None):
                del self.reverse[address, interface]
            case SetReversePath(address, interface, Tunnel() as tunnel):
                assert tunnel in self.tunnels
                assert self.reverse.get((address, interface)) != tunnel
                self.reverse[address, interface] = tunnel
            case SetEncapsulatedReversePath(address, interface, agent, encapsulation, None):
                assert self.delivered.pop((address, interface))[1:] == (encapsulation, agent)
            case SetEncapsulatedReversePath(address, interface, agent, encapsulation, Tunnel() as tunnel):
                assert tunnel in self.tunnels
                self.delivered[address, interface] = (tunnel, encapsulation, agent)
            case StartTimer(key, at):
                assert at > now
                self.timers[key] = at
            case StopTimer(key):
                self.timers.pop(key, None)
            case SendDatagram() | SendIcmp() | Report():
                pass
            case _:
                raise AssertionError(f"a foreign agent has no business with {effect}")

    @property
    def empty(self) -> bool:
        """Nothing of any visitor is left."""
        return not (self.tunnels or self.paths or self.neighbours or self.reverse or self.delivered)


def settings(**changes: Any) -> ForeignAgentSettings:
    """Two visitor links and two care-of addresses; no advertisements."""
    values: dict[str, Any] = {
        "interface": [
            {"name": "wifi", "address": WIFI_AGENT, "advertise": False},
            {"name": "lte", "address": LTE_AGENT, "advertise": False},
        ],
        "care_of_addresses": [CARE_OF, OTHER_CARE_OF],
        "uplink": "eth0",
    }
    return ForeignAgentSettings.model_validate({**values, **changes})


class Lab:
    """A running foreign agent, a clock and the kernel model."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.settings = settings(**changes)
        self.agent = ForeignAgent(self.settings, Random(1))
        self.kernel = Kernel()
        self.now = START
        self.effects: list[Effect] = []
        self._identification = 0
        self._requests = 0
        self.apply(self.agent.start(self.now))

    def apply(self, effects: list[Effect]) -> list[Effect]:
        self.kernel.apply(effects, self.now.monotonic)
        self.effects = effects
        return effects

    def restart(self, away: float = 0.0, **changes: Any) -> None:
        """Kill the agent; ``away`` seconds later a new one, with an empty kernel, takes its state up."""
        octets = self.agent.snapshot(self.now).model_dump_json()
        # The monotonic clock of another boot has nothing to do with ours.
        self.now = Instant(self.now.monotonic * 7 + 13, self.now.unix + away)
        self.settings = settings(**{**self.changes, **changes})
        self.agent = ForeignAgent(self.settings, Random(2))
        self.kernel = Kernel()
        effects = self.agent.restore(ForeignAgentState.model_validate_json(octets), self.now)
        self.apply([*effects, *self.agent.start(self.now)])

    def wait(self, seconds: float) -> list[SendDatagram]:
        """Let time pass; timers that are due run at their time. What was sent meanwhile."""
        end = self.now.monotonic + seconds
        sent: list[SendDatagram] = []
        while due := sorted((at, repr(key), key) for key, at in self.kernel.timers.items() if at <= end):
            at, _, key = due[0]
            self._set_time(max(at, self.now.monotonic))
            del self.kernel.timers[key]
            sent += [e for e in self.apply(self.agent.timer(key, self.now)) if isinstance(e, SendDatagram)]
        self._set_time(end)
        return sent

    def _set_time(self, monotonic: float) -> None:
        self.now = Instant(monotonic, self.now.unix + monotonic - self.now.monotonic)

    def identification(self) -> int:
        """A fresh timestamp, greater than any before, with low bits of its own."""
        self._requests += 1
        self._identification = max(ntp(self.now.unix), self._identification) + self._requests
        return self._identification

    def request(self, before: bytes = b"", after: bytes = b"", **fields: Any) -> bytes:
        """A request that the home agent would accept; extensions before and after its authentication."""
        defaults = {"flags": T, "care_of_address": CARE_OF, "identification": self.identification()}
        fields = {**defaults, **fields}
        return authentication(fixed_request(**fields) + before) + after

    def send(
        self,
        payload: bytes,
        interface: str = "wifi",
        link: str | None = "",
        source: IPv4Address = HOME,
        source_port: int = 5434,
        destination: IPv4Address | None = None,
        ttl: int = 255,
    ) -> SendDatagram | None:
        """The mobile node sends; what the agent sends then."""
        datagram = Datagram(
            payload,
            source,
            source_port,
            AGENTS.get(interface, WIFI_AGENT) if destination is None else destination,
            interface,
            ttl,
            LINKS.get(interface) if link == "" else link,
        )
        return self._single(self.apply(self.agent.receive(datagram, self.now)))

    def answer(self, payload: bytes, interface: str = "eth0") -> SendDatagram | None:
        """The home agent sends; what the agent sends then."""
        datagram = Datagram(payload, HOME_AGENT, 434, CARE_OF, interface)
        return self._single(self.apply(self.agent.receive(datagram, self.now)))

    @staticmethod
    def _single(effects: list[Effect]) -> SendDatagram | None:
        sent = [effect for effect in effects if isinstance(effect, SendDatagram)]
        assert len(sent) <= 1
        return sent[0] if sent else None

    def relay(self, payload: bytes, **where: Any) -> SendDatagram:
        """A request that must be relayed."""
        sent = self.send(payload, **where)
        assert sent is not None
        assert sent.payload[0] == 1
        return sent

    def deny(self, payload: bytes, key: bytes | None = None, **where: Any) -> Denial:
        """A request that must be denied, and change nothing."""
        before = self.snapshot()
        sent = self.send(payload, **where)
        assert sent is not None
        assert self.snapshot() == before
        denial = read_denial(sent, key)
        assert self.reports("request-denied")[0]["code"] == denial.code
        identification = struct.unpack_from("!Q", payload, 16)[0]
        assert denial.identification == identification
        return denial

    def discard(self, payload: bytes, **where: Any) -> str:
        """A message that must get no answer and change nothing; why."""
        before = self.snapshot()
        assert self.send(payload, **where) is None
        assert self.snapshot() == before
        assert len(self.effects) == 1
        return str(self.reports("message-discarded")[0]["reason"])

    def register(
        self,
        binding_id: int | None = 1,
        interface: str = "wifi",
        *,
        link: str = "",
        granted: int | None = None,
        code: int = 0,
        after: bytes = b"",
        reply_after: bytes = b"",
        kbytes: int = 6250,
        overwrite: bool = False,
        bulk: bool = False,
        **fields: Any,
    ) -> SendDatagram:
        """A request and its reply; the datagram to the mobile node."""
        extensions = b""
        if binding_id is not None:
            extensions = multiple(binding_id, kbytes=kbytes, overwrite=overwrite, bulk=bulk)
        relayed = self.relay(self.request(extensions, after, **fields), interface=interface, link=link)
        octets = reply_to(relayed.payload, code=code, lifetime=granted, after=reply_after)
        back = self.answer(octets)
        assert back is not None
        return back

    def status(self) -> dict[str, Any]:
        return self.agent.status(self.now)

    def rows(self) -> dict[int | None, dict[str, Any]]:
        """The current entries of HOME by Binding-Id."""
        rows = self.status()["visitors"]
        return {row["binding_id"]: row for row in rows if row["home_address"] == str(HOME)}

    def pending(self) -> list[dict[str, Any]]:
        rows = self.status()["pending"]
        assert isinstance(rows, list)
        return rows

    def snapshot(self) -> tuple[object, ...]:
        """All that a message which is refused must leave as it is."""
        return self.status()["visitors"], self.pending(), repr(self.kernel)

    def reports(self, event: str) -> list[dict[str, Any]]:
        """Fields of the reports in the last effects."""
        return [dict(e.fields) for e in self.effects if isinstance(e, Report) and e.event == event]

    def weights(self, home_address: IPv4Address = HOME) -> dict[str, float]:
        """Weight of the paths by interface."""
        return {p.tunnel.interface or "": p.weight for p in self.kernel.paths.get(home_address, ())}


def plain_tunnel(
    encapsulation: Encapsulation = Encapsulation.IPIP, local: IPv4Address = CARE_OF, key: int | None = None
) -> Tunnel:
    """The tunnel to the home agent."""
    return Tunnel(encapsulation, local, HOME_AGENT, key=key)


def extensions_after(payload: bytes, start: int) -> list[tuple[int, bytes]]:
    """Short extensions from an offset to the end."""
    found = []
    while start < len(payload):
        kind, length = payload[start], payload[start + 1]
        found.append((kind, payload[start + 2 : start + 2 + length]))
        start += 2 + length
    assert start == len(payload)
    return found


def authentic(payload: bytes, key: bytes) -> bool:
    """Whether the last extension is an authentication with HMAC-MD5 over all before it."""
    return hmac.digest(key, payload[:-16], "md5") == payload[-16:]


__all__ = ["HOME", "HOME_AGENT", "KEY", "SPI", "T"]
