# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: tunnels that die in every way, under a stream of 1000 packets a second.

What a bridge port drops is lost silently: no interface loses its carrier, no queue is touched.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from agents.settings import Policy, Weights
from tests.net.scenario_stage import Scene, act, eventually
from tests.net.scenario_traffic import ENDS
from topologies.figure3 import Figure3
from topologies.figure4 import Figure4

PACE = 0.001
"""Seconds between two packets."""
PHASES = (0.0, 0.035, 0.07)
"""Seconds after a probe at which a failure comes."""
CUT = 1.0
"""Seconds a cut lasts at least: longer than it may take to notice."""
_QUIET = 1.0
_RECOVERY_LIMIT = 30.0
_TABLE = "netdev cut"


class Pulse:
    """Numbered packets of one flow, one each millisecond; and when each arrived."""

    def __init__(self, scene: Scene, sender: str, receiver: str, port: int) -> None:
        self._target = (str(ENDS[receiver]), port)
        self._sender = scene.socket(sender, socket.SOCK_DGRAM, ENDS[sender])
        self._sink = scene.socket(receiver, socket.SOCK_DGRAM, ENDS[receiver], port)
        self._sink.settimeout(_QUIET)
        self._ending = threading.Event()
        self._sent = 0
        self._arrivals: list[float] = []
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._ending.wait(PACE):
            self._sent += 1
            with contextlib.suppress(OSError):  # no way at the moment: lost like any other
                self._sender.sendto(b"pulse", self._target)

    def _receive(self) -> None:
        while True:
            try:
                self._sink.recv(100)
            except TimeoutError:
                if self._ending.is_set():
                    return
                continue
            self._arrivals.append(time.monotonic())

    def end(self) -> dict[str, float]:
        """``outage``: the longest time without an arrival, less the nominal one; ``lost`` packets."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._sender.close()
        self._sink.close()
        gaps = [later - earlier for earlier, later in pairwise(self._arrivals)]
        return {"outage": max(gaps) - PACE, "lost": self._sent - len(self._arrivals)}


@contextlib.contextmanager
def pulses(scene: Scene, report: dict[str, Any]) -> Iterator[None]:
    """A flow each way while the body runs; ``report`` gets what became of them."""
    streams = {"down": Pulse(scene, "cn", "mn", 7300), "up": Pulse(scene, "mn", "cn", 7301)}
    try:
        time.sleep(0.3)
        yield
    finally:
        report.update({name: stream.end() for name, stream in streams.items()})


@contextlib.contextmanager
def cut(scene: Scene, link: str, *ports: str) -> Iterator[None]:
    """Lose what comes into the access network by these ports: ``mn``, what is sent up, or the other."""
    rules = "".join(
        f"chain {port} {{ type filter hook ingress device {port} priority 0; policy drop; }}\n"
        for port in ports or port_names(scene, link)
    )
    _nft(scene, link, f"table {_TABLE} {{\n{rules}}}")
    try:
        yield
    finally:
        _nft(scene, link, f"delete table {_TABLE}")


def _nft(scene: Scene, link: str, text: str) -> None:
    code, said = scene.run(link, "nft", text)
    assert code == 0, said


def port_names(scene: Scene, link: str) -> list[str]:
    """The ports of an access network, that of the mobile node first."""
    return sorted(
        (name for name in scene.node(link).namespace.queues()), key=lambda name: (name != "mn", name)
    )


def tunnels(scene: Scene) -> dict[str, dict[str, Any]]:
    """What the mobile node knows of each tunnel, by link."""
    return {row["interface"]: row["liveness"] for row in scene.ask("mn", "status")["bindings"]}


def news(scene: Scene, since: float) -> list[dict[str, Any]]:
    """Events of the mobile node's tunnels from a moment on."""
    events = scene.ask("mn", "events")["events"]
    words = ("tunnel-failed", "tunnel-recovered", "home-agent-silent", "home-agent-answers", "registered")
    return [e for e in events if e["time"] >= since and e["event"] in words]


def until_proven(scene: Scene) -> None:
    """Wait until all is registered and each tunnel has answered."""
    scene.until_registered()
    eventually("all tunnels answer", lambda: {t["state"] for t in tunnels(scene).values()} == {"alive"})


def probed_by_each_way(scene: Scene) -> dict[str, Any]:
    """Under every policy, and pinned: round trips, and answers that came by another tunnel."""
    report: dict[str, Any] = {}
    for policy in Policy:
        for pinned in (None, 2):
            for node in ("ha", "mn", *(["fa"] if "fa" in scene.agents.sockets else [])):
                scene.ask(node, "set-policy", policy=policy.value)
                scene.ask(node, "pin", binding_id=pinned)
            before = tunnels(scene)
            time.sleep(2.0)
            after, status = tunnels(scene), scene.ask("mn", "status")
            report[f"{policy.value} {pinned}"] = {
                "round_trips": {link: row["round_trip_ms"] for link, row in after.items()},
                "sent": {link: after[link]["probes_sent"] - before[link]["probes_sent"] for link in after},
                "answered": {
                    link: after[link]["probes_answered"] - before[link]["probes_answered"] for link in after
                },
                "elsewhere": status["probe_answers_discarded"],
            }
    _flow_by_flow(scene)
    return report


