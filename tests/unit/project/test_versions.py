# SPDX-License-Identifier: GPL-2.0-or-later
"""One version, everywhere the same, and a change log that has it."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_version_is_semantic() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["version"])


def test_the_installed_version_is_this_one() -> None:
    assert importlib.metadata.version(PROJECT["name"]) == PROJECT["version"]


def test_the_change_log_has_the_version_and_room_for_the_next() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", PROJECT["version"]]


def test_the_citation_is_of_this_version_and_licence() -> None:
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]["text"]
    assert {"cff-version", "message", "title", "authors", "type"} <= CITATION.keys()


def test_hooks_before_a_commit_call_what_make_lint_calls() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]  # nothing is fetched
    entries = " ".join(hook["entry"] for hook in hooks[0]["hooks"])
    recipe = re.findall(r"\$\(PYTHON\) -m ((?:ruff|mypy).*)", (ROOT / "Makefile").read_text())
    assert recipe
    assert [command for command in recipe if command not in entries] == []
