# SPDX-License-Identifier: GPL-2.0-or-later
"""One batch, inside the lab kernel: build the network, calibrate, run every treatment.

Reads ``job.json`` in the folder it is given, keeps ``progress.json`` there up to date, and
leaves ``outcome.json`` and, in ``raw``, what it was computed from. Imports are dear inside the
guest: no pandas, scipy or matplotlib here.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from experiments.guest_job import GuestJob, perform
from experiments.limits import ceiling_of, payload_of
from experiments.plan import Plan, Treatment
from experiments.traffic import INTERVAL, Flows, Measurement, TrafficError, measure
from topologies.figure import CORRESPONDENT, HOME_ADDRESS
from topologies.figures import load
from topologies.links import AccessLink
from topologies.registered import AgentNetwork, AgentNetworkError

CALIBRATION_SECONDS = 2.0
CALIBRATION_PACKETS = 600
"""Both for at least so long, the warm-up and the measured time of a calibration: a TCP flow on a
slow link needs more than 2 s to recover from the overshoot of its slow start."""
CALIBRATION_TOLERANCE = 0.02
"""A link alone must carry its rate within this; not asked of a link with loss, jitter or a queue
of its own, which one TCP flow may not fill."""
PINNED_TOLERANCE = 0.01
"""Another link may carry this share of it: signalling, ARP, acknowledgements."""
OVERLOAD = 1.2
"""UDP is offered at this multiple of the ceiling unless a rate was given."""
PAUSE = 1.0
"""Seconds between two measurements: longer than any queue holds packets."""
_RETRANSMITS = "retransmits"
_RECORDED = (
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_no_metrics_save",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.conf.all.rp_filter",
)


class BatchError(RuntimeError):
    """The batch cannot give valid runs; says why, for the person who reads the result."""


class Batch:
    """The network of one batch and the measurements on it."""

    def __init__(self, plan: Plan, figure: int, folder: Path, working_folder: Path) -> None:
        self._plan = plan
        self._figure = figure
        self._folder = folder
        self._raw = folder / "raw"
        self._raw.mkdir(exist_ok=True)
        self._topology = load(figure)(
            plan.links, weights=Weights(plan.weights), encapsulation=Encapsulation(plan.encapsulation)
        )
        self._agents = AgentNetwork(self._topology, working_folder)
        self._net = self._agents.net

    def start(self) -> None:
        """Start the network and wait until every binding is registered.

        :raises AgentNetworkError: saying which node and binding, with the last reply code.
        """
        self._agents.start()

    def stop(self) -> None:
        """Take everything down and keep the agents' logs."""
        self._agents.stop()
        for log in self._net.working_folder.glob("*.log"):
            shutil.copyfile(log, self._raw / log.name)

    def calibrate(self) -> dict[str, float]:
        """Goodput in Mbit/s through each link alone.

        What the shapers carried is checked, not the goodput: after a loss TCP hands its data on
        in one piece, which shifts goodput by a round trip across the window's edge.

        :raises BatchError: if a link does not carry its rate, or another one carries data.
        """
        alone = {}
        problems = []
        for access in self._topology.accesses:
            link = access.link
            self._select(Policy.PER_FLOW, access.binding_id)
            limit = self._ceiling([link])
            flows = self._flows(1, limit)
            seconds = self._calibration_seconds(limit, flows.payload)
            result, carried = self._observe(flows, seconds, seconds, f"calibration-{link.name}")
            alone[link.name] = result.goodput
            rate = link.rate(self._plan.direction)
            measured = carried[link.name] * 8 / 1e6 / seconds
            exact = link.loss == 0 and link.jitter == 0 and link.queue is None
            if exact and abs(measured / rate - 1) > CALIBRATION_TOLERANCE:
                problems.append(f"{link.name} alone carried {measured:.3f} Mbit/s; its rate is {rate:g}")
            for name, octets in carried.items():
                if name not in (link.name, _RETRANSMITS) and octets > PINNED_TOLERANCE * carried[link.name]:
                    problems.append(f"{name} carried {octets} octets while traffic was pinned to {link.name}")
        if problems:
            raise BatchError("calibration: " + "; ".join(problems))
        return alone

    def run(self, treatment: Treatment, number: int) -> dict[str, Any]:
        """One run; what was measured, as JSON can hold it."""
        self._select(treatment.policy, None)
        limit = self._ceiling(self._plan.links)
        flows = self._flows(treatment.flows, limit)
        result, carried = self._observe(flows, self._plan.warm_up, self._plan.duration, f"run-{number}")
        retransmits = carried.pop(_RETRANSMITS)
        total = sum(carried.values())
        return {
            **asdict(treatment),
            "ceiling_mbps": limit,
            **asdict(result),
            "link_octets": carried,
            "link_share": {name: octets / total if total else 0.0 for name, octets in carried.items()},
            "retransmits": retransmits if self._plan.protocol == "tcp" else None,
        }

    def kernel_facts(self) -> dict[str, Any]:
        """Queue and interface counters of the access nodes, for the manifest."""
        return {
            access.link.name: {
                "queues": self._net[access.link.name].namespace.queues(),
                "interfaces": self._net[access.link.name].namespace.counters(),
            }
            for access in self._topology.accesses
        }

    def sysctls(self) -> dict[str, dict[str, str]]:
        """The settings that decide about throughput, as the traffic's two ends have them."""
        return {
            node: {name: self._net[node].namespace.read_sysctl(name) for name in _RECORDED}
            for node in ("cn", "mn")
        }

    def _ceiling(self, used: Sequence[AccessLink]) -> float:
        return ceiling_of(self._plan, self._figure, used)

    def _flows(self, count: int, limit: float) -> Flows:
        plan = self._plan
        rate = None if plan.protocol == "tcp" else plan.udp_rate or OVERLOAD * limit
        return Flows(plan.protocol, count, payload_of(plan, self._figure), rate)

    @staticmethod
    def _calibration_seconds(rate: float, octets: int) -> float:
        seconds = max(CALIBRATION_SECONDS, CALIBRATION_PACKETS * 8 * octets / (rate * 1e6))
        return math.ceil(seconds / INTERVAL) * INTERVAL

    def _select(self, policy: Policy, pinned: int | None) -> None:
        """Same policy at both ends, every cycle at its first slot, no flow remembered."""
        time.sleep(PAUSE)
        for node in self._agents.sockets:
            self._agents.ask(node, "set-policy", policy=policy.value)
            self._agents.ask(node, "pin", binding_id=pinned)
            self._net[node].namespace.forget_flows()

    def _observe(
        self, flows: Flows, warm_up: float, duration: float, name: str
    ) -> tuple[Measurement, dict[str, int]]:
        """Measure flows, and what the counters counted in the same window."""
        ends = (("cn", CORRESPONDENT.ip), ("mn", HOME_ADDRESS))
        (sender, source), (receiver, target) = ends if self._plan.direction == "down" else ends[::-1]
        folder = self._raw / name
        folder.mkdir()
        marks: list[dict[str, int]] = []
        try:
            result = measure(
                self._net[sender],
                self._net[receiver],
                source,
                target,
                flows,
                warm_up,
                duration,
                folder,
                lambda: marks.append(self._counters()),
            )
        except TrafficError as error:
            raise BatchError(f"{name}: {error}") from None
        before, after = marks
        return result, {key: after[key] - before[key] for key in before}

    def _counters(self) -> dict[str, int]:
        """Octets out of each link's shaper in the direction measured, and segments sent again."""
        down = self._plan.direction == "down"
        counted = {}
        for link in self._plan.links:
            port = "mn" if down else self._topology.uplink(link)
            counted[link.name] = self._net[link.name].namespace.counters()[port].sent_octets
        sender = self._net["cn" if down else "mn"].namespace
        return {**counted, _RETRANSMITS: sender.retransmitted_segments()}


def execute(job: GuestJob, working_folder: Path) -> None:
    """Run the batch of a job."""
    plan = Plan.from_json(job.document["plan"])
    order = [Treatment(t["figure"], Policy(t["policy"]), t["flows"]) for t in job.document["order"]]
    outcome: dict[str, Any] = {"problem": None, "best_single_link": {}, "runs": []}
    job.begin(len(order) + 2, "building the network")
    batch = Batch(plan, order[0].figure, job.folder, working_folder)
    try:
        batch.start()
        job.progress(1, "calibrating")
        outcome["best_single_link"] = batch.calibrate()
        outcome["sysctls"] = batch.sysctls()
        outcome["counters_before"] = batch.kernel_facts()
        for number, treatment in enumerate(order):
            job.progress(number + 2, f"{treatment.policy.value}, {treatment.flows} flows")
            outcome["runs"].append(batch.run(treatment, number))
        outcome["counters_after"] = batch.kernel_facts()
    except (BatchError, AgentNetworkError) as error:
        outcome["problem"] = str(error)
    finally:
        batch.stop()
    job.leave(outcome)


if __name__ == "__main__":
    perform(execute)
