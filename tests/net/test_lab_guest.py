# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest: its clock, its randomness, its streams, its end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.guests import WALL_LIMIT, in_guest, job
from topologies.lab.guest import Clock, Folder, Job
from topologies.lab.lab import Lab


def test_virtual_time_jumps_while_everything_waits(lab: Lab, tmp_path: Path) -> None:
    begun = time.monotonic()
    ended = in_guest(lab, tmp_path, "sh", "-c", "cat /proc/uptime; sleep 1000; cat /proc/uptime; date -u +%F")
    before, after, date = ended.stdout.splitlines()
    assert 1000 <= float(after.split()[0]) - float(before.split()[0]) < 1000.1
    assert date == "2026-01-01"
    assert time.monotonic() - begun < 60


def test_real_clock_keeps_the_wall_s_time(lab: Lab, tmp_path: Path) -> None:
    begun = time.time()
    ended = in_guest(
        replace(lab, clock=Clock.REAL), tmp_path, "sh", "-c", "date +%s.%N; sleep 1; date +%s.%N"
    )
    first, second = (float(word) for word in ended.stdout.split())
    assert begun - 1 < first < second - 0.99
    assert second < time.time() + 1


def test_exit_code_and_streams_stand_apart(lab: Lab, tmp_path: Path) -> None:
    ended = in_guest(lab, tmp_path, "sh", "-c", "echo out; echo error >&2; exit 7")
    assert (ended.code, ended.stdout, ended.stderr) == (7, "out\n", "error\n")


@pytest.mark.parametrize(("script", "code"), [("exit 125", 125), ("kill -9 $$", 137), ("exec nosuch", 127)])
def test_exit_code_is_a_shell_s(lab: Lab, tmp_path: Path, script: str, code: int) -> None:
    assert in_guest(lab, tmp_path, "sh", "-c", script).code == code


def test_live_streams_pass_octets_unchanged(
    lab: Lab, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    script = r"printf 'a\r\nb\tc\000\377\n'; printf 'e\n' >&2; exit 3"
    with lab.start(job(["sh", "-c", script], tmp_path, live=True), wall_limit=WALL_LIMIT) as running:
        assert running.wait() == 3
    captured = capfdbinary.readouterr()
    assert captured.out == b"a\r\nb\tc\0\xff\n"
    assert captured.err == b"e\n"


def test_only_writable_folders_can_be_written(lab: Lab, tmp_path: Path) -> None:
    for name in ("locked", "open"):
        (tmp_path / name).mkdir()
    script = f"echo x > made; echo x > {tmp_path}/locked/no; echo x > /etc/mip4-test; echo x > /root/no; true"
    folders = [
        Folder(tmp_path / "locked", tmp_path / "locked"),
        Folder(tmp_path / "open", tmp_path / "open", writable=True),
    ]
    with lab.start(
        Job(["sh", "-c", script], cwd=tmp_path / "open", folders=folders, live=False), wall_limit=WALL_LIMIT
    ) as running:
        running.wait()
        refused = running.output("stderr").count("Read-only file system")
    assert refused == 3
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()) == [
        Path("open/made")
    ]
    assert not Path("/etc/mip4-test").exists()


def test_same_seed_same_randomness(lab: Lab, tmp_path: Path) -> None:
    command = (
        "sh",
        "-c",
        "head -c 64 /dev/urandom | od -An -tx1; python3 -c 'import os; print(os.urandom(16))'",
    )
    first, again, other = (in_guest(lab, tmp_path, *command, seed=seed).stdout for seed in (5, 5, 6))
    assert len(first) > 200
    assert first == again
    assert first != other


def test_what_files_the_machine_has_takes_no_virtual_time(lab: Lab, tmp_path: Path) -> None:
    # A missing bytecode file or library folder would shift the clock: no two machines had the same result.
    script = """
import contextlib, os, time
def took(call):
    begun = time.monotonic_ns()
    for _ in range(100):
        with contextlib.suppress(OSError):
            call()
    return time.monotonic_ns() - begun
pipe, _ = os.pipe()
os.set_blocking(pipe, False)
missing = took(lambda: os.stat("/nosuch"))
no_link = took(lambda: os.readlink("/usr"[:1]))
no_folder = took(lambda: os.listdir("/etc/passwd"))
waiting = took(lambda: os.read(pipe, 1))
print(missing, no_link, no_folder, waiting)
"""
    measured = in_guest(lab, tmp_path, "python3", "-c", script).stdout
    *about_files, waiting = (int(word) for word in measured.split())
    assert max(about_files) < 1_000
    assert 100_000 <= waiting < 110_000  # a microsecond a try, or who tries again and again would never end


def test_how_much_a_program_reads_takes_no_virtual_time(lab: Lab, tmp_path: Path) -> None:
    """Python looks at the clock at each lock it takes: for each module, and each piece of a file or pipe.

    A list of the machine's libraries that was longer by some lines gave another result for the same seed.
    """
    script = """
import time
begun = time.monotonic_ns()
for _ in range(300):
    with open("/etc/passwd") as file:
        file.read()
import decimal, email.message, http.client, unittest.mock
read = time.monotonic_ns() - begun
now, looks = time.monotonic_ns(), 1
while time.monotonic_ns() == now:  # it must end: a program may wait like this
    looks += 1
print(read, looks, time.monotonic_ns() - now)
"""
    measured = in_guest(lab, tmp_path, "python3", "-c", script).stdout
    read, looks, moved = (int(word) for word in measured.split())
    assert read == 0
    assert 50_000 < looks <= 100_000
    assert 256 <= moved < 1_000  # once it must move, each look moves it


def test_several_guests_at_once(lab: Lab, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    running = []
    for number, folder in enumerate(folders):
        folder.mkdir()
        command = ["sh", "-c", f"sleep 10; echo {number} > made; hostname; exit {number}"]
        running.append(lab.start(job(command, folder), wall_limit=WALL_LIMIT))
    for number, guest in enumerate(running):
        with guest:
            assert guest.wait() == number
            assert guest.output("stdout") == "lab\n"
    assert [(folder / "made").read_text() for folder in folders] == ["0\n", "1\n", "2\n"]


def test_a_guest_that_spins_is_ended_at_its_wall_clock_limit(lab: Lab, tmp_path: Path) -> None:
    begun = time.monotonic()
    with (
        lab.start(job(["sh", "-c", "while :; do :; done"], tmp_path), wall_limit=2) as running,
        pytest.raises(TimeoutError, match="2 s of wall-clock time"),
    ):
        running.wait()
    assert time.monotonic() - begun < 30


def test_leaving_the_context_ends_the_guest(lab: Lab, tmp_path: Path) -> None:
    with lab.start(job(["sh", "-c", "touch up; while :; do :; done"], tmp_path)):
        deadline = time.monotonic() + WALL_LIMIT
        while not (tmp_path / "up").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
