# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs a home agent to keep its state: one write for a number of bindings.

The state is taken, encoded, checked and forced to the disk of FOLDER as after every change; the shell
writes once for up to 32 datagrams that wait together.

    python tests/benchmarks/state_file.py FOLDER
"""

from __future__ import annotations

import statistics
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

from agents.daemon.shell import DATAGRAMS_TOGETHER
from agents.daemon.state_file import StateFile
from agents.effects import Instant
from agents.home_agent import HomeAgent
from agents.home_agent_state import HomeAgentState
from agents.kept_state import KeptSetting
from agents.linux.remains import KernelRecord
from agents.settings import Policy
from tests.benchmarks.home_agent_requests import HOME_AGENT, UNIX, datagrams, home_agent_settings

BINDINGS = (4, 100, 1000, 20_000)
WRITES = 20


def main() -> None:
    """Print the median time of one write and of its parts."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    settings = home_agent_settings()
    agent = HomeAgent(settings, Random(1))
    agent.start(Instant(0.0, UNIX))
    now = Instant(1.0, UNIX + 1)
    waiting = datagrams(settings, max(BINDINGS), 1)
    record = KernelRecord(policy=KeptSetting(configured=Policy.PER_FLOW, current=Policy.PER_FLOW), ways=())
    place = folder / "benchmark.state"
    file = StateFile(place, "home-agent", IPv4Address(HOME_AGENT), HomeAgentState)
    done = 0
    try:
        for count in BINDINGS:
            for datagram in waiting[done:count]:
                agent.receive(datagram, now)
            done = count
            snapshots, writes = [], []
            for _ in range(WRITES):
                begun = time.perf_counter()
                state = agent.snapshot(now)
                taken = time.perf_counter()
                file.write(state, record)
                snapshots.append(taken - begun)
                writes.append(time.perf_counter() - taken)
            whole = statistics.median(snapshots) + statistics.median(writes)
            print(
                f"{count} bindings, {place.stat().st_size / 1024:,.0f} KiB: {1e3 * whole:.1f} ms "
                f"({1e3 * statistics.median(snapshots):.1f} ms to take the state); "
                f"at most {DATAGRAMS_TOGETHER / whole:,.0f} requests/s"
            )
    finally:
        place.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
