# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mobile node keeps over a restart (RFC 5944 §5.7, FACTS G16, G18)."""

from __future__ import annotations

from random import Random

from agents.mobile_node import MobileNode
from agents.mobile_node_state import MobileNodeState
from agents.settings import MobileNodeSettings
from tests.unit.mobile_node.mobile_node_lab import KEY, Lab, lab, registered


def restarted(node: Lab, away: float = 0.0, clock_step: float = 0.0, **changes: object) -> Lab:
    """A new mobile node that has taken up what this one has kept."""
    octets = node.machine.snapshot(node.now).model_dump_json()
    settings = MobileNodeSettings.model_validate({**node.settings.model_dump(), **changes})
    again = Lab(settings, MobileNode(settings, Random(2)), time=7.0)
    again.unix_offset = node.now.unix + away + clock_step - again.time
    again.do(again.machine.restore(MobileNodeState.model_validate_json(octets), again.now))
    return again


def test_identifications_go_on_even_if_the_clock_was_set_back() -> None:
    node = registered()
    node.do(node.machine.reregister(node.now))
    last = node.sent[-1].identification
    again = restarted(node, clock_step=-3600)
    again.start("wifi")
    assert again.take().identification > last


def test_the_offset_to_the_home_agents_clock_is_known() -> None:
    """No second rejection (133) only because of the restart."""
    node = lab()
    node.start("wifi")
    first = node.take()
    ahead = first.identification + (1000 << 32)
    node.answer(first, code=133, identification=ahead)
    second = node.wait()
    node.answer(second)
    again = restarted(node)
    again.start("wifi")
    assert again.take().identification > second.identification


def test_the_first_registration_replaces_all() -> None:
    """Its bindings are not kept (FACTS G16)."""
    again = restarted(registered())
    again.start("wifi", "evdo", "lte")
    assert "registered" not in again.states().values()
    assert again.take().overwrite


def test_the_next_nonce_is_known() -> None:
    association = [{"spi": 256, "key": KEY.hex(), "replay": "nonces"}]
    node = lab(security_association=association)
    node.machine._requests.identifications.answered(0xABCD0123 << 32)
    again = restarted(node)
    again.start("wifi")
    assert again.take().identification >> 32 == 0xABCD0123


def test_the_switch_and_the_bandwidth() -> None:
    node = registered()
    node.do(node.machine.set_multiple_tunnel_support(False, node.now))
    node.do(node.machine.set_bandwidth(2, 50, node.now))
    again = restarted(node)
    status = again.machine.status(again.now)
    assert not status["enable_multiple_tunnel_support"]
    assert again.machine.snapshot(again.now).uplink_kbit["evdo"].current == 400
    again = restarted(again, enable_multiple_tunnel_support=False)
    again = restarted(again, enable_multiple_tunnel_support=True)
    assert again.machine.status(again.now)["enable_multiple_tunnel_support"]


def test_an_interface_that_was_taken_out_of_the_settings() -> None:
    node = registered()
    node.do(node.machine.set_bandwidth(3, 50, node.now))
    wifi = node.settings.interface[0].model_dump()
    again = restarted(node, interface=[wifi])
    assert again.machine.snapshot(again.now).uplink_kbit.keys() == {"wifi"}


def test_every_identification_is_kept_before_its_request_leaves() -> None:
    node = lab()
    before = node.machine.generation
    node.start("wifi")
    assert node.machine.generation != before
    assert node.machine.snapshot(node.now).identifications.last == node.take().identification
