# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: any figure with its agents, and what a scenario does to it and sees of it."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from agents.daemon.control import ControlError, ask
from agents.linux.path_selection import NUMBER_MASK
from tests.net.figure3_stage import LIMIT, Stage, StageError, Step, perform
from topologies.figure import CORRESPONDENT, HOME_ADDRESS, Figure
from topologies.mobile_ip import Agent
from topologies.registered import AgentNetwork

_TABLE_BASE = 10_000
"""Of the route table of a way (docs/design.md, "Path selection")."""
_AGEING = ("lifetime_remaining", "next_request_in", "since", "liveness")
_FLOW = re.compile(rf"^udp\s+\d+\s+\d+\s+src={CORRESPONDENT.ip} dst={HOME_ADDRESS} sport=(?P<port>\d+)")
_MARK = re.compile(r"\bmark=(\d+)")
_COUNTED = re.compile(r"packets \d+ bytes \d+|^#.*$", re.MULTILINE)


class Scene(Stage):
    """A figure of the draft; up and registered once :meth:`start` returns."""

    def __init__(self, folder: Path, topology: Figure, liveness: bool = False) -> None:
        """Build it.

        :param liveness: whether the mobile node probes its tunnels; what counts packets wants none.
        """
        self.folder = folder
        working = Path("/run/mip4")
        working.mkdir()
        self.topology = topology
        self.agents = AgentNetwork(topology, working)
        self.links = [access.link.name for access in topology.accesses]
        self.binding_ids = [access.binding_id for access in topology.accesses]
        self.settings("mn")["liveness"] = {"enabled": liveness}

    # Agents

    def daemon(self, node: str) -> Any:
        """The agent of a node, as IPMininet has it."""
        return next(d for d in self.node(node).nconfig.daemons if isinstance(d, Agent))

    def settings(self, node: str) -> dict[str, Any]:
        """What a node's agent is told when it starts; change it before."""
        found: dict[str, Any] = self.daemon(node).options.settings
        return found

    def end(self, node: str) -> int:
        """SIGTERM to a node's agent; its exit code."""
        process = self.daemon(node).process
        process.send_signal(signal.SIGTERM)
        return int(process.wait(LIMIT))

    def kill(self, node: str) -> None:
        """SIGKILL: whatever the agent made in the kernel stays."""
        process = self.daemon(node).process
        process.kill()
        process.wait()
        self.daemon(node).socket.unlink()

    def launch(self, node: str, **settings: object) -> None:
        """Start a node's agent again, with some settings changed, and wait until it answers."""
        daemon = self.daemon(node)
        self.settings(node).update(settings)
        daemon.write(daemon.render({}))
        self.node(node).launch(daemon)
        eventually(f"the agent of {node} answers", lambda: self._answers(daemon.socket))

    def begin(self, node: str) -> None:
        """Start a node's agent again and wait until all is registered."""
        self.launch(node)
        self.until_registered()

    @staticmethod
    def _answers(socket: Path) -> bool:
        with suppress(ControlError):
            ask(socket, "status")
            return True
        return False

    def bound(self, node: str = "mn") -> list[int]:
        """Binding identifiers that a mobile node believes to have, in order."""
        rows = self.ask(node, "status")["bindings"]
        return sorted(row["binding_id"] for row in rows if row["tunnel"] is not None)

    def until_registered(self) -> None:
        """Wait until every link has its binding at both ends, no tunnel drains, no request is due soon."""

        def settled() -> bool:
            mobile_node, home_agent = self.ask("mn", "status"), self.ask("ha", "status")
            rows = mobile_node["bindings"]
            ours = [r for r in home_agent["bindings"] if r["home_address"] == str(HOME_ADDRESS)]
            return (
                {row["state"] for row in rows} == {"registered"}
                and all((row["next_request_in"] or 0.0) > LIMIT for row in rows)
                and sorted(row["binding_id"] or 0 for row in ours) == self.binding_ids
                and all(row["state"] == "sending" for row in mobile_node["devices"] + home_agent["devices"])
                and mobile_node["deregistrations_pending"] == 0
            )

        eventually("all bindings registered", settled, 4 * LIMIT)

    def register_afresh(self) -> None:
        """Give up every binding and register anew."""
        self.ask("mn", "deregister", binding_id=None)
        eventually("no binding", lambda: self.bindings() == [])
        self.ask("mn", "reregister", bulk=False)
        self.until_registered()

    def bindings(self) -> list[int]:
        """Binding identifiers of ``mn`` at the home agent, in order; 0: without the extension."""
        rows = self.ask("ha", "status")["bindings"]
        return sorted(r["binding_id"] or 0 for r in rows if r["home_address"] == str(HOME_ADDRESS))

    def visitors(self, node: str = "fa") -> dict[str, list[int]]:
        """Binding identifiers of a foreign agent's visitors by interface."""
        found: dict[str, list[int]] = {}
        for row in self.ask(node, "status")["visitors"]:
            found.setdefault(row["interface"], []).append(row["binding_id"])
        return found

    def events(self, node: str) -> dict[str, int]:
        """How often an agent has reported each event."""
        found: dict[str, int] = self.ask(node, "status")["events"]
        return found

    # Kernel

    def json(self, node: str, *argv: str) -> list[dict[str, Any]]:
        """What ``ip -json …`` says on a node."""
        code, said = self.run(node, "ip", "-json", *argv)
        found: list[dict[str, Any]] = json.loads(said) if code == 0 and said.strip() else []
        return [row for row in found if row]

    def tunnel_ends(self, node: str) -> list[list[str]]:
        """Local and remote end of every tunnel device in a node's kernel, in order."""
        rows = self.json(node, "-details", "link", "show", "type", "ipip")
        ends = (row["linkinfo"]["info_data"] for row in rows if row["ifname"] != "tunl0")
        return sorted([end["local"], end["remote"]] for end in ends)

    def neighbours(self, node: str, address: str = str(HOME_ADDRESS)) -> dict[str, str]:
        """Permanent link addresses of an address by interface, as a node's kernel has them."""
        rows = self.json(node, "neighbour", "show", address)
        return {row["dev"]: row["lladdr"] for row in rows if "PERMANENT" in row["state"]}

    def way_of(self, node: str) -> dict[int, str]:
        """The device of each way in use, by its number, from the route tables of a node's kernel."""
        rows = self.json(node, "-4", "route", "show", "table", "all")
        return {
            int(row["table"]) - _TABLE_BASE: row["dev"]
            for row in rows
            if str(row.get("table", "")).isdecimal()
            and _TABLE_BASE < int(row["table"]) < 2 * _TABLE_BASE
            and "dev" in row
        }

    def flow_ways(self, node: str = "fa") -> dict[str, str]:
        """By source port, the device of each UDP flow that the correspondent has opened."""
        _, said = self.run(node, "sh", "-c", "conntrack -L -p udp 2>/dev/null")
        ways, found = self.way_of(node), {}
        for line in said.splitlines():
            original, mark = _FLOW.search(line), _MARK.search(line)
            if original is not None and mark is not None:
                found[original["port"]] = ways.get(int(mark[1]) & NUMBER_MASK, "none")
        return found

    def reverse_interfaces(self, node: str = "fa") -> list[str]:
        """Interfaces from which a foreign agent's kernel leads ``mn``'s packets into a tunnel."""
        rows = self.json(node, "rule", "show")
        return sorted(r["iif"] for r in rows if r.get("src") == str(HOME_ADDRESS) and "iif" in r)

    def still(self, node: str) -> dict[str, Any]:
        """All of a node's kernel state and its agent's state that traffic alone must not change."""
        kernel = self.kernel_state(node)
        kernel["nft"] = _COUNTED.sub("", kernel["nft"])
        kernel["neighbours"] = sorted(
            self.run(node, "ip", "neighbour", "show", "nud", "permanent")[1].splitlines()
        )
        status = self.ask(node, "status")
        keys = ("bindings", "visitors", "pending", "tunnels")
        agent = {key: status[key] for key in keys if key in status}
        for rows in agent.values():
            for row in rows:
                for key in _AGEING:
                    row.pop(key, None)
        return {"kernel": kernel, "agent": agent}

    def drops(self, node: str) -> dict[str, int]:
        """Packets a node's agent has dropped at the tunnels' ends, by reason."""
        found: dict[str, int] = self.ask(node, "status")["drops"]
        return found


def eventually(what: str, condition: Callable[[], object], limit: float = LIMIT, poll: float = 0.05) -> float:
    """Poll until something is so; after how many seconds of network time it was.

    :param poll: seconds of network time; asking costs wall-clock time.
    :raises StageError: if it is not within ``limit`` seconds.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + limit:
            raise StageError(f"not within {limit:g} s: {what}")
        time.sleep(poll)
    return time.monotonic() - begun


def act(scene: Scene, steps: Sequence[Callable[[Scene], Any]], chosen: Sequence[str] = ()) -> None:
    """Start a scene and perform its steps, or those chosen by name."""
    scene.start()
    scene.until_registered()
    performed = [step for step in steps if not chosen or step.__name__ in chosen]
    perform(scene, cast("list[Step]", performed))
