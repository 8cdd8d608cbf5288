# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep's file: what it makes, and everything that is wrong with it, said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.arguments import UsageError
from experiments.sweeps import file
from experiments.sweeps.plan import SweepPlan

ROOT = Path(__file__).parents[3]


def read(folder: Path, text: str) -> SweepPlan:
    path = folder / "sweep.toml"
    path.write_text(text)
    return file.read(path, quick=False)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        read(folder, text)
    said = caught.value.problems
    assert all(problem.startswith(f"{folder}/sweep.toml: ") for problem in said)
    return [problem.removeprefix(f"{folder}/sweep.toml: ") for problem in said]


def test_the_sample_is_twelve_points_and_twenty_four_tasks() -> None:
    plan = file.read(ROOT / "docs/examples/sweep.toml", quick=False)
    assert len(plan.points) == 12
    batches = list(plan.batches())
    assert len({batch.name for batch in batches}) == 24
    assert plan.varied() == ["policy", "flows", "link"]


def test_a_task_is_what_the_experiment_would_do_whatever_the_other_points_are(tmp_path: Path) -> None:
    many = read(
        tmp_path, 'experiment = "aggregate"\n[parameters]\nfigure = [4, 3]\nflows = [2, 1]\nseed = 7\n'
    )
    words = ["--figure", "3", "--flows", "1", "--seed", "7"]
    alone = list(file.EXPERIMENTS["aggregate"].read(words).plan.batches())
    (last,) = (point for point in many.points if point.parameters == {"figure": 3, "flows": 1, "seed": 7})
    tasks = [batch for batch in many.batches() if batch.point == last]
    assert [(task.seed, task.job()) for task in tasks] == [(batch.seed, batch.job()) for batch in alone]
    assert many.seed == 7


def test_disturbed_experiments_can_be_swept(tmp_path: Path) -> None:
    cases = 'case = ["silent-loss", "carrier-loss"]'
    text = f'experiment = "failover"\n[parameters]\nfigure = [3, 5]\n{cases}\nruns = 1\n'
    assert len(list(read(tmp_path, text).batches())) == 4


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = """
        experiment = "aggregate"
        jobs = 2
        [parameters]
        figure = [3, 9]
        policy = []
        flows = ["8", true]
        duration = "long"
        weights = ["equal", "equal"]
        colour = "red"
        kernel = "guest"
        runs = [1, 2]
        seed = [[1]]
        link = [["wifi=fast"]]
        encapsulation = [["gre"]]
    """
    said = problems(tmp_path, text)
    for part in (
        "jobs: there is no such key; there are experiment, parameters",
        "parameters.figure: 9: allowed is 3, 4, 5, 6",
        "parameters.policy: the list is empty; give at least one value",
        'parameters.flows: "8" is a number: write it without quotation marks; True is neither',
        "parameters.duration: long: allowed is 0.5 to 3600 seconds",
        "parameters.weights: 'equal' stands there 2 times",
        "parameters.colour: aggregate has no such parameter; there are figure, policy,",
        "parameters.kernel: aggregate has no such parameter",
        "parameters.runs: allowed is one number, not a list",
        "parameters.seed: [1] is neither a number nor a text",
        "parameters.link: wifi=fast: the form is NAME=DOWN/UP:DELAY",
        "parameters.encapsulation: a list in a list; only link may have that",
    ):
        assert [problem for problem in said if problem.startswith(part)], (part, said)
    assert len(said) == 12


def test_combinations_that_cannot_be(tmp_path: Path) -> None:
    text = 'experiment = "aggregate"\n[parameters]\nprotocol = ["udp", "tcp"]\nudp-rate = [10, 20]\n'
    assert problems(tmp_path, text) == ["parameters.udp-rate: only with --protocol udp"]


def test_too_many_points(tmp_path: Path) -> None:
    numbers = list(range(101))
    text = f'experiment = "aggregate"\n[parameters]\nflows = {numbers[1:]}\nseed = {numbers}\n'
    assert problems(tmp_path, text) == ["parameters: make 10100 points; allowed are 10000"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("experiment = ", "is not TOML: Invalid value"),
        ("", "experiment: is missing"),
        ('experiment = "signalling"\n[parameters]\n', "experiment: Input should be 'aggregate', 'failover'"),
        ('experiment = "aggregate"\nparameters = 3\n', "parameters: Input should be a valid dictionary"),
    ],
)
def test_files_that_are_no_sweep(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text)[0].startswith(said)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        file.read(tmp_path / "none.toml", quick=False)
