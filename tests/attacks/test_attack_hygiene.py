# SPDX-License-Identifier: GPL-2.0-or-later
"""Another user of the same machine: keys, the control socket, and what a captured agent may do."""

from __future__ import annotations

import asyncio
import errno
import hmac
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from agents.daemon.control import LONGEST_REQUEST, ControlServer, ask
from agents.linux.privileges import KEPT, effective
from agents.settings import HomeAgentSettings
from agents.settings_file import SettingsError, load
from tests.unit.agents.test_settings import HOME_AGENT, KEY

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user; run it as root: sudo make test")


# Keys


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o666, 0o601])
def test_keys_that_others_can_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "ha.toml"
    file.write_text(tomli_w.dumps(HOME_AGENT))
    file.chmod(mode)
    with pytest.raises(SettingsError) as refused:
        load(file, HomeAgentSettings)
    (problem,) = refused.value.problems
    assert problem == (
        f"{file}: holds keys and its mode is {mode:04o}, open to others; mend it with: chmod 600 {file}"
    )
    file.chmod(0o600)
    load(file, HomeAgentSettings)


def test_keys_are_not_shown(tmp_path: Path) -> None:
    """Neither by the settings, nor by an error about them, nor in the status or an event of the agent."""
    from tests.attacks.attacked import home_agent, send
    from tests.unit.home_agent.home_agent_lab import KEY as KEY_OCTETS
    from tests.unit.home_agent.home_agent_lab import multiple

    file = tmp_path / "ha.toml"
    file.touch(0o600)
    file.write_text(tomli_w.dumps(HOME_AGENT) + "colour = 1\n")
    with pytest.raises(SettingsError) as refused:
        load(file, HomeAgentSettings)
    lab = home_agent()
    said = [repr(refused.value)]
    for key in (KEY_OCTETS, b"guessed"):
        send(lab, lab.request(multiple(1), key=key))
        said += [repr(lab.effects), json.dumps(lab.status()), repr(lab.agent._settings)]
    for secret in (KEY, KEY_OCTETS.hex(), repr(KEY_OCTETS)[2:-1], str(list(KEY_OCTETS))[1:-1]):
        assert not [text for text in said if secret in text]


def test_authenticators_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is the one of the standard library that is made for it, and it decides."""
    from tests.attacks.attacked import home_agent, send
    from tests.unit.home_agent.home_agent_lab import multiple

    lab = home_agent()
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    payload = lab.request(multiple(1))
    assert send(lab, payload) == 131
    assert compared == [(payload[-16:], payload[-16:])]


# The control socket


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory, asked: list[dict[str, Any]]) -> Iterator[Path]:
    """A control socket in a folder that everybody may enter."""
    folder = tmp_path_factory.mktemp("open")
    for part in (folder, *folder.parents):
        if os.access(part, os.W_OK) and part.stat().st_uid == os.geteuid() and part != Path("/"):
            part.chmod(part.stat().st_mode | 0o011)
    path = folder / "agent.sock"

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {}

    loop = asyncio.new_event_loop()
    server = ControlServer(path, answer)
    loop.run_until_complete(server.open())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield path
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


_CONNECT = """
import os, socket, sys
os.setgid({user}); os.setuid({user})
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
except OSError as error:
    print(error.errno)
else:
    client.sendall(b'{{"version": 1, "command": "deregister", "binding_id": null}}\\n')
    print("in")
"""


@is_root
def test_the_control_socket_by_another_user(control: Path, asked: list[dict[str, Any]]) -> None:
    def connect(user: int) -> str:
        program = [sys.executable, "-c", _CONNECT.format(user=user), str(control)]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip()

    assert connect(NOBODY) == str(errno.EACCES)
    assert asked == []
    assert connect(0) == "in", "so it was the user that made the difference"


def test_bad_requests_at_the_control_socket(control: Path, asked: list[dict[str, Any]]) -> None:
    """Too long, not JSON, newer, cut off, silent: an error or nothing, and the next one is served."""
    bad = [
        b"x" * (2 * LONGEST_REQUEST),
        b'{"version": 1, "command": "' + b"a" * LONGEST_REQUEST + b'"}\n',
        b"deregister all\n",
        b'{"version": 2, "command": "deregister"}\n',
        b'{"version": true, "command": "deregister"}\n',
        b'{"version": 1, "command": "deregister"',
        b'["version", 1]\n',
        b"\0\n",
        b"",
    ]
    idle = [socket.socket(socket.AF_UNIX) for _ in range(50)]
    for client in idle:
        client.connect(str(control))
    for octets in bad:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(6)
            client.connect(str(control))
            try:
                client.sendall(octets)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                continue  # it did not even want to read the rest
            with client.makefile("rb") as stream:
                reply = json.loads(stream.readline())
            assert reply.keys() == {"version", "error"}
    assert asked == []
    assert ask(control, "status") == {}
    for client in idle:
        client.close()


# Privileges


@is_root
def test_an_agent_keeps_the_network_and_nothing_else() -> None:
    """It cannot read others' files, become another user, or get anything back; it can do its work."""
    program = """
import os, socket, subprocess, sys, tempfile
from agents.linux.privileges import drop_privileges, effective
fd, path = tempfile.mkstemp(); os.close(fd); os.chown(path, 1, 1); os.chmod(path, 0o600)
drop_privileges()
print(sorted(effective()))
for attempt in (lambda: open(path), lambda: os.setuid(1), lambda: os.chroot("/")):
    try:
        attempt()
        print("allowed")
    except PermissionError:
        print("refused")
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM): print("packet socket")
wanted = "^(CapEff|CapBnd|NoNewPrivs)"
subprocess.run(["grep", "-E", wanted, "/proc/self/status"], stdout=sys.stdout.flush() or sys.stdout)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    lines = ended.stdout.split("\n")
    kept = KEPT & effective()
    assert lines[0] == str(sorted(kept))
    assert lines[1:4] == ["refused"] * 3
    assert lines[4] == "packet socket"
    mask = sum(1 << number for number in kept)
    seen = dict(line.split(":\t") for line in lines[5:] if line)
    assert int(seen["CapEff"], 16) == mask
    assert int(seen["CapBnd"], 16) == mask
    assert seen["NoNewPrivs"] == "1"
