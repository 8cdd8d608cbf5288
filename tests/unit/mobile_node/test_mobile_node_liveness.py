# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of a mobile node: what it sends, whose answers it believes, and what a failure leads to."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.effects import AccessLink, SendProbe, Tunnel
from agents.mobile_node_liveness import PROBES
from tests.unit.mobile_node.mobile_node_lab import (
    DOWN,
    EVDO,
    FOREIGN_AGENT,
    HOME,
    HOME_AGENT,
    LTE,
    WIFI,
    Lab,
    advertisement,
    registered,
    tunnel,
    up,
    visiting,
)

ON: dict[str, Any] = {"liveness": {"enabled": True}}
SECOND = 1.0


def reply(probe: SendProbe) -> bytes:
    """The echo reply of RFC 792, built from its figure."""
    kind, code, _, identifier, sequence = struct.unpack("!BBHHH", probe.payload[:8])
    assert (kind, code) == (8, 0)
    assert sum(struct.unpack(f"!{len(probe.payload) // 2}H", probe.payload)) % 0xFFFF == 0
    blank = struct.pack("!BBHHH", 0, 0, 0, identifier, sequence) + probe.payload[8:]
    checksum = -sum(struct.unpack(f"!{len(blank) // 2}H", blank)) % 0xFFFF
    return blank[:2] + struct.pack("!H", checksum) + blank[4:]


def answer(node: Lab, probe: SendProbe, **changed: Any) -> None:
    """An answer comes, by the way of the probe unless ``way`` says otherwise."""
    node.do(
        node.machine.probe_answered(
            changed.get("payload", reply(probe)),
            changed.get("source", HOME_AGENT),
            changed.get("way", probe.through),
            changed.get("interface", probe.interface),
            node.now,
        )
    )


def probes_for(node: Lab, seconds: float, *silent: str) -> list[SendProbe]:
    """Let time pass; every probe is answered at once but those by the interfaces named."""
    seen: list[SendProbe] = []
    end = node.time + seconds
    while node.time < end:
        node.probes.clear()
        node.advance(min(0.005, end - node.time))
        for probe in list(node.probes):
            seen.append(probe)
            if probe.interface not in silent:
                answer(node, probe)
    return seen


def test_a_probe_goes_from_the_home_address_through_each_tunnel() -> None:
    node = registered(**ON)
    seen = probes_for(node, SECOND)
    assert {probe.through for probe in seen} == {
        tunnel(WIFI, "wifi"),
        tunnel(EVDO, "evdo"),
        tunnel(LTE, "lte"),
    }
    assert {(probe.source, probe.destination) for probe in seen} == {(HOME, HOME_AGENT)}
    identifiers = {probe.interface: probe.payload[4:6] for probe in seen}
    assert len(set(identifiers.values())) == 3
    probes_for(node, SECOND)
    assert node.row("wifi")["liveness"]["state"] == "alive"
    assert node.row("wifi")["liveness"]["why"] is None


def test_behind_a_foreign_agent_the_access_link_is_probed() -> None:
    node = visiting(**ON)
    (way,) = {probe.through for probe in probes_for(node, SECOND) if probe.interface == "wifi"}
    assert way == AccessLink("wifi", FOREIGN_AGENT)


def test_a_silent_tunnel_is_left_and_deregistered_over_another() -> None:
    node = registered(**ON)
    probes_for(node, 10 * SECOND)
    begun = node.time
    while not node.sent:
        probes_for(node, 0.01, "evdo")
    assert node.time - begun < 0.4
    request = node.take()
    assert (request.lifetime, request.binding_id, request.care_of_address) == (0, 2, EVDO)
    assert request.packet.interface != "evdo"
    assert [path.binding_id for path in node.paths] == [1, 3]
    (event,) = node.events("tunnel-failed")
    assert event.fields == {"interface": "evdo", "binding_id": 2, "reason": "silent"}
    shown = node.row("evdo")["liveness"]
    assert (shown["state"], shown["why"]) == ("recovering", "silent")


