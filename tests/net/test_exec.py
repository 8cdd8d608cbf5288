# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m topologies 3 --exec NODE ARGV…``, as a person calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.guests import (
    SYSTEM_PYTHON,
    WALL_LIMIT,
    in_guest,
    python_in_guest,
    start,
    topologies,
)
from tests.net.leftovers import guest_folders, survivors
from topologies.figures import load
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

pytestmark = pytest.mark.usefixtures("lab")
SPIN = "echo ready; while :; do :; done"
NOBODY = 65534


def test_the_command_s_streams_folder_agent_and_exit_code(tmp_path: Path) -> None:
    script = """
        pwd; echo to-stderr >&2; echo made > file; cat; id -u; test -t 1 || echo pipe
        mipctl bindings --json
        mipctl --node ha status --json | head -c 1
        ping -q -c 3 203.0.113.2 | grep -o '3 received.*time'
        exit 125
    """
    ended = topologies(tmp_path, "figure3", "--exec", "mn", "sh", "-c", script)
    assert ended.stderr == "to-stderr\n"
    folder, user, pipe, bindings, home_agent_and_ping = ended.stdout.splitlines()
    assert (folder, user, pipe) == (str(tmp_path), "0", "pipe")
    assert [(row["binding_id"], row["state"]) for row in json.loads(bindings)] == [
        (number, "registered") for number in (1, 2, 3, 4)
    ]
    assert home_agent_and_ping == "{3 received, 0% packet loss, time"
    assert ended.code == 125
    assert (tmp_path / "file").read_text() == "made\n"


def test_links_policy_and_weights_reach_the_network(tmp_path: Path) -> None:
    script = "mipctl status --json; ping -q -c 3 -I 192.0.2.98 203.0.113.2"
    options = ("--link", "lte=7/6:123", "--policy", "per-packet", "--weights", "bandwidth")
    ended = topologies(tmp_path, "3", *options, "--exec", "mn", "sh", "-c", script)
    status = json.loads(ended.stdout.splitlines()[0])
    assert (status["policy"], status["weights"]) == ("per-packet", "bandwidth")
    assert "rtt min/avg/max/mdev = 246." in ended.stdout


def test_without_exec_the_bindings_are_shown(tmp_path: Path) -> None:
    ended = topologies(tmp_path, "3")
    assert ended.stdout.count("registered") == 4
    assert (ended.code, ended.stderr) == (0, "")


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    missing = topologies(tmp_path, "3", "--exec", "cn", "nosuch")
    assert (missing.code, missing.stderr) == (127, "topologies: nosuch: no such program\n")
    data = topologies(tmp_path, "3", "--exec", "cn", "./data")
    assert (data.code, data.stderr) == (126, "topologies: ./data: is not an executable file\n")


def test_a_network_that_does_not_come_up_is_125(tmp_path: Path) -> None:
    # Of 30 s of requests through this link hardly one comes back.
    ended = topologies(tmp_path, "3", "--link", "wifi=20/20:5,loss=99", "--exec", "mn", "touch", "started")
    assert ended.code == 125
    lines = ended.stderr.splitlines()
    assert "figure 3 did not come up: mn: binding 1 (wifi) is " in lines[0]
    assert all(line.startswith("topologies: ") for line in lines)
    assert not (tmp_path / "started").exists()


def test_all_problems_at_once_before_anything_is_built(tmp_path: Path) -> None:
    words = (
        "--kernel",
        "x",
        "--clock",
        "y",
        "--link",
        "wifi",
        "--polisy",
        "--weights",
        "--exec",
        "xx",
        "true",
    )
    ended = topologies(tmp_path, "figure3", *words)
    assert (ended.code, ended.stdout) == (2, "")
    for part in ("--kernel 'x'", "--clock 'y'", "--link wifi", "--polisy", "--weights without", "--exec xx"):
        assert part in ended.stderr
    assert all(line.startswith("topologies: ") for line in ended.stderr.splitlines())


def await_ready(process: subprocess.Popen[str]) -> None:
    """Wait for the command's first line."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate(timeout=WALL_LIMIT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_the_command_runs(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "3", "--exec", "mn", "sh", "-c", SPIN)
    await_ready(process)
    process.send_signal(number)
    assert process.communicate(timeout=WALL_LIMIT) == ("", "")
    assert process.returncode == 128 + number


def await_guest(process: subprocess.Popen[str], mark: str) -> Path:
    """The folder of the guest that a program starts."""
    deadline = time.monotonic() + WALL_LIMIT
    while not (folders := guest_folders(mark)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return folders[0]


def test_interrupted_while_the_guest_boots(tmp_path: Path) -> None:
    process = start(tmp_path, "3", "--exec", "mn", "true")
    await_guest(process, str(tmp_path))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WALL_LIMIT)
    assert process.returncode == 130


def test_the_guest_dies_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "3", "--exec", "mn", "sh", "-c", SPIN)
    folder = await_guest(process, str(tmp_path))
    await_ready(process)
    process.kill()
    process.communicate(timeout=WALL_LIMIT)
    deadline = time.monotonic() + 10
    while survivors() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert survivors() == []
    shutil.rmtree(folder)  # nobody was left to do it


# The guest is a full kernel: what --kernel host does can be seen in it without touching this machine.
ON_A_HOST_KERNEL = """
import json, os, socket, subprocess, sys
from pathlib import Path