def _fail(scene: Scene, link: str, phase: float, *ports: str) -> dict[str, Any]:
    """Cut a link under traffic, wait for its tunnel to be given up, mend it, wait for its return."""
    _afresh(scene)
    report: dict[str, Any] = {}
    with pulses(scene, report):
        _until_phase(phase)
        unix = time.time()
        with cut(scene, link, *ports):
            time.sleep(CUT)
            report["without"] = scene.bindings()
    report["seconds_until_back"] = eventually(
        "the tunnel is back", lambda: scene.bindings() == scene.binding_ids, _RECOVERY_LIMIT
    )
    until_proven(scene)
    report["events"] = news(scene, unix)
    report["detected"] = [e["time"] - unix for e in report["events"] if e["event"] == "tunnel-failed"]
    return report


def _afresh(scene: Scene) -> None:
    """All tunnels answer, and no former failure lengthens the hysteresis of the next."""
    scene.ask("mn", "reregister", bulk=False)
    until_proven(scene)
    _flow_by_flow(scene)


def _flow_by_flow(scene: Scene) -> None:
    """The next flow takes the best link at every agent."""
    scene.select(Policy.PER_FLOW)
    for node in scene.agents.sockets:
        scene.ask(node, "pin", binding_id=None)
        scene.ask(node, "set-policy", policy=Policy.PER_FLOW.value)
        scene.node(node).namespace.forget_flows()


def _until_phase(phase: float, interval: float = 0.1) -> None:
    now = time.monotonic()
    time.sleep((phase - now) % interval)


def silent_loss(scene: Scene) -> list[dict[str, Any]]:
    """Everything is lost both ways on LTE, with the stream down, and on WiFi, with the stream up."""
    lost = [("lte", phase) for phase in PHASES] + [("wifi", PHASES[0])]
    return [_fail(scene, link, phase) for link, phase in lost]


def one_way_up(scene: Scene) -> dict[str, Any]:
    """Only what the mobile node sends by LTE is lost, while the stream down arrives by it."""
    return _fail(scene, "lte", PHASES[0], "mn")


def one_way_down(scene: Scene) -> dict[str, Any]:
    """Only what the mobile node should receive by LTE is lost."""
    (other,) = (name for name in port_names(scene, "lte") if name != "mn")
    return _fail(scene, "lte", PHASES[0], other)


def two_at_once(scene: Scene) -> dict[str, Any]:
    """LTE and WiFi are lost in the same instant."""
    _afresh(scene)
    report: dict[str, Any] = {}
    with pulses(scene, report):
        unix = time.time()
        with cut(scene, "lte"), cut(scene, "wifi"):
            time.sleep(CUT + 0.5)
            report["without"] = scene.bindings()
    eventually("both are back", lambda: scene.bindings() == scene.binding_ids, _RECOVERY_LIMIT)
    until_proven(scene)
    report["events"] = news(scene, unix)
    return report


def carrier_loss(scene: Scene) -> dict[str, Any]:
    """The mobile node's WiFi interface, which carries the stream up, goes down."""
    _afresh(scene)
    report: dict[str, Any] = {}
    with pulses(scene, report):
        unix = time.time()
        scene.node("mn").namespace.set_up("wifi", False)
        time.sleep(CUT)
        report["state"] = tunnels(scene)["wifi"]
    scene.node("mn").namespace.set_up("wifi", True)
    until_proven(scene)
    report["events"] = news(scene, unix)
    return report


def all_silent(scene: Scene) -> dict[str, Any]:
    """Every link is lost for two seconds: nothing to be gained by giving up any."""
    until_proven(scene)
    unix = time.time()
    with contextlib.ExitStack() as stack:
        for link in scene.links:
            stack.enter_context(cut(scene, link))
        time.sleep(2.0)
        states = {link: row["state"] for link, row in tunnels(scene).items()}
    mended = time.monotonic()
    eventually("all tunnels answer", lambda: {t["state"] for t in tunnels(scene).values()} == {"alive"})
    return {
        "states": states,
        "seconds_until_alive": time.monotonic() - mended,
        "events": news(scene, unix),
        "bindings": scene.bindings(),
    }


def loss_on_all_links(scene: Scene) -> dict[str, Any]:
    """5 % of the packets are lost each way on every link, idle, for half a minute."""
    until_proven(scene)
    unix = time.time()
    for link in scene.links:
        rules = "".join(
            f"chain {port} {{ type filter hook ingress device {port} priority 0;"
            " numgen random mod 100 < 5 drop; }\n"
            for port in port_names(scene, link)
        )
        _nft(scene, link, f"table {_TABLE} {{\n{rules}}}")
    time.sleep(30.0)
    rows = tunnels(scene)
    for link in scene.links:
        _nft(scene, link, f"delete table {_TABLE}")
    return {"events": news(scene, unix), "loss": {link: row["loss"] for link, row in rows.items()}}


def shown(scene: Scene) -> dict[str, Any]:
    """``mipctl tunnels``, for people and for programs."""
    until_proven(scene)
    time.sleep(5.0)  # the smoothed round trip settles
    socket_path = str(scene.agents.sockets["mn"])
    return {
        "table": scene.run("mn", "env", "COLUMNS=200", "mipctl", "--socket", socket_path, "tunnels")[1],
        "json": scene.run("mn", "mipctl", "--socket", socket_path, "tunnels", "--json")[1],
    }


STEPS = (shown, probed_by_each_way, silent_loss, one_way_up, one_way_down, all_silent)
ONLY_ON_FIGURE_3 = (two_at_once, carrier_loss, loss_on_all_links)


def main(folder: Path, figure: str, *chosen: str) -> None:
    """The scene on a figure, or some of its steps."""
    topology = {"3": Figure3, "4": Figure4}[figure](weights=Weights.BANDWIDTH)
    act(Scene(folder, topology, liveness=True), STEPS + (ONLY_ON_FIGURE_3 if figure == "3" else ()), chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
