# SPDX-License-Identifier: GPL-2.0-or-later
"""Against liveness: answers to probes that nobody gave, to keep a dead tunnel in use.

The attacker sends ICMP echo replies from any address, and may have recorded genuine ones. Each test
has one tunnel fall silent and forges its answers: it must be found dead as soon as without them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from random import Random
from typing import Any

import pytest

from agents.effects import SendProbe
from agents.wire import EchoReply
from tests.attacks.attacked import at_mobile_node
from tests.unit.mobile_node.mobile_node_lab import LTE, Lab, registered, tunnel
from tests.unit.mobile_node.test_mobile_node_liveness import ON, answer, probes_for, reply

TARGET = "evdo"
IN_TIME = 0.4
Forge = Callable[[SendProbe], Iterator[dict[str, Any]]]


def state(node: Lab) -> str:
    """All that an answer could change."""
    return at_mobile_node(node) + repr([node.row(name)["liveness"] for name in ("wifi", TARGET, "lte")])


def found_dead(node: Lab, forge: Forge) -> None:
    """The target falls silent, and its probes get forged answers."""
    begun = node.time
    forged = 0
    while not node.sent and node.time < begun + 2 * IN_TIME:
        node.probes.clear()
        node.advance(0.005)
        for probe in list(node.probes):
            if probe.interface != TARGET:
                answer(node, probe)
                continue
            for changed in forge(probe):
                before = state(node)
                answer(node, probe, **changed)
                assert state(node) == before
                forged += 1
    assert forged
    assert node.time - begun < IN_TIME
    request = node.take()
    assert (request.lifetime, request.binding_id) == (0, 2)
    assert [path.binding_id for path in node.paths] == [1, 3]


def altered(probe: SendProbe, identifier: int = 0, sequence: int = 0, nonce: bytes = b"") -> bytes:
    """The right answer with something added to its numbers, or with another nonce."""
    right = EchoReply.decode(reply(probe))
    wrong = struct.pack("!HH", right.identifier + identifier & 0xFFFF, right.sequence + sequence & 0xFFFF)
    payload = probe.payload[:4] + wrong + (nonce or right.data)
    octets = b"\0\0\0\0" + payload[4:]
    checksum: int = -sum(struct.unpack(f"!{len(octets) // 2}H", octets)) % 0xFFFF
    return octets[:2] + checksum.to_bytes(2, "big") + octets[4:]


def settled() -> Lab:
    """A mobile node whose three tunnels have been answering for a while."""
    node = registered(**ON)
    probes_for(node, 10.0)
    return node


@pytest.mark.parametrize("added", [1, 0x8000, 0xFFFF])
def test_an_answer_with_a_wrong_identifier(added: int) -> None:
    found_dead(settled(), lambda probe: iter([{"payload": altered(probe, identifier=added)}]))


@pytest.mark.parametrize("nonce", [bytes(8), bytes(6), b"guessed!"])
def test_an_answer_with_a_wrong_nonce(nonce: bytes) -> None:
    found_dead(settled(), lambda probe: iter([{"payload": altered(probe, nonce=nonce)}]))


@pytest.mark.parametrize("added", [1, 100, 0x8000])
def test_an_answer_with_a_wrong_sequence_number(added: int) -> None:
    found_dead(settled(), lambda probe: iter([{"payload": altered(probe, sequence=added)}]))


def test_an_answer_from_another_than_the_home_agent() -> None:
    found_dead(settled(), lambda _: iter([{"source": IPv4Address("192.0.2.66")}]))


def test_an_answer_by_another_tunnel_or_bare() -> None:
    ways = (tunnel(LTE, "lte"), None)
    found_dead(settled(), lambda _: iter([{"way": way} for way in ways]))


def test_recorded_answers_again() -> None:
    node = registered(**ON)
    recorded = [reply(probe) for probe in probes_for(node, 10.0) if probe.interface == TARGET]
    found_dead(node, lambda _: iter([{"payload": payload} for payload in recorded[-20:]]))


def test_an_answer_to_a_probe_of_a_former_life_of_the_tunnel() -> None:
    """Withheld when that life ended, with the sequence number of the present one."""
    node = settled()
    withheld = [
        probe for probe in probes_for(node, 1.0, TARGET) if probe.through and probe.interface == TARGET
    ]
    node.answer(node.take(), lifetime=0)
    while not node.sent:
        probes_for(node, 0.05)
    node.answer(node.take())
    probes_for(node, 10.0)
    former = EchoReply.decode(reply(withheld[-1]))

    def forge(probe: SendProbe) -> Iterator[dict[str, Any]]:
        present = EchoReply.decode(reply(probe))
        assert (present.identifier, present.data) != (former.identifier, former.data)
        yield {"payload": reply(withheld[-1])}
        yield {
            "payload": altered(withheld[-1], sequence=present.sequence - former.sequence),
            "way": probe.through,
        }

    found_dead(node, forge)


def test_a_flood_of_answers() -> None:
    """By one who has guessed everything but the nonce: a hundred for each probe, and odd sizes."""
    random = Random(1)
    node = settled()

    def forge(probe: SendProbe) -> Iterator[dict[str, Any]]:
        for _ in range(100):
            yield {"payload": altered(probe, nonce=random.randbytes(2 * random.randrange(1, 700)))}
            yield {"payload": random.randbytes(random.randrange(40))}

    found_dead(node, forge)
    assert len(node.machine._watch._watched) == 2
