# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP that fills all links of the mobile node for as long as a soak lasts."""

from __future__ import annotations

import csv
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.traffic import PORT
from tests.net.scenario_stage import Scene
from topologies.figure import CORRESPONDENT, HOME_ADDRESS

FLOWS = 8
_ROUND = 600
"""Seconds that one set of connections lasts; when all of them broke off the next one begins."""
_OCTETS = 7
"""Column of an iperf report."""


class Load:
    """Flows from the correspondent; ``go_on`` begins a new round once the former is over."""

    def __init__(self, scene: Scene, log: Path) -> None:
        """Nothing is sent before ``go_on``."""
        self._scene, self._log = scene, log
        self._client: subprocess.Popen[bytes] | None = None

    def go_on(self) -> None:
        """Call now and then."""
        if self._client is not None and self._client.poll() is None:
            return
        send = ["iperf", "-c", str(HOME_ADDRESS), "-p", str(PORT), "-B", str(CORRESPONDENT.ip)]
        with self._log.open("ab") as log:
            self._client = self._scene.node("cn").popen(
                [*send, "-t", str(_ROUND), "-P", str(FLOWS)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self) -> None:
        """End the round that runs."""
        if self._client is not None:
            self._client.kill()
            self._client.wait()


@contextmanager
def loaded(scene: Scene, folder: Path) -> Iterator[Load]:
    """A receiver at the home address, and the flows to it; what arrived is in ``load.csv`` afterwards."""
    listen = ["iperf", "-s", "-p", str(PORT), "-y", "C", "-B", str(HOME_ADDRESS)]
    with (folder / "load.csv").open("wb") as report:
        server = scene.node("mn").popen(
            listen, stdin=subprocess.DEVNULL, stdout=report, stderr=subprocess.DEVNULL
        )
        load = Load(scene, folder / "load.log")
        try:
            yield load
        finally:
            load.stop()
            server.send_signal(signal.SIGINT)
            server.wait()


def received(folder: Path) -> int:
    """Octets of payload that all connections of a soak carried to the mobile node."""
    rows = csv.reader((folder / "load.csv").read_text().splitlines())
    # The receiver adds a sum (connection -1) to those of one round: each connection is counted once.
    return sum(int(row[_OCTETS]) for row in rows if len(row) > _OCTETS and int(row[5]) >= 0)
