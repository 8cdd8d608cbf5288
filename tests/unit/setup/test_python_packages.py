# SPDX-License-Identifier: GPL-2.0-or-later
"""Python packages are installed from the lock and from nothing else, with the pip that Debian brings."""

from __future__ import annotations

import hashlib
import importlib.metadata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.setup.shell import ROOT, copy_of_checkout, run
from tools.audit import pins

LOCKED = pins((ROOT / "setup/requirements.lock").read_text())[0]


def _wheel(folder: Path, name: str, version: str, *requires: str) -> str:
    """A package that can be installed, an empty module; its line of a lock file."""
    about = f"{name}-{version}.dist-info"
    lines = [f"Name: {name}", f"Version: {version}", "Provides-Extra: more"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "\n".join(["Metadata-Version: 2.1", *lines, ""]))
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
        wheel.writestr(f"{name}.py", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


def test_a_newer_version_of_a_locked_package_changes_nothing(tmp_path: Path) -> None:
    # pytest-cov requires coverage[toml]; the day coverage had a newer version, no set-up passed any more.
    checkout = copy_of_checkout(tmp_path)
    index = tmp_path / "index"
    index.mkdir()
    lock = _wheel(index, "needed", "1.0")
    lock += _wheel(index, "needing", "1.0", "needed[more]>=1.0")
    _wheel(index, "needed", "1.1")
    (checkout / "setup/requirements.lock").write_text(lock)
    install = '"$python" -m venv "$environment"; install_python_packages; '
    listing = '"$environment/bin/python" -m pip list'
    status, out, err = run(checkout, install + listing, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    assert status == 0, err
    assert ["needed", "1.0"] in [line.split() for line in out.splitlines()]
    # The guest could not write byte code: without it, each program would compile its libraries.
    assert list(checkout.glob(".venv/lib/python3.*/site-packages/__pycache__/needed.*.pyc"))


def _required(name: str, extras: frozenset[str], python: str) -> Iterator[Requirement]:
    """What an installed package says it needs with some Python."""
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(
            requirement.marker.evaluate(
                {"extra": extra, "python_version": python, "python_full_version": f"{python}.0"}
            )
            for extra in extras | {""}
        ):
            yield requirement


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_lock_names_all_that_its_packages_need(python: str) -> None:
    wrong, seen = [], 0
    pending = [(name, frozenset[str]()) for name in LOCKED]
    done = set(pending)
    while pending:
        name, extras = pending.pop()
        for requirement in _required(name, extras, python):
            seen += 1
            needed = canonicalize_name(requirement.name)
            if needed not in LOCKED or LOCKED[needed] not in requirement.specifier:
                wrong.append(f"{name} needs {requirement}")
            elif (found := (needed, frozenset(requirement.extras))) not in done:
                done.add(found)
                pending.append(found)
    assert wrong == []
    assert seen > len(LOCKED)
