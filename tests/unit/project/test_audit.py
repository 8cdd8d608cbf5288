# SPDX-License-Identifier: GPL-2.0-or-later
"""``make audit``, with a stand-in for pip-audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import audit

HASH = "--hash=sha256:" + "0" * 64
GOOD = f"# a comment\nalpha==1.0 \\\n    {HASH} \\\n    {HASH}\nbeta==2.1 {HASH}\n"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file; no other pip-audit than one in ``tmp_path/bin``."""
    monkeypatch.setattr("tools.audit.shutil.which", lambda name: found(tmp_path / "bin" / name))
    file = tmp_path / "some.lock"
    file.write_text(GOOD)
    return file


def found(path: Path) -> str | None:
    return str(path) if path.exists() else None


def answer(lock: Path, script: str) -> None:
    program = lock.parent / "bin" / "pip-audit"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    "line",
    [
        "alpha==1.0",
        f"alpha>=1.0 {HASH}",
        "-i https://example.org/simple",
        f"alpha @ https://example.org/a {HASH}",
    ],
)
def test_a_line_that_pins_nothing(lock: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    lock.write_text(GOOD + line + "\n")
    assert audit.main([lock]) == 1
    assert line[:70] in capsys.readouterr().err


def test_without_pip_audit_it_says_so(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([lock]) == 0
    said = capsys.readouterr().out
    assert "there is no pip-audit" in said
    assert "?" in said


def test_a_database_out_of_reach(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(lock, "echo 'ERROR: no route to the database' >&2; exit 1")
    assert audit.main([lock]) == 0
    assert "no route to the database" in capsys.readouterr().out


def test_known_faults(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alpha = {"name": "alpha", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
    beta = {"name": "beta", "version": "2.1", "vulns": []}
    answer(lock, f"echo '{json.dumps({'dependencies': [alpha, beta]})}'; exit 1")
    assert audit.main([lock]) == 1
    captured = capsys.readouterr()
    assert captured.err == "audit: alpha 1.0: PYSEC-1, mended in 1.1\n"
    assert "asked" in captured.out


def test_no_known_faults(lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer(lock, """echo '{"dependencies": [{"name": "alpha", "version": "1.0", "vulns": []}]}'""")
    assert audit.main([lock]) == 0
    assert "asked" in capsys.readouterr().out
