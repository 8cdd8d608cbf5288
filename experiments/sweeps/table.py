# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of a sweep: a row per run of a cell, a column per parameter and per quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from experiments.command import Experiment, Outcomes
from experiments.sweeps.plan import SweepBatch, SweepPlan, Value
from experiments.work import Outcome, Table

_FIRST = ("task", "guest_seed")
"""What the experiments call ``batch`` and ``seed``: here a seed is the parameter."""
_TEXT, _TRUTH = "problem", "valid"
"""The columns that every row has, whatever failed."""


def table(experiment: Experiment[Any, Any], plan: SweepPlan, outcomes: Outcomes[SweepBatch]) -> Table:
    """Header and rows; a task that left nothing has a row for each of its cells all the same."""
    rows = [
        row
        for batch, outcome in outcomes
        if isinstance(batch, SweepBatch)
        for row in _rows(experiment, batch, outcome)
    ]
    swept = [_column(key) for key in plan.parameters if key != "runs"]
    cells = [key for key in ("figure", "case", "policy", "flows") if any(key in row for row in rows)]
    header = list(dict.fromkeys(["task", "run", *cells, *swept, *(key for row in rows for key in row)]))
    header = [key for key in header if key not in (_TEXT, _TRUTH)] + [_TEXT, _TRUTH]
    return header, [[row.get(key) for key in header] for row in rows]


def write_parquet(samples: Table, path: Path) -> None:
    """The table with a type for each column; what is not known is null."""
    import pyarrow  # takes its time, and nothing else needs it
    import pyarrow.parquet

    header, rows = samples
    columns = {}
    for number, name in enumerate(header):
        values = [row[number] for row in rows]
        columns[name] = pyarrow.array(values, type=_type(name, values))
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _type(name: str, values: Sequence[Any]) -> Any:
    import pyarrow

    known = [value for value in values if value is not None]
    if name == _TEXT or any(isinstance(value, str) for value in known):
        return pyarrow.string()
    if name == _TRUTH or (known and all(isinstance(value, bool) for value in known)):
        return pyarrow.bool_()
    if known and all(isinstance(value, int) for value in known):
        # A seed may have 63 bits: more than a floating-point number keeps.
        return pyarrow.int64()
    return pyarrow.float64()


def _rows(experiment: Experiment[Any, Any], batch: SweepBatch, outcome: Outcome) -> list[dict[str, Any]]:
    inner: Any = batch.inner
    known = {
        "task": batch.name,
        "run": inner.repetition + 1,
        "guest_seed": batch.seed,
        **{_column(key): _cell(value) for key, value in batch.point.parameters.items() if key != "runs"},
    }
    if not outcome["runs"]:
        return [
            {**known, **_words(asdict(treatment)), _TEXT: outcome["problem"], _TRUTH: False}
            for treatment in inner.order
        ]
    header, samples = experiment.samples(batch.point.plan, [(batch, outcome)])
    return [
        {**known, **_words(dict(zip(header[2:], row[2:], strict=True))), _TEXT: _problem(outcome, run)}
        for row, run in zip(samples, outcome["runs"], strict=True)
    ]


def _words(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value.value) if isinstance(value, Enum) else value for key, value in cell.items()}


def _problem(outcome: Outcome, run: Mapping[str, Any]) -> str | None:
    """Why a run counts for nothing."""
    broken = "; ".join(run.get("broken", ()))
    return outcome["problem"] or run.get("problem") or broken or None


def _column(key: str) -> str:
    """A key as a name that a data frame's attribute can have."""
    return key.replace("-", "_")


def _cell(value: Value) -> int | float | str:
    return " ".join(value) if isinstance(value, tuple) else value
