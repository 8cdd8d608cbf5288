# SPDX-License-Identifier: GPL-2.0-or-later
"""Two mobile nodes behind NATs: one public address for both, private addresses that coincide."""

from __future__ import annotations

import pytest

from tests.net.figure3_report import Report
from tests.net.scenario_report import play
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net


@pytest.fixture(scope="module")
def report(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The scene, played once."""
    return play(lab, tmp_path_factory.mktemp("behind_nats"), "scenario_behind_nats")


STEPS = ("direct", "behind_its_own_nat", "direct_again")
PUBLIC, SECOND_PUBLIC = "203.0.113.50", "203.0.113.66"
FIRST, SECOND = "198.51.100.10", "198.51.100.11"
COINCIDING = "192.168.0.98"
"""The care-of address of the first node's LTE interface and of the second one's own network."""


@pytest.mark.parametrize("step", STEPS)
def test_traffic_of_each_reaches_only_that_one(report: Report, step: str) -> None:
    seen = report[step]["exchanged"]
    assert seen["mn"] == {"heard": {"mn": 40}, "answers": {"mn": 40}}
    assert seen["mn2"] == {"heard": {"mn2": 40}, "answers": {"mn2": 40}}
    assert seen["unasked"] == 0


@pytest.mark.parametrize("step", STEPS)
def test_every_tunnel_of_each_carries_its_part(report: Report, step: str) -> None:
    sent = report[step]["sent"]
    assert len(sent) == 6
    for alias, count in sent.items():
        part = 40 // 4 if alias.startswith(f"{FIRST} ") else 40 // 2
        assert part <= count <= part + 2, alias  # a probe's answer now and then


@pytest.mark.parametrize("step", STEPS)
def test_one_public_address_serves_both_by_its_ports(report: Report, step: str) -> None:
    behind = [row for row in report[step]["bindings"] if row[4] == PUBLIC]
    assert sorted((row[0], row[1]) for row in behind) == [(FIRST, n) for n in (1, 2, 3, 4)] + [(SECOND, 1)]
    assert len({row[5] for row in behind}) == 5
    assert {row[3] for row in behind} == {"udp"}


@pytest.mark.parametrize("step", STEPS)
def test_the_same_private_care_of_address_behind_two_nats(report: Report, step: str) -> None:
    rows = report[step]["bindings"]
    assert sorted((row[0], row[1]) for row in rows if row[2] == COINCIDING) == [(FIRST, 4), (SECOND, 2)]


def test_a_binding_moves_behind_a_nat_and_back(report: Report) -> None:
    moved = {step: next(row for row in report[step]["bindings"] if row[:2] == [SECOND, 2]) for step in STEPS}
    assert moved["direct"][3:] == ["ipip", COINCIDING, 0]
    assert moved["behind_its_own_nat"][3:5] == ["udp", SECOND_PUBLIC]
    assert moved["direct_again"] == moved["direct"]
