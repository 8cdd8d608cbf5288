# SPDX-License-Identifier: GPL-2.0-or-later
"""A result that was interrupted is completed without doing again what was done."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import aggregate, command, figures, runner, store
from experiments.arguments import UsageError, lasting, read_resume
from experiments.plan import Plan
from tests.unit.experiments.experiment_lab import Behaviour, FakeLab, leave, outcome_of
from topologies.lab.guest import Job

WORDS = ("--figure", "3,4", "--runs", "3", "--flows", "1", "--duration", "3", "--jobs", "1")
BATCHES = 6


def good(folder: Path, job: Job) -> int | None:
    plan = Plan.from_json(json.loads((folder / "job.json").read_text())["plan"])
    batch = next(batch for batch in plan.batches() if batch.name == folder.name)
    outcome = outcome_of(batch)
    for run in outcome["runs"]:
        run["figure"] = batch.figure
    return leave(outcome)(folder, job)


def ended_at(number: int) -> Behaviour:
    """The command is told to end while the batch of this number runs."""
    begun: list[Path] = []

    def behave(folder: Path, job: Job) -> int | None:
        begun.append(folder)
        if len(begun) == number:
            (folder / "half").write_text("a file")
            raise SystemExit(130)
        return good(folder, job)

    return behave


Use = Callable[[Behaviour], FakeLab]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Puts a fake lab in place of the kernels of this machine."""
    monkeypatch.setattr(runner, "_POLL", 0.001)
    monkeypatch.setattr(store, "_output", lambda words: f"version of {words[0]}")
    monkeypatch.setattr(aggregate, "digest", lambda folder, outcome, direction, **_: outcome)  # noqa: ARG005
    monkeypatch.setattr(figures, "aggregate", lambda summary, distributions, folder: [])  # noqa: ARG005

    def put(behaviour: Behaviour) -> FakeLab:
        lab = FakeLab(behaviour)
        monkeypatch.setattr(command, "choose", lambda kernel, clock: lab)  # noqa: ARG005
        return lab

    return put


def result_of(out: Path) -> Path:
    (folder,) = (out / "aggregate").iterdir()
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "wallclock.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def interrupted(use: Use, out: Path, number: int) -> Path:
    use(ended_at(number))
    with pytest.raises(SystemExit):
        aggregate.main([*WORDS, "--out", str(out)])
    return result_of(out)


@pytest.mark.parametrize("number", range(2, BATCHES + 1))
def test_wherever_it_was_interrupted_the_result_is_the_same(use: Use, tmp_path: Path, number: int) -> None:
    folder = interrupted(use, tmp_path / "a", number)
    assert {path.name for path in folder.iterdir()} == {"raw", "unfinished.json"}
    assert len(list((folder / "raw").iterdir())) == number - 1
    lab = use(good)
    assert aggregate.main(["--resume", str(folder)]) == 0
    assert len(lab.started) == BATCHES - (number - 1)
    assert aggregate.main([*WORDS, "--out", str(tmp_path / "b")]) == 0
    assert everything(folder) == everything(result_of(tmp_path / "b"))
    wall_clock = json.loads((folder / "wallclock.json").read_text())
    assert len(wall_clock["batches"]) == BATCHES


def test_a_command_that_was_killed_left_enough(use: Use, tmp_path: Path) -> None:
    # Nothing could be cleaned up: the folder of the batch under way is still there.
    folder = interrupted(use, tmp_path, 3)
    begun = folder / "raw" / "figure4-run002"
    begun.mkdir()
    (begun / "outcome.json").write_text('{"half": ')
    use(good)
    assert aggregate.main(["--resume", str(folder)]) == 0
    assert not (folder / "unfinished.json").exists()


def test_interrupted_before_the_first_batch_ended_nothing_is_kept(use: Use, tmp_path: Path) -> None:
    use(ended_at(1))
    with pytest.raises(SystemExit):
        aggregate.main([*WORDS, "--out", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_failed_is_done_again(use: Use, tmp_path: Path) -> None:
    begun: list[str] = []

    def first_fails_and_third_ends(folder: Path, job: Job) -> int | None:
        begun.append(folder.name)
        if len(begun) == 3:
            raise SystemExit(130)
        return 1 if len(begun) == 1 else good(folder, job)

    use(first_fails_and_third_ends)
    with pytest.raises(SystemExit):
        aggregate.main([*WORDS, "--out", str(tmp_path)])
    lab = use(good)
    assert aggregate.main(["--resume", str(result_of(tmp_path))]) == 0
    assert len(lab.started) == BATCHES - 1


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    before = everything(folder) if folder.exists() else {}
    assert aggregate.main(["--resume", str(folder), *words]) == 2
    assert (everything(folder) if folder.exists() else {}) == before
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1, said
    return said


Edit = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda record: record.update(schema_version=2), "schema_version: Input should be 1"),
        (lambda record: record.update(experiment="failover"), "is a result of failover, not of aggregate"),
        (lambda record: record["made_with"].update(kernel_key="other"), "kernel_key was other, is fake-key"),
        (lambda record: record["made_with"].update(commit="abc"), "commit was abc, is version of git"),
        (lambda record: record.update(words=["--figure", "9"]), "--figure 9: allowed is"),
        (lambda record: record["words"].extend(["--seed", "5"]), "job.json is not this command's"),
        (lambda record: record.update(finished={"figure3-run003": 1.0}), "figure3-run003: [Errno 2]"),
        (lambda record: record.update(more=1), "more: Extra inputs are not permitted"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Edit, said: str
) -> None:
    folder = interrupted(use, tmp_path, 3)
    use(good)
    record = json.loads((folder / "unfinished.json").read_text())
    edit(record)
    (folder / "unfinished.json").write_text(json.dumps(record))
    assert said in refusal(folder, capsys)


def test_a_truncated_record_is_refused(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = interrupted(use, tmp_path, 2)
    record = folder / "unfinished.json"
    record.write_bytes(record.read_bytes()[:-9])
    assert "unfinished.json: : Invalid JSON" in refusal(folder, capsys)


def test_what_is_complete_or_no_result_is_refused(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(good)
    assert aggregate.main([*WORDS, "--out", str(tmp_path)]) == 0
    assert "this result is complete" in refusal(result_of(tmp_path), capsys)
    assert "no result to go on with" in refusal(tmp_path / "gone", capsys)


def test_two_commands_never_fill_one_folder(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = interrupted(use, tmp_path, 2)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another command is filling it" in refusal(folder, capsys)
    finally:
        os.close(lock)


def test_nothing_that_decides_about_results_stands_beside_resume() -> None:
    with pytest.raises(UsageError) as error:
        read_resume(["--resume", "x", "--seed", "7", "--quick"])
    assert len(error.value.problems) == 3
    assert read_resume(["--resume=x", "--jobs", "3", "--json"]) == (Path("x"), ["--jobs", "3", "--json"])
    assert read_resume(["--seed", "7"]) is None


def test_words_that_last() -> None:
    words = ["--out", "x", "--seed", "7", "--jobs=4", "--json", "-v", "--quick", "--link", "wifi=1/1:5"]
    assert lasting(words) == ["--seed", "7", "--quick", "--link", "wifi=1/1:5"]
