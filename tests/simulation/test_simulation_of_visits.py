# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobile node, foreign agent and home agent against each other, with loss, reordering and restarts."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.effects import Tunnel
from agents.wire import ReplyCode
from tests.simulation.simulated_network import Link
from tests.simulation.simulated_rules import Rules
from tests.simulation.simulated_scene import DOWN, HOME_ADDRESS, HOME_AGENT, address, up
from tests.simulation.simulated_visit import CARE_OF_ADDRESSES, UPLINK, VISITED, Visit

THREE = ("wifi", "evdo", "lte")
"""One link with a co-located care-of address between two at the foreign agent."""
Action = Callable[[Visit], None]


def test_figure_4_one_care_of_address_for_all_links() -> None:
    scene = Visit()
    Rules(scene)
    scene.start()
    scene.run(5)
    assert scene.agree()
    assert scene.at_foreign_agent() == {1: "wifi", 2: "lte"}
    assert set(scene.at_home_agent().values()) == {str(CARE_OF_ADDRESSES[0])}
    assert {(t.local, t.remote) for t in scene.visited.tunnels} == {(CARE_OF_ADDRESSES[0], HOME_AGENT)}
    (path,) = scene.home.paths[HOME_ADDRESS]
    assert path.weight == 2.0
    assert set(scene.visited.reverse) == {(HOME_ADDRESS, name) for name in VISITED}


def test_figure_5_a_care_of_address_for_each_link() -> None:
    scene = Visit(each=True)
    Rules(scene)
    scene.start()
    scene.run(5)
    assert scene.agree()
    assert scene.at_home_agent() == {1: str(CARE_OF_ADDRESSES[0]), 2: str(CARE_OF_ADDRESSES[1])}
    assert {tunnel.local for tunnel in scene.visited.tunnels} == set(CARE_OF_ADDRESSES)
    reverse = {name: tunnel.local for (_, name), tunnel in scene.visited.reverse.items()}
    assert reverse == dict(zip(VISITED, CARE_OF_ADDRESSES, strict=True))


def test_both_ends_of_a_tunnel_are_the_same() -> None:
    scene = Visit(each=True)
    scene.start()
    scene.run(5)
    there = {path.tunnel for path in scene.home.paths[HOME_ADDRESS]}
    turned = {
        Tunnel(tunnel.encapsulation, tunnel.remote, tunnel.local, tunnel.remote_port, tunnel.local_port)
        for tunnel in scene.visited.tunnels
    }
    assert there == turned


@pytest.mark.parametrize("each", [False, True])
def test_behind_a_nat_the_tunnel_is_udp_at_both_ends(each: bool) -> None:
    scene = Visit(foreign_agent={"behind_nat": True}, each=each)
    scene.visit_network.nat = IPv4Address("198.51.100.1")
    scene.start()
    scene.run(200)
    assert scene.agree()
    there = {(t.encapsulation.value, t.remote, t.remote_port) for t in scene.home.tunnels}
    ports = [40_000, 40_001] if each else [40_000]
    assert there == {("udp", scene.visit_network.nat, port) for port in ports}
    assert {t.encapsulation.value for t in scene.visited.tunnels} == {"udp"}
    assert len(scene.visited.tunnels) == len(ports)
    sent = [packet for _, packet in scene.visited.sent if packet.payload[0] == 4]
    assert len(sent) <= 2 * 200 // 60  # the registrations themselves keep the mapping


def test_without_a_nat_on_the_way_the_home_agent_declines() -> None:
    scene = Visit(foreign_agent={"behind_nat": True})
    scene.start()
    scene.run(5)
    assert scene.agree()
    assert {tunnel.encapsulation.value for tunnel in scene.visited.tunnels} == {"ipip"}


@pytest.mark.parametrize("each", [False, True])
def test_an_hour_without_loss_is_quiet(each: bool) -> None:
    scene = Visit(each=each, names=THREE)
    Rules(scene)
    scene.start()
    scene.run(3600)
    assert scene.agree()
    assert scene.visited.events("visitor-removed") == 0
    assert scene.visited.events("request-denied") == 0
    assert scene.node.events("binding-expired") == 0


def test_a_lost_link_is_deregistered_over_another_and_its_entry_goes() -> None:
    scene = Visit()
    Rules(scene)
    scene.start()
    scene.run(5)
    scene.set("wifi", DOWN)
    scene.run(0.2)
    assert scene.at_foreign_agent() == {2: "lte"}
    assert list(scene.at_home_agent()) == [2]
    assert scene.delivered_by() == {"lte"}
    scene.set("wifi", up("wifi"))
    scene.run(5)
    assert scene.agree()


def test_a_restarted_foreign_agent_gets_its_visitors_back() -> None:
    scene = Visit(names=THREE)
    Rules(scene)
    scene.start()
    scene.run(50)
    scene.start_foreign_agent()
    assert scene.at_foreign_agent() == {}
    scene.run(5)
    assert scene.agree()
    assert scene.node.events("agent-restarted") == 2


def test_an_agent_that_leaves_in_order_is_left_at_once() -> None:
    scene = Visit(names=THREE)
    scene.start()
    scene.run(50)
    scene.visited.perform(scene.visitor_agent.stop(scene.visited.now))
    assert not scene.visited.tunnels
    assert not scene.visited.neighbours
    assert not scene.visited.reverse
    assert scene.visited.timers == {}
    scene.run(2)
    assert scene.through_foreign_agent() == {}
    scene.visited.perform(scene.visitor_agent.start(scene.visited.now))
    scene.run(10)
    assert scene.agree()


