# SPDX-License-Identifier: GPL-2.0-or-later
"""``mip-home-agent`` and ``mip-mobile-node``: settings are checked before anything is touched."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
import tomli_w

from agents import command_line
from tests.unit.agents.test_settings import HOME_AGENT, KEY, MOBILE_NODE, change


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").touch(0o600)
    return tmp_path / "agent.toml"


def run(monkeypatch: pytest.MonkeyPatch, program: str, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", [program, *words])
    return {"mip-home-agent": command_line.home_agent, "mip-mobile-node": command_line.mobile_node}[program]()


@pytest.mark.parametrize(
    ("program", "document"), [("mip-home-agent", HOME_AGENT), ("mip-mobile-node", MOBILE_NODE)]
)
def test_good_settings(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: Path,
    program: str,
    document: dict[str, object],
) -> None:
    file.write_text(tomli_w.dumps(document))
    assert run(monkeypatch, program, "--config", str(file), "--check") == 0
    assert capsys.readouterr().out == f"{file}: settings are good\n"


def test_every_problem_is_a_line_and_the_exit_code_is_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    bad = change(
        MOBILE_NODE,
        (["mobile_node", "lifetime"], 0),
        (["mobile_node", "interface", 0, "binding_id"], 2),
        (["mobile_node", "security_association", 0, "key"], KEY + "f"),
    )
    file.write_text(tomli_w.dumps(bad))
    for words in (["--check"], []):  # without --check too: nothing is started
        assert run(monkeypatch, "mip-mobile-node", "--config", str(file), *words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 3
        assert all(
            line.startswith(f"mip-mobile-node: {file}: mobile_node.") for line in said.err.splitlines()
        )
        assert KEY not in said.err


def test_the_settings_of_the_other_program_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text(tomli_w.dumps(HOME_AGENT))
    assert run(monkeypatch, "mip-mobile-node", "--config", str(file), "--check") == 2
    assert "[mobile_node] is missing" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--config"], ["--config", "x", "--fast"]])
def test_bad_words(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "mip-home-agent", *words)
    assert caught.value.code == 2


def test_beside_a_running_agent_nothing_is_touched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    def touch(*_: object) -> None:
        raise AssertionError("the running agent's tables would have been taken over")

    monkeypatch.setattr("agents.daemon.shell.run", touch)
    path = tmp_path / "agent.sock"
    file.write_text(tomli_w.dumps(change(HOME_AGENT, (["home_agent", "control_socket"], str(path)))))
    with socket.socket(socket.AF_UNIX) as running:
        running.bind(str(path))
        running.listen()
        assert run(monkeypatch, "mip-home-agent", "--config", str(file)) == 1
    assert capsys.readouterr().err == (
        f"mip-home-agent: {path}: another agent is running with this control socket\n"
    )
    assert path.exists()
