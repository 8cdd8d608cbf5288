# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep from its file to its table, on a cluster without a kernel; and workers that are lost."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from distributed import Client, LocalCluster

from agents.settings import Policy
from experiments import aggregate, command, runner, store, sweep
from experiments.aggregate import Aggregate
from experiments.arguments import Command
from experiments.plan import Plan
from experiments.runner import Finished, NotRunError
from experiments.sweeps import cluster, dispatch, task
from experiments.sweeps.task import Done, Task
from tests.unit.experiments.experiment_lab import PLAN, Behaviour, FakeLab, leave, outcome_of
from topologies.lab.guest import Clock, Job
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import KernelChoice
from topologies.lab.leftovers import PLACE

TEXT = """
experiment = "aggregate"
[parameters]
figure = [3, 5]
policy = ["per-flow", "per-packet"]
encapsulation = ["ipip", "gre", "udp"]
flows = 8
runs = 2
"""
TASKS = 24


def good(folder: Path, job: Job) -> int | None:
    plan = Plan.from_json(json.loads((folder / "job.json").read_text())["plan"])
    batch = next(batch for batch in plan.batches() if folder.name.endswith(batch.name))
    outcome = outcome_of(batch, goodput=60.0 if plan.policies == (Policy.PER_FLOW,) else 6.0)
    for run in outcome["runs"]:
        run["figure"] = batch.figure
    return leave(outcome)(folder, job)