def test_a_foreign_agent_that_refuses_the_extension_is_left_out() -> None:
    scene = Visit(names=THREE, foreign_agent={"enable_multiple_tunnel_support": False})
    Rules(scene)
    scene.start()
    scene.run(20)
    codes = scene.visitor_agent.status(scene.visited.now)["replies"]
    assert set(codes) == {"127"}
    # It falls back to the links' own addresses (FACTS G14).
    assert scene.at_foreign_agent() == {}
    assert scene.at_home_agent() == {number: str(address(name).ip) for number, name in enumerate(THREE, 1)}


def test_one_that_has_never_heard_of_it_is_found_out_by_its_silence() -> None:
    scene = Visit(names=THREE, foreign_agent={"recognise_multiple_tunnels": False})
    Rules(scene)
    scene.start()
    scene.run(60)
    assert scene.visited.events("message-discarded") >= 6
    assert scene.visited.events("request-denied") == 0
    assert scene.node.events("foreign-agent-without-extension") == 2
    assert scene.at_home_agent() == {number: str(address(name).ip) for number, name in enumerate(THREE, 1)}


def test_no_home_agent_is_a_time_out_and_no_entry() -> None:
    scene = Visit()
    scene.network.links[UPLINK].cut = True
    scene.start()
    scene.run(60)
    assert scene.at_foreign_agent() == {}
    codes = scene.visitor_agent.status(scene.visited.now)["replies"]
    assert codes.keys() <= {str(int(ReplyCode.FA_REGISTRATION_TIMEOUT))}
    scene.network.links[UPLINK].cut = False
    scene.run(60)
    assert scene.agree()


LINKS = st.builds(
    Link,
    delay=st.sampled_from([0.005, 0.03, 0.3]),
    jitter=st.sampled_from([0.0, 0.01, 0.4]),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    duplication=st.sampled_from([0.0, 0.2]),
)


def _cut(name: str, cut: bool) -> Action:
    return lambda scene: setattr(scene.network.links[name], "cut", cut)


def _set(name: str, is_up: bool) -> Action:
    return lambda scene: scene.set(name, up(name) if is_up else DOWN)


def _restart(scene: Visit) -> None:
    scene.start_foreign_agent()


def _stop(scene: Visit) -> None:
    scene.visited.perform(scene.visitor_agent.stop(scene.visited.now))


def _switch(enabled: bool) -> Action:
    return lambda scene: scene.visited.perform(
        scene.visitor_agent.set_multiple_tunnel_support(enabled, scene.visited.now)
    )


def _deregister(binding_id: int | None) -> Action:
    return lambda scene: scene.node.perform(scene.machine.deregister(binding_id, scene.node.now))


def _reregister(scene: Visit) -> None:
    scene.node.perform(scene.machine.reregister(scene.node.now, False))


def _fail(binding_id: int) -> Action:
    return lambda scene: scene.node.perform(scene.machine.tunnel_failed(binding_id, scene.node.now))


ACTIONS = st.one_of(
    st.builds(_cut, st.sampled_from([*THREE, UPLINK]), st.booleans()),
    st.builds(_set, st.sampled_from(THREE), st.booleans()),
    st.sampled_from([_restart, _stop, _reregister]),
    st.builds(_switch, st.booleans()),
    st.builds(_deregister, st.sampled_from([None, 1, 2, 3])),
    st.builds(_fail, st.integers(1, 3)),
)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**20),
    links=st.fixed_dictionaries(dict.fromkeys((*THREE, UPLINK), LINKS)),
    each=st.booleans(),
    lifetime=st.sampled_from([20, 60, 600]),
    steps=st.lists(st.tuples(ACTIONS, st.sampled_from([0.01, 0.1, 1.0, 5.0, 30.0, 200.0])), max_size=10),
)
def test_whatever_is_lost_all_three_agree_again(
    seed: int, links: dict[str, Link], each: bool, lifetime: int, steps: list[tuple[Action, float]]
) -> None:
    scene = Visit(seed, links, THREE, each, {"lifetime": lifetime, "legacy_hold_down": 30.0})
    rules = Rules(scene)
    scene.start()
    for action, pause in steps:
        action(scene)
        rules.check()
        scene.run(pause)
    for link in scene.network.links.values():
        link.cut, link.loss, link.jitter, link.duplication = False, 0.0, 0.0, 0.0
    scene.start_foreign_agent()
    for name in THREE:
        scene.set(name, up(name))
    _reregister(scene)
    scene.run(90)
    assert scene.agree()
    scene.node.perform(scene.machine.stop(scene.node.now))
    scene.run(3)
    assert scene.at_home_agent() == scene.at_foreign_agent() == {}
    for node in (scene.node, scene.visited, scene.home):
        assert not node.tunnels
        assert not any(node.paths.values())
    assert not scene.visited.reverse
    assert not scene.visited.neighbours


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**20),
    links=st.fixed_dictionaries(dict.fromkeys((*VISITED, UPLINK), LINKS)),
    lifetime=st.sampled_from([20, 60]),
)
def test_no_entry_ends_before_the_mobile_node_thinks_so(
    seed: int, links: dict[str, Link], lifetime: int
) -> None:
    scene = Visit(seed, links, mobile_node={"lifetime": lifetime})
    Rules(scene)

    def check() -> None:
        assert scene.through_foreign_agent().items() <= scene.at_foreign_agent().items()

    scene.clock.watchers.append(check)
    scene.start()
    scene.run(200)
    assert scene.visited.events("visitor-added")
