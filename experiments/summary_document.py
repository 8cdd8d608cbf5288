# SPDX-License-Identifier: GPL-2.0-or-later
"""What every experiment's ``summary.json`` begins with: no path and no wall-clock time in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.work import Batch, Plan

SCHEMA = 1


def summary_document(
    plan: Plan[Batch],
    problems: Sequence[str],
    cells: Sequence[dict[str, Any]],
    *,
    kernel: str,
    clock: str,
    quick: bool,
) -> dict[str, Any]:
    """A summary; an experiment may add keys of its own.

    :param problems: what spoilt runs, or did not hold; any makes the result invalid.
    :param cells: in the order of the arguments.
    """
    return {
        "schema": SCHEMA,
        "experiment": plan.experiment,
        "seed": plan.seed,
        "kernel": kernel,
        "clock": clock,
        "quick": quick,
        "valid": not problems,
        "problems": list(problems),
        "cells": list(cells),
    }


def invalid(problems: Sequence[str]) -> dict[str, Any]:
    """What ``--json`` prints when nothing could be run."""
    return {"schema": SCHEMA, "valid": False, "problems": list(problems), "cells": []}