def there():
    alive = [p for p in Path("/proc").glob("[0-9]*") if os.path.exists(p / "exe")]
    processes = sorted((p / "cmdline").read_text() for p in alive)
    namespaces = {os.readlink(p / "ns/net") for p in alive}
    files = [str(p) for folder in ("/tmp", "/run") for p in Path(folder).rglob("*")]
    files = sorted(name for name in files if not name.startswith("/run/lab"))
    return processes, len(namespaces), files, socket.if_nameindex()

before = there()
number = int(sys.argv[1])
command = "echo ready; echo $MIPCTL_FOLDER; sleep 300 & sleep 0.5; " + ("sleep 200" if number else "exit 9")
scene = ["3", "--kernel", "host", "--exec", "mn", "sh", "-c", command]
process = subprocess.Popen([sys.executable, "-P", "-m", "topologies", *scene],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
ready = process.stdout.readline().strip()
during = there()
if number:
    process.send_signal(number)
folder = process.communicate()[0].strip()
more = len(during[0]) - len(before[0])
print(json.dumps([ready, folder, process.returncode, more, during[1], before == there()]))
"""


@pytest.mark.parametrize(("number", "code"), [(0, 9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_on_a_host_kernel_everything_vanishes(lab: Lab, tmp_path: Path, number: int, code: int) -> None:
    ended = python_in_guest(lab, tmp_path, ON_A_HOST_KERNEL, str(int(number)))
    assert ended.stderr == ""
    ready, folder, returned, more_processes, namespaces, as_before = json.loads(ended.stdout)
    assert (ready, returned) == ("ready", code)
    assert folder.startswith("/run/mip4-")
    assert more_processes > 10
    assert namespaces == 1 + len(load(3)().routers())
    assert as_before


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A home for an ordinary user."""
    with tempfile.TemporaryDirectory(prefix="nobody-") as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="all tests run as an ordinary user already")
def test_as_an_ordinary_user(folder_of_nobody: Path) -> None:
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*become, "test", "-r", str(ROOT / "topologies")], check=False).returncode:
        pytest.skip(f"an ordinary user cannot read {ROOT}")
    done = subprocess.run(
        [*become, SYSTEM_PYTHON, "-m", "topologies", "3", "--exec", "cn", "sh", "-c", "id -u; echo x > made"],
        cwd=folder_of_nobody,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder_of_nobody)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WALL_LIMIT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert (folder_of_nobody / "made").stat().st_uid == NOBODY
    assert guest_folders(str(folder_of_nobody)) == []


def test_a_checkout_in_a_folder_with_a_blank_and_an_accent(tmp_path: Path) -> None:
    checkout = tmp_path / "Prüf stand"
    checkout.mkdir()
    for name in ("agents", "topologies", "setup"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(checkout)], check=True)
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    (checkout / "agents/mipctl.py").write_text("def main():\n    print(__file__)\n")
    # In its own root, so that it is found without PYTHONPATH too.
    done = subprocess.run(
        [SYSTEM_PYTHON, "-m", "topologies", "3", "--exec", "mn", "sh", "-c", "mipctl; echo x > made"],
        cwd=checkout,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WALL_LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{checkout}/agents/mipctl.py\n"  # the copy's, not the original's
    assert (checkout / "made").exists()


def test_same_octets_every_time(lab: Lab, tmp_path: Path) -> None:
    """A whole network: identifications, nonces, link addresses, times."""
    program = (
        "import sys; from pathlib import Path; from topologies.command_line import read; "
        "from topologies import exec as e; request = read(sys.argv[1:], Path('/'), (True, True)); "
        "sys.exit(e.main([request.scene.as_json(), '/run/mip4']))"
    )
    command = "mipctl status --json; mipctl events --json; ip -s link; ping -c 5 203.0.113.2"

    words = ("python", "-P", "-c", program, "3", "--exec", "mn", "sh", "-c", command)
    first, again = (in_guest(lab, tmp_path, *words, seed=3) for _ in range(2))
    assert first.code == 0
    assert first.stdout.count("time=") == 5
    assert first == again
