# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a sweep's TOML file: the options of an experiment, each with one value or a list of values.

What an option may be is known by the experiment's own command line, and asked there.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from experiments import aggregate, arguments, failover, handover
from experiments.aggregate import Aggregate
from experiments.arguments import UsageError
from experiments.command import Experiment
from experiments.disturbed import arguments as disturbed
from experiments.disturbed.cases import FAILOVER, HANDOVER
from experiments.disturbed.command import DisturbedExperiment
from experiments.sweeps.plan import Point, SweepPlan, Value

MOST_POINTS = 10_000
_SEVERAL = "link"
"""The option that may be given several times at one point."""
_ONE_VALUE = "runs"
"""Runs are the rows of a point: a list of numbers of them would only repeat rows."""

EXPERIMENTS: Mapping[str, Experiment[Any, Any]] = {
    "aggregate": Aggregate(),
    "failover": DisturbedExperiment(FAILOVER, failover.__doc__ or ""),
    "handover": DisturbedExperiment(HANDOVER, handover.__doc__ or ""),
}
"""What can be swept."""
_PARSERS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "aggregate": partial(arguments.parser, aggregate.__doc__ or ""),
    "failover": partial(disturbed.parser, FAILOVER, ""),
    "handover": partial(disturbed.parser, HANDOVER, ""),
}


def _is_scalar(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _values(given: object) -> tuple[Value, ...]:
    """One value or a list of them; whether the option can take a list of lists is checked later."""
    values = given if isinstance(given, list) else [given]
    if not values:
        raise ValueError("the list is empty; give at least one value, or leave the line out")
    problems = []
    found: list[Any] = []
    for value in values:
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            found.append(tuple(value))
        elif not _is_scalar(value):
            problems.append(f"{value!r} is neither a number nor a text")
        elif isinstance(value, str) and value.replace(".", "", 1).isdecimal():
            problems.append(f'"{value}" is a number: write it without quotation marks')
        else:
            found.append(value)
    if not problems:
        repeated = [value for value in dict.fromkeys(found) if found.count(value) > 1]
        problems += [f"{value!r} stands there {found.count(value)} times" for value in repeated]
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(found)


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    experiment: Literal["aggregate", "failover", "handover"]
    parameters: dict[str, Annotated[tuple[Value, ...], PlainValidator(_values)]]


def _options(experiment: str) -> list[str]:
    """What may stand in ``parameters``: the options that decide about results, but those of the command."""
    beside, value = arguments.new_parser("", "")
    arguments.add_run_options(beside, value, "")
    own = {action.dest for action in beside._actions}
    return [
        action.option_strings[0].removeprefix("--")
        for action in _PARSERS[experiment]()._actions
        if action.dest not in own and action.nargs != 0
    ]


def read(path: Path, *, quick: bool) -> SweepPlan:
    """The plan of a sweep's file.

    :raises UsageError: with every problem, the file and the key named.
    """
    try:
        octets = path.read_bytes()
        document = tomllib.loads(octets.decode())
    except OSError as error:
        raise UsageError([f"{path}: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError([f"{path}: is not TOML: {error}"]) from None
    problems, checked = _check(document)
    if checked is None:
        raise UsageError([f"{path}: {problem}" for problem in problems])
    count = math.prod(len(values) for values in checked.parameters.values())
    if count > MOST_POINTS:
        problems.append(f"parameters: make {count} points; allowed are {MOST_POINTS}")
        count = 0
    points, wrong = _points(checked, quick) if count else ([], [])
    if problems or wrong:
        raise UsageError([f"{path}: {problem}" for problem in [*problems, *wrong]])
    return SweepPlan(
        checked.experiment, checked.parameters, points, quick, hashlib.sha256(octets).hexdigest()
    )


def _check(document: dict[str, Any]) -> tuple[list[str], _File | None]:
    """What is wrong with a document's keys and types, and what is left of it without that."""
    problems = []
    whole = {key: dict(value) if isinstance(value, dict) else value for key, value in document.items()}
    try:
        checked = _File.model_validate(whole)
    except ValidationError as error:
        for found in error.errors():
            place = [str(part) for part in found["loc"]]
            problems.append(f"{'.'.join(place)}: {_said(found)}")
            if len(place) > 1:
                whole["parameters"].pop(place[1], None)
            elif place[0] not in _File.model_fields:
                whole.pop(place[0])
        try:
            checked = _File.model_validate(whole)
        except ValidationError:
            return problems, None
    allowed = _options(checked.experiment)
    for key, values in list(checked.parameters.items()):
        if key not in allowed:
            there = ", ".join(allowed)
            problems.append(
                f"parameters.{key}: {checked.experiment} has no such parameter; there are {there}"
            )
            del checked.parameters[key]
        elif key == _ONE_VALUE and len(values) > 1:
            problems.append(f"parameters.{key}: allowed is one number, not a list")
            checked.parameters[key] = values[:1]
        elif key != _SEVERAL and any(isinstance(value, tuple) for value in values):
            problems.append(f"parameters.{key}: a list in a list; only {_SEVERAL} may have that")
            del checked.parameters[key]
    return problems, checked


def _said(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return f"there is no such key; there are {', '.join(_File.model_fields)}"
    if found["type"] == "missing":
        return "is missing"
    return str(found["msg"]).removeprefix("Value error, ")


def _points(checked: _File, quick: bool) -> tuple[list[Point], list[str]]:
    """Every combination as the experiment reads it, and what it finds wrong."""
    experiment = EXPERIMENTS[checked.experiment]
    points: list[Point] = []
    problems: dict[str, None] = {}
    for number, values in enumerate(itertools.product(*checked.parameters.values()), 1):
        parameters = dict(zip(checked.parameters, values, strict=True))
        words = [
            f"--{key}={word}"
            for key, value in parameters.items()
            for word in (value if isinstance(value, tuple) else (value,))
        ]
        try:
            # Where results go is checked for the sweep itself.
            plan = experiment.read([*words, *["--quick"] * quick, "--out=/tmp"]).plan
            points.append(Point(number, parameters, plan))
        except UsageError as error:
            problems |= dict.fromkeys(_in_file(text, checked.parameters) for text in error.problems)
    return points, list(problems)


def _in_file(problem: str, keys: Sequence[str] | Mapping[str, Any]) -> str:
    """What is said of an option, said of its key."""
    word, space, rest = problem.removeprefix("--").partition(" ")
    key = word.removesuffix(":")
    if not problem.startswith("--") or key not in keys:
        return problem
    return f"parameters.{key}: {rest.removeprefix(': ')}" if space else f"parameters.{key}"
