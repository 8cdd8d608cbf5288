# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 3 for hours, one random fault after another, with traffic all the time.

After each fault all four bindings must stand again; what is there then is counted and must not grow.
One line of JSON per fault goes to ``samples.jsonl``, the verdict of the end to ``end.json``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random
from typing import Any

from agents.settings import Weights
from tests.net.scenario_stage import Scene
from tests.soak.faults import FAULTS
from tests.soak.load import loaded, received
from topologies.figure import HOME_ADDRESS
from topologies.figure3 import Figure3

AGENTS = ("ha", "fa", "mn")
_LONGEST_REST = 300.0
_PROBE_INTERVAL = 1.0
"""Seconds; a tenth of the default's probes, so that a day passes in minutes."""
_SETTLED = 5.0
"""Seconds after which nothing of a fault is left to come: drained tunnels, neighbours, late replies."""


def _write(path: Path, mode: str, document: object) -> None:
    with path.open(mode) as file:
        file.write(json.dumps(document) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(text: str) -> int:
    return len([line for line in text.splitlines() if line.strip()])


def count(scene: Scene) -> dict[str, dict[str, int]]:
    """What each agent's process and its node's kernel hold."""
    found = {}
    for node in AGENTS:
        process = Path(f"/proc/{scene.daemon(node).process.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        kernel = scene.kernel_state(node)
        found[node] = {
            "resident_kib": int(status["VmRSS"].split()[0]),
            "descriptors": len(list((process / "fd").iterdir())),
            "threads": int(status["Threads"]),
            "links": _lines(kernel["links"]),
            "rules": _lines(kernel["rules"]),
            "routes": _lines(kernel["routes"]),
            "nft_lines": _lines(kernel["nft"]),
            "neighbours": _lines(scene.run(node, "ip", "neighbour", "show", "nud", "permanent")[1]),
        }
    return found


def _unreclaimable_kib() -> int:
    """Kernel memory that is in use for good."""
    text = Path("/proc/meminfo").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("SUnreclaim"))


def agreement(scene: Scene) -> list[str]:
    """Where the three agents and their kernels do not say the same; empty if all is well."""
    said = []
    here = {row["binding_id"]: row["care_of_address"] for row in scene.ask("mn", "status")["bindings"]}
    there = {row["binding_id"]: row["care_of_address"] for row in scene.ask("ha", "status")["bindings"]}
    if here != there:
        said.append(f"mobile node {here}, home agent {there}")
    for node in AGENTS:
        devices = scene.ask(node, "status")["devices"]
        told = sorted([row["local"], row["remote"]] for row in devices)
        if told != scene.tunnel_ends(node):
            said.append(f"{node}: agent {told}, kernel {scene.tunnel_ends(node)}")
    if scene.visitors() != {"wifi": [scene.binding_ids[scene.links.index("wifi")]]}:
        said.append(f"visitors {scene.visitors()}")
    return said


def soak(folder: Path, hours: float, seed: int, full_load: bool) -> None:
    """Until the time is over or something does not come back."""
    random = Random(seed)
    scene = Scene(folder, Figure3(weights=Weights.BANDWIDTH))
    scene.settings("mn")["liveness"] = {"interval": _PROBE_INTERVAL}
    scene.start()
    end: dict[str, Any] = {"problems": []}
    last = "nothing"
    try:
        scene.until_registered()
        with loaded(scene, folder) if full_load else nullcontext() as load, pinged(scene, end):
            begun = time.monotonic()
            while True:
                if load is not None:
                    load.go_on()
                time.sleep(_SETTLED)
                hour = (time.monotonic() - begun) / 3600
                sample = {"hour": hour, "after": last, "unreclaimable_kib": _unreclaimable_kib()}
                sample |= {"counts": count(scene), "disagreement": agreement(scene)}
                _write(folder / "samples.jsonl", "a", sample)
                if sample["disagreement"] or hour >= hours:
                    break
                time.sleep(random.uniform(1.0, _LONGEST_REST))
                fault = random.choice(FAULTS)
                last = fault.__name__
                fault(scene, random)
                scene.until_registered()
        if load is not None:
            end["received_octets"] = received(folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
        end["problems"].append(f"after {last}: {type(error).__name__}: {error}"[:3000])
    finally:
        scene.agents.stop()
        for log in scene.agents.net.working_folder.glob("*.log"):
            (folder / log.name).write_bytes(log.read_bytes())
    _write(folder / "end.json", "w", end)


@contextmanager
def pinged(scene: Scene, end: dict[str, Any]) -> Iterator[None]:
    """One echo request a second from the correspondent; what ping says of it goes to ``end``."""
    ping = scene.node("cn").popen(
        ["ping", "-q", "-i", "1", str(HOME_ADDRESS)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    try:
        yield
    finally:
        ping.send_signal(signal.SIGINT)
        end["traffic"] = ping.communicate()[0].decode(errors="replace").strip().splitlines()[-2:]


if __name__ == "__main__":
    soak(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "full-load")
