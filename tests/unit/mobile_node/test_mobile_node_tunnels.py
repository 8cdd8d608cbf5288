# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses, encapsulations and weights: what the tunnels of a mobile node are."""

from __future__ import annotations

import struct

import pytest

from agents.effects import Encapsulation, Tunnel
from agents.home_agent_keepalive import keepalive_addresses
from tests.unit.mobile_node.mobile_node_lab import (
    DOWN,
    HOME,
    HOME_AGENT,
    WIFI,
    B,
    D,
    G,
    T,
    interface,
    lab,
    registered,
    tunnel,
    up,
)


def test_new_address_registers_the_same_binding_again() -> None:
    node = registered()
    node.change("wifi", up("192.0.2.77"))
    assert tunnel(WIFI, "wifi") not in node.tunnels, "its address is gone"
    request = node.take()
    assert (request.binding_id, request.overwrite, request.lifetime) == (1, False, 600)
    assert request.care_of_address == request.packet.source
    assert str(request.care_of_address) == "192.0.2.77"
    node.answer(request)
    assert len(node.paths) == 3


def test_additional_address_changes_nothing() -> None:
    node = registered()
    node.change("wifi", up("192.0.2.77", WIFI))
    assert node.effects == []
    assert node.machine.registered


def test_configured_care_of_address_must_be_on_the_interface() -> None:
    node = lab(interface("wifi", 1, care_of_address="192.0.2.66"))
    node.start("wifi")
    assert node.sent == []
    assert node.states() == {"wifi": "searching"}
    assert not node.machine.registered
    node.change("wifi", up(WIFI, "192.0.2.66"))
    assert str(node.take().care_of_address) == "192.0.2.66"


def test_home_address_on_an_interface_is_no_care_of_address() -> None:
    node = lab(interface("wifi", 1))
    node.change("wifi", up(HOME, WIFI))
    assert node.take().care_of_address == WIFI


def test_unknown_interface_is_ignored() -> None:
    node = lab(interface("wifi", 1))
    node.change("docker0", up("172.17.0.1"))
    assert node.effects == []


def test_encapsulations_are_asked_for_by_flags() -> None:
    for encapsulation, flag in (("gre", G), ("ipip", 0)):
        node = lab(interface("wifi", 1, encapsulation=encapsulation))
        node.start("wifi")
        request = node.take()
        assert request.flags == D | T | flag
        assert not request.flags & B
        node.answer(request)
        (path,) = node.paths
        assert path.tunnel == Tunnel(Encapsulation(encapsulation), WIFI, HOME_AGENT, interface="wifi")


def test_gre_key() -> None:
    node = lab(interface("wifi", 1, encapsulation="gre", gre_key=True))
    node.start("wifi")
    request = node.take()
    assert request.types == [127, 48, 32]
    data = request.extension(48)
    assert data is not None
    (key,) = struct.unpack("!I", data)
    node.answer(request)
    (path,) = node.paths
    assert isinstance(path.tunnel, Tunnel)
    assert path.tunnel.key == key


def test_gre_key_of_the_home_agent_wins() -> None:
    node = lab(interface("wifi", 1, encapsulation="gre", gre_key=True))
    node.start("wifi")
    node.answer(node.take(), extensions=bytes.fromhex("30000004 00001234"))
    (path,) = node.paths
    assert isinstance(path.tunnel, Tunnel)
    assert path.tunnel.key == 0x1234


def test_udp_tunnel_request_and_assent() -> None:
    node = lab(interface("wifi", 1, encapsulation="udp", udp_forced=True))
    node.start("wifi")
    request = node.take()
    assert request.types == [127, 144, 32]
    assert request.extension(144) == bytes.fromhex("000080040000")
    assert request.lifetime == 60
    node.answer(request, extensions=bytes.fromhex("2c060000 8000 001e"))
    (path,) = node.paths
    assert path.tunnel == Tunnel(Encapsulation.UDP, WIFI, HOME_AGENT, 434, 434, "wifi")
    assert node.row("wifi")["keepalive"] == 30


@pytest.mark.parametrize(("interval", "keepalive"), [(0, 110), (3, 10), (200, 200)])
def test_keepalive_interval(interval: int, keepalive: int) -> None:
    node = lab(interface("wifi", 1, encapsulation="udp"))
    node.start("wifi")
    node.answer(node.take(), extensions=struct.pack("!BBBBHH", 44, 6, 0, 0, 0, interval))
    assert node.row("wifi")["keepalive"] == keepalive


def test_keepalives_in_a_long_lived_udp_tunnel() -> None:
    node = lab(interface("wifi", 1, encapsulation="udp"), udp_lifetime=1000)
    node.start("wifi")
    node.answer(node.take(), extensions=struct.pack("!BBBBHH", 44, 6, 0, 0, 0, 100))
    begun = node.time
    node.advance(450)  # renewed at 500 at the earliest
    assert [round(time - begun) for time, _ in node.tunnelled] == [100, 200, 300, 400]
    _, sent = node.tunnelled[0]
    assert (sent.source, sent.source_port, sent.interface) == (WIFI, 434, "wifi")
    assert (sent.destination, sent.destination_port) == (HOME_AGENT, 434)
    assert keepalive_addresses(sent.payload) == (HOME, HOME_AGENT)
    node.change("wifi", DOWN)
    node.advance(450)
    assert len(node.tunnelled) == 4


def test_renewals_stand_in_for_keepalives() -> None:
    node = lab(interface("wifi", 1, encapsulation="udp"))
    node.start("wifi")
    for _ in range(10):
        node.answer(node.wait(), extensions=struct.pack("!BBBBHH", 44, 6, 0, 0, 0, 100))
    assert node.time > 200
    assert node.tunnelled == []


def test_no_udp_without_the_home_agents_protected_assent() -> None:
    assent, refusal = bytes.fromhex("2c06000000000000"), bytes.fromhex("2c06004000000000")
    for how in ({}, {"extensions": refusal}, {"after": assent}):
        node = lab(interface("wifi", 1, encapsulation="udp"))
        node.start("wifi")
        node.answer(node.take(), **how)
        (path,) = node.paths
        assert path.tunnel == tunnel(WIFI, "wifi")
        assert node.row("wifi")["keepalive"] is None


def test_weights_by_bandwidth_and_their_change() -> None:
    node = lab(
        interface("wifi", 1, uplink_kbit=20_000),
        interface("evdo", 2),
        interface("lte", 3, uplink_kbit=10_000),
        path_selection={"weights": "bandwidth"},
    )
    node.start("wifi", "evdo", "lte")
    node.accept_all()
    assert [path.weight for path in node.paths] == [20_000, 15_000, 10_000]
    before = set(node.tunnels)
    node.do(node.machine.set_bandwidth(2, 625, node.now))
    assert [path.weight for path in node.paths] == [20_000, 5_000, 10_000]
    assert node.tunnels == before
    assert node.sent == []
    node.do(node.machine.set_bandwidth(9, 1, node.now))
    assert node.events("unknown-binding")
    with pytest.raises(ValueError, match="-1"):
        node.machine.set_bandwidth(2, -1, node.now)


def test_equal_weights_ignore_the_bandwidth() -> None:
    node = registered()
    node.do(node.machine.set_bandwidth(2, 625, node.now))
    assert [(path.weight, path.bandwidth) for path in node.paths] == [(1, 0), (1, 5000), (1, 0)]
