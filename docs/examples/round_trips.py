# SPDX-License-Identifier: GPL-2.0-or-later
"""An experiment of one's own: the round-trip time of each tunnel, measured one by one.

    .venv/bin/python docs/examples/round_trips.py [FIGURE]

The first half runs on this machine and starts the second in the lab kernel, the guest's if there is one.
What the second half prints is the result; nothing of the network outlives it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from topologies.figure import CORRESPONDENT
from topologies.figures import load
from topologies.lab.guest import Job
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import KernelChoice, choose
from topologies.registered import AgentNetwork

PINGS = 5


def inside(figure: int) -> None:
    """In the lab kernel: pin all traffic to one binding after the other, and ping the correspondent."""
    working_folder = Path("/run/round-trips")
    working_folder.mkdir()
    network = AgentNetwork(load(figure)(), working_folder)
    try:
        network.start()  # returns when every binding is registered
        measured = {}
        for access in network.topology.accesses:
            network.ask("mn", "pin", binding_id=access.binding_id)
            said = network.net["mn"].cmd(["ping", "-c", str(PINGS), "-i", "0.2", str(CORRESPONDENT.ip)])
            measured[access.link.name] = [float(time) for time in re.findall(r"time=([\d.]+) ms", said)]
        print(json.dumps(measured))  # noqa: T201
    finally:
        network.stop()


def main(figure: int) -> int:
    """On this machine: start the other half, show what it found."""
    lab = choose(KernelChoice.AUTO, None)
    job = Job(
        ["python", "-P", str(Path(__file__).resolve()), "--inside", str(figure)],
        environment={"PYTHONPATH": str(ROOT)},
        live=False,
    )
    with lab.start(job, seed=1, wall_limit=120) as running:
        code = running.wait()
        if code:
            sys.stderr.write(running.output("stderr"))
            return 1
        measured = json.loads(running.output("stdout"))
    table = Table("link", "mean round trip (ms)", "pings answered")
    for link, times in measured.items():
        table.add_row(link, f"{sum(times) / len(times):.1f}" if times else "-", f"{len(times)} of {PINGS}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(int(sys.argv[2]))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
