# SPDX-License-Identifier: GPL-2.0-or-later
"""The conformance matrix: what is demanded, the code that does it and the test that proves it."""

from __future__ import annotations

import ast
import importlib
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "conformance.toml"
PAGE = ROOT / "docs" / "conformance.md"
LEVELS = ("MUST", "MUST NOT", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY")
DOCUMENTS = {
    "draft": "draft-gundavelli-mip4-multiple-tunnel-support-02",
    "RFC 5944": "RFC 5944, IP Mobility Support for IPv4, Revised",
    "RFC 3024": "RFC 3024, Reverse Tunneling for Mobile IP, revised",
    "RFC 3519": "RFC 3519, Mobile IP Traversal of Network Address Translation Devices",
    "RFC 4636": "RFC 4636, Foreign Agent Error Extension for Mobile IPv4",
}
STATES = ("proved", "not tested", "not implemented")


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand of one section."""

    document: str
    section: str
    level: str
    who: str
    text: str
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    note: str = ""

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        return STATES[0] if self.tests else STATES[1] if self.code else STATES[2]

    def __str__(self) -> str:
        return f"{self.document} §{self.section} {self.level}, {self.who}: {self.text}"


def load(path: Path = SOURCE) -> list[Rule]:
    """All rules in the order of the file."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Rule(
            **{key: str(value) for key, value in entry.items() if key not in ("code", "tests")},
            code=tuple(entry.get("code", ())),
            tests=tuple(entry.get("tests", ())),
        )
        for entry in document["rule"]
    ]


def problems(rules: Iterable[Rule]) -> list[str]:
    """What is wrong with the table itself, or in what it names: one line each."""
    found = []
    for rule in rules:
        if rule.level not in LEVELS or rule.document not in DOCUMENTS:
            found.append(f"{rule}: unknown level or document")
        if rule.state != STATES[0] and not rule.note:
            found.append(f"{rule}: {rule.state}, and no note says why")
        if rule.tests and not rule.code:
            found.append(f"{rule}: tests, but no code")
        found += [f"{rule}: there is no code {name}" for name in rule.code if not has_code(name)]
        found += [f"{rule}: there is no test {name}" for name in rule.tests if not has_test(name)]
    found += [f"{rule}: stands twice" for rule, count in Counter(map(str, rules)).items() if count > 1]
    return found


def has_code(name: str) -> bool:
    """Whether ``module:object`` can be found."""
    module, _, path = name.partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return False
    return bool(path)


def has_test(name: str) -> bool:
    """Whether ``file::[Class::]function`` is a test that pytest would collect."""
    file, *path = name.split("::")
    return "::".join(path) in _tests_in(ROOT / file)


@cache
def _tests_in(file: Path) -> frozenset[str]:
    if not file.is_file() or not file.name.startswith("test_"):
        return frozenset()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found |= {f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test"))


def unproved(rules: Iterable[Rule], ran: Iterable[str]) -> list[str]:
    """Rules with a test that is not among those that ran (nodes without parameters)."""
    done = set(ran)
    return [f"{rule} ({name})" for rule in rules for name in rule.tests if name not in done]


def page(rules: list[Rule]) -> str:
    """The matrix as Markdown."""
    lines = [
        "# Conformance",
        "",
        "<!-- Made from conformance.toml by: python -m tests.conformance --write -->",
        "",
        "What the draft and the parts of the RFCs that are implemented demand, in our words, with the code",
        "that does it and the test that proves it. A test fails if a named test or object does not exist,",
        "and a whole run of the tests fails if a named test did not run. Where the draft is silent or",
        "contradicts itself, the note names the decision (FACTS G1 to G51).",
        "",
        "| | " + " | ".join(STATES) + " |",
        "|---|" + "---|" * len(STATES),
    ]
    for document in DOCUMENTS:
        counts = Counter(rule.state for rule in rules if rule.document == document)
        lines.append(f"| {document} | " + " | ".join(str(counts[state]) for state in STATES) + " |")
    for document, group in groupby(rules, key=lambda rule: rule.document):
        lines += ["", f"## {DOCUMENTS[document]}", ""]
        lines += ["| § | | who | what | code | proof | note |", "|---|---|---|---|---|---|---|"]
        lines += [_row(rule) for rule in group]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    code = "<br>".join(f"`{name.removeprefix('agents.')}`" for name in rule.code)
    tests = "<br>".join(f"`{name.removeprefix('tests/').removeprefix('unit/')}`" for name in rule.tests)
    proof = tests or f"**{rule.state}**"
    cells = (rule.section, rule.level, rule.who, rule.text, code, proof, rule.note)
    return "| " + " | ".join(cells) + " |"
