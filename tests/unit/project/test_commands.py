# SPDX-License-Identifier: GPL-2.0-or-later
"""Each command explains itself; installed programs work outside the checkout, and a shell completes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools import completion
from tools.commands import COMMANDS, Command

ROOT = Path(__file__).parents[3]
INSTALLED = [command for command in COMMANDS if command.installed]


def run(line: Sequence[str], folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Carry out a command to its end, with the system's Python first on PATH, as a user has it."""
    search_path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}" if "PATH" not in environment else ""
    return subprocess.run(
        list(line),
        cwd=folder,
        env={**os.environ, "PATH": search_path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_names_every_option(command: Command) -> None:
    done = run([*command.line, "--help"], COLUMNS="120")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
    options = [word for action in command.parser()._actions for word in action.option_strings]
    assert options
    assert [word for word in options if word not in done.stdout] == []


def test_each_program_of_an_experiment_is_listed() -> None:
    scripts = {path.name for path in (ROOT / "experiments").glob("*.py") if path.read_text().startswith("#!")}
    listed = {command.name for command in COMMANDS if command.line[1:2] == (f"experiments/{command.name}",)}
    assert scripts == listed, "an experiment is a line in tools/commands.py and a page in docs/experiments"


def test_each_console_script_is_listed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {command.name for command in INSTALLED}


@pytest.mark.parametrize(
    "target",
    ["doctor", "aggregate", "test", "lint", "fuzz", "clean", "setup", "docs", "test-bare", "test-vagrant"],
)
def test_make_help_names_each_target(target: str) -> None:
    assert f"make {target} " in run(["make", "help"]).stdout


def test_installed_programs_work_without_the_checkout(tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    for name in ("agents", "topologies", "experiments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    done = run([*pip, "--target", str(place), str(source)])
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    for command in INSTALLED:
        # -P: nothing from the current folder. The target comes before the checkout's own entry.
        script = place / "bin" / command.name
        shown = run([sys.executable, "-P", str(script), "--help"], tmp_path, PYTHONPATH=str(place))
        assert shown.returncode == 0, shown.stderr
        assert command.name in shown.stdout
    where = run([sys.executable, "-P", "-c", "import agents; print(agents.__file__)"], PYTHONPATH=str(place))
    assert where.stdout.startswith(str(place))


@pytest.mark.parametrize("command", INSTALLED, ids=lambda command: command.name)
def test_bash_completes_options(command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert completion.main(["bash", command.name]) == 0
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    wanted = "--config" if command.name.startswith("mip-") else "--node"
    program = f"""
        . {script}
        COMP_WORDS=({command.name} {wanted[:4]}); COMP_CWORD=1
        $(complete -p {command.name} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = run(["bash", "-c", program])
    assert wanted in done.stdout.split(), done.stderr
