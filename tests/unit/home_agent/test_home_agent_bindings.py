# SPDX-License-Identifier: GPL-2.0-or-later
"""What accepted requests do to the binding list (FACTS §8, §23 G13 to G33)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agents.bindings import BindingTimer
from agents.effects import Encapsulation, RemoveTunnel, Tunnel
from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    FOREIGN_AGENT,
    HOME,
    HOME_AGENT,
    LTE,
    OTHER_HOME,
    WIFI,
    D,
    G,
    Lab,
    S,
    T,
)


@pytest.fixture
def lab() -> Lab:
    """Two bindings, 1 over WiFi and 2 over EV-DO."""
    lab = Lab()
    assert lab.register(1, WIFI).code == 0
    assert lab.register(2, EVDO).code == 0
    return lab


class TestRegister:
    def test_first(self) -> None:
        lab = Lab()
        lab.register(1)
        assert lab.kinds() == ["AddTunnel", "SetPaths", "StartInterception", "SendDatagram"]
        tunnel = Tunnel(Encapsulation.IPIP, HOME_AGENT, WIFI)
        assert lab.kernel.tunnels == {tunnel: "10.0.0.5 bid 1"}
        assert lab.kernel.timers == {BindingTimer(HOME, 1): lab.now.monotonic + 600}
        assert lab.reports("binding-added")[0]["binding_id"] == 1

    def test_second(self, lab: Lab) -> None:
        assert lab.kinds() == ["AddTunnel", "SetPaths", "SendDatagram"]
        assert lab.weights() == {str(WIFI): 1.0, str(EVDO): 1.0}
        assert lab.kernel.intercepted == {HOME}

    def test_longest_name_fits_an_alias(self) -> None:
        home = IPv4Address("210.110.110.110")
        association = [{"spi": 256, "key": bytes(range(16))}]
        lab = Lab(mobile_node=[{"home_address": home, "security_association": association}])
        lab.register(65535, home_address=home)
        assert list(lab.kernel.tunnels.values()) == ["210.110.110.110 bid 65535"]

    def test_renewal_touches_no_tunnel(self, lab: Lab) -> None:
        lab.wait(100)
        assert lab.register(1).code == 0
        assert lab.kinds() == ["SendDatagram"]
        assert lab.kernel.timers[BindingTimer(HOME, 1)] == lab.now.monotonic + 600
        assert lab.reports("binding-renewed")
        assert lab.rows()[1]["since"] < lab.now.unix - 99
        assert lab.rows()[2]["lifetime_remaining"] == 500

    def test_new_care_of_address(self, lab: Lab) -> None:
        """G26, G27: the new tunnel is up before the old one goes, the other binding stays."""
        assert lab.register(1, LTE).code == 0
        assert lab.kinds() == ["AddTunnel", "SetPaths", "RemoveTunnel", "SendDatagram"]
        (removed,) = [effect for effect in lab.effects if isinstance(effect, RemoveTunnel)]
        assert (removed.tunnel.remote, removed.drain) == (WIFI, 1.0)
        assert lab.weights() == {str(LTE): 1.0, str(EVDO): 1.0}
        assert lab.reports("binding-moved")
        assert not lab.reports("binding-removed")

    def test_new_encapsulation(self, lab: Lab) -> None:
        assert lab.register(1, flags=D | G | T).code == 0
        assert {t.encapsulation for t in lab.kernel.tunnels} == {Encapsulation.IPIP, Encapsulation.GRE}

    def test_binding_id_zero(self, lab: Lab) -> None:
        """G8: accepted, with a warning, and not the same as no Binding-Id."""
        assert lab.register(0, LTE).code == 0
        assert lab.reports("binding-id-zero")
        assert lab.register(0, LTE).code == 0
        assert not lab.reports("binding-id-zero"), "one warning is enough"
        assert set(lab.rows()) == {0, 1, 2}

    def test_largest_binding_id(self, lab: Lab) -> None:
        assert lab.register(65535, LTE).code == 0
        assert 65535 in lab.rows()

    def test_access_technology_is_stored_whatever_it_is(self, lab: Lab) -> None:
        """G5."""
        assert lab.rows()[1]["access_technology"] == 4

    def test_without_home_link(self) -> None:
        """A virtual home network has no ARP."""
        lab = Lab(home_link=None)
        lab.register(1)
        lab.deregister(1)
        assert not lab.kernel.intercepted
        assert lab.kinds() == ["SetPaths", "RemoveTunnel", "SendDatagram"]

    def test_nodes_do_not_touch_each_other(self, lab: Lab) -> None:
        lab.register(1, LTE, home_address=OTHER_HOME, overwrite=True)
        lab.deregister(None, OTHER_HOME, home_address=OTHER_HOME, source=LTE)
        assert set(lab.rows()) == {1, 2}


class TestOverwriteAndBulk:
    def test_overwrite(self, lab: Lab) -> None:
        """G19."""
        assert lab.register(3, LTE, overwrite=True).code == 0
        assert set(lab.rows()) == {3}
        assert lab.weights() == {str(LTE): 1.0}
        assert lab.kinds() == ["AddTunnel", "SetPaths", "RemoveTunnel", "RemoveTunnel", "SendDatagram"]
        assert {row["reason"] for row in lab.reports("binding-removed")} == {"replaced"}
        assert set(lab.kernel.timers) == {BindingTimer(HOME, 3)}

    def test_overwrite_by_an_existing_binding(self, lab: Lab) -> None:
        assert lab.register(1, overwrite=True).code == 0
        assert set(lab.rows()) == {1}
        assert lab.kinds() == ["SetPaths", "RemoveTunnel", "SendDatagram"]

    def test_bulk_extends_all(self, lab: Lab) -> None:
        """G22: every binding ends when this one does."""
        lab.wait(300)
        assert lab.register(1, bulk=True, lifetime=500).lifetime == 500
        assert {row["lifetime_remaining"] for row in lab.rows().values()} == {500}
        assert {row["lifetime"] for row in lab.rows().values()} == {500}
        assert set(lab.kernel.timers.values()) == {lab.now.monotonic + 500}
        assert lab.kinds() == ["SendDatagram"]

    def test_bulk_shortens_all(self, lab: Lab) -> None:
        assert lab.register(1, bulk=True, lifetime=10).code == 0
        lab.wait(10)
        assert lab.rows() == {}

    def test_bulk_creates_its_own_binding(self, lab: Lab) -> None:
        lab.wait(100)
        assert lab.register(3, LTE, bulk=True).code == 0
        assert {row["lifetime_remaining"] for row in lab.rows().values()} == {600}

    def test_bulk_for_ever(self) -> None:
        lab = Lab(maximum_lifetime=65535)
        lab.register(1)
        lab.register(2, EVDO)
        lab.register(1, bulk=True, lifetime=65535)
        assert lab.kernel.timers == {}
        lab.wait(10_000_000)
        assert {row["lifetime_remaining"] for row in lab.rows().values()} == {65535}

    def test_bulk_does_not_revive(self, lab: Lab) -> None:
        """The timer of a binding that has ended may come after the request."""
        lab.wait(300)
        lab.register(1)
        late = lab.now._replace(monotonic=lab.now.monotonic + 301, unix=lab.now.unix + 301)
        lab.now = late
        assert lab.register(1, bulk=True).code == 0
        assert set(lab.rows()) == {1}
        assert lab.reports("binding-removed")[0]["reason"] == "expired"


class TestPlain:
    """RFC 5944 without the extension, beside nodes and bindings with it (G13, G15, G16)."""

    @pytest.mark.parametrize(("flags", "code"), [(D | T, 0), (S | D | T, 1)])
    def test_replaces_all(self, lab: Lab, flags: int, code: int) -> None:
        assert lab.register(None, LTE, flags=flags).code == code
        assert set(lab.rows()) == {None}
        assert lab.weights() == {str(LTE): 1.0}

    def test_same_care_of_address_keeps_the_tunnel(self, lab: Lab) -> None:
        lab.register(None, WIFI)
        assert lab.kinds() == ["SetPaths", "RemoveTunnel", "SendDatagram"]

    def test_moves(self) -> None:
        lab = Lab()
        lab.register(None, WIFI)
        assert list(lab.kernel.tunnels.values()) == ["10.0.0.5"]
        lab.register(None, LTE)
        assert lab.weights() == {str(LTE): 1.0}

    @pytest.mark.parametrize("care_of_address", [WIFI, LTE])
    def test_extension_takes_over(self, care_of_address: IPv4Address) -> None:
        lab = Lab()
        lab.register(None, WIFI)
        assert lab.register(1, care_of_address).code == 0
        assert set(lab.rows()) == {1}

    def test_deregister_all(self, lab: Lab) -> None:
        assert lab.deregister(None, HOME, source=LTE).code == 0
        assert lab.rows() == {}

    def test_deregister_by_care_of_address(self, lab: Lab) -> None:
        assert lab.deregister(None, EVDO).code == 0
        assert set(lab.rows()) == {1}

    def test_deregister_unknown(self, lab: Lab) -> None:
        assert lab.deregister(None, LTE).code == 0
        assert set(lab.rows()) == {1, 2}


class TestDeregister:
    def test_one(self, lab: Lab) -> None:
        reply = lab.deregister(2, EVDO)
        assert (reply.code, reply.lifetime) == (0, 0)
        assert set(lab.rows()) == {1}
        assert lab.kinds() == ["SetPaths", "RemoveTunnel", "SendDatagram"]
        assert lab.reports("binding-removed")[0]["reason"] == "deregistered"
        assert set(lab.kernel.timers) == {BindingTimer(HOME, 1)}

    def test_over_another_interface(self, lab: Lab) -> None:
        """G31: the link may be down, and the source does not mean a NAT."""
        assert lab.deregister(2, EVDO, source=WIFI).code == 0
        assert set(lab.rows()) == {1}

    def test_binding_id_counts_not_the_care_of_address(self, lab: Lab) -> None:
        """G30: Binding-Id first."""
        lab.deregister(2, WIFI)
        assert set(lab.rows()) == {1}

    def test_unknown_binding_id_falls_back_to_the_care_of_address(self, lab: Lab) -> None:
        assert lab.deregister(77, EVDO).code == 0
        assert set(lab.rows()) == {1}

    def test_nothing_found(self, lab: Lab) -> None:
        reply = lab.deregister(77, LTE)
        assert (reply.code, reply.lifetime) == (0, 0)
        assert set(lab.rows()) == {1, 2}

    def test_repeated_at_a_shared_care_of_address(self) -> None:
        """Figure 4: the second deregistration of 2 must not take 1, which has the same address."""
        lab = Lab()
        for binding_id in (1, 2):
            lab.register(binding_id, FOREIGN_AGENT, flags=T)
        for _ in range(2):
            assert lab.deregister(2, FOREIGN_AGENT, flags=T).code == 0
            assert set(lab.rows()) == {1}

    def test_overwrite_is_ignored(self, lab: Lab) -> None:
        """G21."""
        assert lab.deregister(2, EVDO, overwrite=True).code == 0
        assert set(lab.rows()) == {1}

    def test_bulk(self, lab: Lab) -> None:
        """G23."""
        assert lab.deregister(2, EVDO, bulk=True).code == 0
        assert lab.rows() == {}

    @pytest.mark.parametrize("binding_id", [None, 2, 77])
    def test_home_address_means_all(self, lab: Lab, binding_id: int | None) -> None:
        """G32."""
        assert lab.deregister(binding_id, HOME, source=WIFI).code == 0
        assert lab.rows() == {}
        assert lab.kinds() == ["SetPaths", "RemoveTunnel", "RemoveTunnel", "StopInterception", "SendDatagram"]
        assert lab.kernel.timers == {}

    def test_many_binding_ids_are_forgotten(self) -> None:
        """The memory per node is bounded: the oldest identifier counts as never seen again."""
        lab = Lab(maximum_bindings=300)
        for binding_id in range(1, 258):
            assert lab.register(binding_id, FOREIGN_AGENT, flags=T, overwrite=True).code == 0
        lab.register(258, FOREIGN_AGENT, flags=T, overwrite=True)
        lab.deregister(3, FOREIGN_AGENT, flags=T)
        assert set(lab.rows()) == {258}
        lab.deregister(1, FOREIGN_AGENT, flags=T)
        assert lab.rows() == {}
