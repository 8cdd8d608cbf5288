# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: a network with its agents, and what a scene does to it.

A scene is a list of steps on one network, because building one is dear. Every step leaves all four
bindings registered and reports what it saw; the tests outside judge it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, ClassVar

from agents.settings import Policy, Weights
from topologies.figure import HOME_ADDRESS
from topologies.figure3 import Figure3
from topologies.mobile_ip import HomeAgentDaemon, MobileNodeDaemon
from topologies.network import LabNode
from topologies.registered import AgentNetwork

BINDINGS = 4
LIMIT = 20.0
"""Seconds of network time until what is waited for must have come."""
_DAEMONS = {"ha": HomeAgentDaemon.NAME, "mn": MobileNodeDaemon.NAME}
_POLL = 0.05
_IN_FLIGHT = 0.3
"""Seconds of network time in which the last packets reach a capture."""
_NUMBER = 0xFFF
"""The tunnel's number in a connection mark, for a flow that the correspondent opened."""
_VOLATILE = ("nf_conntrack_count",)


class StageError(AssertionError):
    """Something did not come about; says what."""


class CoLocated(Figure3):
    """Figure 3 without its foreign agent: every access link has a tunnel of the mobile node's own."""

    BEHIND_FOREIGN_AGENT: ClassVar[frozenset[str] | None] = frozenset()


