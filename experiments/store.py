# SPDX-License-Identifier: GPL-2.0-or-later
"""The result folder: made new for each command, self-describing, owned by the checkout's owner."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.work import Batch, Outcome, Plan, Table
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import Lab

SCHEMA = 1
_PACKAGES = ("ipmininet", "pydantic", "pyroute2", "numpy", "scipy", "matplotlib")
_TOOLS = {"iperf": ["iperf", "--version"], "nft": ["nft", "--version"], "ip": ["ip", "-Version"]}


class StoreError(ValueError):
    """A folder that cannot take results, or holds none that can be read."""


def check_parent(parent: Path) -> None:
    """Make sure results can be put into ``parent``, creating nothing.

    :raises StoreError: saying why not.
    """
    place = parent
    while not os.path.lexists(place):  # in a folder we may not look into, nothing exists
        place = place.parent
    if not os.path.isdir(place):
        raise StoreError(f"--out {parent}: {place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise StoreError(f"--out {parent}: no permission to write in {place}")


def give_to_owner(path: Path) -> None:
    """Under sudo, let what was made inside the checkout belong to whoever the checkout belongs to."""
    owner = ROOT.stat()
    if os.geteuid() != 0 or owner.st_uid == 0 or ROOT not in path.resolve().parents:
        return
    for item in (path, *path.rglob("*")):
        os.chown(item, owner.st_uid, owner.st_gid, follow_symlinks=False)


def write_json(path: Path, document: object) -> None:
    """Write a document the same way every time."""
    path.write_text(as_text(document), encoding="utf-8")


def as_text(document: object) -> str:
    """A document as ``summary.json`` and ``--json`` show it: ASCII, whatever the terminal's encoding."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


class ResultFolder:
    """``results/<experiment>/<UTC time>-<id>``."""

    def __init__(self, path: Path, made: Sequence[Path]) -> None:
        self.path = path
        self.made = made

    @classmethod
    def reopen(cls, path: Path) -> ResultFolder:
        """A folder that exists and is not complete."""
        return cls(path.absolute(), [path.absolute()])

    @classmethod
    def new(cls, parent: Path, experiment: str) -> ResultFolder:
        """Make a new folder; nothing that exists is touched.

        :raises StoreError: if it cannot be made.
        """
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = (parent / experiment / f"{moment}-{secrets.token_hex(3)}").absolute()
        made = [folder for folder in (*path.parents, path) if not folder.exists()]
        try:
            (path / "raw").mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"--out {parent}: {error.strerror}: {error.filename}") from None
        return cls(path, made)

    def batch_folder(self, batch: Batch) -> Path:
        """Make a batch's folder with its job in it."""
        folder = self.path / "raw" / batch.name
        if folder.exists():  # begun before and not finished
            shutil.rmtree(folder)
        folder.mkdir()
        write_json(folder / "job.json", batch.job())
        return folder

    def finish(
        self,
        plan: Plan[Batch],
        lab: Lab,
        outcomes: Sequence[tuple[Batch, Outcome]],
        samples: Table,
        summary: Mapping[str, Any],
        wall_clock: Mapping[str, Any],
        documents: Mapping[str, Any],
    ) -> None:
        """Write everything but the figures.

        :param samples: what goes into ``samples.csv``.
        :param documents: by file name, what else the experiment keeps as JSON.
        """
        for name, document in documents.items():
            write_json(self.path / name, document)
        write_json(self.path / "summary.json", summary)
        write_json(self.path / "manifest.json", _manifest(plan, lab, outcomes, summary))
        write_json(self.path / "wallclock.json", wall_clock)
        header, rows = samples
        with (self.path / "samples.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        with (self.path / "events.jsonl").open("w", encoding="utf-8") as file:
            for batch, outcome in outcomes:
                event = {"batch": batch.name, "seed": batch.seed, "problem": outcome["problem"]}
                file.write(json.dumps(event) + "\n")

    def release(self) -> None:
        """Hand what was made to its owner."""
        for folder in self.made:
            if folder.exists():
                give_to_owner(folder)

    def prune(self, files: Set[str], batches: Set[str]) -> None:
        """Leave only these files and the raw folders of these batches."""
        for item in (*self.path.iterdir(), *(self.path / "raw").iterdir()):
            if item.name not in (batches if item.parent.name == "raw" else files | {"raw"}):
                shutil.rmtree(item) if item.is_dir() else item.unlink()

    def discard(self) -> None:
        """Remove a folder in which no batch was begun, and those made for it alone."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in self.made:  # the innermost first
            with contextlib.suppress(OSError):
                folder.rmdir()


def _output(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = (done.stdout or done.stderr).strip()
    return text.splitlines()[0] if text else None


def commit() -> str | None:
    """The checkout's, marked when files differ from it; None if git does not know it."""
    return _output(["git", "-c", f"safe.directory={ROOT}", "describe", "--always", "--dirty", "--abbrev=40"])


def _manifest(
    plan: Plan[Batch],
    lab: Lab,
    outcomes: Sequence[tuple[Batch, Outcome]],
    summary: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "experiment": plan.experiment,
        "arguments": plan.as_json(),
        "commit": commit(),
        "kernel": lab.kernel,
        "kernel_key": lab.kernel_key,
        "clock": lab.clock.value,
        "seed": plan.seed,
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "tools": {name: _output(command) for name, command in _TOOLS.items()},
        "valid": summary["valid"],
        "problems": summary["problems"],
        "batches": [
            {
                "name": batch.name,
                "seed": batch.seed,
                "problem": outcome["problem"],
                **{
                    key: outcome.get(key)
                    for key in ("best_single_link", "sysctls", "counters_before", "counters_after")
                },
            }
            for batch, outcome in outcomes
        ],
    }
