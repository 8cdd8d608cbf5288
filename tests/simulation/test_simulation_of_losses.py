# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobile node and home agent against each other over links that lose, delay, copy and reorder.

The rules of :mod:`tests.simulation.simulated_rules` are checked after every event; the tests here
add what must have come about at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.effects import InterfaceState
from tests.simulation.simulated_network import Link
from tests.simulation.simulated_rules import Rules, extension_of, request_of
from tests.simulation.simulated_scene import DOWN, NAMES, Scene, address, up

LINKS = st.builds(
    Link,
    delay=st.sampled_from([0.005, 0.03, 0.3, 0.9]),
    jitter=st.sampled_from([0.0, 0.01, 0.5]),
    loss=st.sampled_from([0.0, 0.1, 0.4]),
    duplication=st.sampled_from([0.0, 0.2]),
)
NAME = st.sampled_from(NAMES)
PAUSE = st.sampled_from([0.01, 0.1, 1.0, 5.0, 30.0, 200.0, 700.0])
HOME_UP = InterfaceState(True, (), "02:00:00:00:00:99")
QUIET = {"advertise": False}
"""For long runs: an advertisement each 3 s is most of their events."""
Action = Callable[[Scene], None]


def _cut(name: str, cut: bool) -> Action:
    return lambda scene: setattr(scene.network.links[name], "cut", cut)


def _set(name: str, state: InterfaceState) -> Action:
    return lambda scene: scene.set(name, state)


def _reregister(bulk: bool) -> Action:
    return lambda scene: scene.node.perform(scene.machine.reregister(scene.node.now, bulk))


def _deregister(binding_id: int | None) -> Action:
    return lambda scene: scene.node.perform(scene.machine.deregister(binding_id, scene.node.now))


def _node_switch(enabled: bool) -> Action:
    return lambda scene: scene.node.perform(
        scene.machine.set_multiple_tunnel_support(enabled, scene.node.now)
    )


def _agent_switch(enabled: bool) -> Action:
    return lambda scene: scene.home.perform(scene.agent.set_multiple_tunnel_support(enabled, scene.home.now))


def _fail(binding_id: int) -> Action:
    return lambda scene: scene.node.perform(scene.machine.tunnel_failed(binding_id, scene.node.now))


ACTIONS = st.one_of(
    st.builds(_cut, NAME, st.booleans()),
    st.builds(_set, NAME, st.just(DOWN)),
    st.builds(lambda name, host: _set(name, up(name, host)), NAME, st.integers(10, 12)),
    st.builds(_reregister, st.booleans()),
    st.builds(_deregister, st.sampled_from([None, 1, 2, 3, 4])),
    st.builds(_node_switch, st.booleans()),
    st.builds(_agent_switch, st.booleans()),
    st.builds(_fail, st.integers(1, 4)),
    st.builds(_set, st.just("home"), st.sampled_from([HOME_UP, DOWN])),
)


def heal(scene: Scene) -> None:
    """Perfect links, everything up and switched on."""
    for link in scene.network.links.values():
        link.cut, link.loss, link.jitter, link.duplication = False, 0.0, 0.0, 0.0
    scene.set("home", DOWN)
    for name in scene.names:
        scene.set(name, up(name))
    for action in (_agent_switch(True), _node_switch(True), _reregister(False)):
        action(scene)