class Stage:
    """Four co-located bindings, registered once :meth:`start` returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        working = Path("/run/mip4")
        working.mkdir()
        self.topology = CoLocated(weights=Weights.BANDWIDTH)
        self.agents = AgentNetwork(self.topology, working)
        self.links = [access.link.name for access in self.topology.accesses]
        # What these scenes count is every packet of a tunnel; probes have a scene of their own.
        settings = self.node("mn").nconfig.daemon(MobileNodeDaemon.NAME).options.settings
        settings["liveness"] = {"enabled": False}
        self._link_of = {
            str(access.address.ip): access.link.name
            for access in self.topology.accesses
            if access.address is not None
        }

    def node(self, name: str) -> LabNode:
        """A node by its name."""
        found: LabNode = self.agents.net[name]
        return found

    def start(self) -> None:
        """Start the agents."""
        self.agents.start()

    def end(self, node: str) -> int:
        """SIGTERM to a node's agent; its exit code."""
        process = self.node(node).nconfig.daemon(_DAEMONS[node]).process
        process.send_signal(signal.SIGTERM)
        return int(process.wait(LIMIT))

    def begin(self, node: str) -> None:
        """Start a node's agent again and wait until all is registered."""
        self.node(node).launch(self.node(node).nconfig.daemon(_DAEMONS[node]))
        self.until_registered()

    def ask(self, node: str, command: str, **arguments: Any) -> Any:
        """Ask an agent."""
        return self.agents.ask(node, command, **arguments)

    def bindings(self) -> list[int]:
        """Binding identifiers at the home agent, in order."""
        return sorted(row["binding_id"] for row in self.ask("ha", "status")["bindings"])

    def tunnels(self, node: str) -> dict[str, dict[str, Any]]:
        """The sending tunnel devices of an agent by access link."""
        end = "remote" if node == "ha" else "local"
        rows = self.ask(node, "status")["devices"]
        return {self._link_of[row[end]]: row for row in rows if row["state"] == "sending"}

    def until_registered(self) -> None:
        """Wait until all bindings stand at both ends, no tunnel drains and no request is due soon."""

        def settled() -> bool:
            mobile_node = self.ask("mn", "status")
            states = {row["state"] for row in mobile_node["bindings"]}
            devices = mobile_node["devices"] + self.ask("ha", "status")["devices"]
            return (
                states == {"registered"}
                and all((row["next_request_in"] or 0.0) > LIMIT for row in mobile_node["bindings"])
                and len(self.bindings()) == BINDINGS
                and len(devices) == 2 * BINDINGS
                and mobile_node["deregistrations_pending"] == 0
            )

        try:
            eventually("all bindings registered", settled)
        except StageError as error:
            raise StageError(f"{error}; {self.ask('mn', 'status')}; {self.bindings()}") from None

    def until_idle(self) -> None:
        """Wait until no shaper holds a packet: a burst that still waits would crowd out the next one."""

        def empty() -> bool:
            queues = (self.node(link).namespace.queues() for link in self.links)
            return not any(queue["queued_packets"] for ports in queues for queue in ports.values())

        eventually("empty queues", empty)

    def select(self, policy: Policy) -> None:
        """Same policy at both ends, every cycle at its first slot, no flow remembered, empty queues."""
        self.until_idle()
        for node in ("ha", "mn"):
            self.ask(node, "set-policy", policy=policy.value)
            self.node(node).namespace.forget_flows()

    def run(self, node: str, *argv: str) -> tuple[int, str]:
        """Run a program on a node; exit code and all it said."""
        process = self.node(node).popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = process.communicate()
        return int(process.returncode), said.decode(errors="replace")

    def socket(self, node: str, kind: int, address: IPv4Address, port: int = 0) -> socket.socket:
        """A socket in a node's namespace, bound."""
        with self.node(node).namespace.entered():
            made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((str(address), port))
        made.settimeout(LIMIT)
        return made

    @contextlib.contextmanager
    def capture(self, name: str, node: str, interface: str, *expression: str) -> Iterator[None]:
        """Capture what passes an interface into ``NAME.pcap`` in the scene's folder."""
        target, log = self.folder / f"{name}.pcap", self.folder / f"{name}.log"
        command = ["tcpdump", "-i", interface, "-n", "--immediate-mode", "-Z", "root", "-w", str(target)]
        with log.open("wb") as sink:
            process = self.node(node).popen(
                [*command, *expression], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=sink
            )
        try:
            eventually(f"tcpdump on {node}", lambda: "listening on" in log.read_text())
            yield
            time.sleep(_IN_FLIGHT)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()

    @contextlib.contextmanager
    def captures(self, name: str, *expression: str) -> Iterator[None]:
        """Capture on every access link, at the mobile node's side of its access node."""
        with contextlib.ExitStack() as stack:
            for link in self.links:
                stack.enter_context(self.capture(f"{name}-{link}", link, "mn", *expression))
            yield

    def flow_marks(self, node: str, protocol: str = "udp") -> dict[str, int]:
        """The tunnel in each flow's connection mark, by the flow's source port (``conntrack -L``)."""
        code, said = self.run(node, "conntrack", "-L", "-p", protocol)
        if code:
            raise StageError(f"conntrack: {said}")
        marks = {}
        for line in said.splitlines():
            words = dict(word.split("=", 1) for word in reversed(line.split()) if "=" in word)
            if str(HOME_ADDRESS) in (words.get("src"), words.get("dst")):
                marks[words["sport"]] = int(words.get("mark", "0")) & _NUMBER
        return marks

    def kernel_state(self, node: str) -> dict[str, Any]:
        """All that an agent may change in its node's kernel."""
        commands = {
            "links": ("ip", "-br", "link"),
            "addresses": ("ip", "-br", "-4", "address"),
            "rules": ("ip", "rule"),
            "routes": ("ip", "-4", "route", "show", "table", "all"),
            "proxies": ("ip", "neighbour", "show", "proxy"),
            "nft": ("nft", "list", "ruleset"),
        }
        return {
            **{name: self.run(node, *argv)[1] for name, argv in commands.items()},
            "sysctls": self._sysctls(node),
        }

    def _sysctls(self, node: str) -> dict[str, str]:
        found = {}
        with self.node(node).namespace.entered():
            for folder, _, names in os.walk("/proc/sys/net"):
                for name in names:
                    with contextlib.suppress(OSError, UnicodeDecodeError):
                        if name not in _VOLATILE:
                            found[f"{folder}/{name}"] = Path(folder, name).read_text()
        return found


def eventually(what: str, condition: Callable[[], bool], limit: float = LIMIT) -> float:
    """Poll until something is so; after how many seconds of network time it was.

    :raises StageError: if it is not within ``limit`` seconds.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + limit:
            raise StageError(f"not within {limit:g} s: {what}")
        time.sleep(_POLL)
    return time.monotonic() - begun


Step = Callable[[Stage], Any]


def perform(stage: Stage, steps: Sequence[Step]) -> None:
    """Perform a scene; ``report.json`` has what each step returned, or why it failed."""
    report: dict[str, dict[str, Any]] = {}
    try:
        for step in steps:
            try:
                report[step.__name__] = {"result": step(stage)}
            except Exception:  # noqa: BLE001 - the test of this step reports it, the others still count
                report[step.__name__] = {"error": traceback.format_exc()}
    finally:
        stage.agents.stop()
        for log in stage.agents.net.working_folder.glob("*.log"):
            (stage.folder / log.name).write_bytes(log.read_bytes())
    with (stage.folder / "report.json").open("w") as file:
        json.dump(report, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
