# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of ``failover`` and ``handover``, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.settings import Policy
from experiments import failover, handover
from experiments.arguments import UsageError
from experiments.disturbed.arguments import read
from experiments.disturbed.cases import CASES, case_of
from experiments.disturbed.plan import DisturbedPlan
from experiments.plan import FIGURES


def plan_of(*words: str, experiment: str = "failover") -> DisturbedPlan:
    return read(words, experiment, "description").plan


def problems(*words: str, experiment: str = "failover") -> list[str]:
    with pytest.raises(UsageError) as caught:
        plan_of(*words, experiment=experiment)
    return caught.value.problems


def test_the_defaults() -> None:
    plan = plan_of()
    assert (plan.figures, plan.policies, plan.runs, plan.seed) == (FIGURES, (Policy.PER_FLOW,), 20, 1)
    assert (plan.direction, plan.weights, plan.encapsulation) == ("down", "bandwidth", "ipip")
    assert {case for _, case in plan.cases} >= {"silent-loss", "carrier-loss", "renumber", "double"}
    assert plan_of("--quick").runs == 2


def test_every_case_the_issue_names_is_there() -> None:
    assert [case.name for case in CASES["failover"]] == [
        *("silent-loss", "one-way-up", "one-way-down", "carrier-loss", "flapping", "fa-killed", "ha-restart"),
        *("mn-restart", "nat-reboot", "nat-expiry", "renumber", "signalling-loss", "double"),
    ]
    assert [case.name for case in CASES["handover"]] == ["make-before-break", "break-before-make"]


@pytest.mark.parametrize("experiment", CASES)
def test_steps_stand_in_order_and_begin_at_once(experiment: str) -> None:
    for case in CASES[experiment]:
        times = [step.at for step in case.steps]
        assert times == sorted(times)
        assert times[0] == 0
        assert case_of(experiment, case.name).disturbance is case


def test_all_leaves_out_what_a_figure_cannot_have() -> None:
    assert not {"nat-reboot", "nat-expiry"} & {case for figure, case in plan_of().cases if figure == 3}
    assert "renumber" not in {case for figure, case in plan_of().cases if figure in (4, 5)}
    assert (3, "renumber") in plan_of().cases


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--figure", "3", "--case", "nat-reboot"], "--case nat-reboot: figure 3 has no NAT"),
        (["--figure", "4", "--case", "renumber"], "figure 4 has no co-located care-of address"),
        (["--case", "earthquake"], "--case earthquake: allowed is silent-loss, one-way-up"),
        (["--case", "double,double"], "double stands there 2 times"),
        (["--case"], "--case '': allowed is"),
        (["--runs", "0"], "--runs 0: allowed is a whole number from 1 to 1000"),
        (["--figure", "9"], "--figure 9: allowed is"),
        (["--flows", "8"], "--flows: there is no such option"),
        (["--link", "gsm=1/1:1"], "no link 'gsm'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(words: list[str], says: str) -> None:
    assert any(says in problem for problem in problems(*words))


def test_every_figure_can_have_a_handover() -> None:
    plan = plan_of("--figure", "4,5", experiment="handover")
    assert len(plan.cases) == 4
    (problem,) = problems("--figure", "all", "--case", "nat-reboot", experiment="handover")
    assert "allowed is make-before-break, break-before-make" in problem


@pytest.mark.parametrize("command", [failover, handover])
def test_bad_usage_is_exit_code_2_and_makes_nothing(
    command: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command.main(["--case", "x", "--json", "--out", str(tmp_path)])  # type: ignore[attr-defined]
    assert code == 2
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["valid"], document["cells"]) == (False, [])
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_lists_the_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dry-run", "--figure", "3", "--case", "double", "--runs", "4", "--out", str(tmp_path / "new")]
    assert failover.main(words) == 0
    said = capsys.readouterr().err
    assert "4 batches, 4 runs in all" in said
    assert "figure 3, double, per-flow: 4 runs" in said
    assert list(tmp_path.iterdir()) == []
