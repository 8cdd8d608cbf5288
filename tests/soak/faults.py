# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: what goes wrong in a day. Each fault ends with everything as it was before."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from agents.settings import Policy
from tests.net.scenario_stage import Scene

Fault = Callable[[Scene, Random], None]


def link_lost(scene: Scene, random: Random) -> None:
    """One access link has no carrier for a while."""
    link = random.choice(scene.links)
    scene.node("mn").namespace.set_up(link, False)
    time.sleep(random.uniform(0.2, 120.0))
    scene.node("mn").namespace.set_up(link, True)


def handover(scene: Scene, random: Random) -> None:
    """One link remains, then another one: all traffic moves twice."""
    first, second = random.sample(scene.links, 2)
    namespace = scene.node("mn").namespace
    for link in scene.links:
        namespace.set_up(link, link == first)
    time.sleep(random.uniform(2.0, 60.0))
    namespace.set_up(second, True)
    time.sleep(random.uniform(0.0, 3.0))
    namespace.set_up(first, False)
    time.sleep(random.uniform(2.0, 60.0))
    for link in scene.links:
        namespace.set_up(link, True)


def flapping(scene: Scene, random: Random) -> None:
    """A link comes and goes faster than it can register."""
    link = random.choice(scene.links)
    for _ in range(random.randint(3, 20)):
        scene.node("mn").namespace.set_up(link, False)
        time.sleep(random.uniform(0.0, 0.3))
        scene.node("mn").namespace.set_up(link, True)
        time.sleep(random.uniform(0.0, 0.3))


def everything_lost(scene: Scene, random: Random) -> None:
    """No link at all, longer than a lifetime now and then."""
    for link in scene.links:
        scene.node("mn").namespace.set_up(link, False)
    time.sleep(random.choice([5.0, 60.0, 700.0]))
    for link in scene.links:
        scene.node("mn").namespace.set_up(link, True)


def agent_restarted(scene: Scene, random: Random) -> None:
    """An agent is told to end and starts again."""
    node = random.choice(["ha", "fa", "mn"])
    scene.end(node)
    time.sleep(random.uniform(0.0, 20.0))
    scene.launch(node)


def agent_killed(scene: Scene, random: Random) -> None:
    """An agent dies without a word and starts again."""
    node = random.choice(["ha", "fa", "mn"])
    scene.kill(node)
    time.sleep(random.uniform(0.0, 20.0))
    scene.launch(node)


def orders(scene: Scene, random: Random) -> None:
    """An operator gives one order after another."""
    for _ in range(random.randint(1, 10)):
        order = random.randrange(5)
        if order == 0:
            scene.ask("mn", "reregister", bulk=random.random() < 0.5)
        elif order == 1:
            scene.ask("mn", "deregister", binding_id=random.choice([None, *scene.binding_ids]))
        elif order == 2:
            node, policy = random.choice(["ha", "fa", "mn"]), random.choice(list(Policy))
            scene.ask(node, "set-policy", policy=policy.value)
        elif order == 3:
            scene.ask("ha", "set-bandwidth", binding_id=random.choice(scene.binding_ids), kbytes=1000)
        else:
            scene.ask("mn", "pin", binding_id=random.choice([None, *scene.binding_ids]))
        time.sleep(random.uniform(0.0, 5.0))
    for node in ("ha", "fa", "mn"):
        scene.ask(node, "set-policy", policy=Policy.PER_FLOW.value)
    scene.ask("mn", "pin", binding_id=None)
    scene.ask("mn", "reregister", bulk=False)


def support_withdrawn(scene: Scene, random: Random) -> None:
    """One of the three does not want several tunnels for a while (draft §8)."""
    node = random.choice(["ha", "fa", "mn"])
    scene.ask(node, "set-multiple-tunnel-support", enabled=False)
    scene.ask("mn", "reregister", bulk=False)
    time.sleep(random.uniform(5.0, 60.0))
    scene.ask(node, "set-multiple-tunnel-support", enabled=True)
    scene.ask("mn", "reregister", bulk=False)


FAULTS: tuple[Fault, ...] = (
    link_lost,
    link_lost,
    handover,
    handover,
    flapping,
    everything_lost,
    agent_restarted,
    agent_killed,
    orders,
    support_withdrawn,
)
