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
from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from typing import Any

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from experiments.capture import Capture, CaptureFailedError, await_last_packets
from experiments.guest_job import GuestJob, perform
from experiments.limits import ceiling_of, payload_of
from experiments.plan import Plan, Treatment
from experiments.traffic import INTERVAL, PORT, SAMPLE, Flows, Measurement, TrafficError, measure
from topologies.figure import CORRESPONDENT, HOME_ADDRESS
from topologies.figure6 import TIME_OUTS
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
PROBE_OCTETS_PER_SECOND = 1400
"""And the probes of its tunnel, at most 20 a second of 70 octets with all headers (agents/liveness.py)."""
OVERLOAD = 1.2
"""UDP is offered at this multiple of the ceiling unless a rate was given."""
PAUSE = 1.0
"""Seconds between two measurements: longer than any queue holds packets."""
SAMPLES_PER_REPORT = 5
"""The links' rates are told to whoever looks on after so many samples of the counters."""
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


def recorded(nodes: Container[str]) -> dict[str, tuple[str, ...]]:
    """The sysctls to be recorded, by node: of the traffic's two ends, and a NAT's time-outs."""
    names = {"cn": _RECORDED, "mn": _RECORDED, "nat": tuple(TIME_OUTS)}
    return {node: names[node] for node in names if node in nodes}


class BatchError(RuntimeError):
    """The batch cannot give valid runs; says why, for the person who reads the result."""


@dataclass(slots=True)
class _Observed:
    """What was counted while flows ran."""

    result: Measurement
    carried: dict[str, int]
    """Octets out of each link's shaper in the measured window; segments sent again in it."""
    window: tuple[int, int]
    """The measured window, in nanoseconds since 1970."""
    dropped: dict[str, int]
    """Packets that each link's shaper dropped from before the first packet to after the last."""
    series: dict[str, list[float]] = field(default_factory=dict)
    """Mbit/s out of each link's shaper, in steps of ``SAMPLE`` from the start of the warm-up."""


