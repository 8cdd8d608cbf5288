# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix names what exists, its page is up to date, and a gap in a run is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.matrix import (
    DOCUMENTS,
    PAGE,
    ROOT,
    STATES,
    Rule,
    has_code,
    has_test,
    load,
    page,
    problems,
    unproved,
)

HERE = "tests/conformance/test_conformance_matrix.py"
CODE = ("agents.home_agent:HomeAgent.receive",)
GOOD = Rule("draft", "4.1", "MUST", "all", "One.", CODE, (f"{HERE}::test_nothing_is_wrong",))


@pytest.fixture(scope="module")
def rules() -> list[Rule]:
    return load()


def test_nothing_is_wrong(rules: list[Rule]) -> None:
    assert problems(rules) == []


def test_every_part_of_the_draft_and_every_document_is_there(rules: list[Rule]) -> None:
    sections = {rule.section for rule in rules if rule.document == "draft"}
    assert sections == {"4.1", "4.2", "5.1", "5.2", "5.3", "7", "8"}
    assert {rule.document for rule in rules} == set(DOCUMENTS)
    assert {rule.state for rule in rules} <= set(STATES)


def test_the_page_is_up_to_date(rules: list[Rule]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rules), "run: python -m tests.conformance --write"


def test_named_tests_of_this_session_were_collected(
    rules: list[Rule], request: pytest.FixtureRequest
) -> None:
    """What the source of a test file seems to hold is what pytest finds in it."""
    collected = {item.nodeid.partition("[")[0] for item in request.session.items}
    files = {name.partition("::")[0] for name in collected}
    whole = {name for rule in rules for name in rule.tests if name.partition("::")[0] in files}
    option = request.config.option
    narrowed = option.keyword or option.markexpr or option.deselect or getattr(option, "lf", False)
    if narrowed or any("::" in argument for argument in request.config.args):
        pytest.skip("only some of the tests were asked for")
    assert whole <= collected


class TestProblems:
    @pytest.mark.parametrize(
        ("rule", "word"),
        [
            (Rule("draft", "1", "MUST", "all", "x"), "no note"),
            (Rule("draft", "1", "MUST", "all", "x", CODE), "not tested, and no note"),
            (Rule("draft", "1", "OUGHT", "all", "x", note="n"), "unknown level"),
            (Rule("RFC 1", "1", "MUST", "all", "x", note="n"), "unknown level or document"),
            (Rule("draft", "1", "MUST", "all", "x", ("agents.home_agent:Nobody",), note="n"), "no code"),
            (Rule("draft", "1", "MUST", "all", "x", CODE, (f"{HERE}::test_nowhere",)), "no test"),
            (Rule("draft", "1", "MUST", "all", "x", (), GOOD.tests), "tests, but no code"),
        ],
    )
    def test_are_found(self, rule: Rule, word: str) -> None:
        (problem,) = problems([rule])
        assert word in problem

    def test_none(self) -> None:
        assert problems([GOOD]) == []

    def test_repetition(self) -> None:
        assert problems([GOOD, GOOD]) == [f"{GOOD}: stands twice"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("agents.home_agent:HomeAgent", True),
        ("agents.home_agent:HomeAgent.receive", True),
        ("agents.home_agent:HomeAgent.receives", False),
        ("agents.home_agents:HomeAgent", False),
        ("agents.home_agent", False),
    ],
)
def test_code_is_looked_up(name: str, found: bool) -> None:
    assert has_code(name) is found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (f"{HERE}::test_code_is_looked_up", True),
        (f"{HERE}::TestProblems::test_none", True),
        (f"{HERE}::test_none", False),
        (f"{HERE}::rules", False),
        (f"{HERE}::TestProblems", False),
        (f"{HERE}", False),
        ("tests/conformance/matrix.py::load", False),
        ("tests/conformance/test_missing.py::test_x", False),
    ],
)
def test_tests_are_looked_up(name: str, found: bool) -> None:
    assert has_test(name) is found


def test_what_did_not_run_is_named() -> None:
    assert unproved([GOOD], GOOD.tests) == []
    assert unproved([GOOD], []) == [f"draft §4.1 MUST, all: One. ({GOOD.tests[0]})"]


def test_a_whole_run_fails_where_a_named_test_did_not_run(tmp_path: Path) -> None:
    """The hook of tests/conftest.py in a small project of its own, with the real matrix."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\ntestpaths = ["checks"]\n', encoding="utf-8"
    )
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (tmp_path / "checks" / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "checks" / "test_one.py").write_text("def test_one() -> None: pass\n", encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib"]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    for workers in ((), ("-n", "2")):
        whole = run(*workers)
        assert whole.returncode == 1
        assert whole.stdout.count("conformance: named tests that did not run") == 1
        assert "draft §4.1 MUST, mobile node" in whole.stdout
    part = run("checks/test_one.py")
    assert (part.returncode, "conformance" in part.stdout) == (0, False)
