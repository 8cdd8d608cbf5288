# SPDX-License-Identifier: GPL-2.0-or-later
"""The documentation builds without a warning, and its links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents import mobile_node_status
from agents.settings import ForeignAgentSettings, HomeAgentSettings, MobileNodeSettings, Model
from agents.settings_file import load
from tests.documented.pages import PAGES, ROOT
from tools.commands import COMMANDS
from tools.site import FILES, settings_tables


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        page = tmp_path / "site" / "commands" / f"{command.name.removesuffix('.py')}.html"
        assert "--help" in page.read_text()


def test_pages_in_the_repository_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*PAGES, ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)\s]*)?\)", page.read_text())
        if not (page.parent / target).exists()
        # A page that is made when the site is built.
        and (page.parent / target).resolve().parent != ROOT / "docs/commands"
    ]
    assert broken == []


@pytest.mark.parametrize(("name", "model"), FILES.items())
def test_every_setting_has_a_row(name: str, model: type[Model]) -> None:
    text = settings_tables(f"[{name}]", model)
    keys = re.findall(r"^\| `(\w+)` ", text, re.MULTILINE)
    assert keys[: len(model.model_fields)] == list(model.model_fields)
    assert f"[[{name}.interface]]" in text or name == "home_agent"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("home-agent", HomeAgentSettings),
        ("foreign-agent", ForeignAgentSettings),
        ("mobile-node", MobileNodeSettings),
    ],
)
def test_sample_settings_are_good(
    name: str, model: type[HomeAgentSettings | ForeignAgentSettings | MobileNodeSettings], tmp_path: Path
) -> None:
    installed = tmp_path / f"{name}.toml"
    installed.touch(0o600)
    installed.write_bytes((ROOT / "setup/systemd" / f"{name}.toml").read_bytes())
    assert load(installed, model)
    unit = (ROOT / "setup/systemd" / f"mip-{name}.service").read_text()
    assert f"/mip-{name} --config /etc/mip4/{name}.toml" in unit


def test_the_drawing_of_a_bindings_life_has_every_state() -> None:
    tree = ast.parse(inspect.getsource(mobile_node_status._state))
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    states = {
        part.value
        for value in returned
        if value is not None
        for part in ast.walk(value)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
    assert len(states) > 5
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/concepts.md").read_text(), re.MULTILINE)
    assert states - set(rows) == set()
