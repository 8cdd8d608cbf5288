# SPDX-License-Identifier: GPL-2.0-or-later
"""Demands of the matrix that no other test proves."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from random import Random

import pytest

from agents.effects import Instant, SendIcmp
from agents.home_agent import HomeAgent
from agents.linux import discovery
from agents.settings import ForeignAgentSettings, HomeAgentSettings, PathSelection, Policy
from agents.settings_file import load
from tests.unit.foreign_agent import foreign_agent_lab
from tests.unit.mobile_node.mobile_node_lab import D, T, checksum, interface, lab, registered, up

HOME_AGENT_FILE = """
[home_agent]
address = "10.0.0.1"
{line}
[[home_agent.mobile_node]]
home_address = "10.0.0.5"
security_association = [{{ spi = 256, key = "000102030405060708090a0b0c0d0e0f" }}]
"""


def test_b_and_o_are_never_set_together() -> None:
    """Draft §4.1, through renewals, failures, orders and restarts of the whole registration."""
    node = registered()
    requests = []
    for turn in range(12):
        requests += node.accept_all(250)
        match turn % 4:
            case 0:
                node.do(node.machine.reregister(node.now, bulk=True))
            case 1:
                node.do(node.machine.tunnel_failed(2, node.now))
            case 2:
                node.do(node.machine.set_multiple_tunnel_support(False, node.now))
                requests += node.accept_all(5)
                node.do(node.machine.set_multiple_tunnel_support(True, node.now))
            case _:
                node.change("lte", up("192.0.4.99"))
    assert any(request.bulk for request in requests)
    assert any(request.overwrite for request in requests)
    assert not any(request.bulk and request.overwrite for request in requests)
    assert not any(request.overwrite for request in requests if request.lifetime == 0)


@pytest.mark.parametrize(("line", "enabled"), [("", True), ("enable_multiple_tunnel_support = false", False)])
def test_what_the_file_says_survives_a_restart(tmp_path: Path, line: str, enabled: bool) -> None:
    """Draft §8: every start reads the configured value again, whatever was set meanwhile."""
    file = tmp_path / "home-agent.toml"
    file.touch(0o600)
    file.write_text(HOME_AGENT_FILE.format(line=line), encoding="utf-8")
    now = Instant(0.0, 0.0)
    for _ in range(2):
        agent = HomeAgent(load(file, HomeAgentSettings), Random(1))
        agent.start(now)
        assert agent.status(now)["enable_multiple_tunnel_support"] is enabled
        agent.set_multiple_tunnel_support(not enabled, now)
        agent.stop(now)


def test_per_flow_and_multiple_tunnels_are_the_defaults_of_a_foreign_agent() -> None:
    """Draft §7, §8."""
    assert ForeignAgentSettings.model_fields["path_selection"].default == PathSelection()
    assert PathSelection().policy is Policy.PER_FLOW
    assert ForeignAgentSettings.model_fields["enable_multiple_tunnel_support"].default is True


def test_a_udp_tunnel_is_asked_for_with_d_and_t() -> None:
    """RFC 3519 §3.1.5."""
    node = lab(interface("wifi", 1, encapsulation="udp"))
    node.start("wifi")
    request = node.take()
    assert request.extension(144) is not None
    assert request.flags & (D | T) == D | T


def test_an_icmp_redirect_changes_nothing() -> None:
    """RFC 5944 §3.6."""
    node = registered()
    redirect = bytes.fromhex("05010000c0000263") + bytes.fromhex("4500001c00010000400166db0a0000050a000001")
    before = node.machine.status(node.now)["bindings"], node.paths
    node.hear(checksum(redirect))
    assert (node.machine.status(node.now)["bindings"], node.paths) == before
    assert node.sent == []


def test_discovery_messages_have_a_ttl_of_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5944 §2.1, §2.2."""
    packets = []

    class Wire:
        def sendto(self, packet: bytes, _: object) -> None:
            packets.append(packet)

    monkeypatch.setattr(discovery, "open_filtered", lambda *_: Wire())
    socket = discovery.DiscoverySocket("eth0")
    home_agent, group = IPv4Address("10.0.0.1"), IPv4Address("224.0.0.1")
    for destination in (home_agent, group):
        assert socket.send(SendIcmp(b"\x0a\0\xf5\xff\0\0\0\0", home_agent, destination, "eth0")) is None
    assert [packet[8] for packet in packets] == [1, 1]


def test_a_lifetime_too_long_is_answered_with_the_maximum() -> None:
    """RFC 5944 §3.7.2.3; other denials copy what was asked for."""
    lab = foreign_agent_lab.Lab(maximum_lifetime=300)
    denial = lab.deny(lab.request(lifetime=301))
    assert (denial.code, denial.lifetime) == (69, 300)
    lab.wait(1)
    denial = lab.deny(lab.request(lifetime=200, care_of_address=IPv4Address("192.0.2.99")))
    assert (denial.code, denial.lifetime) == (77, 200)
