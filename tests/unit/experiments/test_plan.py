# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command will do: cells, batches, seeds."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agents.settings import Policy
from experiments.plan import Plan, Treatment
from tests.unit.experiments.experiment_lab import PLAN
from topologies.links import AccessLink


def test_cells_stand_in_the_order_of_the_arguments() -> None:
    plan = replace(PLAN, policies=(Policy.PER_PACKET, Policy.PER_FLOW), flows=(8, 1))
    assert plan.treatments() == [
        Treatment(3, Policy.PER_PACKET, 8),
        Treatment(3, Policy.PER_PACKET, 1),
        Treatment(3, Policy.PER_FLOW, 8),
        Treatment(3, Policy.PER_FLOW, 1),
    ]


def test_figures_take_turns_within_each_repetition() -> None:
    plan = replace(PLAN, figures=(3, 4), runs=2)
    assert [batch.name for batch in plan.batches()] == [
        "figure3-run001",
        "figure4-run001",
        "figure3-run002",
        "figure4-run002",
    ]
    for batch in plan.batches():
        assert {treatment.figure for treatment in batch.order} == {batch.figure}


def test_every_batch_runs_every_cell_once() -> None:
    for batch in PLAN.batches():
        assert sorted(map(repr, batch.order)) == sorted(map(repr, PLAN.treatments()))


def test_the_order_is_random_but_fixed_by_the_seed() -> None:
    plan = replace(PLAN, flows=(1, 2, 4, 8), runs=8)
    orders = [batch.order for batch in plan.batches()]
    assert orders == [batch.order for batch in plan.batches()]
    assert len(set(orders)) > 1
    assert orders != [batch.order for batch in replace(plan, seed=2).batches()]


def test_more_runs_leave_the_first_ones_as_they_were() -> None:
    assert list(replace(PLAN, runs=9).batches())[: PLAN.runs] == list(PLAN.batches())


def test_another_figure_does_not_change_this_ones_batches() -> None:
    both = [batch for batch in replace(PLAN, figures=(4, 3)).batches() if batch.figure == 3]
    assert both == list(PLAN.batches())


@given(st.integers(0, 2**63 - 1), st.integers(2, 20))
def test_seeds_differ_and_fit_the_guest(seed: int, runs: int) -> None:
    seeds = [batch.seed for batch in replace(PLAN, figures=(3, 4), seed=seed, runs=runs).batches()]
    assert len(set(seeds)) == 2 * runs
    assert all(0 <= one < 2**63 for one in seeds)


def test_a_plan_survives_its_json() -> None:
    links = (AccessLink("wifi", 1.5, 2, 3, 4, loss=0.5, jitter=1, queue=9, mtu=1400),)
    plan = replace(PLAN, links=links, udp_rate=12.5, protocol="udp", figures=(3, 4))
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
