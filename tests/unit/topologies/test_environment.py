# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry points continue in the project's environment, from any Python and any folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = ("experiments/aggregate.py", "experiments/plot.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout before set-up, at a path with a blank, an accent and a quote."""
    root = tmp_path / "d'été à la mer"
    for name in (*ENTRIES, "topologies/environment.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    return root


def run(script: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # -S: no site-packages, like a system Python that has none of the project's libraries.
    command = [sys.executable, "-S", str(script), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("entry", ENTRIES)
def test_without_the_environment_make_setup_is_named(checkout: Path, tmp_path: Path, entry: str) -> None:
    done = run(checkout / entry, "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    mend = done.stderr.rpartition("mend it with:")[2].strip()
    assert mend.endswith("&& make setup")
    assert "Traceback" not in done.stderr


def test_the_command_that_mends_it_works_in_a_shell(checkout: Path, tmp_path: Path) -> None:
    (checkout / "Makefile").write_text('setup:\n\t@echo set up in $$(basename "$$PWD")\n')
    mend = run(checkout / ENTRIES[0], cwd=tmp_path).stderr.rpartition("mend it with:")[2].strip()
    # Under `make test`, a make started by hand would take itself for a part of it.
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        mend, shell=True, cwd=tmp_path, env=outside, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"set up in {checkout.name}"


def test_an_environment_that_cannot_run_counts_as_missing(checkout: Path, tmp_path: Path) -> None:
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nonexistent/python3")
    assert run(checkout / ENTRIES[0], cwd=tmp_path).returncode == 2


def test_the_environment_is_given_module_words_and_path(checkout: Path, tmp_path: Path) -> None:
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$PWD" "$@"\nexit 7\n')
    python.chmod(0o755)
    done = run(checkout / ENTRIES[0], "--flows", "a b", cwd=tmp_path)
    start = str(checkout / "topologies/start.py")
    words = [str(checkout), str(tmp_path), "-P", start, "experiments.aggregate", "--flows", "a b"]
    assert done.stdout.splitlines() == words
    assert done.returncode == 7


def test_ctrl_c_while_libraries_load_ends_it_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "topologies/start.py", "slow"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_module_gets_its_words(tmp_path: Path) -> None:
    (tmp_path / "shows.py").write_text("import sys\nprint(__name__, sys.argv)\n")
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "topologies/start.py", "shows", "--a", "b c"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"__main__ {[str(tmp_path / 'shows.py'), '--a', 'b c']}\n"
