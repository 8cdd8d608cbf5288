# SPDX-License-Identifier: GPL-2.0-or-later
"""Adds to what a batch left what its captures tell, and checks that no packet vanished. On the host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.metrics.pcap import CaptureError
from experiments.metrics.run import Ends, evaluate
from experiments.traffic import PORT
from experiments.work import Outcome
from topologies.figure import CORRESPONDENT, HOME_ADDRESS

LATENESS_LIMIT = 0.05
"""Seconds: a program that wakes later than that tells of a machine too busy to measure on. On the
virtual clock nothing is ever late."""
SENDER, RECEIVER = "sender.pcap", "receiver.pcap"


def ends_of(direction: str) -> Ends:
    """Between whom the traffic of an experiment goes."""
    if direction == "down":
        return Ends(CORRESPONDENT.ip, HOME_ADDRESS, PORT)
    return Ends(HOME_ADDRESS, CORRESPONDENT.ip, PORT)


def digest(folder: Path, outcome: Outcome, direction: str, *, keep_captures: bool) -> Outcome:
    """The outcome of a batch, each run with ``packets`` (what the captures tell) and ``problem``.

    :param folder: the batch's.
    :param keep_captures: leave the files where they are.
    """
    runs = []
    for run in outcome["runs"]:
        place = folder / "raw" / run["name"]
        begin, end = run["window"]
        try:
            packets = evaluate(place / SENDER, place / RECEIVER, ends_of(direction), (begin, end))
            runs.append({**run, "packets": packets, "problem": _problem(run, packets)})
        except CaptureError as error:
            runs.append({**run, "packets": None, "problem": str(error).replace(str(folder), folder.name)})
    if not keep_captures:
        for file in folder.glob("raw/*/*.pcap"):
            file.unlink()
    return {**outcome, "runs": runs}


def _problem(run: Mapping[str, Any], packets: Mapping[str, Any]) -> str | None:
    """Why a run counts for nothing; None: it is good."""
    whole, dropped = packets["whole_run"], sum(run["dropped"].values())
    lost = whole["sent"] - whole["received"]
    if lost > dropped:  # queues may have dropped signalling besides
        return (
            f"{lost} of {whole['sent']} packets did not arrive, but the links' queues dropped {dropped} "
            "in all: packets vanished elsewhere"
        )
    if run["lateness"] > LATENESS_LIMIT:
        return f"disturbed: a program woke {1000 * run['lateness']:.0f} ms late; run it on an idle machine"
    return None
