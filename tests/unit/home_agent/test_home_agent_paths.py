# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared tunnels, path weights and what the status shows (FACTS G3, G28, G43, G47)."""

from __future__ import annotations

import math
from ipaddress import IPv4Address

import pytest

from agents.effects import Encapsulation, SetPaths, Tunnel
from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    FOREIGN_AGENT,
    HOME,
    HOME_AGENT,
    LTE,
    OTHER_HOME,
    WIFI,
    B,
    D,
    G,
    Lab,
    T,
)


def tunnel(care_of_address: IPv4Address) -> Tunnel:
    """A plain tunnel to a care-of address."""
    return Tunnel(Encapsulation.IPIP, HOME_AGENT, care_of_address)


BANDWIDTH = {"path_selection": {"weights": "bandwidth"}}


@pytest.fixture
def lab() -> Lab:
    """Two bindings, 1 over WiFi and 2 over EV-DO."""
    lab = Lab()
    assert lab.register(1, WIFI).code == 0
    assert lab.register(2, EVDO).code == 0
    return lab


class TestSharedTunnels:
    """G28."""

    def test_one_path_with_the_sum_of_weights(self) -> None:
        lab = Lab()
        for binding_id in (3, 1, 2):
            lab.register(binding_id, FOREIGN_AGENT, flags=T)
        (path,) = lab.kernel.paths[HOME]
        assert (path.weight, path.binding_id, path.shared_by) == (3.0, 1, (2, 3))  # whoever pins one gets it
        assert len(lab.kernel.tunnels) == 1
        lab.deregister(1, FOREIGN_AGENT, flags=T)
        assert lab.kinds() == ["SetPaths", "SendDatagram"]
        assert lab.weights() == {str(FOREIGN_AGENT): 2.0}

    def test_among_nodes(self) -> None:
        lab = Lab()
        lab.register(1, FOREIGN_AGENT, flags=T)
        lab.register(1, FOREIGN_AGENT, flags=T, home_address=OTHER_HOME)
        assert lab.status()["tunnels"][0]["bindings"] == 2
        lab.deregister(1, FOREIGN_AGENT, flags=T)
        assert len(lab.kernel.tunnels) == 1
        assert lab.weights(OTHER_HOME) == {str(FOREIGN_AGENT): 1.0}

    def test_co_located_end_point_belongs_to_one_interface(self, lab: Lab) -> None:
        assert lab.register(3, WIFI).code == 0
        assert set(lab.rows()) == {2, 3}
        assert lab.reports("binding-removed")[0]["reason"] == "replaced"
        assert "RemoveTunnel" not in lab.kinds()

    def test_other_encapsulation_is_the_same_end_point(self, lab: Lab) -> None:
        lab.register(3, WIFI, flags=D | G | T)
        assert set(lab.rows()) == {2, 3}

    def test_tunnel_passes_from_binding_to_binding(self, lab: Lab) -> None:
        """2 takes over the end point of 1 while it leaves its own."""
        lab.register(2, WIFI)
        assert set(lab.rows()) == {2}
        assert lab.weights() == {str(WIFI): 1.0}