class Batch:
    """The network of one batch and the measurements on it."""

    def __init__(
        self,
        plan: Plan,
        figure: int,
        folder: Path,
        working_folder: Path,
        report: Callable[[dict[str, float]], None] = lambda _: None,
    ) -> None:
        """Build the network.

        :param report: told Mbit/s of each link now and then.
        """
        self._plan = plan
        self._report = report
        self._figure = figure
        self._folder = folder
        self._raw = folder / "raw"
        self._raw.mkdir(exist_ok=True)
        # The overload is to say what the links carry. It drops most probes too, and a tunnel that is given
        # up for that would make it say something else.
        overload = plan.protocol == "udp" and plan.udp_rate is None
        self._topology = load(figure)(
            plan.links,
            weights=Weights(plan.weights),
            encapsulation=Encapsulation(plan.encapsulation),
            mobile_node={"liveness": {"enabled": False}} if overload else None,
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
            # What a run offers says nothing here: less than the rate would not fill the link, and
            # several times as much would drown the probes as well.
            flows = self._flows(1, OVERLOAD * limit)
            seconds = self._calibration_seconds(limit, flows.payload)
            seen = self._observe(flows, seconds, seconds, f"calibration-{link.name}")
            alone[link.name] = seen.result.goodput
            carried = seen.carried
            rate = link.rate(self._plan.direction)
            begin, end = seen.window  # as it was: a slow machine with the real clock looks too late
            measured = carried[link.name] * 8e3 / (end - begin)
            exact = link.loss == 0 and link.jitter == 0 and link.queue is None
            if exact and abs(measured / rate - 1) > CALIBRATION_TOLERANCE:
                problems.append(f"{link.name} alone carried {measured:.3f} Mbit/s; its rate is {rate:g}")
            allowed = PINNED_TOLERANCE * carried[link.name] + PROBE_OCTETS_PER_SECOND * seconds
            for name, octets in carried.items():
                if name not in (link.name, _RETRANSMITS) and octets > allowed:
                    problems.append(f"{name} carried {octets} octets while traffic was pinned to {link.name}")
        if problems:
            raise BatchError("calibration: " + "; ".join(problems))
        return alone

    def run(self, treatment: Treatment, number: int) -> dict[str, Any]:
        """One run; what was measured, as JSON can hold it."""
        self._select(treatment.policy, None)
        limit = self._ceiling(self._topology.links_of_figure)
        flows = self._flows(treatment.flows, self._plan.udp_rate or OVERLOAD * limit)
        name = f"run-{number}"
        seen = self._observe(flows, self._plan.warm_up, self._plan.duration, name, capture=True)
        carried = seen.carried
        retransmits = carried.pop(_RETRANSMITS)
        total = sum(carried.values())
        return {
            **asdict(treatment),
            "name": name,
            "ceiling_mbps": limit,
            **asdict(seen.result),
            "window": seen.window,
            "dropped": seen.dropped,
            "link_series": seen.series,
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
        """The settings that decide about throughput, as traffic's ends and the NAT have them."""
        return {
            node: {name: self._net[node].namespace.read_sysctl(name) for name in names}
            for node, names in recorded(self._net).items()
        }

    def _ceiling(self, used: Sequence[AccessLink]) -> float:
        return ceiling_of(self._plan, self._figure, used)

    def _flows(self, count: int, udp_rate: float) -> Flows:
        plan = self._plan
        rate = udp_rate if plan.protocol == "udp" else None
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
        self, flows: Flows, warm_up: float, duration: float, name: str, *, capture: bool = False
    ) -> _Observed:
        """Measure flows, what the counters counted in the same window, and capture at both ends."""
        source, target, sender, receiver = ends_of(self._plan.direction)
        folder = self._raw / name
        folder.mkdir()
        # Addresses of the inner packet: each is caught once, at the mobile node where it leaves its
        # tunnel, or bare behind a foreign agent.
        wanted = f"ip host {source} and ip host {target} and port {PORT}"
        marks: list[dict[str, int]] = []
        edges: list[int] = []
        samples = [self._counters()]
        dropped = self._dropped()

        def at_edge() -> None:
            marks.append(self._counters())
            edges.append(time.time_ns())

        def at_sample() -> None:
            samples.append(self._counters())
            if len(samples) % SAMPLES_PER_REPORT == 0:
                first, last = samples[-SAMPLES_PER_REPORT], samples[-1]
                seconds = (SAMPLES_PER_REPORT - 1) * SAMPLE
                self._report({name: rate[0] for name, rate in _rates([first, last], seconds).items()})

        try:
            with ExitStack() as stack:
                captures = [
                    stack.enter_context(Capture(self._net[node], wanted, folder / f"{side}.pcap"))
                    for side, node in (("sender", sender), ("receiver", receiver))
                    if capture
                ]
                result = measure(
                    self._net[sender],
                    self._net[receiver],
                    source,
                    target,
                    flows,
                    warm_up,
                    duration,
                    folder,
                    at_edge,
                    at_sample,
                )
                if captures:
                    await_last_packets()
                for one in captures:
                    one.finish()
        except (TrafficError, CaptureFailedError) as error:
            raise BatchError(f"{name}: {error}") from None
        (before, after), (begin, end) = marks, edges
        after_all = self._dropped()
        return _Observed(
            result,
            {key: after[key] - before[key] for key in before},
            (begin, end),
            {key: after_all[key] - count for key, count in dropped.items()},
            _rates(samples, SAMPLE),
        )

    def _dropped(self) -> dict[str, int]:
        """Packets each link's shaper dropped so far in the direction measured."""
        return {
            link.name: self._net[link.name].namespace.queues()[self._measured_port(link)]["dropped_packets"]
            for link in self._topology.links_of_figure
        }

    def _measured_port(self, link: AccessLink) -> str:
        """The port of a link's node whose shaper carries the direction measured."""
        return "mn" if self._plan.direction == "down" else self._topology.uplink(link)

    def _counters(self) -> dict[str, int]:
        """Octets out of each link's shaper in the direction measured, and segments sent again."""
        counted = {
            link.name: self._net[link.name].namespace.counters()[self._measured_port(link)].sent_octets
            for link in self._topology.links_of_figure
        }
        _, _, sender, _ = ends_of(self._plan.direction)
        return {**counted, _RETRANSMITS: self._net[sender].namespace.retransmitted_segments()}


def ends_of(direction: str) -> tuple[IPv4Address, IPv4Address, str, str]:
    """Addresses of sender and receiver, then their nodes."""
    down = (CORRESPONDENT.ip, HOME_ADDRESS, "cn", "mn")
    return down if direction == "down" else (HOME_ADDRESS, CORRESPONDENT.ip, "mn", "cn")


def _rates(samples: Sequence[dict[str, int]], seconds: float) -> dict[str, list[float]]:
    """Mbit/s of each link between one sample and the next."""
    return {
        name: [(after[name] - before[name]) * 8 / 1e6 / seconds for before, after in pairwise(samples)]
        for name in samples[0]
        if name != _RETRANSMITS
    }


def execute(job: GuestJob, working_folder: Path) -> None:
    """Run the batch of a job."""
    plan = Plan.from_json(job.document["plan"])
    order = [Treatment(t["figure"], Policy(t["policy"]), t["flows"]) for t in job.document["order"]]
    outcome: dict[str, Any] = {"problem": None, "best_single_link": {}, "runs": []}
    job.begin(len(order) + 2, "building the network")
    batch = Batch(plan, order[0].figure, job.folder, working_folder, job.rates)
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
