#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Aggregate throughput over several tunnels, by policy and number of flows (draft §1, §7)."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:  # run as a script, by whatever Python there is
    import pathlib
    import runpy

    _environment = pathlib.Path(__file__).resolve().parent.parent / "topologies" / "environment.py"
    runpy.run_path(str(_environment))["continue_as"]("experiments.aggregate")

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from experiments import figures, terminal
from experiments.arguments import Command, UsageError, read
from experiments.runner import Finished, run
from experiments.store import ResultFolder, StoreError, as_text
from experiments.summary import invalid, summarise
from topologies.lab.guest import GuestError
from topologies.lab.lab import Lab, LabError, choose
from topologies.signals import end_on_signals

EXPERIMENT = "aggregate"
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def _measured_seconds(command: Command, done: Finished) -> float:
    plan = command.plan
    return len(done.outcome["runs"]) * (plan.warm_up + plan.duration)


def _wall_clock(command: Command, finished: Sequence[Finished], begun: float) -> dict[str, Any]:
    return {
        "started_unix": begun,
        "wall_seconds": time.time() - begun,
        "jobs": command.jobs,
        "cores": os.cpu_count(),
        "host": os.uname().nodename,
        "host_kernel": os.uname().release,
        "batches": [
            {
                "name": done.batch.name,
                "wall_seconds": done.wall_seconds,
                "traffic_seconds": _measured_seconds(command, done),
                "emulation_speed": _measured_seconds(command, done) / done.wall_seconds,
            }
            for done in finished
        ],
    }


def _execute(command: Command, lab: Lab, console: Console) -> tuple[dict[str, Any], ResultFolder]:
    """Run every batch and store what came of it."""
    plan = command.plan
    batches = list(plan.batches())
    folder = ResultFolder(command.out, EXPERIMENT)
    begun = time.time()
    try:
        with terminal.Display(console, batches) as display:
            finished = run(
                plan, lab, batches, lambda batch: folder.batch_folder(batch, plan), command.jobs, display.show
            )
        outcomes = [(done.batch, done.outcome) for done in finished]
        summary = summarise(plan, outcomes, kernel=lab.kernel, clock=lab.clock.value, quick=command.quick)
        wall_clock = _wall_clock(command, finished, begun)
        folder.finish(plan, lab, outcomes, summary, wall_clock)
        figures.aggregate(summary, folder.path / "figures")
        for row in wall_clock["batches"]:
            console.print(
                f"{row['name']}: {row['traffic_seconds']:.0f} s of traffic in {row['wall_seconds']:.0f} s, "
                f"emulation speed {row['emulation_speed']:.2f}",
                highlight=False,
            )
    except GuestError:  # nothing was run
        folder.discard()
        raise
    except SystemExit:  # told to end: half a result is none
        folder.discard()
        console.print("aggregate: interrupted; nothing is left running, no result is kept")
        raise
    finally:
        folder.release()
    return summary, folder


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    words = sys.argv[1:] if argv is None else argv
    console = terminal.console()

    def refuse(problems: Sequence[str]) -> int:
        for problem in problems:
            console.print(f"aggregate: {problem}", markup=False, soft_wrap=True)
        if "--json" in words:
            sys.stdout.write(as_text(invalid(problems)))
        return USAGE

    try:
        command = read(words, EXPERIMENT, __doc__ or "")
        if command.dry_run:
            terminal.plan_table(console, command.plan)
            return OK
        lab = choose(command.kernel, command.clock)
        end_on_signals()
        summary, folder = _execute(command, lab, console)
    except (UsageError, LabError) as error:
        return refuse(error.problems)
    except (StoreError, GuestError) as error:
        return refuse([str(error)])
    except KeyboardInterrupt:  # before anything was begun
        return INTERRUPTED
    terminal.results(console, summary)
    for problem in summary["problems"]:
        console.print(f"aggregate: {problem}", markup=False, soft_wrap=True)
    if command.json:
        sys.stdout.write(as_text(summary))
        sys.stdout.flush()
    console.print(f"result: {folder.path}", markup=False, soft_wrap=True)
    return OK if summary["valid"] else FAILED


if __name__ == "__main__":
    sys.exit(main())
