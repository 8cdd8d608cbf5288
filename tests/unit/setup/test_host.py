# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that will not do is told so in one message, before anything is changed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.setup.shell import copy_of_checkout, run

CHECK = """
. setup/lib/host.bash
find_missing_packages() { missing=(iperf); }
project_valid() { false; }
find_missing_packages
check_host 1
echo good
"""
GOOD = "free_space() { echo 9000; }; memory() { echo 8000000; }; uname() { echo x86_64; };"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_of_checkout(tmp_path)


def checked(checkout: Path, stand_ins: str) -> tuple[int, str, str]:
    # After the library, so that they stand in for what it defines.
    text = CHECK.replace("host.bash\n", f"host.bash\n{GOOD} {stand_ins}\n", 1)
    return run(checkout, text)


def test_a_machine_that_will_do(checkout: Path) -> None:
    assert checked(checkout, "") == (0, "good\n", "")


@pytest.mark.parametrize(
    ("stand_in", "says"),
    [
        (
            "uname() { echo aarch64; }",
            "needs an x86-64 machine, this is aarch64: setup/setup --without-kernel",
        ),
        ("memory() { echo 1024000; }", "has 1000 MiB of memory, 1800 is the least"),
        ("free_space() { echo 300; }", "/var has 300 MiB free, Debian packages take"),
        ("free_space() { echo 300; }", "has 300 MiB free, the environment takes"),
        ("python=old-python", "Python 3.9.2 is too old: 3.11 is the least"),
    ],
)
def test_a_machine_that_will_not_do(checkout: Path, stand_in: str, says: str) -> None:
    (checkout / "old-python").write_text(
        '#!/bin/sh\n[ "$1" != -V ] || { echo Python 3.9.2; exit; }\nexit 1\n'
    )
    (checkout / "old-python").chmod(0o755)
    status, out, err = checked(checkout, stand_in.replace("old-python", "$root/old-python"))
    assert (status, out) == (2, "")
    assert "nothing was changed" in err
    assert says in err


def test_every_problem_is_said_at_once(checkout: Path) -> None:
    _, _, err = checked(checkout, "uname() { echo riscv64; }; memory() { echo 1; }; free_space() { echo 1; }")
    assert len(err.splitlines()) == 5


def test_another_system_is_told_before_anything_is_read(checkout: Path) -> None:
    (checkout / "uname").write_text("#!/bin/sh\necho Darwin\n")
    (checkout / "uname").chmod(0o755)
    (checkout / "setup/lib/common.bash").write_text("exit 77\n")
    done = subprocess.run(
        ["bash", "setup/setup"],
        cwd=checkout,
        env={**os.environ, "PATH": f"{checkout}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "set-up: this is Darwin, set-up needs Linux: use the virtual machine, docs/vagrant.md\n"
    )
