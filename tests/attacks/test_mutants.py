# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of mutants is up to date; ``make mutants`` runs them all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.attacks.mutant import Mutant
from tests.attacks.mutant_list import MUTANTS
from tests.attacks.mutants import KILLED, ROOT, SURVIVED, attack, copied, faults

NO_SWITCH = {
    "test_no_answer_is_longer_than_the_question",
    "test_a_lie_about_bandwidth_moves_the_liars_traffic_only",
    "test_the_binding_id_of_another_interface_takes_its_place_alone",
    "test_a_perfect_false_denial_costs_one_interface_only",
    "test_false_farewells_of_the_agent_cost_one_link_and_end_with_the_attack",
}
"""Tests of what follows from the formats, or of the reach of what the protocol cannot prevent: there is no
one place where a defence could be switched off."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.defence.replace(" ", "-"))
def test_a_mutant_can_be_applied(mutant: Mutant) -> None:
    """If not, the code has changed: say in ``mutants_of_*.py`` how the defence is switched off now."""
    assert faults(mutant) == []


def test_defences_have_different_names() -> None:
    assert len({mutant.defence for mutant in MUTANTS}) == len(MUTANTS)


def test_every_attack_has_a_defence_that_its_test_guards() -> None:
    named = {test.partition("::")[2].partition("[")[0] for mutant in MUTANTS for test in mutant.tests}
    attacks: set[str] = set()
    for file in Path(__file__).parent.glob("test_attack_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        attacks |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    attacks = {name for name in attacks if name.startswith("test_")}
    assert attacks - named - NO_SWITCH == set()
    assert attacks >= NO_SWITCH


def test_a_mutant_is_killed_and_one_that_changes_nothing_survives() -> None:
    """The machinery itself, on one defence."""
    good = next(m for m in MUTANTS if m.defence == "a timestamp is used once")
    harmless = Mutant("none", good.file, '"""Replay protection of', '"""The replay protection of', good.tests)
    with copied() as copy:
        assert copy != ROOT
        assert attack(good, copy).verdict == KILLED
        assert attack(harmless, copy).verdict == SURVIVED
        assert (copy / good.file).read_bytes() == (ROOT / good.file).read_bytes()
