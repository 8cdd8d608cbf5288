# SPDX-License-Identifier: GPL-2.0-or-later
"""The ``aggregate`` command from words to result folder, with a lab that has no kernel."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import aggregate, command, figures, plot, runner, store
from experiments.plan import Batch, Plan
from tests.unit.experiments.experiment_lab import CEILING, Behaviour, FakeLab, leave, outcome_of, run_of
from topologies.lab.guest import GuestError, Job
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import LabError

WORDS = ("--figure", "3", "--runs", "2", "--flows", "1", "--duration", "3")


def from_job(folder: Path) -> tuple[Plan, Batch]:
    """The batch that a job's folder describes."""
    plan = Plan.from_json(json.loads((folder / "job.json").read_text())["plan"])
    return plan, next(batch for batch in plan.batches() if batch.name == folder.name)


def good(folder: Path, job: Job) -> int | None:
    return leave(outcome_of(from_job(folder)[1]))(folder, job)


def second_fails(folder: Path, job: Job) -> int | None:
    problem = "mn: binding 2 is not registered, code 131" if folder.name.endswith("2") else None
    return leave(outcome_of(from_job(folder)[1], problem=problem))(folder, job)


Use = Callable[..., FakeLab]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Puts a fake lab in place of the kernels of this machine."""
    monkeypatch.setattr(runner, "_POLL", 0.001)
    # Asking git and the tools for their versions is dear and not the matter here.
    monkeypatch.setattr(store, "_output", lambda command: f"version of {command[0]}")

    # These outcomes have no captures; test_digest has some.
    monkeypatch.setattr(aggregate, "digest", lambda folder, outcome, direction, **_: outcome)  # noqa: ARG005

    def put(behaviour: Behaviour, draw: bool = False) -> FakeLab:
        lab = FakeLab(behaviour)
        if not draw:  # a matter of test_figures, and slow
            monkeypatch.setattr(figures, "aggregate", lambda summary, distributions, folder: [])  # noqa: ARG005
        monkeypatch.setattr(command, "choose", lambda kernel, clock: lab)  # noqa: ARG005
        return lab

    return put


def result_of(out: Path) -> Path:
    (folder,) = (out / "aggregate").iterdir()
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_valid_result(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = use(good, draw=True)
    assert aggregate.main([*WORDS, "--json", "--out", str(tmp_path)]) == 0
    folder = result_of(tmp_path)
    said = capsys.readouterr()
    assert said.out.encode() == (folder / "summary.json").read_bytes()
    assert said.err.splitlines()[-1] == f"result: {folder}"
    assert len(lab.started) == 2
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "wallclock.json",
        "raw",
        "events.jsonl",
        "samples.csv",
        "summary.json",
        "distributions.json",
        "figures",
    }
    drawn = {path.name for path in (folder / "figures").iterdir()}
    names = ("aggregate", "links", "extent", "density")
    assert drawn == {f"{name}-figure3.{kind}" for name in names for kind in ("pdf", "svg", "png")}
    summary = json.loads(said.out)
    assert summary["valid"] is True
    assert [cell["goodput_mbps"]["samples"] for cell in summary["cells"]] == [[60.0, 61.0]] * 2
    assert str(tmp_path) not in said.out
    assert (folder / "raw" / "figure3-run002" / "job.json").exists()

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["schema"] == 1
    assert manifest["kernel_key"] == "fake-key"
    assert manifest["arguments"]["runs"] == 2
    assert not {"out", "jobs"} & manifest["arguments"].keys()
    assert [batch["name"] for batch in manifest["batches"]] == ["figure3-run001", "figure3-run002"]
    assert {"pydantic", "scipy", "ipmininet"} <= manifest["packages"].keys()
    wall_clock = json.loads((folder / "wallclock.json").read_text())
    assert wall_clock["jobs"] >= 1
    assert len(wall_clock["batches"]) == 2
    assert [batch["traffic_seconds"] for batch in wall_clock["batches"]] == [10.0, 10.0]  # 2 cells of 1 + 4 s
    assert wall_clock["phases"].keys() == {"starting", "digesting"}
    with (folder / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["goodput_mbps"] for row in rows] == ["60.0", "60.0", "61.0", "61.0"]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [(event["batch"], event["problem"]) for event in events] == [
        ("figure3-run001", None),
        ("figure3-run002", None),
    ]


def test_two_equal_runs_differ_in_wall_clock_only(use: Use, tmp_path: Path) -> None:
    use(good)
    for name, jobs in (("a", "1"), ("b", "2")):
        assert aggregate.main([*WORDS, "--out", str(tmp_path / name), "--jobs", jobs]) == 0
    first, second = (everything(result_of(tmp_path / name)) for name in ("a", "b"))
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == {"wallclock.json"}


def test_nothing_that_exists_is_touched(use: Use, tmp_path: Path) -> None:
    use(good)
    (tmp_path / "aggregate").mkdir()
    (tmp_path / "aggregate" / "notes.txt").write_text("mine")
    assert aggregate.main([*WORDS, "--out", str(tmp_path)]) == 0
    before = everything(tmp_path)
    assert aggregate.main([*WORDS, "--out", str(tmp_path)]) == 0
    after = everything(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(list((tmp_path / "aggregate").iterdir())) == 3


def test_a_folder_of_the_same_name_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.ResultFolder.new(tmp_path, "aggregate")
    monkeypatch.setattr(Path, "absolute", lambda self: first.path)  # noqa: ARG005 - the same second
    with pytest.raises(store.StoreError, match="File exists"):
        store.ResultFolder.new(tmp_path, "aggregate")


def test_an_invalid_batch_is_named_and_the_exit_code_says_so(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(second_fails)
    assert aggregate.main([*WORDS, "--json", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    summary = json.loads(said.out)
    problem = "figure3-run002: mn: binding 2 is not registered, code 131"
    assert (summary["valid"], summary["problems"]) == (False, [problem])
    assert all(cell["goodput_mbps"]["samples"] == [60.0] for cell in summary["cells"])
    assert f"aggregate: {problem}" in said.err
    folder = result_of(tmp_path)
    assert said.out.encode() == (folder / "summary.json").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["valid"], manifest["problems"]) == (False, [problem])
    rows = (folder / "samples.csv").read_text().splitlines()
    assert [row.rpartition(",")[2] for row in rows] == ["valid", "True", "True", "False", "False"]


def test_with_no_good_batch_the_result_is_still_whole(use: Use, tmp_path: Path) -> None:
    use(lambda folder, job: 1)  # noqa: ARG005
    assert aggregate.main([*WORDS, "--out", str(tmp_path)]) == 1
    summary = json.loads((result_of(tmp_path) / "summary.json").read_text())
    assert [cell["goodput_mbps"] for cell in summary["cells"]] == [None, None]
    assert plot.main([str(result_of(tmp_path))]) == 0


BAD = (
    *("--figure", "9", "--policy", "best", "--link", "wifi=0/20:5", "--runs", "0", "--flows", "0"),
    *("--duration", "NaN", "--seed", "-1", "--jobs", "0", "--udp-rate", "5", "--wobble"),
)


def test_bad_usage_is_all_said_before_anything_is_made(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = use(good)
    assert aggregate.main([*BAD, "--json", "--out", str(tmp_path / "new")]) == 2
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert list(document) == ["schema", "valid", "problems", "cells"]
    assert (document["schema"], document["valid"], document["cells"]) == (1, False, [])
    assert len(document["problems"]) == 10
    assert said.err.splitlines() == [f"aggregate: {problem}" for problem in document["problems"]]
    assert lab.started == []
    assert list(tmp_path.iterdir()) == []


def test_without_json_bad_usage_leaves_stdout_empty(use: Use, capsys: pytest.CaptureFixture[str]) -> None:
    use(good)
    assert aggregate.main(list(BAD)) == 2
    assert capsys.readouterr().out == ""


def test_a_missing_kernel_is_bad_usage_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = ["--kernel guest: not built; mend it with: make setup", "--kernel host: needs root"]

    def choose(kernel: object, clock: object) -> None:  # noqa: ARG001
        raise LabError(problems)

    monkeypatch.setattr(command, "choose", choose)
    assert aggregate.main(["--json", "--out", str(tmp_path / "new")]) == 2
    assert json.loads(capsys.readouterr().out)["problems"] == problems
    assert list(tmp_path.iterdir()) == []


def test_a_guest_that_cannot_start_leaves_no_folder(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path, job: Job) -> int:  # noqa: ARG001
        raise GuestError("no place for the guest's memory; set TMPDIR to one")

    use(refuse)
    assert aggregate.main([*WORDS, "--json", "--out", str(tmp_path / "a" / "b")]) == 2
    assert json.loads(capsys.readouterr().out)["problems"] == [
        "no place for the guest's memory; set TMPDIR to one"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_makes_nothing(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = use(good)
    assert aggregate.main(["--dry-run", "--figure", "3", "--runs", "4", "--out", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().err
    # 4 batches × 4 cells × (2 + 6) s
    assert "4 batches, each one run of 4 cells; 128 s of measured traffic in all" in said
    assert "figure 3, per-packet, 8 flows: 4 runs" in said
    assert lab.started == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_it(use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(folder: Path, job: Job) -> int:  # noqa: ARG001
        raise KeyboardInterrupt

    lab = use(interrupt)
    assert aggregate.main([*WORDS, "--json", "--out", str(tmp_path)]) == 130
    assert lab.entered == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert not list(tmp_path.rglob("summary.json"))


def test_the_table_shows_every_cell_and_what_is_unknown(
    use: Use, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_policy(folder: Path, job: Job) -> int | None:
        plan, batch = from_job(folder)
        outcome = outcome_of(batch)
        outcome["runs"] = [run_of("per-flow", plan.flows[0], 60.0)]
        return leave(outcome)(folder, job)

    use(one_policy)
    aggregate.main(["--figure", "3", "--runs", "1", "--flows", "1", "--out", str(tmp_path)])
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    limit, share = f"{CEILING:.2f}", f"{60 / CEILING:.3f}"
    assert ["3", "per-flow", "1", "1", "60.00", "-", limit, "37.00", share, "25/5/10/60"] in lines
    assert ["3", "per-packet", "1", "0", "-", "-", limit, "37.00", "-", "-"] in lines


def test_the_program_refuses_bad_words_from_any_folder(tmp_path: Path) -> None:
    # A word that is no text at all must not break the document either.
    command: list[Any] = [
        sys.executable,
        "-S",
        ROOT / "experiments/aggregate.py",
        "--json",
        b"--policy=\xff[/x]",
    ]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem.endswith("[/x]: allowed is per-flow, per-flow-hash, per-packet")
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
