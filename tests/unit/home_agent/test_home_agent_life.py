# SPDX-License-Identifier: GPL-2.0-or-later
"""Coming home, expiry, stop and start (RFC 5944 §3.8.3.1, §4.2.3, §4.6; FACTS G48)."""

from __future__ import annotations

import pytest

from agents.bindings import BindingTimer
from agents.effects import RemoveTunnel, SendDatagram, StartTimer, StopInterception
from tests.unit.home_agent.home_agent_lab import EVDO, HOME, LTE, WIFI, Lab, authentication, fixed_request


@pytest.fixture
def lab() -> Lab:
    """Two bindings, 1 over WiFi and 2 over EV-DO."""
    lab = Lab()
    assert lab.register(1, WIFI).code == 0
    assert lab.register(2, EVDO).code == 0
    return lab


class TestReturningHome:
    """RFC 5944 §3.8.3.1, §4.6."""

    def home(self, lab: Lab, interface: str = "eth0", lifetime: int = 0, key: bytes | None = None) -> None:
        fixed = fixed_request(
            identification=lab.identification(), lifetime=lifetime, care_of_address=HOME, flags=0
        )
        payload = authentication(fixed) if key is None else authentication(fixed, key=key)
        lab.send(payload, HOME, interface=interface, link_source="02:00:00:00:00:05")

    def test_deregistered(self, lab: Lab) -> None:
        self.home(lab)
        (stop,) = [effect for effect in lab.effects if isinstance(effect, StopInterception)]
        assert stop == StopInterception(HOME, "02:00:00:00:00:05")
        (sent,) = [effect for effect in lab.effects if isinstance(effect, SendDatagram)]
        assert (sent.destination, sent.interface) == (HOME, "eth0")
        assert sent.link_destination == "02:00:00:00:00:05"

    def test_deregistered_after_the_bindings_ended(self, lab: Lab) -> None:
        """RFC 5944 §4.6: whoever comes home is announced."""
        lab.wait(600)
        for _ in range(2):
            self.home(lab)
            assert lab.kinds() == ["StopInterception", "SendDatagram"]

    def test_from_elsewhere(self, lab: Lab) -> None:
        """Only the home link can tell where the node is on it."""
        self.home(lab, interface="eth1")
        (stop,) = [effect for effect in lab.effects if isinstance(effect, StopInterception)]
        assert stop.link_address is None
        (sent,) = [effect for effect in lab.effects if isinstance(effect, SendDatagram)]
        assert (sent.interface, sent.link_destination) == ("eth0", None)

    def test_denied(self, lab: Lab) -> None:
        """The answer goes onto the home link although the bindings still stand."""
        self.home(lab, key=b"wrong")
        (sent,) = [effect for effect in lab.effects if isinstance(effect, SendDatagram)]
        assert (sent.payload[1], sent.interface) == (131, "eth0")
        assert lab.kernel.intercepted == {HOME}

    def test_virtual_home_network(self) -> None:
        lab = Lab(home_link=None)
        lab.register(1)
        self.home(lab)
        (sent,) = [effect for effect in lab.effects if isinstance(effect, SendDatagram)]
        assert (sent.interface, sent.link_destination) == (None, None)

    def test_again_away(self, lab: Lab) -> None:
        self.home(lab)
        lab.register(1)
        assert lab.kernel.intercepted == {HOME}


class TestExpiry:
    """RFC 5944 §4.2.3, G48."""

    def test_one(self, lab: Lab) -> None:
        lab.wait(100)
        lab.register(2, EVDO)
        lab.wait(500)
        assert set(lab.rows()) == {2}
        assert lab.kinds() == ["SetPaths", "RemoveTunnel"], "nobody is told"
        assert lab.reports("binding-removed")[0]["reason"] == "expired"

    def test_last(self, lab: Lab) -> None:
        lab.wait(600)
        assert (lab.kernel.tunnels, lab.kernel.paths, lab.kernel.intercepted) == ({}, {}, set())
        assert lab.kernel.timers == {}

    def test_infinite(self) -> None:
        lab = Lab(maximum_lifetime=65535)
        lab.register(1, lifetime=65535)
        assert not [effect for effect in lab.effects if isinstance(effect, StartTimer)]
        lab.wait(100_000)
        assert lab.rows()[1]["lifetime_remaining"] == 65535

    def test_infinite_to_finite_and_back(self) -> None:
        lab = Lab(maximum_lifetime=65535)
        lab.register(1, lifetime=10)
        lab.register(1, lifetime=65535)
        lab.wait(100)
        assert 1 in lab.rows()
        lab.register(1, lifetime=10)
        lab.wait(10)
        assert lab.rows() == {}

    def test_early_or_stale_timers(self, lab: Lab) -> None:
        effects = lab.agent.timer(BindingTimer(HOME, 1), lab.now)
        assert effects == [StartTimer(BindingTimer(HOME, 1), lab.now.monotonic + 600)]
        assert lab.agent.timer(BindingTimer(HOME, 77), lab.now) == []
        assert lab.agent.timer(BindingTimer(LTE, 1), lab.now) == []
        assert lab.agent.timer("something else", lab.now) == []
        assert set(lab.rows()) == {1, 2}

    def test_remaining_never_negative(self, lab: Lab) -> None:
        late = lab.now._replace(monotonic=lab.now.monotonic + 1e6)
        assert lab.agent.status(late)["bindings"][0]["lifetime_remaining"] == 0


class TestStopAndStart:
    def test_stop_releases_the_kernel(self, lab: Lab) -> None:
        lab.apply(lab.agent.stop(lab.now))
        assert (lab.kernel.tunnels, lab.kernel.paths, lab.kernel.intercepted) == ({}, {}, set())
        assert lab.kernel.timers == {}
        assert {e.drain for e in lab.effects if isinstance(e, RemoveTunnel)} == {0.0}
        assert set(lab.rows()) == {1, 2}, "the table is still there to be saved"
        assert lab.agent.stop(lab.now) == []
        assert lab.agent.timer(BindingTimer(HOME, 1), lab.now) == []
        assert lab.agent.receive_icmp(b"", HOME, "eth0", None, lab.now) == []

    def test_start_installs_again(self, lab: Lab) -> None:
        before = repr((sorted(lab.kernel.tunnels.values()), lab.kernel.paths, lab.kernel.timers))
        lab.kernel.apply(lab.agent.stop(lab.now))
        lab.kernel.apply(lab.agent.start(lab.now))
        after = repr((sorted(lab.kernel.tunnels.values()), lab.kernel.paths, lab.kernel.timers))
        assert before == after
        assert lab.kernel.intercepted == {HOME}
        assert lab.agent.start(lab.now) == [], "it runs already"

    def test_start_drops_what_ended_meanwhile(self, lab: Lab) -> None:
        lab.wait(100)
        lab.register(2, EVDO)
        lab.apply(lab.agent.stop(lab.now))
        lab.wait(550)
        lab.apply(lab.agent.start(lab.now))
        lab.wait(0)
        assert set(lab.rows()) == {2}

    def test_virtual_home_network(self) -> None:
        lab = Lab(home_link=None)
        lab.register(1)
        lab.apply(lab.agent.stop(lab.now))
        assert lab.kinds() == ["SetPaths", "RemoveTunnel"]