class TestWeights:
    """G3, G43."""

    def test_equal(self, lab: Lab) -> None:
        lab.register(3, LTE, kbytes=1)
        assert set(lab.weights().values()) == {1.0}

    def test_bandwidth(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(1, WIFI, kbytes=2500)
        lab.register(2, EVDO, kbytes=500)
        lab.register(3, LTE, kbytes=0)
        assert lab.weights() == {str(WIFI): 2500.0, str(EVDO): 500.0, str(LTE): 1500.0}
        assert [path.bandwidth for path in lab.kernel.paths[HOME]] == [20000, 4000, 0]

    def test_none_known(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(1, WIFI, kbytes=0)
        lab.register(2, EVDO, kbytes=0)
        assert set(lab.weights().values()) == {1.0}

    def test_shared_tunnel(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(1, FOREIGN_AGENT, flags=T, kbytes=2500)
        lab.register(2, FOREIGN_AGENT, flags=T, kbytes=500)
        lab.register(3, LTE, kbytes=0)
        assert lab.weights() == {str(FOREIGN_AGENT): 3000.0, str(LTE): 1500.0}

    def test_plain_binding(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(None)
        assert lab.weights() == {str(WIFI): 1.0}

    def test_announced_anew(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(1, kbytes=100)
        lab.register(2, EVDO, kbytes=100)
        lab.register(1, kbytes=200)
        assert lab.kinds() == ["SetPaths", "SendDatagram"]
        assert lab.weights() == {str(WIFI): 200.0, str(EVDO): 100.0}

    def test_set_by_an_operator(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(1, kbytes=100)
        lab.apply(lab.agent.set_bandwidth(1, 300, lab.now))
        assert lab.kinds() == ["SetPaths"]
        assert lab.weights() == {str(WIFI): 300.0}
        lab.register(1, kbytes=100)
        assert lab.weights() == {str(WIFI): 300.0}, "a renewal with the old value says nothing new"
        lab.register(1, kbytes=150)
        assert lab.weights() == {str(WIFI): 150.0}

    def test_set_for_one_node_or_all(self) -> None:
        lab = Lab(**BANDWIDTH)
        lab.register(1, kbytes=100)
        lab.register(1, LTE, kbytes=100, home_address=OTHER_HOME)
        lab.kernel.apply(lab.agent.set_bandwidth(1, 50, lab.now, OTHER_HOME))
        assert (lab.weights(), lab.weights(OTHER_HOME)) == ({str(WIFI): 100.0}, {str(LTE): 50.0})
        effects = lab.agent.set_bandwidth(1, 70, lab.now)
        assert [e.home_address for e in effects if isinstance(e, SetPaths)] == [HOME, OTHER_HOME]

    def test_set_unknown(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_bandwidth(9, 5, lab.now))
        assert lab.reports("bandwidth-not-set") == [{"binding_id": 9}]

    @pytest.mark.parametrize("kbytes", [-1, 1 << 32])
    def test_set_out_of_range(self, lab: Lab, kbytes: int) -> None:
        with pytest.raises(ValueError, match="choose 0 to"):
            lab.agent.set_bandwidth(1, kbytes, lab.now)

    def test_set_under_equal_weights(self, lab: Lab) -> None:
        lab.apply(lab.agent.set_bandwidth(1, 5, lab.now))
        assert set(lab.weights().values()) == {1.0}
        assert lab.rows()[1]["bandwidth_kbytes"] == 5


class TestStatus:
    def test_row(self, lab: Lab) -> None:
        lab.wait(1.5)
        assert lab.rows()[1] == {
            "home_address": "10.0.0.5",
            "binding_id": 1,
            "care_of_address": "192.0.2.10",
            "co_located": True,
            "end_point": "192.0.2.10",
            "end_point_port": 0,
            "encapsulation": "ipip",
            "reverse_tunnel": True,
            "access_technology": 4,
            "bandwidth_kbytes": 6250,
            "lifetime": 600,
            "lifetime_remaining": 598,
            "since": 1_265_675_966.25,
        }

    def test_broadcasts_go_to_one_binding(self, lab: Lab) -> None:
        """G47: the lowest Binding-Id that asked."""
        assert lab.status()["broadcast_bindings"] == {}
        lab.register(5, LTE, flags=B | D | T)
        lab.register(2, EVDO, flags=B | D | T)
        assert lab.status()["broadcast_bindings"] == {str(HOME): 2}
        assert math.isfinite(lab.rows()[5]["lifetime_remaining"])

    def test_broadcasts_take_one_tunnel(self, lab: Lab) -> None:
        """Of the lowest Binding-Id that asked, whatever comes, goes or changes its mind."""
        assert lab.kernel.broadcasts == {}
        lab.register(5, LTE, flags=B | D | T)
        assert lab.kernel.broadcasts == {HOME: (tunnel(LTE), False)}
        lab.register(2, EVDO, flags=B | D | T)
        lab.register(1, WIFI, flags=D | T)
        assert lab.kernel.broadcasts == {HOME: (tunnel(EVDO), False)}
        lab.deregister(2, EVDO)
        assert lab.kernel.broadcasts == {HOME: (tunnel(LTE), False)}
        lab.register(5, LTE, flags=D | T)
        assert lab.kernel.broadcasts == {}

    def test_broadcasts_are_nested_behind_a_foreign_agent(self, lab: Lab) -> None:
        """RFC 5944 §4.3: it must learn whose they are."""
        lab.register(3, WIFI, flags=B | T, source=WIFI)
        assert lab.kernel.broadcasts == {HOME: (tunnel(WIFI), True)}
        lab.register(3, WIFI, flags=B | D | T)
        assert lab.kernel.broadcasts == {HOME: (tunnel(WIFI), False)}
        lab.apply(lab.agent.stop(lab.now))
        assert lab.kernel.broadcasts == {}

    def test_without_a_home_link_there_are_no_broadcasts(self) -> None:
        """And B is ignored."""
        lab = Lab(home_link=None)
        lab.register(5, LTE, flags=B | D | T)
        assert lab.kernel.broadcasts == {}
