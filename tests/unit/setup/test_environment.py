# SPDX-License-Identifier: GPL-2.0-or-later
"""The environment steps of set-up and its command line, with stand-ins for pip and apt."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.unit.setup.shell import STUBBORN, copy_of_checkout, interrupt, run, start, survivors

# Each writes its name to `calls`, so that a test sees what was done; $SLOW names one that hangs.
STAND_INS = """
call() { echo "$1" >>calls; if [[ ${SLOW:-} == "$1" ]]; then eval "$STUBBORN"; fi; }
make_environment() {
    rm -rf "$environment"; mkdir -p "$environment/bin"
    cp /bin/true "$environment/bin/python"
    call make
}
install_python_packages() { call packages; }
install_ipmininet() { call ipmininet; }
install_project() { call project; }
begin 3
environment_steps
"""
ALL = ["make", "packages", "ipmininet", "project"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_of_checkout(tmp_path)


def calls(checkout: Path) -> list[str]:
    """What set-up does now; it must succeed."""
    (checkout / "calls").unlink(missing_ok=True)
    status, _, err = run(checkout, STAND_INS)
    assert status == 0, err
    assert not list(checkout.glob("tmp.*"))
    return (checkout / "calls").read_text().split() if (checkout / "calls").exists() else []


def test_a_second_call_does_nothing(checkout: Path) -> None:
    assert calls(checkout) == ALL
    assert calls(checkout) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "ipmininet.lock"])
def test_another_lock_makes_it_anew(checkout: Path, lock: str) -> None:
    calls(checkout)
    with (checkout / "setup" / lock).open("a") as file:
        file.write("# changed\n")
    assert calls(checkout) == ALL


def test_another_project_file_installs_the_project_only(checkout: Path) -> None:
    calls(checkout)
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert calls(checkout) == ["project"]


def test_a_moved_checkout_makes_it_anew(checkout: Path) -> None:
    calls(checkout)
    moved = checkout.rename(checkout.with_name("anderswo"))
    assert calls(moved) == ALL


def test_a_missing_interpreter_makes_it_anew(checkout: Path) -> None:
    calls(checkout)
    (checkout / ".venv/bin/python").unlink()
    assert calls(checkout) == ALL


@pytest.mark.parametrize("slow", ["make", "packages", "ipmininet"])
def test_an_interrupted_environment_is_gone(checkout: Path, slow: str) -> None:
    process = start(checkout, STAND_INS, SLOW=slow, STUBBORN=STUBBORN)
    interrupt(process, checkout / "started", signal.SIGINT, whole_group=True)
    assert process.returncode == 130
    assert survivors(process.pid) == []
    assert not (checkout / ".venv").exists()
    assert calls(checkout) == ALL


def test_an_interrupted_installation_of_the_project_is_repeated(checkout: Path) -> None:
    process = start(checkout, STAND_INS, SLOW="project", STUBBORN=STUBBORN)
    interrupt(process, checkout / "started", signal.SIGINT, whole_group=True)
    assert process.returncode == 130
    assert not (checkout / ".venv/set-up").exists()
    assert calls(checkout) == ["project"]


def test_a_killed_set_up_starts_over(checkout: Path) -> None:
    # Nothing can clean up after SIGKILL: the half-made environment stays, and must be seen as such.
    process = start(checkout, STAND_INS, SLOW="packages", STUBBORN="touch started; exec sleep 2")
    interrupt(process, checkout / "started", signal.SIGKILL, whole_group=False)
    assert (checkout / ".venv").exists()
    for folder in checkout.glob("tmp.*"):
        shutil.rmtree(folder)
    assert calls(checkout) == ALL


def test_a_failed_step_shows_what_it_said(checkout: Path) -> None:
    text = STAND_INS.replace("call packages;", "echo 'hashes do not match'; false;")
    status, _, err = run(checkout, text)
    assert status == 1
    assert "hashes do not match" in err
    assert not (checkout / ".venv").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the owner of files")
def test_as_root_all_belongs_to_the_owner_of_the_checkout(checkout: Path) -> None:
    os.chown(checkout, 1234, 1235)
    calls(checkout)
    made = checkout / ".venv/set-up"
    assert (made.stat().st_uid, made.stat().st_gid) == (1234, 1235)
    subprocess.run([checkout / "setup/keep-owner", "touch", checkout / "report"], check=True)
    assert (checkout / "report").stat().st_uid == 1234


def test_keep_owner_returns_the_status_of_the_command(checkout: Path) -> None:
    assert subprocess.run([checkout / "setup/keep-owner", "sh", "-c", "exit 7"], check=False).returncode == 7


# --- Debian packages

PACKAGES = """
dpkg-query() { echo 'installed=make config-files=gcc '; return 1; }
dpkg() { :; }
printf '%s\\n' 'make  # one' 'gcc  # two' 'bc  # three' >setup/debian-packages.txt
begin 1
"""


def test_a_package_that_left_its_configuration_is_missing(checkout: Path) -> None:
    _, out, _ = run(checkout, PACKAGES + 'find_missing_packages; echo "${missing[*]}"')
    assert out == "gcc bc\n"


def test_without_root_the_command_is_printed(checkout: Path) -> None:
    # EUID is read-only in a shell: the same file with another name for it.
    file = checkout / "setup/lib/packages.bash"
    file.write_text(file.read_text().replace("EUID", "OTHER"))
    status, _, err = run(checkout, PACKAGES + "OTHER=1000; packages_step")
    assert status == 2
    assert "apt-get update && apt-get install --yes --no-install-recommends gcc bc" in err


def test_an_installation_is_not_cut_short(checkout: Path) -> None:
    file = checkout / "setup/lib/packages.bash"
    file.write_text(file.read_text().replace("EUID", "OTHER"))
    apt = """
    apt() { case $* in *--download-only*|update) ;; *) touch started; sleep 1; touch finished ;; esac; }
    OTHER=0
    packages_step
    touch went-on
    """
    process = start(checkout, PACKAGES + apt)
    interrupt(process, checkout / "started", signal.SIGINT, whole_group=True)
    assert process.returncode == 130
    assert (checkout / "finished").exists()
    assert not (checkout / "went-on").exists()


# --- the command line


@pytest.mark.parametrize("argument", ["--frobnicate", "kernel", ""])
def test_an_unknown_argument_is_bad_usage(checkout: Path, argument: str) -> None:
    done = subprocess.run([checkout / "setup/setup", argument], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_check_names_what_is_missing_and_changes_nothing(checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    done = subprocess.run(
        [checkout / "setup/setup", "--check"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 2
    assert "missing: Python environment" in done.stdout
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_shows_the_targets(checkout: Path) -> None:
    shutil.copy(Path(__file__).parents[3] / "Makefile", checkout)
    done = subprocess.run(["make"], cwd=checkout, capture_output=True, text=True, check=True)
    for target in ("setup", "doctor", "aggregate", "test", "lint", "clean"):
        assert f"make {target} " in done.stdout


def test_nothing_of_the_systems_python_shows_through_but_what_debian_alone_has() -> None:
    """What is installed on a machine must not decide about its results."""
    program = "import sys, mininet.net, nftables; print(*sys.path, sep='\\n')"
    python = Path(__file__).parents[3] / ".venv/bin/python"
    done = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if "dist-packages" in line] == []