def agree(scene: Scene) -> bool:
    """Whether both sides have all bindings, and have the same."""
    return scene.machine.registered and scene.at_mobile_node() == scene.at_home_agent() == {
        number: str(address(name).ip) for number, name in enumerate(scene.names, 1)
    }


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**20),
    links=st.fixed_dictionaries(dict.fromkeys((*NAMES, "home"), LINKS)),
    lifetime=st.sampled_from([20, 60, 600]),
    skew=st.sampled_from([0.0, 3.0, -6.0, 1000.0, -1000.0]),
    steps=st.lists(st.tuples(ACTIONS, PAUSE), max_size=14),
)
def test_whatever_is_lost_both_sides_agree_again(
    seed: int, links: dict[str, Link], lifetime: int, skew: float, steps: list[tuple[Action, float]]
) -> None:
    scene = Scene(seed, links, {"lifetime": lifetime, "legacy_hold_down": 30.0})
    scene.node.skew = skew
    rules = Rules(scene)
    scene.start()
    for action, pause in steps:
        action(scene)
        rules.check()
        scene.run(pause)
    heal(scene)
    scene.run(60)
    assert agree(scene)
    # Events are bounded: retransmission backs off, and nothing ticks without a reason.
    before = scene.node.fired
    scene.run(600)
    assert scene.node.fired - before <= 600 / lifetime * 40 + 40
    scene.node.perform(scene.machine.stop(scene.node.now))
    scene.run(3)
    assert scene.machine.stopped
    assert scene.at_home_agent() == {}
    for node in (scene.node, scene.home):
        assert not node.tunnels
        assert not any(node.paths.values())
    assert scene.node.timers == {}


@pytest.mark.parametrize("lost", [{n} for n in range(8)] + [{n, n + 1} for n in range(8)])
def test_losses_while_the_first_eight_messages_pass_are_made_good(lost: set[int]) -> None:
    scene = Scene()
    Rules(scene)
    scene.network.to_lose = lost
    scene.start()
    scene.run(0.9)
    assert not agree(scene)
    scene.run(9)
    assert agree(scene)
    assert scene.network.datagrams > 8


def test_a_day_without_loss_is_quiet() -> None:
    scene = Scene(home_agent=QUIET)
    rules = Rules(scene)
    scene.start()
    scene.run(86_400)
    assert agree(scene)
    assert rules.longest_illusion == 0
    # 86400 s at a renewal each 300 to 396 s, and the bulk ones spare some of four interfaces'.
    assert 86_400 / 396 * 2 < len(scene.node.sent) < 86_400 / 300 * 4 * 0.75
    assert all(request_of(p).lifetime == 600 for _, p in scene.node.sent)
    assert scene.node.events("binding-expired") == 0


def test_crossing_requests_on_links_of_different_delay_cause_no_rejection() -> None:
    scene = Scene(links={"evdo": Link(0.4), "lte": Link(0.005)})
    Rules(scene)
    scene.start()
    scene.run(3600)
    assert agree(scene)
    assert scene.node.events("registration-denied") == 0


def test_dead_link_is_deregistered_in_a_round_trip_time() -> None:
    scene = Scene()
    Rules(scene)
    scene.start()
    scene.run(2)
    start = scene.clock.now
    scene.set("wifi", DOWN)
    assert 1 not in scene.at_mobile_node()
    while 1 in scene.at_home_agent():
        scene.run(0.001)
    assert scene.clock.now - start == pytest.approx(0.02, abs=0.002)


def test_dead_link_is_deregistered_even_while_a_request_waits_on_it() -> None:
    scene = Scene()
    Rules(scene)
    scene.start()
    scene.run(2)
    scene.network.links["wifi"].cut = True
    scene.node.perform(scene.machine.reregister(scene.node.now))
    while scene.node.sent[-1][1].interface != "wifi":
        scene.run(0.01)
    start = scene.clock.now
    scene.set("wifi", DOWN)
    scene.run(0.021)
    assert 1 not in scene.at_home_agent()
    assert scene.clock.now - start < 0.03


def test_home_agent_that_forgets_everything() -> None:
    """Bulk renewals hide it at most until the next individual one (FACTS G25)."""
    scene = Scene()
    rules = Rules(scene)
    rules.factor = 1.66
    scene.start()
    scene.run(2)
    scene.start_home_agent(7)
    scene.run(1200)
    assert agree(scene)
    assert rules.longest_illusion > 0


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_home_agent_that_is_restarted_with_its_state_causes_no_disagreement(loss: float) -> None:
    """The limit is one lifetime and one chain of retransmissions, without the factor above."""
    links = {name: Link(0.01, loss=loss) for name in ("wifi", "evdo", "wimax", "lte")}
    scene = Scene(links=links)
    rules = Rules(scene)
    scene.start()
    scene.run(60)
    for life in range(30):
        scene.run(97)
        scene.start_home_agent(life, kept=scene.agent.snapshot(scene.home.now))
    for link in scene.network.links.values():
        link.loss = 0.0
    scene.run(1200)
    assert agree(scene)
    assert loss or rules.longest_illusion == 0


