# SPDX-License-Identifier: GPL-2.0-or-later
"""What a foreign agent keeps over a restart."""

from __future__ import annotations

from agents.effects import SendIcmp
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    ENCAPSULATING,
    OTHER_CARE_OF,
    WIFI_AGENT,
    Lab,
    reply_to,
)
from tests.unit.home_agent.home_agent_lab import OTHER_HOME


def visited() -> Lab:
    """Two entries of one mobile node, one of another that tunnels to us."""
    lab = Lab()
    lab.register(1)
    lab.register(2, "lte", kbytes=1000)
    request = lab.request(after=ENCAPSULATING, home_address=OTHER_HOME, care_of_address=OTHER_CARE_OF)
    lab.answer(reply_to(lab.relay(request, source=OTHER_HOME).payload))
    return lab


def test_all_entries_come_back_with_all_they_have_in_the_kernel() -> None:
    lab = visited()
    rows, kernel = lab.status()["visitors"], repr({**vars(lab.kernel), "timers": None})
    assert len(rows) == 3
    lab.restart()
    assert lab.status()["visitors"] == rows
    assert repr({**vars(lab.kernel), "timers": None}) == kernel
    assert lab.reports("state-restored") == [{"visitors": 3, "ended": 0}]
    lab.wait(601)
    assert lab.kernel.empty


def test_the_time_away_counts() -> None:
    lab = visited()
    lab.wait(300)
    lab.register(1)
    lab.restart(away=301)
    assert lab.rows().keys() == {1}
    assert lab.rows()[1]["lifetime_remaining"] == 299
    assert lab.reports("state-restored") == [{"visitors": 1, "ended": 2}]


def test_pending_requests_are_forgotten() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request())
    lab.restart()
    assert lab.pending() == []
    assert lab.answer(reply_to(relayed.payload)) is None
    assert lab.rows() == {}


def test_an_interface_or_care_of_address_that_is_gone() -> None:
    lab = visited()
    lab.restart(interface=[{"name": "wifi", "address": WIFI_AGENT, "advertise": False}])
    assert lab.rows().keys() == {1}
    lab.restart(care_of_addresses=[OTHER_CARE_OF])
    assert [row["care_of_address"] for row in lab.status()["visitors"]] == [str(OTHER_CARE_OF)]
    lab.restart(care_of_addresses=[CARE_OF])
    assert lab.status()["visitors"] == []
    assert lab.kernel.empty


def test_sequence_numbers_begin_anew_so_that_visitors_register_again() -> None:
    """RFC 5944 §2.3.2."""
    lab = visited()
    lab.restart(interface=[{"name": "wifi", "address": WIFI_AGENT}])
    (advertisement,) = [effect for effect in lab.effects if isinstance(effect, SendIcmp)]
    extension = advertisement.payload.index(bytes([16, 6 + 8]))
    assert advertisement.payload[extension + 2 : extension + 4] == b"\0\0"
    assert lab.rows().keys() == {1}


def test_the_switch_and_the_bandwidth() -> None:
    lab = visited()
    lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
    lab.apply(lab.agent.set_bandwidth(1, 50, lab.now))
    lab.restart()
    assert not lab.status()["enable_multiple_tunnel_support"]
    assert lab.rows()[1]["bandwidth_kbytes"] == 50


def test_an_ordinary_stop_forgets_every_visitor() -> None:
    lab = visited()
    before = lab.agent.generation
    lab.apply(lab.agent.stop(lab.now))
    assert lab.agent.generation != before
    lab.restart()
    assert lab.status()["visitors"] == []
    assert lab.kernel.empty


def test_what_is_refused_does_not_change_what_is_kept() -> None:
    lab = visited()
    before = lab.agent.generation
    lab.deny(lab.request(lifetime=65535))
    lab.relay(lab.request())
    assert lab.agent.generation == before
