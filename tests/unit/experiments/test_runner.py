# SPDX-License-Identifier: GPL-2.0-or-later
"""Running batches, with a lab that has no kernel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import runner
from experiments.runner import Finished, Progress, run, wall_limit
from experiments.work import Batch
from tests.unit.experiments.experiment_lab import PLAN, Behaviour, FakeLab, by_plan, leave, outcome_of
from topologies.lab.guest import GuestError, Job

BATCHES = list(PLAN.batches())
NAMES = ["figure3-run001", "figure3-run002", "figure3-run003"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_POLL", 0.001)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[Batch], Path]:
    def make(batch: Batch) -> Path:
        folder = tmp_path / "raw" / batch.name
        folder.mkdir(parents=True)
        return folder

    return make


@pytest.fixture
def go(make_folder: Callable[[Batch], Path]) -> Callable[..., list[Finished]]:
    def start(lab: FakeLab, jobs: int = 1, told: list[Progress] | None = None) -> list[Finished]:
        said: list[Progress] = [] if told is None else told
        return run(lab.as_lab(), BATCHES, make_folder, jobs, said.append)

    return start


Go = Callable[..., list[Finished]]


def test_every_batch_runs_with_its_own_seed(go: Go) -> None:
    lab = FakeLab(by_plan(PLAN))
    finished = go(lab)
    assert [done.batch.name for done in finished] == NAMES
    assert [done.outcome for done in finished] == [outcome_of(batch) for batch in BATCHES]
    assert [seed for _, seed in lab.started] == [batch.seed for batch in BATCHES]


def test_a_job_sees_its_folder_at_a_place_that_never_changes(go: Go, tmp_path: Path) -> None:
    lab = FakeLab(by_plan(PLAN))
    go(lab)
    for (job, _), name in zip(lab.started, NAMES, strict=True):
        (folder,) = job.folders
        assert (folder.source, folder.writable) == (tmp_path / "raw" / name, True)
        assert job.argv[-2:] == [str(folder.target), "/run/mip4"]
        assert str(tmp_path) not in " ".join(job.argv)
        assert not job.live
    assert len({tuple(job.argv) for job, _ in lab.started}) == 1


def test_batches_side_by_side_on_the_host_make_agents_folders_of_their_own(go: Go, tmp_path: Path) -> None:
    lab = FakeLab(by_plan(PLAN))
    lab.guest_kernel = None
    assert [done.outcome.get("problem") for done in go(lab, 2)] == [None] * len(NAMES)
    assert [job.argv[-1] for job, _ in lab.started] == [str(tmp_path / "raw" / name) for name in NAMES]


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_no_more_than_the_given_number_run_at_once(go: Go, jobs: int) -> None:
    lab = FakeLab(by_plan(PLAN))
    lab.polls_to_end = 3
    finished = go(lab, jobs)
    assert lab.most == min(jobs, len(BATCHES))
    assert lab.entered == 0
    assert [done.batch.name for done in finished] == NAMES


def test_results_stand_in_the_order_of_the_plan_whoever_ends_first(go: Go) -> None:
    def behave(folder: Path, job: Job) -> int | None:
        lab.polls_to_end = 30 if folder.name == NAMES[0] else 1
        return by_plan(PLAN)(folder, job)

    lab = FakeLab(behave)
    assert [done.batch.name for done in go(lab, 3)] == NAMES


def failing(how: Behaviour) -> Behaviour:
    """The second batch behaves like this, the others well."""

    def behave(folder: Path, job: Job) -> int | None:
        return (how if folder.name == NAMES[1] else by_plan(PLAN))(folder, job)

    return behave


def truncated(folder: Path, job: Job) -> int:  # noqa: ARG001
    (folder / "outcome.json").write_text('{"problem": nu')
    return 0


def silent(folder: Path, job: Job) -> int:  # noqa: ARG001
    return 3


def dead(folder: Path, job: Job) -> int:  # noqa: ARG001
    return -1


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (silent, "ended with 3:\nsaid on stderr"),
        (truncated, "ended with 0:"),
        (dead, "the guest died:\nKernel panic"),
        (leave(outcome_of(BATCHES[1], problem="mn: binding 2 was not registered")), "mn: binding 2 was"),
    ],
)
def test_a_batch_that_fails_is_a_problem_and_the_others_count(go: Go, how: Behaviour, says: str) -> None:
    finished = go(FakeLab(failing(how)))
    assert [done.outcome["problem"] is None for done in finished] == [True, False, True]
    assert says in finished[1].outcome["problem"]


def test_a_batch_that_hangs_is_ended(go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(folder: Path, job: Job) -> None:  # noqa: ARG001
        (folder / "progress.json").write_text(json.dumps({"done": 1, "of": 6, "what": "calibrating"}))

    monkeypatch.setattr(runner, "wall_limit", lambda batch: 0.01)  # noqa: ARG005
    lab = FakeLab(failing(hang))
    told: list[Progress] = []
    finished = go(lab, 1, told)
    assert "wall-clock time, while calibrating" in finished[1].outcome["problem"]
    assert [job.folders[0].source for job in lab.killed] == [tmp_path / "raw" / NAMES[1]]
    assert ("calibrating", 1) in {(step.what, step.done) for step in told}
    assert set(finished[1].phases) == {"calibrating", runner.DIGESTING}


def test_all_time_of_a_batch_belongs_to_a_phase(go: Go) -> None:
    for done in go(FakeLab(by_plan(PLAN))):
        assert sum(done.phases.values()) >= done.wall_seconds
        assert set(done.phases) == {"starting", runner.DIGESTING}


def test_what_the_job_said_is_kept(go: Go, tmp_path: Path) -> None:
    go(FakeLab(by_plan(PLAN)))
    for stream in ("stdout", "stderr"):
        assert (tmp_path / "raw" / NAMES[0] / f"{stream}.log").read_text() == f"said on {stream}\n"


def test_each_batch_is_reported_as_ended_once(go: Go) -> None:
    told: list[Progress] = []
    go(FakeLab(by_plan(PLAN)), 2, told)
    assert sorted(step.batch.name for step in told if step.ended) == NAMES
    assert all(step.of == step.batch.steps == len(PLAN.treatments()) + 2 for step in told)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_a_run_nothing_is_left(go: Go, error: type[BaseException]) -> None:
    class Stops(list[Progress]):
        def append(self, step: Progress) -> None:  # noqa: ARG002
            raise error

    lab = FakeLab(by_plan(PLAN))
    with pytest.raises(error):
        go(lab, 2, Stops())
    assert lab.most == 2
    assert lab.entered == 0


def cannot_start(*names: str) -> Behaviour:
    def behave(folder: Path, job: Job) -> int | None:
        if folder.name in names:
            raise GuestError("no place for the guest's memory")
        return by_plan(PLAN)(folder, job)

    return behave


def test_if_not_even_the_first_guest_starts_nothing_is_run(go: Go) -> None:
    with pytest.raises(GuestError, match="memory"):
        go(FakeLab(cannot_start(*NAMES)))


def test_a_later_guest_that_cannot_start_costs_only_its_own_batch(go: Go) -> None:
    finished = go(FakeLab(cannot_start(NAMES[1])), 2)
    assert [done.outcome["problem"] for done in finished] == [None, "no place for the guest's memory", None]


def test_the_wall_clock_limit_grows_with_the_work() -> None:
    # 180 s to boot; 20 s for each of 60 and of (2 + 10 + 2) seconds in each of four runs.
    assert wall_limit(BATCHES[0]) == 180 + 20 * (60 + 4 * 14)