def test_mobile_node_that_forgets_everything_flushes_what_it_had() -> None:
    scene = Scene()
    scene.start()
    scene.run(2)
    scene.states["wifi"] = DOWN
    scene.start_mobile_node(5)
    scene.start()
    scene.run(2)
    assert scene.at_home_agent() == scene.at_mobile_node()
    assert set(scene.at_home_agent()) == {2, 3, 4}


@pytest.mark.parametrize("skew", [20.0, -20.0, 86_400.0, -86_400.0])
def test_wrong_clock_costs_one_rejection(skew: float) -> None:
    scene = Scene()
    scene.node.skew = skew
    Rules(scene)
    scene.start()
    scene.run(2)
    assert agree(scene)
    assert scene.node.events("registration-denied") == 1


def test_clock_that_jumps_is_followed() -> None:
    scene = Scene()
    Rules(scene)
    scene.start()
    scene.run(500)
    scene.node.skew = -3600
    scene.run(1000)
    assert agree(scene)
    scene.node.skew = 3600
    scene.run(1000)
    assert agree(scene)
    assert scene.node.events("binding-expired") == 0


def test_nonces_on_lossy_links() -> None:
    association = {"spi": 256, "key": bytes(range(16)).hex(), "replay": "nonces"}
    home_agent: dict[str, Any] = {
        "mobile_node": [{"home_address": "10.0.0.5", "security_association": [association]}]
    }
    scene = Scene(
        links={name: Link(loss=0.2) for name in NAMES},
        mobile_node={"security_association": [association]},
        home_agent=home_agent,
    )
    scene.start()
    scene.run(3600)
    for link in scene.network.links.values():
        link.loss = 0
    scene.run(700)
    assert agree(scene)


def test_home_agent_without_the_extension_and_back() -> None:
    scene = Scene(mobile_node={"legacy_hold_down": 300.0})
    Rules(scene)
    _agent_switch(False)(scene)
    scene.start()
    scene.run(5)
    assert set(scene.at_home_agent()) == set(scene.at_mobile_node()) == {None}
    assert scene.machine.registered
    _agent_switch(True)(scene)
    scene.run(310)
    assert agree(scene)


def test_switched_off_at_the_home_agent_while_all_are_registered() -> None:
    scene = Scene()
    Rules(scene)
    scene.start()
    scene.run(2)
    _agent_switch(False)(scene)
    scene.run(400)
    assert scene.at_home_agent() == scene.at_mobile_node() == {None: str(address("wifi").ip)}


def test_journey_home_and_out_again() -> None:
    scene = Scene()
    Rules(scene)
    scene.start()
    scene.run(10)
    scene.set("home", HOME_UP)
    scene.run(10)
    assert scene.at_home_agent() == scene.at_mobile_node() == {}
    assert scene.machine.registered
    assert not scene.home.intercepted
    scene.set("home", DOWN)
    scene.run(5)
    assert agree(scene)
    assert scene.home.intercepted == {scene.settings.home_address}


def test_bulk_saves_requests() -> None:
    counts = {}
    for bulk in (False, True):
        scene = Scene(mobile_node={"bulk_renewal": bulk}, home_agent=QUIET)
        Rules(scene)
        scene.start()
        scene.run(36_000)
        counts[bulk] = len(scene.node.sent)
        assert any((e := extension_of(request_of(p))) and e.bulk for _, p in scene.node.sent) == bulk
    assert counts[True] < 0.75 * counts[False]
