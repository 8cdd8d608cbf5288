# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings files that a figure writes, read as the agents read them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.settings import HomeAgentSettings, MobileNodeSettings, Policy, Weights
from agents.settings_file import load
from topologies.figure3 import Figure3
from topologies.links import DEFAULT_LINKS
from topologies.mobile_ip import Agent, HomeAgentDaemon, MobileNodeDaemon


def written(folder: Path, node: str, **options: Any) -> tuple[Agent, Path]:
    """The daemon of a node of Figure 3 and its settings file, written to a folder."""
    (_, config) = Figure3(DEFAULT_LINKS, **options).nodeInfo(node)["config"]
    ((kind, parameters),) = config["daemons"]
    daemon = kind(SimpleNamespace(name=node, cwd=str(folder)), **parameters)
    rendered = daemon.render(None)
    (path,) = map(Path, rendered)
    path.parent.mkdir(parents=True, exist_ok=True)
    daemon.write(rendered)
    return daemon, path


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPMininet writes below its node's folder; keep it in the test's own."""
    monkeypatch.chdir(tmp_path)


def test_the_home_agents_file_is_good(tmp_path: Path) -> None:
    daemon, path = written(tmp_path, "ha", policy=Policy.PER_PACKET, weights=Weights.BANDWIDTH)
    assert isinstance(daemon, HomeAgentDaemon)
    settings = load(path, HomeAgentSettings)
    assert str(settings.address) == "198.51.100.1"
    assert [str(entry.home_address) for entry in settings.mobile_node] == ["198.51.100.10"]
    assert settings.path_selection.policy is Policy.PER_PACKET
    assert settings.path_selection.weights is Weights.BANDWIDTH
    assert settings.control_socket == daemon.socket


def test_the_mobile_nodes_file_is_good_and_agrees_with_the_home_agents(tmp_path: Path) -> None:
    daemon, path = written(tmp_path, "mn")
    assert isinstance(daemon, MobileNodeDaemon)
    settings = load(path, MobileNodeSettings)
    home_agent = load(written(tmp_path, "ha")[1], HomeAgentSettings)
    assert settings.home_agent == home_agent.address
    assert settings.home_address == home_agent.mobile_node[0].home_address
    assert settings.security_association == home_agent.mobile_node[0].security_association
    assert settings.path_selection == home_agent.path_selection
    assert [access.name for access in settings.interface] == ["wifi", "evdo", "wimax", "lte"]
    assert [access.binding_id for access in settings.interface] == [1, 2, 3, 4]
    # Rates in kbit/s: those of the links, down announced and up its own weight.
    assert [access.downlink_kbit for access in settings.interface] == [20_000, 3_100, 10_000, 40_000]
    assert [access.uplink_kbit for access in settings.interface] == [20_000, 1_800, 4_000, 20_000]
    assert [access.access_technology for access in settings.interface] == [4, 10, 5, 8]
    addresses = [access.care_of_address for access in settings.interface if access.care_of_address]
    assert len(set(addresses)) == len(addresses) >= 3


def test_each_agent_has_a_socket_and_a_command_of_its_own(tmp_path: Path) -> None:
    daemons = [written(tmp_path, node)[0] for node in ("ha", "mn")]
    assert len({daemon.socket for daemon in daemons}) == 2
    for daemon, node in zip(daemons, ("ha", "mn"), strict=True):
        assert daemon.socket.name.endswith(f"_{node}.sock")  # as mipctl looks for it
        assert daemon.startup_line.startswith(f"{daemon.NAME} --config ")
        assert daemon.dry_run == f"{daemon.startup_line} --check"
        assert not daemon.has_started()


def test_no_key_stands_in_an_agents_command_line(tmp_path: Path) -> None:
    """Everybody can read those; keys are in the settings files only."""
    for node in ("ha", "mn"):
        daemon, path = written(tmp_path, node)
        found = set(re.findall(r'\bkey = "([0-9a-f]+)"', path.read_text()))
        assert found
        assert not [key for key in found if key in daemon.startup_line + daemon.dry_run]
