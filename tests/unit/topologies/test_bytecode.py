# SPDX-License-Identifier: GPL-2.0-or-later
"""Byte code that is out of date makes every start in the guest slower."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
import time
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from topologies.lab import bytecode


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for package in bytecode.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "module.py").write_text("WORD = 'before'\n")
    assert bytecode.refresh(tmp_path)
    return tmp_path


def reads_source(root: Path) -> bool:
    """Whether Python opens the module's source: it looks at its byte code first."""
    program = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, what: opened.append(what[0]) if event == 'open' else None)\n"
        "import agents.module\n"
        "print(any(str(path).endswith('module.py') for path in opened))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout == "True\n"


def test_what_is_fresh_is_left_alone(checkout: Path) -> None:
    cached = Path(cache_from_source(checkout / "agents" / "module.py"))
    before = cached.stat()
    assert not reads_source(checkout)
    assert bytecode.refresh(checkout)
    assert cached.stat() == before


@pytest.mark.parametrize("text", ["WORD = 'before'\n", "WORD = 'after, longer'\n"])
def test_what_git_has_renewed_or_somebody_edited_is_compiled(checkout: Path, text: str) -> None:
    source = checkout / "agents" / "module.py"
    source.write_text(text)
    os.utime(source, (time.time(), time.time() + 60))
    assert reads_source(checkout)
    assert bytecode.refresh(checkout)
    assert not reads_source(checkout)


def test_another_size_in_the_same_second_is_seen(checkout: Path) -> None:
    source = checkout / "agents" / "module.py"
    facts = source.stat()
    source.write_text("WORD = 'longer than before'\n")
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert reads_source(checkout)
    assert bytecode.refresh(checkout)
    assert not reads_source(checkout)


def test_a_module_that_does_not_compile_is_its_importers_affair(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "agents" / "module.py").write_text("WORD = \n")
    assert bytecode.refresh(checkout)
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_written_is_said(
    checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **_: object) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(py_compile, "compile", refuse)
    (checkout / "agents" / "module.py").write_text("WORD = 'longer than before'\n")
    assert not bytecode.refresh(checkout)
    said = capsys.readouterr().err
    assert "Permission denied" in said
    assert "mend it with: sudo make setup" in said
