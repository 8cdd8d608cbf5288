# SPDX-License-Identifier: GPL-2.0-or-later
"""The Vagrantfile as Vagrant reads it; no machine is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def vagrant(tmp_path: Path) -> list[str]:
    """The program, with a home of its own; nothing of the user's is touched."""
    program = shutil.which("vagrant")
    if program is None:
        pytest.skip("there is no Vagrant; get it with: sudo apt-get install vagrant vagrant-libvirt")
    return [
        "env",
        f"VAGRANT_HOME={tmp_path}",
        f"VAGRANT_DOTFILE_PATH={tmp_path / 'dot'}",
        "VAGRANT_CHECKPOINT_DISABLE=1",
        program,
    ]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Carry out a command in the checkout, to its end."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_valid(vagrant: list[str]) -> None:
    done = run([*vagrant, "validate"], MIP4_CORES="4", MIP4_MEMORY="8192")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_wrong_size_is_said_at_once(vagrant: list[str]) -> None:
    done = run([*vagrant, "validate"], MIP4_CORES="many", MIP4_MEMORY="512")
    assert done.returncode != 0
    assert "MIP4_CORES=many: give a whole number of cores, at least 1" in done.stderr
    assert "MIP4_MEMORY=512: give a whole number of MiB, at least 2048" in done.stderr


def test_without_a_provider_it_says_what_to_install(vagrant: list[str]) -> None:
    if shutil.which("VBoxManage"):
        pytest.skip("VirtualBox is installed, so there is a provider")
    done = run([*vagrant, "up"], VAGRANT_NO_PLUGINS="1", VAGRANT_DEFAULT_PROVIDER="")
    assert done.returncode != 0
    assert "there is no provider: install VirtualBox, or libvirt" in done.stderr
