# SPDX-License-Identifier: GPL-2.0-or-later
"""The state file: damage, other hands' files, faults of the disk, and ends at any instant."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import struct
import time
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.daemon import state_file
from agents.daemon.state_file import VERSION, StateFile, StateFileError
from agents.effects import AccessLink, Encapsulation, Tunnel
from agents.home_agent_state import HomeAgentState
from agents.kept_state import KeptModel, KeptSetting
from agents.linux.remains import KeptWay, KernelRecord
from agents.settings import Policy
from tests.unit.agents.simulated_disk import Killed, SimulatedDisk
from tests.unit.home_agent.home_agent_lab import EVDO, Lab

IDENTITY = IPv4Address("10.0.0.1")
TUNNEL = Tunnel(Encapsulation.UDP, IDENTITY, EVDO, 434, 40001, "lte", key=7)
WAYS = (
    KeptWay(way=TUNNEL, number=3, home_addresses=(IPv4Address("10.0.0.5"),)),
    KeptWay(way=AccessLink("wifi", IPv4Address("10.0.0.5")), number=1, home_addresses=()),
)
RECORD = KernelRecord(
    policy=KeptSetting(configured=Policy.PER_FLOW, current=Policy.PER_PACKET),
    ways=WAYS,
    sysctls={"net.ipv4.ip_forward": "0"},
)


class Number(KeptModel):
    """A state that is easily told from another."""

    number: int
    filling: str = "x" * 300


def of_numbers(path: Path) -> StateFile[Number]:
    return StateFile(path, "home-agent", IDENTITY, Number)


def of_home_agent(path: Path) -> StateFile[HomeAgentState]:
    return StateFile(path, "home-agent", IDENTITY, HomeAgentState)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def state() -> HomeAgentState:
    """Of a home agent with bindings."""
    lab = Lab()
    lab.register(1)
    lab.register(2, EVDO)
    return lab.agent.snapshot(lab.now)


def numbered(path: Path, number: int) -> Path:
    of_numbers(path).write(Number(number=number), RECORD)
    return path


# --- good files --------------------------------------------------------------------------


def test_what_was_written_is_read(place: Path, state: HomeAgentState) -> None:
    of_home_agent(place).write(state, RECORD)
    found = of_home_agent(place).read()
    assert found is not None
    assert (found.agent, found.kernel) == (state, RECORD)
    assert [path.name for path in place.parent.iterdir()] == ["state"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_it_is_json_that_a_person_can_read(place: Path, state: HomeAgentState) -> None:
    of_home_agent(place).write(state, RECORD)
    text = place.read_text()
    document = json.loads(text)
    assert (document["role"], document["identity"], document["version"]) == (
        "home-agent",
        "10.0.0.1",
        VERSION,
    )
    (node,) = document["agent"]["mobile_nodes"]
    assert [binding["care_of_address"] for binding in node["bindings"]] == ["192.0.2.10", str(EVDO)]
    checksum, _, rest = text.removeprefix('{\n "checksum": "').partition('",\n')
    assert checksum == hashlib.sha256(rest.encode()).hexdigest()


def test_nothing_was_ever_kept(place: Path) -> None:
    assert of_numbers(place).read() is None
    nowhere = StateFile(None, "home-agent", IDENTITY, Number)
    nowhere.write(Number(number=1), RECORD)
    assert nowhere.read() is None
    assert not nowhere.lost


# --- bad files ---------------------------------------------------------------------------


def check_set_aside(place: Path, octets: bytes) -> None:
    """Write it, read it: it is beside its place then, unchanged, and the agent starts without."""
    place.write_bytes(octets)
    file = of_home_agent(place)
    assert file.read() is None
    assert file.lost
    assert not place.exists()
    assert place.with_name("state.unusable").read_bytes() == octets


def test_a_thousand_truncations_and_bit_flips(place: Path, state: HomeAgentState) -> None:
    of_home_agent(place).write(state, RECORD)
    whole, random = place.read_bytes(), Random(1)
    for _ in range(500):
        check_set_aside(place, whole[: random.randrange(len(whole))])
        flipped = bytearray(whole)
        for _ in range(random.choice([1, 1, 1, 2, 8])):
            flipped[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        if flipped != whole:
            check_set_aside(place, bytes(flipped))


def with_checksum(document: object) -> bytes:
    rest = json.dumps(document, indent=1).encode().removeprefix(b"{\n") + b"\n"
    return b'{\n "checksum": "' + hashlib.sha256(rest).hexdigest().encode() + b'",\n' + rest


def places(value: object) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            items += [(value, key), *places(value[key])]
    return items


def test_a_good_checksum_over_nonsense(
    place: Path, state: HomeAgentState, caplog: pytest.LogCaptureFixture
) -> None:
    of_home_agent(place).write(state, RECORD)
    whole, random = json.loads(place.read_text()), Random(1)
    del whole["checksum"]
    nonsense = [None, [], {}, "x", -1, 1 << 70, 1e999, True, [None], {"number": 1}, "", "\ud800"]
    usable = 0
    for _ in range(600):
        document = json.loads(json.dumps(whole))
        container, key = random.choice(places(document))
        if random.random() < 0.3:
            del container[key]
        else:
            container[key] = random.choice(nonsense)
        place.write_bytes(with_checksum(document))
        file = of_home_agent(place)
        try:
            found = file.read()
        except StateFileError as error:
            assert "holds the state of" in str(error)  # noqa: PT017 - only some of the mutations raise
            continue
        assert (found is None) == file.lost
        usable += found is not None
    assert 0 < usable < 300
    assert caplog.text.encode()  # half a surrogate in the file must not end the logging of it


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": VERSION + 1}, f"is of version {VERSION + 1}; this program knows version {VERSION}"),
        ({"version": None}, "is of version None"),
        ({"agent": {"number": "many"}}, "cannot be understood: agent.number"),
        ({"agent": {"number": 1, "surprise": 1}}, "cannot be understood: agent.surprise"),
        ({"format": "something-else"}, "cannot be understood: format"),
        ({"kernel": {}}, "cannot be understood: kernel.policy"),
    ],
)
def test_why_a_file_was_set_aside_is_said(
    place: Path, change: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = json.loads(numbered(place, 1).read_text())
    del whole["checksum"]
    place.write_bytes(with_checksum({**whole, **change}))
    assert of_numbers(place).read() is None
    assert said in caplog.text
    assert f"{place}: " in caplog.text
    assert "set aside as state.unusable" in caplog.text


@pytest.mark.parametrize(
    ("role", "identity"), [("foreign-agent", IDENTITY), ("home-agent", IPv4Address("10.0.0.2"))]
)
def test_the_file_of_another_agent_is_left_alone(place: Path, role: str, identity: IPv4Address) -> None:
    """That agent may be running."""
    octets = numbered(place, 1).read_bytes()
    with pytest.raises(StateFileError, match=r"holds the state of the home-agent 10\.0\.0\.1, not of the"):
        StateFile(place, role, identity, Number).read()
    assert place.read_bytes() == octets


def test_what_cannot_be_read_ends_the_start(place: Path) -> None:
    place.mkdir()
    with pytest.raises(StateFileError, match="cannot be read: Is a directory"):
        of_numbers(place).read()


def test_what_cannot_be_set_aside_ends_the_start(place: Path) -> None:
    place.write_text("{}")
    place.with_name("state.unusable").mkdir()
    with pytest.raises(StateFileError, match="cannot be set aside: Is a directory; move it away"):
        of_numbers(place).read()


# --- faults of the disk ------------------------------------------------------------------


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        numbered(tmp_path / "missing" / "state", 1)


def test_a_full_disk_leaves_the_former_state(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk = SimulatedDisk(Random(1))
    monkeypatch.setattr(state_file, "os", disk)
    numbered(place, 1)
    for room in range(300):
        disk.room = room
        with pytest.raises(OSError, match="No space left"):
            numbered(place, 2)
        assert disk.room == room, "what was written in part is still there"
    found = disk.after_power_loss("state")
    assert found is not None
    (tmp_path / "found").write_bytes(found)
    kept = of_numbers(tmp_path / "found").read()
    assert kept is not None
    assert kept.agent.number == 1


# --- the end at any instant --------------------------------------------------------------


@pytest.mark.parametrize("end", ["kill", "power-loss"])
def test_an_end_at_any_system_call(
    end: str, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """400 ends each: the next start finds the latest state, or the one that was being written."""
    kept = 0
    for seed in range(400):
        random = Random(seed)
        disk = SimulatedDisk(random)
        monkeypatch.setattr(state_file, "os", disk)
        disk.kill_at = random.randint(1, 60)
        returned = number = 0
        try:
            while True:
                number += 1
                numbered(place, number)
                returned = number
        except Killed:
            pass
        monkeypatch.undo()
        octets = disk.after_kill("state") if end == "kill" else disk.after_power_loss("state")
        if octets is None:
            assert returned == 0
            continue
        (tmp_path / "found").write_bytes(octets)
        found = of_numbers(tmp_path / "found").read()
        assert found is not None, f"seed {seed}: the file was damaged"
        assert found.agent.number in (returned, number), f"seed {seed}"
        kept += 1
    assert kept > 250


def test_a_writer_killed_at_any_instant(place: Path) -> None:
    """The same with a real process and a real disk."""
    random = Random(1)
    for _ in range(40):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                for number in range(1, 1_000_000):
                    numbered(place, number)
                    os.write(writer, struct.pack("=I", number))
            finally:
                os._exit(1)
        os.close(writer)
        time.sleep(random.uniform(0.002, 0.02))  # any instant of it: nothing to wait for
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as reports:
            said = reports.read()
        returned = struct.unpack(f"={len(said) // 4}I", said)[-1] if said else 0
        found = of_numbers(place).read()
        if returned or found is not None:
            assert found is not None
            assert found.agent.number in (returned, returned + 1)
        place.unlink(missing_ok=True)