Use = Callable[[Behaviour], FakeLab]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Puts a fake lab in place of kernels, and threads of this process in place of workers."""

    @contextmanager
    def threads(workers: int) -> Iterator[Client]:
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
            ) as made,
            Client(made) as client,
        ):
            yield client

    monkeypatch.setattr(cluster, "local", threads)
    monkeypatch.setattr(runner, "_POLL", 0.001)
    monkeypatch.setattr(store, "_output", lambda words: f"version of {words[0]}")
    monkeypatch.setattr(aggregate, "digest", lambda folder, outcome, direction, **_: outcome)  # noqa: ARG005

    def put(behaviour: Behaviour) -> FakeLab:
        lab = FakeLab(behaviour)
        for module in (command, task):
            monkeypatch.setattr(module, "choose", lambda kernel, clock: lab)  # noqa: ARG005
        return lab

    return put


def swept(folder: Path, *words: str, text: str = TEXT) -> int:
    folder.mkdir(exist_ok=True)
    (folder / "sweep.toml").write_text(text)
    return sweep.main([str(folder / "sweep.toml"), "--out", str(folder / "out"), *words])


def result_of(folder: Path) -> Path:
    (result,) = (folder / "out" / "sweep").iterdir()
    return result


def rows(result: Path) -> list[dict[str, str]]:
    with (result / "samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "wallclock.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_table_the_same_whatever_jobs(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = use(good)
    assert swept(tmp_path / "a", "--jobs", "1", "--json") == 0
    assert len(lab.started) == TASKS
    summary = json.loads(capsys.readouterr().out)
    assert [cell["parameters"]["encapsulation"] for cell in summary["cells"][:3]] == ["ipip", "gre", "udp"]
    assert {cell["n"] for cell in summary["cells"]} == {2}
    found = rows(result_of(tmp_path / "a"))
    assert len(found) == TASKS
    keys = {(row["figure"], row["policy"], row["encapsulation"], row["run"]) for row in found}
    assert len(keys) == TASKS
    assert {row["goodput_mbps"] for row in found if row["policy"] == "per-packet"} == {"6.0", "7.0"}
    assert (result_of(tmp_path / "a") / "raw" / found[0]["task"] / "job.json").exists()
    assert swept(tmp_path / "b", "--jobs", "3") == 0
    assert everything(result_of(tmp_path / "a")) == everything(result_of(tmp_path / "b"))


def test_both_tables_say_the_same(use: Use, tmp_path: Path) -> None:
    use(good)
    assert swept(tmp_path) == 0
    found = pyarrow.parquet.read_table(result_of(tmp_path) / "samples.parquet")
    assert found.schema.field("guest_seed").type == "int64"
    assert found.schema.field("problem").type == "string"
    for typed, written in zip(found.to_pylist(), rows(result_of(tmp_path)), strict=True):
        assert {key: "" if value is None else str(value) for key, value in typed.items()} == written | {
            key: str(float(text)) for key, text in written.items() if text and isinstance(typed[key], float)
        }


def test_a_task_that_failed_has_a_row(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def one_dies(folder: Path, job: Job) -> int | None:
        return -9 if folder.name == "point0004-figure3-run002" else good(folder, job)

    lab = use(one_dies)
    assert swept(tmp_path) == 1
    assert len(lab.started) == TASKS, "a guest that dies would die again: it is not started twice"
    (row,) = (row for row in rows(result_of(tmp_path)) if row["valid"] != "True")
    assert (row["task"], row["figure"], row["policy"], row["flows"], row["run"], row["goodput_mbps"]) == (
        "point0004-figure3-run002",
        "3",
        "per-packet",
        "8",
        "2",
        "",
    )
    assert "the guest died" in row["problem"]
    assert "sweep: point0004-figure3-run002: the guest died" in capsys.readouterr().err


def test_an_interrupted_sweep_goes_on(use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(good)
    kept: list[Finished] = []
    collect = dispatch._finish

    def ends(*arguments: object) -> Finished:
        if len(kept) == 5:
            raise SystemExit(130)
        kept.append(collect(*arguments))  # type: ignore[arg-type]
        return kept[-1]

    monkeypatch.setattr(dispatch, "_finish", ends)
    with pytest.raises(SystemExit):
        swept(tmp_path / "a", "--jobs", "1")
    monkeypatch.setattr(dispatch, "_finish", collect)
    result = result_of(tmp_path / "a")
    assert {path.name for path in result.iterdir()} == {"raw", "unfinished.json"}
    lab = use(good)
    assert sweep.main(["--resume", str(result)]) == 0
    assert len(lab.started) == TASKS - 5
    assert swept(tmp_path / "b") == 0
    assert everything(result) == everything(result_of(tmp_path / "b"))
    assert sweep.main(["--resume", str(result)]) == 2


def test_a_file_that_was_changed_is_no_reason_to_go_on(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(good)
    look = dispatch._finish
    seen: list[int] = []

    def ends(*arguments: object) -> Finished:
        seen.append(1)
        if len(seen) == 2:
            raise NotRunError(["the cluster is lost"])
        return look(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(dispatch, "_finish", ends)
    assert swept(tmp_path) == 2
    said = capsys.readouterr().err
    assert "go on with: --resume" in said
    assert "the cluster is lost" in said
    (tmp_path / "sweep.toml").write_text(TEXT + "seed = 2\n")
    assert sweep.main(["--resume", str(result_of(tmp_path))]) == 2
    assert "file was" in capsys.readouterr().err


def test_nobody_answers(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use(good)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        cluster_limit = cluster.ANSWER_LIMIT
        cluster.ANSWER_LIMIT = 0.5
        try:
            assert swept(tmp_path, "--scheduler", address) == 2
        finally:
            cluster.ANSWER_LIMIT = cluster_limit
    assert f"--scheduler {address}: no scheduler answers there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "ftp://127.0.0.1:1", "127.0.0.1:port"])
def test_an_address_that_is_none(use: Use, tmp_path: Path, address: str) -> None:
    use(good)
    cluster.ANSWER_LIMIT, before = 0.5, cluster.ANSWER_LIMIT
    try:
        assert swept(tmp_path, "--scheduler", address) == 2
    finally:
        cluster.ANSWER_LIMIT = before


def test_a_scheduler_without_workers_and_one_whose_workers_do_not_fit(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(good)
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as made:
        assert swept(tmp_path, "--scheduler", made.scheduler_address) == 2
        said = capsys.readouterr().err
        assert "it has no worker; start one with" in said
        made.scale(1)
        with Client(made) as client:
            client.wait_for_workers(1)
        other = FakeLab(good)
        other.kernel_key = "another"
        monkeypatch.setattr(task, "choose", lambda kernel, clock: other)  # noqa: ARG005
        assert swept(tmp_path, "--scheduler", made.scheduler_address) == 2
        assert "its kernel_key is another, not fake-key" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_all_problems_of_a_command_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--jobs", "0", "--scheduler", "", "--flows", "1"]
    assert swept(tmp_path, *words, text='experiment = "aggregate"\n[parameters]\nflows = []\n') == 2
    said = capsys.readouterr().err
    for part in (
        "--jobs 0",
        "--scheduler ''",
        "--flows: there is no such option",
        "flows: the list is empty",
    ):
        assert part in said
    assert sweep.main([]) == 2
    assert "FILE.toml is missing" in capsys.readouterr().err


# --- workers that are processes


def note_and_die_once(one: Task) -> Done:
    """Its worker dies when it does the first batch for the first time."""
    place = Path(os.environ["SWEEP_TEST_FOLDER"])
    with (place / "tries").open("a") as file:
        file.write(f"{one.batch.name} {os.getpid()}\n")
    marker = place / "died"
    if one.batch.name == "figure3-run001" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    listening = _listening_addresses()
    outcome: dict[str, Any] = {"problem": None, "best_single_link": {}, "runs": [], "addresses": listening}
    return Done(outcome, 1.0, {"raw/some.log": one.batch.name.encode()})


def _listening_addresses() -> list[str]:
    """Of this process, as /proc/net/tcp has them."""
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(os.readlink(link))
        except OSError:
            continue
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [
        word[1].partition(":")[0] for word in lines if word[3] == "0A" and f"socket:[{word[9]}]" in inodes
    ]


def test_a_worker_that_is_killed_is_replaced_and_its_task_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_TEST_FOLDER", str(tmp_path))
    folders = {path.name for path in PLACE.glob("mip4-sweep-*")}
    plan = PLAN
    words: Command[Plan] = Command(
        plan, KernelChoice.AUTO, Clock.VIRTUAL, 2, tmp_path, False, False, False, False
    )
    tasks = [Task(Aggregate(), words, batch, {}, "test") for batch in plan.batches()]
    kept: list[str] = []

    def make_folder(batch: object) -> Path:
        return tmp_path / str(getattr(batch, "name"))  # noqa: B009

    with cluster.local(2) as client:
        assert client.scheduler is not None
        assert str(client.scheduler.address).startswith("tls://127.0.0.1:")
        finished = dispatch.dispatch(
            client,
            tasks,
            make_folder,
            lambda _: None,
            lambda one: kept.append(one.batch.name),
            note_and_die_once,
        )
        pids = [int(line.split()[1]) for line in (tmp_path / "tries").read_text().splitlines()]
    assert [one.batch.name for one in finished] == ["figure3-run001", "figure3-run002", "figure3-run003"]
    assert sorted(kept) == sorted(one.batch.name for one in finished)
    assert [one.outcome["problem"] for one in finished] == [None] * 3
    tried = [line.split()[0] for line in (tmp_path / "tries").read_text().splitlines()]
    assert tried.count("figure3-run001") == 2
    assert (tmp_path / "figure3-run001" / "raw" / "some.log").read_text() == "figure3-run001"
    addresses = {address for one in finished for address in one.outcome["addresses"]}
    assert addresses == {"0100007F"}, "127.0.0.1 and no other"
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert {path.name for path in PLACE.glob("mip4-sweep-*")} <= folders


ASK_WORKERS = """
from pathlib import Path
from experiments.sweeps import cluster

with cluster.local(2) as client:
    for status in client.run(Path("/proc/self/status").read_text).values():
        print(status.partition("SigBlk:")[2].split()[0])
"""


def test_ctrl_c_waits_in_every_worker() -> None:
    """In a program of its own: what multiprocessing starts with its first process is started only once."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_WORKERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    blocked = [int(mask, 16) for mask in done.stdout.split()]
    assert [bool(mask & 1 << (signal.SIGINT - 1)) for mask in blocked] == [True, True]


def always_die(one: Task) -> Done:  # noqa: ARG001
    """No worker survives it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_task_that_kills_every_worker_fails_alone(tmp_path: Path) -> None:
    words: Command[Plan] = Command(
        PLAN, KernelChoice.AUTO, Clock.VIRTUAL, 1, tmp_path, False, False, False, False
    )
    (batch, *_) = PLAN.batches()
    tasks = [Task(Aggregate(), words, batch, {}, "test")]
    with cluster.local(1) as client:
        (only,) = dispatch.dispatch(
            client, tasks, lambda _: tmp_path, lambda _: None, lambda _: None, always_die
        )
    assert "KilledWorker" in str(only.outcome["problem"])
