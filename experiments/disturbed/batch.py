# SPDX-License-Identifier: GPL-2.0-or-later
"""One batch, inside the lab kernel: build the network, then disturb it once for every treatment.

A network that a disturbance leaves broken is built anew, so that no run suffers from another.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.settings import Policy
from experiments.disturbed.cases import Case, case_of
from experiments.disturbed.network import Network
from experiments.disturbed.plan import DisturbedPlan, Treatment
from experiments.disturbed.site import BrokenError, Site
from experiments.disturbed.streams import StreamError, StreamResult, Streams
from experiments.guest_job import GuestJob, perform
from topologies.network import NetworkError
from topologies.registered import AgentNetworkError

PAUSE = 1.0
"""Seconds before each run: longer than any queue holds packets."""
SETTLE = 0.3
"""Seconds of streams before the links are compared."""
COMPARE = 0.5
"""Seconds over which the busiest link is found."""
RANDOM = 0.5
"""The disturbance begins at random within so many seconds after that."""
TAIL = 1.0
"""Seconds for which all must be back; the streams run on so long, but not longer than
:data:`LONGEST_TAIL` after the last step."""
LONGEST_TAIL = 4.0
RECOVERY_LIMIT = 120.0
"""Seconds of network time in which every tunnel must be back."""
_POLL = 0.05


class Run:
    """One disturbance under streams."""

    def __init__(self, plan: DisturbedPlan, site: Site, treatment: Treatment, folder: Path) -> None:
        self._plan = plan
        self._site = site
        self._treatment = treatment
        self._case: Case = case_of(plan.experiment, treatment.case)
        self._folder = folder
        self._broken: list[str] = []
        self._recovery: float | None = None
        self._begun = 0.0

    def measure(self, wait: float) -> dict[str, Any]:
        """What was measured, as JSON can hold it.

        :param wait: seconds from the comparison of the links to the first step.
        :raises StreamError: if a stream could not be measured.
        :raises AgentNetworkError: if an agent does not answer where it must.
        """
        site, plan = self._site, self._plan
        self._select()
        self._begun = time.time()
        sender = site.node("cn" if plan.direction == "down" else "mn").namespace
        retransmitted = sender.retransmitted_segments()
        self._folder.mkdir()
        nodes = (site.node("cn"), site.node("mn"))
        started = time.monotonic()
        with Streams(nodes, plan.direction, self._case.traffic, self._folder) as streams:
            time.sleep(SETTLE)
            before = self._octets()
            time.sleep(COMPARE)
            after = self._octets()
            site.begin({name: after[name] - before[name] for name in before})
            time.sleep(wait)
            result = self._disturb(streams)
        result["retransmits"] = sender.retransmitted_segments() - retransmitted
        result["traffic_seconds"] = time.monotonic() - started
        return {**asdict(self._treatment), **result, "broken": self._broken}

    def _select(self) -> None:
        """Same policy at both ends, every cycle at its first slot, no flow remembered."""
        time.sleep(PAUSE)
        for node in self._site.agents.sockets:
            self._site.agents.ask(node, "set-policy", policy=self._treatment.policy.value)
            self._site.node(node).namespace.forget_flows()

    def _octets(self) -> dict[str, int]:
        site = self._site
        return {
            link.name: site.node(link.name)
            .namespace.counters()[site.port(link, self._plan.direction)]
            .sent_octets
            for link in site.topology.links_of_figure
        }

    def _disturb(self, streams: Streams) -> dict[str, Any]:
        site = self._site
        busiest = site.busiest()
        facts = {
            "busiest": busiest.link.name,
            "queued": site.queued(busiest.link)[self._plan.direction],
            "probe_timeout": site.probe_time_out(busiest),
            "next_delay_ms": min(a.link.delay for a in site.topology.accesses if a is not busiest),
        }
        begun = time.monotonic()
        undone = begun
        for step in self._case.disturbance.steps:
            time.sleep(max(0.0, begun + step.at - time.monotonic()))
            undone = time.monotonic()
            self._do(step.do)
        result = self._recover(streams, undone)
        events = site.events("mn", self._begun)
        failed = [row["binding_id"] for row in events if row["event"] == "tunnel-failed"]
        return {
            **facts,
            "affected": sorted(site.affected),
            "recovery": self._recovery,
            "failed_tunnels": failed,
            "false_alarms": sum(binding_id not in site.affected for binding_id in failed),
            **asdict(result.udp),
            "tcp_stall": result.tcp_stall,
            "tcp_octets": result.tcp_octets,
        }

    def _do(self, step: Any) -> None:
        try:
            step(self._site)
        except (BrokenError, NetworkError, AgentNetworkError) as error:
            self._broken.append(str(error))

    def _recover(self, streams: Streams, undone: float) -> StreamResult:
        """Wait until all is back and stays so; end the streams when they have seen enough.

        An agent may not have noticed yet what is broken: what is back must stay so for :data:`TAIL`.
        """
        result: StreamResult | None = None
        while True:
            spent = time.monotonic() - undone
            missing = self._missing()
            if missing is not None:
                self._recovery = None
            elif self._recovery is None:
                self._recovery = spent
            settled = self._recovery is not None and spent >= self._recovery + TAIL
            if result is None and (settled or spent >= LONGEST_TAIL):
                result = streams.end()
                if not result.udp.resumed:
                    self._broken.append(f"the stream had not resumed {spent:.1f} s after the last step")
            if result is not None and settled:
                return result
            if result is not None and spent > RECOVERY_LIMIT:
                self._broken.append(f"not back after {RECOVERY_LIMIT:.0f} s: {missing}")
                return result
            time.sleep(_POLL)

    def _missing(self) -> str | None:
        try:
            return self._site.missing()
        except AgentNetworkError as error:
            return str(error)


def execute(job: GuestJob, working_folder: Path) -> None:
    """Run the batch of a job."""
    plan = DisturbedPlan.from_json(job.document["plan"])
    order = [Treatment(t["figure"], t["case"], Policy(t["policy"])) for t in job.document["order"]]
    chance = random.Random(job.document["seed"])
    raw = job.folder / "raw"
    raw.mkdir(exist_ok=True)
    outcome: dict[str, Any] = {"problem": None, "runs": []}
    job.begin(len(order) + 1, "building the network")
    network: Network | None = None
    try:
        for number, treatment in enumerate(order):
            network = network or Network(plan, treatment.figure, raw, working_folder / "agents")
            job.progress(number + 1, f"{treatment.case}, {treatment.policy.value}")
            run = Run(plan, network.site, treatment, raw / f"run-{number}")
            result = run.measure(chance.uniform(0, RANDOM))
            outcome["runs"].append(result)
            if result["broken"]:
                network.stop()
                network = None
    except (StreamError, AgentNetworkError, NetworkError) as error:
        done = len(outcome["runs"])
        where = f"{order[done].case}, {order[done].policy.value}: " if done < len(order) else ""
        outcome["problem"] = f"{where}{error}"
    finally:
        if network is not None:
            network.stop()
    job.leave(outcome)


if __name__ == "__main__":
    perform(execute)
