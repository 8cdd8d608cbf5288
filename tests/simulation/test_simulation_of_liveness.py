# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes, verdicts and what follows, between the state machines (FACTS G25, G31, G51)."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.simulated_network import Link
from tests.simulation.simulated_scene import NAMES, Scene, address

LIVENESS = {"liveness": {"enabled": True}}
NOTICED = 0.38
"""Seconds until a verdict at the latest, if the round trip is below the interval (agents/liveness.py)."""


def watched(seed: int, links: Mapping[str, Link] | None = None) -> Scene:
    """All registered, all tunnels answering."""
    scene = Scene(seed, links, LIVENESS)
    scene.start()
    scene.run(10)
    assert scene.machine.registered
    return scene


def states(scene: Scene) -> set[str]:
    rows = scene.machine.status(scene.node.now)["bindings"]
    assert isinstance(rows, list)
    return {row["liveness"]["state"] for row in rows}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(NAMES), st.floats(0, 0.1), st.integers(0, 1000))
def test_a_dead_tunnel_is_deregistered_within_half_a_second(name: str, phase: float, seed: int) -> None:
    scene = watched(seed)
    scene.run(phase)
    number = NAMES.index(name) + 1
    scene.network.links[name].cut = True
    scene.run(NOTICED + 0.01)
    assert number not in scene.at_mobile_node()
    assert scene.node.events("tunnel-failed") == 1
    scene.run(0.1)  # the deregistration by another link: 20 ms
    assert number not in scene.at_home_agent()
    scene.run(20)
    assert number not in scene.at_home_agent(), "registered by a dead path"
    scene.network.links[name].cut = False
    scene.run(4)
    assert scene.machine.registered
    assert len(scene.at_home_agent()) == len(NAMES)
    assert scene.node.events("tunnel-recovered") == 1
    scene.run(1)
    assert states(scene) == {"alive"}


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=len(NAMES) - 1, unique=True), st.integers(0, 1000)
)
def test_several_that_die_at_once_are_all_deregistered(names: list[str], seed: int) -> None:
    scene = watched(seed)
    dead = {NAMES.index(name) + 1 for name in names}
    for name in names:
        scene.network.links[name].cut = True
    scene.run(NOTICED + 0.25)
    assert dead.isdisjoint(scene.at_mobile_node())
    assert dead.isdisjoint(scene.at_home_agent())
    for name in names:
        scene.network.links[name].cut = False
    scene.run(10)
    assert scene.machine.registered


@pytest.mark.parametrize("seconds", [0.2, 0.5, 3.0, 40.0])
def test_when_all_are_silent_none_is_given_up(seconds: float) -> None:
    scene = watched(1, {name: Link(delay=0.01 * number) for number, name in enumerate(NAMES, 1)})
    for link in scene.network.links.values():
        link.cut = True
    scene.run(seconds)
    assert len(scene.at_mobile_node()) == len(NAMES)
    for link in scene.network.links.values():
        link.cut = False
    scene.run(5)
    assert scene.node.events("tunnel-failed") == 0
    assert (
        scene.node.events("home-agent-silent") == scene.node.events("home-agent-answers") == (seconds > 0.4)
    )
    assert states(scene) == {"alive"}


def test_a_home_agent_that_lost_its_bindings_gets_them_back() -> None:
    scene = watched(1)
    scene.start_home_agent(2)
    scene.run(0.5)
    assert scene.node.events("home-agent-silent") == 1
    scene.run(6)
    assert len(scene.at_home_agent()) == len(NAMES)
    assert states(scene) == {"alive"}


def test_a_tunnel_that_fails_though_its_path_works_is_registered_anew() -> None:
    scene = watched(1)
    broken = {address(NAMES[1]).ip}
    scene.network.broken |= broken
    scene.run(0.5)
    assert scene.node.events("tunnel-failed") == 1
    scene.network.broken -= broken
    scene.run(3)
    assert scene.node.events("tunnel-recovered") == 1
    assert states(scene) == {"alive"}


def test_a_flapping_link_is_tried_less_and_less() -> None:
    scene = watched(3)
    registered = []
    for _ in range(40):
        for cut in (True, False):
            scene.network.links["lte"].cut = cut
            scene.run(1.0)
        registered.append(scene.node.events("tunnel-recovered"))
    assert registered[-1] < 12  # of 40 occasions
    assert registered[-1] - registered[20] <= 3
    scene.run(70)
    assert scene.machine.registered


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000))
def test_loss_alone_gives_up_nothing(seed: int) -> None:
    """Five minutes with 5 % lost each way and 30 ms of jitter."""
    chance = random.Random(seed)
    links = {name: Link(chance.uniform(0.005, 0.04), jitter=0.03, loss=0.05) for name in NAMES}
    scene = Scene(seed, links, LIVENESS)
    scene.start()
    scene.run(300)
    assert scene.node.events("tunnel-failed") == 0
    assert scene.node.events("home-agent-silent") == 0


def test_switched_off_nothing_is_probed() -> None:
    scene = Scene(1)
    scene.start()
    scene.run(60)
    assert states(scene) == {None}
    assert "probes" not in scene.node.timers
