# SPDX-License-Identifier: GPL-2.0-or-later
"""What killed runs leave is removed, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from topologies import cleanup
from topologies.lab import leftovers
from topologies.lab.guest_kernel import ROOT
from topologies.lab.leftovers import TAG, RunFolder


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of our own in place of /tmp and /run."""
    for name in ("PLACE", "WORKING_PLACE"):
        place = tmp_path / name
        place.mkdir()
        monkeypatch.setattr(leftovers, name, place)


def killed(kind: str) -> Path:
    """The folder of a run whose starter was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, str(RunFolder(kind).path).encode())
            signal.pause()
        finally:
            os._exit(1)
    path = Path(os.read(reader, 1000).decode())
    assert leftovers.find() == [], "it still lives"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return path


@pytest.fixture
def stubborn() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes to be ended, whatever the test does."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for process in made:
        process.kill()
        process.wait()


def test_a_run_that_lives_is_left_alone() -> None:
    folder = RunFolder("guest")
    assert leftovers.remove() == []
    assert folder.path.is_dir()
    folder.close()
    assert not folder.path.exists()


@pytest.mark.parametrize("kind", ["guest", "host"])
def test_the_folder_of_a_killed_run_goes(kind: str) -> None:
    path = killed(kind)
    (path / "kernel.log").write_text("what it said")
    working = leftovers.WORKING_PLACE / f"{path.name}-abc"
    working.mkdir()
    others = [leftovers.PLACE / "mip4-guest-without-lock", leftovers.WORKING_PLACE / "mip4-other"]
    for other in others:
        other.mkdir()
    (found,) = leftovers.find()
    assert (found.folder, found.working_folders) == (path, (working,))
    assert leftovers.remove() == [found]
    assert not path.exists()
    assert not working.exists()
    assert all(other.is_dir() for other in others)
    assert leftovers.remove() == []


_JOB = """
import os, pathlib, signal, sys
from topologies.lab import leftovers
leftovers.WORKING_PLACE = pathlib.Path(sys.argv.pop())
from experiments.guest_job import perform
def execute(job, working_folder):
    (working_folder / "agents").mkdir()
    print(working_folder, flush=True)
    signal.pause()
perform(execute)
"""


def test_the_agents_folder_of_a_killed_batch_goes(
    tmp_path: Path, stubborn: list[subprocess.Popen[bytes]]
) -> None:
    path = killed("host")
    (tmp_path / "job.json").write_text("{}")
    for tag in (path.name, "mip4-host-another"):
        job = subprocess.Popen(
            [sys.executable, "-P", "-c", _JOB, str(tmp_path), str(leftovers.WORKING_PLACE)],
            env={**os.environ, "PYTHONPATH": str(ROOT), TAG: tag},
            stdout=subprocess.PIPE,
        )
        stubborn.append(job)
    ours, other = (Path(job.stdout.readline().decode().strip()) for job in stubborn if job.stdout)
    stubborn[0].kill()
    stubborn[0].wait()
    (found,) = leftovers.find()
    assert found.working_folders == (ours,)
    assert ours.is_dir()
    leftovers.remove()
    assert not ours.exists()
    assert (other / "agents").is_dir()
    stubborn[1].terminate()
    stubborn[1].wait()
    assert list(leftovers.WORKING_PLACE.iterdir()) == []


def test_its_processes_are_ended_and_no_others(
    stubborn: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_END_LIMIT", 0.5)
    path = killed("host")
    program = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    for tag in (path.name, path.name, f"{path.name}-other"):
        process = subprocess.Popen(
            program, env={**os.environ, TAG: tag}, stdout=subprocess.PIPE, start_new_session=True
        )
        stubborn.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    (found,) = leftovers.find()
    assert {process.pid for process in stubborn[:2]} <= set(found.processes)
    reaped = [process.pid for process in stubborn[:2]]
    monkeypatch.setattr(leftovers, "_tagged", _without_dead(leftovers._tagged, stubborn))
    leftovers.remove()
    assert [process.wait(5) for process in stubborn[:2]] == [-signal.SIGKILL] * len(reaped)
    assert stubborn[2].poll() is None


def _without_dead(
    found: Callable[[str], Iterable[int]], processes: list[subprocess.Popen[bytes]]
) -> Callable[[str], list[int]]:
    """As ``found``, but first our own dead children are reaped, as process 1 would do."""

    def tagged(run: str) -> list[int]:
        for process in processes:
            process.poll()
        return list(found(run))

    return tagged


def test_the_command_says_what_it_removed(capsys: pytest.CaptureFixture[str]) -> None:
    path = killed("guest")
    row = {"folder": str(path), "working_folders": [], "processes": 0}
    assert cleanup.main(["--json", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == [row]
    assert path.is_dir()
    assert cleanup.main(["--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"schema": 1, "removed": True, "runs": [row], "still_there": []}
    assert not path.exists()
    assert cleanup.main([]) == 0
    assert "nothing was left behind" in capsys.readouterr().out
