# SPDX-License-Identifier: GPL-2.0-or-later
"""The documentation builds without a warning, its links lead somewhere, and its commands are right."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed.cli import dask_scheduler, dask_worker

from agents import mobile_node_status
from agents.settings import ForeignAgentSettings, HomeAgentSettings, MobileNodeSettings, Model
from agents.settings_file import load
from experiments import aggregate
from experiments.arguments import UsageError
from tools.commands import COMMANDS
from tools.site import FILES, settings_tables
from topologies import command_line as topologies
from topologies.figures import available

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "tools/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
NOT_RUN = re.compile(
    r"vagrant |podman |git apply|cp |mkdir |chmod |rm -r|sudo rm -r|sudo apt-get|sudo modprobe|systemctl "
    r"|pre-commit |docker |TMPDIR=|wireshark |/opt/mip4/"
    r"|sudo sh docs/examples|sudo \.venv/bin/python docs/examples"
)
"""Commands that change the machine, need another one, or that a test of their own runs."""


def commands() -> Iterator[tuple[str, str]]:
    """Page and command of every line in the shell blocks of README and docs."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s#\s.*$", "", line).strip()
                if command and not command.startswith("#"):
                    yield str(page.relative_to(ROOT)), command


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
        for page in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "results/README.md"]
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


def _problem(command: str) -> str | None:
    """What is wrong with a command, by the parser of its program; None: nothing."""
    command = re.sub(r"\$\(.*?\)", "x", command).partition(" > ")[0]
    words = [word for word in shlex.split(command, comments=True) if word != "sudo"]
    if words[:1] == [".venv/bin/python"]:
        words[0] = "python"
    words = ["python" if word == "python3" else word for word in words]
    try:
        match words:
            case ["make", target, *_]:
                makefile = (ROOT / "Makefile").read_text()
                return (
                    None if re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) else "no such target"
                )
            case ["python", "-m", "topologies", "doctor", *_]:
                return None
            case ["python", "-m", "topologies", *rest]:
                numbered = ["3" if word == "7" else word for word in rest]  # the figure of write-your-own
                topologies.read(
                    ["per-flow" if w == "best-only" else w for w in numbered], ROOT, (False, False)
                )
            case ["python", "experiments/aggregate.py", *rest] if rest != ["--help"]:
                aggregate.Aggregate().read([word for word in rest if word != "best-only"])
            case ["python", script, *rest] if script.startswith("experiments/"):
                program = next(c for c in COMMANDS if c.line[1:] == (script,))
                unknown = program.parser().parse_known_args(rest)[1]
                return f"it has no {', '.join(unknown)}" if unknown else None
            case ["python", "-m", module, *_]:
                top = module.partition(".")[0]
                return (
                    None
                    if (ROOT / top).is_dir() or module in ("pytest", "mypy", "ruff", "mkdocs")
                    else "no such module"
                )
            case ["python", script, *_]:
                return None if (ROOT / script).is_file() else "no such file"
            case ["mipctl", *rest]:
                next(c for c in COMMANDS if c.name == "mipctl").parser().parse_args(rest)
            case [program, *rest] if program.startswith("mip-"):
                next(c for c in COMMANDS if c.name == program).parser().parse_args(rest)
            case [".venv/bin/dask", ("scheduler" | "worker") as name, *rest]:
                known = {"scheduler": dask_scheduler, "worker": dask_worker}[name].main.params
                options = [word for parameter in known for word in parameter.opts]
                unknown = [word for word in rest if word.startswith("--") and word not in options]
                return f"it has no {', '.join(unknown)}" if unknown else None
            case ["mn", "--custom", script, "--topo", topo, *_]:
                is_figure = topo.partition(",")[0] in {f"figure{number}" for number in available()}
                return None if is_figure and (ROOT / script).is_file() else "no such file or figure"
            case ["tshark", "-X", script, *_]:
                return None if (ROOT / script.removeprefix("lua_script:")).is_file() else "no such script"
            case _:
                return "no test knows this program"
    except (topologies.UsageError, UsageError) as error:
        return str(error)
    except SystemExit as ended:
        return None if ended.code == 0 else f"its parser refuses it ({ended.code})"
    return None


def test_every_command_in_the_documentation_is_right() -> None:
    found = list(commands())
    assert len(found) > 25
    wrong = [
        f"{page}: {command}: {problem}"
        for page, command in found
        if not NOT_RUN.match(command) and (problem := _problem(command)) is not None
    ]
    assert wrong == []
