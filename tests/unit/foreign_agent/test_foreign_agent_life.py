# SPDX-License-Identifier: GPL-2.0-or-later
"""Start, stop, timers out of turn, the switch, status and settings of a foreign agent."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from agents.effects import RemoveTunnel, SendDatagram, StartTimer
from agents.foreign_agent import ForeignAgent
from agents.foreign_agent_pending import PendingKey
from agents.settings import ForeignAgentSettings
from agents.settings_file import SettingsError, load
from agents.visitors import KeepaliveTimer, VisitorKey, VisitorTimer
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    HOME,
    HOME_AGENT,
    WIFI_AGENT,
    Lab,
    reply_to,
    settings,
)
from tests.unit.home_agent.home_agent_lab import START, multiple


def test_before_start_and_after_stop_it_is_silent() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    lab.apply(lab.agent.stop(lab.now))
    assert lab.agent.stop(lab.now) == []
    assert lab.send(lab.request(multiple(1))) is None
    assert lab.answer(reply_to(relayed.payload)) is None
    assert lab.agent.receive_icmp(b"", HOME, "wifi", None, lab.now) == []
    assert lab.agent.unreachable(HOME_AGENT, 1, lab.now) == []
    assert lab.agent.timer(VisitorTimer(VisitorKey(HOME, 1)), lab.now) == []
    assert not lab.status()["running"]


def test_stop_takes_everything_back_and_start_begins_anew() -> None:
    lab = Lab()
    lab.register(1, "wifi")
    lab.register(2, "lte")
    lab.relay(lab.request(multiple(3)))
    lab.apply(lab.agent.stop(lab.now))
    assert lab.kernel.empty
    assert lab.kernel.timers == {}
    assert sum(isinstance(effect, RemoveTunnel) for effect in lab.effects) == 1
    assert lab.status()["visitors"] == lab.pending() == []
    lab.apply(lab.agent.start(lab.now))
    assert lab.agent.start(lab.now) == []
    assert lab.status()["visitors"] == []
    lab.register(1)


def test_timers_that_come_late_or_for_nothing_change_nothing() -> None:
    lab = Lab()
    lab.register(1)
    lab.relay(lab.request(multiple(2)), interface="lte")
    before = lab.snapshot()
    gone = VisitorKey(HOME, 9)
    keys = (VisitorTimer(gone), KeepaliveTimer(gone), KeepaliveTimer(VisitorKey(HOME, 1)), "unheard-of")
    for key in (*keys, PendingKey(HOME, 12345)):
        assert lab.agent.timer(key, lab.now) == []
    (part,) = [key for key in lab.kernel.timers if isinstance(key, PendingKey)]
    early: tuple[PendingKey | VisitorTimer, ...] = (part, VisitorTimer(VisitorKey(HOME, 1)))
    for key in early:
        assert lab.agent.timer(key, lab.now) == [StartTimer(key, lab.kernel.timers[key])]
    assert lab.snapshot() == before


def test_the_switch_spares_what_is_there() -> None:
    lab = Lab()
    lab.register(1)
    lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
    assert lab.reports("multiple-tunnel-support-set") == [{"enabled": False}]
    assert not lab.status()["enable_multiple_tunnel_support"]
    assert list(lab.rows()) == [1]
    assert lab.deny(lab.request(multiple(1))).code == 127
    lab.register(1, lifetime=0)
    assert lab.rows() == {}
    lab.apply(lab.agent.set_multiple_tunnel_support(True, lab.now))
    lab.register(1)


def test_the_switch_does_not_reach_a_request_under_way() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    lab.apply(lab.agent.set_multiple_tunnel_support(False, lab.now))
    lab.answer(reply_to(relayed.payload))
    assert list(lab.rows()) == [1]


def test_the_status_is_json() -> None:
    lab = Lab()
    lab.register(1, kbytes=100)
    lab.wait(10)
    lab.relay(lab.request(multiple(2)), interface="lte")
    status = json.loads(json.dumps(lab.status()))
    assert status["role"] == "foreign-agent"
    assert status["running"] is True
    (row,) = status["visitors"]
    assert row["lifetime_remaining"] == 590
    assert row["care_of_address"] == str(CARE_OF)
    assert row["bandwidth_kbytes"] == 100
    assert row["requested_lifetime"] == 600
    assert status["pending"][0]["seconds_left"] == 7.0
    assert status["tunnels"] == [
        {
            "encapsulation": "ipip",
            "local": str(CARE_OF),
            "remote": str(HOME_AGENT),
            "key": None,
            "visitors": 1,
        }
    ]


def test_two_agents_know_nothing_of_each_other() -> None:
    one, other = Lab(), Lab()
    one.register(1)
    assert other.status()["visitors"] == []
    assert other.agent.receive_icmp(b"", HOME, "eth0", None, START) == []


# Settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"care_of_addresses": []}, "at least 1"),
        ({"care_of_addresses": ["192.0.2.1", "192.0.2.1"]}, "192.0.2.1 stands 2 times"),
        ({"interface": [{"name": "wifi", "address": "192.0.2.1"}] * 2}, "wifi stands 2 times"),
        (
            {"interface": [{"name": "wifi", "address": "192.0.2.1", "care_of_address": "192.0.2.9"}]},
            "192.0.2.9 is not one of care_of_addresses",
        ),
        ({"delivery_styles": ["encapsulating"]}, "direct must be one of them"),
        ({"encapsulations": ["gre"]}, "ipip must be one of them"),
        ({"encapsulations": ["ipip", "udp"]}, "udp is asked for with behind_nat"),
        ({"pending_limit": 0}, "greater than or equal to 1"),
        ({"reverse_tunnel": "perhaps"}, "'required' or 'forbidden'"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**changes)


def test_an_association_stands_once() -> None:
    entry = {"security_association": [{"spi": 256, "key": "00" * 16}]}
    with pytest.raises(ValidationError, match=r"10\.0\.0\.5 stands 2 times"):
        settings(mobile_node=[{"home_address": "10.0.0.5"} | entry] * 2)
    with pytest.raises(ValidationError, match=r"10\.0\.0\.1 stands 2 times"):
        settings(home_agent=[{"address": "10.0.0.1"} | entry] * 2)


def test_a_file_makes_a_foreign_agent(tmp_path: Path) -> None:
    path = tmp_path / "fa.toml"
    path.touch(0o600)
    path.write_text(
        "[foreign_agent]\n"
        'care_of_addresses = ["203.0.113.1"]\n'
        "behind_nat = true\n"
        "[[foreign_agent.interface]]\n"
        'name = "wifi"\naddress = "192.0.2.1"\ncare_of_address = "203.0.113.1"\n'
        "[[foreign_agent.mobile_node]]\n"
        'home_address = "10.0.0.5"\n'
        'security_association = [{spi = 256, key = "000102030405060708090a0b0c0d0e0f"}]\n'
    )
    loaded = load(path, ForeignAgentSettings)
    assert loaded.interface[0].address == WIFI_AGENT
    effects = ForeignAgent(loaded, Random(1)).start(START)
    assert len(effects) == 2
    path.write_text("[foreign_agent]\ncare_of_addresses = []\nencapsulations = ['gre']\n")
    with pytest.raises(SettingsError) as error:
        load(path, ForeignAgentSettings)
    assert len(error.value.problems) == 3


def test_a_datagram_for_nobody_is_counted() -> None:
    lab = Lab()
    lab.discard(b"\1")
    assert [e for e in lab.effects if isinstance(e, SendDatagram)] == []
    assert lab.status()["discarded"] == {"truncated": 1}
