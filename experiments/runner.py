# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the batches of a plan, several at once, and collects what each leaves.

Limits on wall-clock time and progress live here, outside the guest: inside, a hang on virtual
time never ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from experiments.work import Batch, Outcome
from topologies.lab.guest import Folder, GuestError, Job
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab, Running

GUEST_FOLDER = Path("/run/batch")
"""The batch's folder as the guest sees it: the same for every batch, so that none differs."""
WORKING_FOLDER = Path("/run/mip4")
_POLL = 0.2
_BOOT_LIMIT = 180.0
_SLOWDOWN = 20.0
"""Wall-clock seconds allowed for each second of network time."""
_FIXED_NETWORK_TIME = 60.0


class NotRunError(RuntimeError):
    """What should run batches cannot, or not any more; one line per problem, each with what mends it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(slots=True)
class Progress:
    """How far one batch is."""

    batch: Batch
    done: int
    of: int
    what: str
    ended: bool = False
    mbps: Mapping[str, float] = field(default_factory=dict)
    """What each link carries now; empty where nothing is measured."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch that ended."""

    batch: Batch
    outcome: Outcome
    wall_seconds: float
    phases: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds of each thing it said it was doing; empty where nobody looked on."""


DIGESTING = "digesting"
"""The phase after the guest has ended: what it left, captures above all, is read on this machine."""


def wall_limit(batch: Batch) -> float:
    """Wall-clock seconds after which a batch counts as hung."""
    return _BOOT_LIMIT + _SLOWDOWN * (_FIXED_NETWORK_TIME + batch.network_seconds)


def failed(problem: str) -> Outcome:
    """What is kept of a batch that left nothing."""
    return {"problem": problem, "best_single_link": {}, "runs": []}


Digest = Callable[[Batch, Path, Outcome], Outcome]
"""Makes of what a batch left in its folder what is kept of it."""


class _Slot:
    """A batch under way."""

    def __init__(self, lab: Lab, batch: Batch, folder: Path, digest: Digest) -> None:
        self.batch = batch
        self._digest = digest
        self.folder = folder
        self.begun = time.monotonic()
        self.limit = self.begun + wall_limit(batch)
        self._phases: dict[str, float] = {}
        self._looked = self.begun
        guest = lab.guest_kernel is not None
        seen = GUEST_FOLDER if guest else folder
        self.running: Running = lab.start(
            Job(
                argv=[
                    str(ROOT / ".venv/bin/python"),
                    "-P",
                    "-m",
                    batch.program,
                    str(seen),
                    # On the host, where several runs and batches stand side by side, each makes its own.
                    *([str(WORKING_FOLDER)] if guest else []),
                ],
                folders=[Folder(folder, GUEST_FOLDER, writable=True)] if guest else [],
                environment={"PYTHONPATH": str(ROOT)},
                live=False,
            ),
            seed=batch.seed,
        )

    def progress(self) -> Progress:
        """How far it is; the time since the last look belongs to what it does now."""
        found = self._told()
        self._spend(found.what)
        return found

    def _told(self) -> Progress:
        try:
            told = json.loads((self.folder / "progress.json").read_text())
            return Progress(self.batch, told["done"], told["of"], told["what"], mbps=told.get("mbps", {}))
        except (OSError, ValueError, KeyError):
            return Progress(self.batch, 0, self.batch.steps, "starting")

    def _spend(self, phase: str) -> None:
        now = time.monotonic()
        self._phases[phase] = self._phases.get(phase, 0.0) + now - self._looked
        self._looked = now

    def ended(self) -> bool:
        return self.running.poll() or time.monotonic() > self.limit

    def finish(self) -> Finished:
        spent = time.monotonic() - self.begun
        outcome = self._outcome(spent)
        self._spend(DIGESTING)
        return Finished(self.batch, outcome, spent, self._phases)

    def _outcome(self, spent: float) -> Outcome:
        if not self.running.poll():
            self.running.kill()
            told = self.progress()
            return failed(f"no end after {spent:.0f} s of wall-clock time, while {told.what}")
        try:
            code = self.running.exit_code()
        except GuestError as error:
            return failed(str(error))
        for stream in ("stdout", "stderr"):
            (self.folder / f"{stream}.log").write_text(self.running.output(stream))
        try:
            outcome: Outcome = json.loads((self.folder / "outcome.json").read_text())
        except (OSError, ValueError):
            outcome = {}
        if code or not outcome:
            return failed(f"ended with {code}:\n{self.running.output('stderr')[-2000:].strip()}")
        return self._digest(self.batch, self.folder, outcome)


def run(
    lab: Lab,
    batches: Iterable[Batch],
    make_folder: Callable[[Batch], Path],
    jobs: int,
    report: Callable[[Progress], None],
    digest: Digest = lambda _batch, _folder, outcome: outcome,
    keep: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Run batches, at most ``jobs`` at once; what each left, in the order of the plan.

    :param keep: told of each batch as soon as it has ended.

    Whatever ends this (Ctrl-C, an error), no batch is left running.

    :raises GuestError: if not even the first guest can start.
    """
    waiting = list(batches)
    order = {batch.name: number for number, batch in enumerate(waiting)}
    finished: list[Finished] = []
    with ExitStack() as everything:
        active: list[tuple[_Slot, ExitStack]] = []
        while waiting or active:
            while waiting and len(active) < jobs:
                batch = waiting.pop(0)
                begun = time.monotonic()
                try:
                    slot = _Slot(lab, batch, make_folder(batch), digest)
                except GuestError as error:
                    if not (active or finished):
                        raise
                    # Memory ran out meanwhile, say: what the others measured is kept.
                    finished.append(Finished(batch, failed(str(error)), time.monotonic() - begun))
                    continue
                stack = everything.enter_context(ExitStack())
                stack.enter_context(slot.running)
                active.append((slot, stack))
            time.sleep(_POLL)
            for slot, stack in list(active):
                report(slot.progress())
                if slot.ended():
                    finished.append(slot.finish())
                    stack.close()
                    keep(finished[-1])
                    active.remove((slot, stack))
                    report(Progress(slot.batch, slot.batch.steps, slot.batch.steps, "done", ended=True))
    return sorted(finished, key=lambda done: order[done.batch.name])
