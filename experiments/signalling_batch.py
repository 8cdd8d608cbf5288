# SPDX-License-Identifier: GPL-2.0-or-later
"""One batch of ``signalling``, inside the lab kernel: register, then count an hour of messages."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from experiments.capture import Capture, CaptureFailedError, await_last_packets
from experiments.guest_job import GuestJob, perform
from topologies.figure import Figure
from topologies.links import AccessLink
from topologies.registered import AgentNetwork, AgentNetworkError

CAPTURE = "mobile-node.pcap"
SIGNALLING_PORT = 434


def links(count: int) -> tuple[AccessLink, ...]:
    """So many equal access links, none behind a foreign agent."""
    return tuple(AccessLink(f"link{number}", 10, 10, 15) for number in range(1, count + 1))


def execute(job: GuestJob, working_folder: Path) -> None:
    """Run the batch of a job."""
    wanted = job.document
    outcome: dict[str, Any] = {"problem": None, "runs": []}
    job.begin(2, "building the network")
    topology = Figure(
        links(wanted["bindings"]),
        mobile_node={
            "bulk_renewal": wanted["renewal"] == "bulk",
            "lifetime": wanted["lifetime"],
            # An hour of probes would take most of the time and change no registration.
            "liveness": {"enabled": False},
        },
    )
    agents = AgentNetwork(topology, working_folder)
    raw = job.folder / "raw"
    raw.mkdir()
    try:
        agents.start()
        job.progress(1, f"{wanted['bindings']} bindings, {wanted['renewal']}")
        with Capture(agents.net["mn"], f"udp port {SIGNALLING_PORT}", raw / CAPTURE) as capture:
            begin = time.time_ns()
            time.sleep(wanted["duration"])
            end = time.time_ns()
            await_last_packets()
            capture.finish()
        status = agents.ask("mn", "status")
        if not status["registered"]:
            raise AgentNetworkError("mn: not every binding is registered at the end")
        outcome["runs"].append({"window": [begin, end]})
    except (AgentNetworkError, CaptureFailedError) as error:
        outcome["problem"] = str(error)
    finally:
        agents.stop()
        for log in agents.net.working_folder.glob("*.log"):
            shutil.copyfile(log, raw / log.name)
    job.leave(outcome)


if __name__ == "__main__":
    perform(execute)
