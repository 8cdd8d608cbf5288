# SPDX-License-Identifier: GPL-2.0-or-later
"""A home agent between a hand-made mobile node and a model of the kernel.

Requests and replies are built and read with ``struct`` and ``hmac`` straight from the figures of
the RFCs, not with the project's own wire package. The kernel model checks the order of effects.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random
from typing import Any

from agents.effects import (
    AddTunnel,
    Datagram,
    Effect,
    ForwardBroadcasts,
    Instant,
    Path,
    RemoveTunnel,
    Report,
    SendDatagram,
    SendIcmp,
    SetPaths,
    StartInterception,
    StartTimer,
    StopInterception,
    StopTimer,
    Tunnel,
)
from agents.home_agent import HomeAgent
from agents.home_agent_state import HomeAgentState
from agents.settings import HomeAgentSettings

S, B, D, M, G, R_IGNORED, T, X_IGNORED = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01

KEY = bytes(range(16))
SPI = 256
AGENT_KEY = b"foreign agent key"
AGENT_SPI = 700
HOME_AGENT = IPv4Address("10.0.0.1")
HOME = IPv4Address("10.0.0.5")
OTHER_HOME = IPv4Address("10.0.0.6")
FOREIGN_AGENT = IPv4Address("192.0.2.254")
NAT = IPv4Address("203.0.113.7")
WIFI = IPv4Address("192.0.2.10")
EVDO = IPv4Address("198.51.100.20")
LTE = IPv4Address("198.51.100.99")
START = Instant(1000.0, 1_265_675_966.25)

MOBILE_HOME, FOREIGN_HOME = 32, 34


def ntp(unix: float) -> int:
    """64-bit NTP timestamp, by hand."""
    return int((unix + 2_208_988_800) * 2**32) % 2**64


def multiple(
    binding_id: int,
    *,
    bulk: bool = False,
    overwrite: bool = False,
    kbytes: int = 6250,
    if_type: int = 4,
    sub_type: int = 0,
    length: int = 10,
    type: int = 127,
) -> bytes:
    """Multiple Tunnel Request, draft Figure 2; other lengths cut or stretch it."""
    data = struct.pack("!BBHHI", sub_type, if_type, binding_id, bulk << 15 | overwrite << 14, kbytes)
    if length == 8:
        data = data[:6] + struct.pack("!H", kbytes)
    return bytes([type, length]) + data.ljust(length, b"\0")[:length]


def udp_request(
    *, force: bool = False, required: bool = False, encapsulation: int = 0, reserved3: int = 0
) -> bytes:
    """UDP Tunnel Request, RFC 3519 §3.1."""
    return struct.pack("!BBBBBBH", 144, 6, 0, 0, force << 7 | required << 6, encapsulation, reserved3)


def gre_key(key: int) -> bytes:
    """GRE Key Extension, RFC 6245 §5."""
    return struct.pack("!BBHI", 48, 0, 4, key)


def authentication(
    message: bytes, kind: int = MOBILE_HOME, key: bytes = KEY, spi: int = SPI, digest: str = "md5"
) -> bytes:
    """The message with an authentication extension, RFC 5944 §3.5."""
    size = {"md5": 16, "sha256": 32}[digest]
    protected = message + struct.pack("!BBI", kind, 4 + size, spi)
    return protected + hmac.digest(key, protected, digest)


def fixed_request(
    *,
    identification: int,
    flags: int = D | T,
    lifetime: int = 600,
    home_address: IPv4Address = HOME,
    home_agent: IPv4Address = HOME_AGENT,
    care_of_address: IPv4Address = WIFI,
) -> bytes:
    """Registration Request without extensions, RFC 5944 §3.3."""
    addresses = home_address.packed + home_agent.packed + care_of_address.packed
    return struct.pack("!BBH", 1, flags, lifetime) + addresses + struct.pack("!Q", identification)


@dataclass(frozen=True)
class Reply:
    """A Registration Reply, read by hand."""

    code: int
    lifetime: int
    home_address: IPv4Address
    home_agent: IPv4Address
    identification: int
    extensions: list[tuple[int, bytes]]
    sent: SendDatagram

    @property
    def types(self) -> list[int]:
        return [kind for kind, _ in self.extensions]


def read_reply(sent: SendDatagram, key: bytes = KEY, digest: str = "md5") -> Reply:
    """Parse a reply and check every authenticator in it."""
    payload = sent.payload
    kind, code, lifetime, home_address, home_agent, identification = struct.unpack_from("!BBHIIQ", payload)
    assert kind == 3
    extensions, offset = [], 20
    while offset < len(payload):
        kind = payload[offset]
        header = 4 if kind == 48 else 2
        length = int.from_bytes(payload[offset + header - 2 : offset + header], "big")
        length = payload[offset + 1] if header == 2 else length
        data = payload[offset + header : offset + header + length]
        if kind in (MOBILE_HOME, FOREIGN_HOME):
            secret, name = (key, digest) if kind == MOBILE_HOME else (AGENT_KEY, "md5")
            expected = hmac.digest(secret, payload[: offset + 6], name)
            assert data[4:] == expected, f"authenticator of extension {kind}"
        extensions.append((kind, data))
        offset += header + length
    assert sum(kind == MOBILE_HOME for kind, _ in extensions) == 1
    return Reply(
        code, lifetime, IPv4Address(home_address), IPv4Address(home_agent), identification, extensions, sent
    )


@dataclass
class Kernel:
    """What the effects made; every effect must make sense when its turn comes."""

    tunnels: dict[Tunnel, str] = field(default_factory=dict)
    paths: dict[IPv4Address, tuple[Path, ...]] = field(default_factory=dict)
    intercepted: set[IPv4Address] = field(default_factory=set)
    broadcasts: dict[IPv4Address, tuple[Tunnel, bool]] = field(default_factory=dict)
    timers: dict[Hashable, float] = field(default_factory=dict)

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case AddTunnel(tunnel, name):
                    assert tunnel not in self.tunnels
                    assert len(name) <= 40
                    self.tunnels[tunnel] = name
                case ForwardBroadcasts(home_address, None):
                    del self.broadcasts[home_address]
                case ForwardBroadcasts(home_address, Tunnel() as tunnel, nested):
                    assert tunnel in self.tunnels
                    assert self.broadcasts.get(home_address) != (tunnel, nested)
                    self.broadcasts[home_address] = tunnel, nested
                case RemoveTunnel(tunnel):
                    assert tunnel not in [copy[0] for copy in self.broadcasts.values()]
                    assert all(path.tunnel != tunnel for paths in self.paths.values() for path in paths)
                    del self.tunnels[tunnel]
                case SetPaths(home_address, paths):
                    assert paths != self.paths.get(home_address, ()), "unchanged paths set again"
                    assert len({path.tunnel for path in paths}) == len(paths)
                    assert all(path.tunnel in self.tunnels and path.weight > 0 for path in paths)
                    self.paths[home_address] = paths
                    if not paths:
                        del self.paths[home_address]
                case StartInterception(home_address):
                    assert home_address not in self.intercepted
                    self.intercepted.add(home_address)
                case StopInterception(home_address, link_address):
                    assert home_address in self.intercepted or link_address is not None
                    self.intercepted.discard(home_address)
                case StartTimer(key, at):
                    self.timers[key] = at
                case StopTimer(key):
                    self.timers.pop(key, None)
                case SendDatagram() | SendIcmp() | Report():
                    pass
                case _:
                    raise AssertionError(f"a home agent has no business with {effect}")
        changed = [effect.home_address for effect in effects if isinstance(effect, SetPaths)]
        assert len(changed) == len(set(changed)), "paths set twice in one go"
        used = {path.tunnel for paths in self.paths.values() for path in paths}
        assert used == self.tunnels.keys(), "a tunnel without use, or a use without tunnel"


def settings(**changes: Any) -> HomeAgentSettings:
    """Two mobile nodes, one with the key of the test vectors; no advertisements."""
    values: dict[str, Any] = {
        "address": HOME_AGENT,
        "home_link": "eth0",
        "advertise": False,
        "mobile_node": [
            {"home_address": HOME, "security_association": [{"spi": SPI, "key": KEY}]},
            {"home_address": OTHER_HOME, "security_association": [{"spi": SPI, "key": KEY}]},
        ],
    }
    return HomeAgentSettings.model_validate({**values, **changes})


AGENT_ENTRY = {"address": FOREIGN_AGENT, "security_association": [{"spi": AGENT_SPI, "key": AGENT_KEY}]}


class Lab:
    """A running home agent, a clock and the kernel model."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.agent = HomeAgent(settings(**changes), Random(1))
        self.kernel = Kernel()
        self.now = START
        self.effects: list[Effect] = []
        self._identification = 0
        self.apply(self.agent.start(self.now))

    def apply(self, effects: list[Effect]) -> list[Effect]:
        self.kernel.apply(effects)
        self.effects = effects
        return effects

    def restart(self, away: float = 0.0, clock_step: float = 0.0, boot: bool = True, **changes: Any) -> None:
        """Kill the agent; a new one, with an empty kernel, takes up what it has kept.

        :param away: seconds until then.
        :param clock_step: seconds by which the clock was set forward meanwhile.
        :param boot: the machine has booted too: its monotonic clock has nothing to do with the former one.
        """
        octets = self.agent.snapshot(self.now).model_dump_json()
        monotonic = self.now.monotonic * 7 + 13 if boot else self.now.monotonic + away
        self.now = Instant(monotonic, self.now.unix + away + clock_step)
        self.agent = HomeAgent(settings(**{**self.changes, **changes}), Random(2))
        self.kernel = Kernel()
        effects = self.agent.restore(HomeAgentState.model_validate_json(octets), self.now)
        self.apply([*effects, *self.agent.start(self.now)])

    def wait(self, seconds: float) -> None:
        """Let time pass; timers that are due run at their time, in order."""
        end = self.now.monotonic + seconds
        while due := sorted((at, repr(key), key) for key, at in self.kernel.timers.items() if at <= end):
            at, _, key = due[0]
            self._set_time(max(at, self.now.monotonic))
            del self.kernel.timers[key]
            self.apply(self.agent.timer(key, self.now))
        self._set_time(end)

    def _set_time(self, monotonic: float) -> None:
        self.now = Instant(monotonic, self.now.unix + monotonic - self.now.monotonic)

    def identification(self) -> int:
        """A fresh timestamp, greater than any before."""
        self._identification = max(ntp(self.now.unix), self._identification + 1)
        return self._identification

    def request(self, before: bytes = b"", after: bytes = b"", key: bytes = KEY, **fields: Any) -> bytes:
        """A signed request; ``before`` and ``after`` are extensions around the authentication."""
        fields.setdefault("identification", self.identification())
        return authentication(fixed_request(**fields) + before, key=key) + after

    def send(
        self,
        payload: bytes,
        source: IPv4Address = WIFI,
        source_port: int = 434,
        destination: IPv4Address = HOME_AGENT,
        interface: str = "eth1",
        link_source: str | None = None,
    ) -> Reply | None:
        """Give the agent a datagram; its effects are applied, the reply is checked and returned."""
        datagram = Datagram(
            payload, source, source_port, destination, interface, ttl=255, link_source=link_source
        )
        effects = self.apply(self.agent.receive(datagram, self.now))
        sent = [effect for effect in effects if isinstance(effect, SendDatagram)]
        assert len(sent) <= 1
        return read_reply(sent[0]) if sent else None

    def register(
        self,
        binding_id: int | None = 1,
        care_of_address: IPv4Address = WIFI,
        *,
        source: IPv4Address | None = None,
        source_port: int = 434,
        bulk: bool = False,
        overwrite: bool = False,
        kbytes: int = 6250,
        more: bytes = b"",
        **fields: Any,
    ) -> Reply:
        """One request from the care-of address, answered."""
        extension = b""
        if binding_id is not None:
            extension = multiple(binding_id, bulk=bulk, overwrite=overwrite, kbytes=kbytes)
        payload = self.request(extension + more, care_of_address=care_of_address, **fields)
        reply = self.send(payload, source or care_of_address, source_port)
        assert reply is not None
        return reply

    def deregister(
        self, binding_id: int | None = 1, care_of_address: IPv4Address = WIFI, **more: Any
    ) -> Reply:
        return self.register(binding_id, care_of_address, lifetime=0, **more)

    def status(self) -> dict[str, Any]:
        return self.agent.status(self.now)

    def rows(self) -> dict[int | None, dict[str, Any]]:
        """The bindings of HOME by Binding-Id."""
        rows = self.status()["bindings"]
        return {row["binding_id"]: row for row in rows if row["home_address"] == str(HOME)}

    def reports(self, event: str) -> list[dict[str, Any]]:
        """Fields of the reports in the last effects."""
        return [dict(e.fields) for e in self.effects if isinstance(e, Report) and e.event == event]

    def kinds(self) -> list[str]:
        """Names of the last effects for the kernel and the network, in order."""
        wanted = (AddTunnel, SetPaths, RemoveTunnel, StartInterception, StopInterception, SendDatagram)
        return [type(effect).__name__ for effect in self.effects if isinstance(effect, wanted)]

    def weights(self, home_address: IPv4Address = HOME) -> dict[str, float]:
        """Weight by far end of the paths."""
        paths = self.kernel.paths.get(home_address, ())
        return {str(path.tunnel.remote): path.weight for path in paths if isinstance(path.tunnel, Tunnel)}


def deny(lab: Lab, send: Callable[[], Reply | None]) -> Reply:
    """Send something that must be denied: bindings, kernel and timers stay as they are."""
    before = (lab.status()["bindings"], repr(lab.kernel))
    reply = send()
    assert (lab.status()["bindings"], repr(lab.kernel)) == before
    assert reply is not None
    assert [type(effect) for effect in lab.effects] == [SendDatagram, Report]
    assert lab.reports("request-denied")[0]["code"] == reply.code
    return reply


def discard(lab: Lab, payload: bytes, **where: Any) -> str:
    """Send something that must get no answer and change nothing; why."""
    before = (lab.status()["bindings"], repr(lab.kernel))
    assert lab.send(payload, **where) is None
    assert (lab.status()["bindings"], repr(lab.kernel)) == before
    assert len(lab.effects) == 1
    reason = str(lab.reports("message-discarded")[0]["reason"])
    assert lab.status()["discarded"][reason] >= 1
    return reason
