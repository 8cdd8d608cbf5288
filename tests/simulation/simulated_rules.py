# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold after every event of a simulation, whatever the network does to the messages."""

from __future__ import annotations

from agents.effects import SendDatagram
from agents.wire import MultipleTunnelRequest, RegistrationRequest, decode_registration
from tests.simulation.simulated_scene import Scene

RETRANSMISSION_CHAIN = 120.0
"""Seconds: 1, 2, 4, 8, 16 and 30 s between requests, and the longest delays of the tests."""
PACING = 0.05


def request_of(packet: SendDatagram) -> RegistrationRequest:
    """The request in a datagram of the mobile node."""
    message = decode_registration(packet.payload)
    assert isinstance(message, RegistrationRequest)
    return message


def extension_of(request: RegistrationRequest) -> MultipleTunnelRequest | None:
    """Its Multiple Tunnel Request."""
    return next((e for e in request.extensions if isinstance(e, MultipleTunnelRequest)), None)


class Rules:
    """Watches a scene from its start."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.seen = 0
        self.last_registration = -1.0
        self.unknown_since: dict[tuple[int | None, str], float] = {}
        self.identifications: set[int] = set()
        self.longest_illusion = 0.0
        self.factor = 1.0
        """Above 1 where the home agent forgets what it has granted: a bulk re-registration then renews
        nothing there, and the next individual one comes only after it (FACTS G25)."""
        scene.clock.watchers.append(self.check)

    def check(self) -> None:
        """After every event."""
        self._requests()
        self._beliefs()

    def _requests(self) -> None:
        sent = self.scene.node.sent[self.seen :]
        self.seen += len(sent)
        for time, packet in sent:
            request = request_of(packet)
            assert packet.ttl == 255
            assert request.identification not in self.identifications
            self.identifications.add(request.identification)
            if request.lifetime:
                assert time - self.last_registration >= PACING - 1e-9
                self.last_registration = time
            if request.lifetime and extension_of(request) is None:
                interface = packet.interface
                others = [
                    row
                    for row in self.scene.rows()
                    if row["tunnel"] and row["multiple_tunnels"] and row["interface"] != interface
                ]
                assert not others, "a plain registration while others have several tunnels (FACTS G14)"
        lows = [p.request.identification & 0xFFFFFFFF for p in self.scene.machine._requests.outstanding]
        assert len(lows) == len(set(lows))

    def _beliefs(self) -> None:
        now = self.scene.clock.now
        believed = set(self.scene.at_mobile_node().items())
        true = set(self.scene.at_home_agent().items())
        limit = self.scene.settings.lifetime * self.factor + RETRANSMISSION_CHAIN
        self.unknown_since = {key: self.unknown_since.get(key, now) for key in believed - true}
        for key, since in self.unknown_since.items():
            self.longest_illusion = max(self.longest_illusion, now - since)
            assert now - since <= limit, f"{key} is believed in for {now - since} s without ground"
        paths = self.scene.node.paths.get(self.scene.settings.home_address, ())
        if not self.scene.machine.stopped:
            tunnels = {path.tunnel for path in paths}
            assert tunnels >= self.scene.node.tunnels