def test_it_is_registered_again_once_its_bare_path_answers() -> None:
    node = registered(**ON)
    probes_for(node, 3 * SECOND)
    probes_for(node, SECOND, "evdo")
    node.answer(node.take(), lifetime=0)
    seen = probes_for(node, 20 * SECOND, "evdo")
    assert node.sent == [], "registered by a path that does not answer"
    bare = [probe for probe in seen if probe.interface == "evdo"]
    assert {(probe.through, probe.source) for probe in bare} == {(None, EVDO)}
    assert len(bare) == pytest.approx(20, abs=1)
    probes_for(node, 1.3 * SECOND)
    request = node.take()
    assert (request.binding_id, request.lifetime, request.packet.interface) == (2, 600, "evdo")
    node.answer(request)
    (event,) = node.events("tunnel-recovered")
    assert (event.fields["binding_id"], event.fields["reason"]) == (2, "silent")
    probes_for(node, SECOND)
    assert node.row("evdo")["liveness"]["state"] == "alive"


def test_behind_a_foreign_agent_an_advertisement_shows_that_the_link_works_again() -> None:
    node = visiting(**ON)
    probes_for(node, 3 * SECOND)
    probes_for(node, SECOND, "wifi")
    node.answer(node.take(), lifetime=0)
    probes_for(node, 3 * SECOND, "wifi")
    assert node.sent == []
    node.hear(advertisement())
    assert node.take().binding_id == 1


def test_the_last_tunnels_are_never_given_up() -> None:
    node = registered(**ON)
    probes_for(node, 10 * SECOND)
    node.reports.clear()
    probes_for(node, SECOND, "wifi", "evdo", "lte")
    assert len(node.paths) == 3
    assert node.events("tunnel-failed") == []
    assert len(node.events("home-agent-silent")) == 1
    # Each is registered again by its own link, in case the home agent has lost them.
    request = node.sent[0]
    assert request.lifetime == 600
    assert request.packet.interface in ("wifi", "evdo", "lte")


@pytest.mark.parametrize(
    "spoof",
    [
        {"source": IPv4Address("203.0.113.66")},
        {"way": tunnel(WIFI, "wifi")},
        {"way": None},
        {"payload": b""},
        {"payload": bytes(16)},
    ],
)
def test_what_does_not_answer_by_the_tunnel_itself_keeps_none_alive(spoof: dict[str, Any]) -> None:
    node = registered(**ON)
    probes_for(node, 3 * SECOND)
    for _ in range(100):
        for probe in probes_for(node, 0.01, "evdo"):
            if probe.interface == "evdo":
                answer(node, probe, **spoof)
    assert len(node.events("tunnel-failed")) == 1


def test_a_guess_without_the_nonce_is_no_answer() -> None:
    node = registered(**ON)
    probes_for(node, 3 * SECOND)
    for _ in range(100):
        for probe in probes_for(node, 0.01, "evdo"):
            if probe.interface == "evdo":
                guessed = reply(probe)[:-8] + bytes(8)
                checksum = -sum(struct.unpack("!8H", guessed[:2] + bytes(2) + guessed[4:])) % 0xFFFF
                guessed = guessed[:2] + struct.pack("!H", checksum) + guessed[4:]
                answer(node, probe, payload=guessed)
    assert len(node.events("tunnel-failed")) == 1


def test_an_answer_that_comes_twice_is_counted() -> None:
    node = registered(**ON)
    node.probes.clear()
    node.advance(0.1)
    probe = node.probes[0]
    answer(node, probe)
    answer(node, probe)
    assert node.machine.status(node.now)["probe_answers_discarded"] == 1


def test_a_lost_carrier_is_a_failure_at_once() -> None:
    node = registered(**ON)
    node.change("lte", DOWN)
    node.answer(node.take(), lifetime=0)
    (event,) = node.events("tunnel-failed")
    assert event.fields["reason"] == "link-down"
    assert [path.binding_id for path in node.paths] == [1, 2]
    node.change("lte", up(LTE))
    request = node.wait(0.1)
    assert (request.binding_id, request.lifetime) == (3, 600)  # at once: a link event
    node.answer(request)
    assert len(node.events("tunnel-recovered")) == 1


def test_nothing_is_probed_at_home_or_after_the_end() -> None:
    node = registered(**ON)
    node.do(node.machine.stop(node.now))
    node.answer(node.take(), lifetime=0)
    assert node.machine.stopped
    assert PROBES not in node.timers
    node.probes.clear()
    node.advance(10)
    assert node.probes == []


def test_switched_off_there_are_no_probes() -> None:
    node = registered()
    node.advance(10)
    assert node.probes == []
    assert isinstance(node.paths[0].tunnel, Tunnel)
