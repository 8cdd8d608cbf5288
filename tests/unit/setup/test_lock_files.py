# SPDX-License-Identifier: GPL-2.0-or-later
"""The lock files pin everything, by hash, and name packages only."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.audit import pins

SETUP = Path(__file__).parents[3] / "setup"


def entries(lock: str) -> dict[str, str]:
    """Name to version, of every logical line that is no comment; each must be pinned and hashed."""
    found, wrong = pins((SETUP / lock).read_text())
    assert found
    assert wrong == []
    return found


@pytest.mark.parametrize("lock", ["requirements.lock", "ipmininet.lock"])
def test_every_line_is_a_version_with_hashes(lock: str) -> None:
    # So there is no room for an option (an index, a trusted host) or an address.
    assert entries(lock)


def test_everything_asked_for_is_locked() -> None:
    asked = re.findall(r"^([a-z0-9-]+)", (SETUP / "requirements.in").read_text(), re.MULTILINE)
    assert len(asked) > 10
    assert set(asked) <= entries("requirements.lock").keys()


def test_what_the_project_depends_on_is_locked_in_a_version_it_takes() -> None:
    project = tomllib.loads((SETUP.parent / "pyproject.toml").read_text())["project"]
    locked = entries("requirements.lock")
    wrong = [
        line
        for line, requirement in ((line, Requirement(line)) for line in project["dependencies"])
        if requirement.name not in locked or locked[requirement.name] not in requirement.specifier
    ]
    assert wrong == []


def test_setuptools_still_has_pkg_resources() -> None:
    assert int(entries("requirements.lock")["setuptools"].split(".")[0]) < 81


def test_debian_packages_are_one_a_line_with_a_reason() -> None:
    lines = (SETUP / "debian-packages.txt").read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    matches = [re.fullmatch(r"([a-z0-9.+-]+) +# \S.*", line) for line in packages]
    assert None not in matches
    names = [match[1] for match in matches if match]
    assert len(names) == len(set(names)) > 20
    # Each of these brings services, and nothing here uses them.
    assert not {"openvswitch-switch", "frr"} & set(names)
