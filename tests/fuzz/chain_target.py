# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobile node, foreign agent and home agent talking to each other, and a forger beside them.

The forger hears every datagram and sends altered copies, most of them signed anew with the right
key. What is rejected must change nothing; and once the forger is silent and the mobile node has
started anew, all three must agree again.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from ipaddress import IPv4Address
from random import Random

from agents.effects import Datagram, Report
from tests.fuzz.mutations import mutate
from tests.simulation.simulated_network import Link, Node
from tests.simulation.simulated_scene import HOME_ADDRESS, HOME_AGENT, address
from tests.simulation.simulated_visit import CARE_OF_ADDRESSES, UPLINK, Visit
from tests.unit.home_agent.home_agent_lab import authentication

NAMES = ("wifi", "evdo", "lte")
ADDRESSES = (HOME_ADDRESS, HOME_AGENT, *CARE_OF_ADDRESSES, address("evdo").ip, IPv4Address(0))
LIFETIME = 60
LIFE = 400
"""Forged messages for one scene."""
SILENCE = LIFETIME + 120.0
"""Seconds until what the forger has made is over: a lifetime and a chain of retransmissions."""
_AUTHENTICATION = bytes.fromhex("201400000100")
_HEARD = 12


class ChainTarget:
    """One scene after the other."""

    def __init__(self, random: Random, counts: Counter[str]) -> None:
        self._random = random
        self._counts = counts
        self._begin()

    def _begin(self) -> None:
        random = self._random
        nat = random.random() < 0.3
        self._left = LIFE
        self._heard: deque[tuple[Node, Datagram]] = deque(maxlen=_HEARD)
        self._scene = scene = Visit(
            random.getrandbits(20),
            {name: Link(0.02, jitter=0.02, loss=0.02) for name in (*NAMES, UPLINK)},
            NAMES,
            each=random.random() < 0.5,
            mobile_node={"lifetime": LIFETIME, "legacy_hold_down": 30.0, "udp_lifetime": LIFETIME},
            foreign_agent={"maximum_lifetime": LIFETIME, "behind_nat": nat},
            home_agent={"maximum_lifetime": LIFETIME},
        )
        scene.visit_network.nat = IPv4Address("198.51.100.1") if nat else None
        scene.network.listeners.append(lambda node, datagram: self._heard.append((node, datagram)))
        scene.start()

    # Making messages

    def message(self) -> tuple[bytes, bool]:
        """The next forged message, and whether it was signed after it was mutated."""
        self._left -= 1
        if self._left < 0:
            self._make_peace()
            self._begin()
        scene, random = self._scene, self._random
        scene.run(random.choice((0.0, 0.01, 0.3, 1.1, 5.0)))
        if random.random() < 0.5 or not self._heard:
            scene.node.perform(scene.machine.reregister(scene.node.now, bulk=random.random() < 0.5))
            for _ in range(random.randrange(1, 8)):
                self._wait_for_a_datagram()
        if random.random() < 0.7:
            # The altered copy arrives before the original.
            self._receiver, self._datagram = self._heard[-1]
        else:
            self._receiver, self._datagram = random.choice(self._heard)
        original = self._datagram.payload
        fixed_part = 24 if original[0] == 1 else 20
        if random.random() < 0.25:
            return mutate(original, fixed_part, random, ADDRESSES), False
        end = original.rfind(_AUTHENTICATION, fixed_part)
        body = mutate(original[:end], fixed_part, random, ADDRESSES)
        return authentication(body), True

    def _wait_for_a_datagram(self) -> None:
        last = self._heard[-1] if self._heard else None
        for _ in range(200):
            self._scene.run(0.005)
            if self._heard and self._heard[-1] is not last:
                return

    # Delivering them

    def deliver(self, payload: bytes) -> None:
        """Give it to whom the original was for, and check what must hold.

        :raises AssertionError: it does not.
        """
        node = self._receiver
        before = self._agents()
        effects = node.machine.receive(replace(self._datagram, payload=payload), node.now)
        words = [effect.event for effect in effects if isinstance(effect, Report)]
        self._counts[f"chain: {node.name}, {words[0] if words else 'settled'}"] += 1
        if "message-discarded" in words:
            assert len(effects) == 1, f"a discarded message had an effect: {effects}"
            assert self._agents() == before, "a discarded message changed the state"
        node.perform(effects)

    def _make_peace(self) -> None:
        scene = self._scene
        for link in scene.network.links.values():
            link.loss = 0.0
        scene.run(SILENCE)
        scene.node.perform(scene.machine.stop(scene.node.now))
        scene.run(3)
        scene.start_mobile_node(self._random.getrandbits(20))
        scene.start()
        scene.run(SILENCE)
        assert scene.agree(), (
            f"no agreement after the forger: {scene.at_mobile_node()}, "
            f"{scene.at_foreign_agent()}, {scene.at_home_agent()}"
        )
        self._counts["chain: all agree again"] += 1

    def _agents(self) -> object:
        """What both agents hold; entries are immutable values."""
        scene = self._scene
        home, visited = scene.agent, scene.visitor_agent
        return (
            {a: dict(bindings) for a, bindings in home._table._lists.items()},
            {a: dict(visitors) for a, visitors in visited._table._lists.items()},
            dict(visited._pending._parts),
        )
