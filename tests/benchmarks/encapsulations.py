# SPDX-License-Identifier: GPL-2.0-or-later
"""What tunnels cost: TCP throughput through each encapsulation as a ratio to plain routing.

``python tests/benchmarks/encapsulations.py [--pairs 7] [--seconds 1.5]``

Boots a guest on the real clock: a correspondent, a home agent and a mobile node in a row, links without
any limit, the agents' own kernel part at both ends of the tunnel. Each pair is a measurement of plain
routing and one of the tunnel, in turns, so that other load on the machine meets both. Prints the median ratio
of the pairs, with segmentation offload off (as in all experiments) and on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path as FilePath

ROOT = FilePath(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from agents.effects import AddTunnel, Encapsulation, Path, SetPaths, Tunnel  # noqa: E402
from agents.linux.kernel import Kernel  # noqa: E402
from agents.linux.path_selection import Role  # noqa: E402
from agents.settings import PathSelection  # noqa: E402
from experiments.traffic import Flows, measure  # noqa: E402
from topologies.lab.guest import Clock, Folder, Job  # noqa: E402
from topologies.lab.guest_kernel import find  # noqa: E402
from topologies.lab.lab import Lab  # noqa: E402

HOME_ADDRESS = IPv4Address("198.51.100.10")
CORRESPONDENT, HOME_AGENT = IPv4Interface("203.0.113.2/28"), IPv4Interface("203.0.113.1/28")
CARE_OF, AGENT = IPv4Interface("192.0.2.2/27"), IPv4Interface("192.0.2.1/27")
ENCAPSULATIONS = (Encapsulation.IPIP, Encapsulation.GRE, Encapsulation.UDP)
NO_LIMIT = 65535
"""Segments per buffer with segmentation offload."""
WALL_LIMIT = 900.0


class Bench:
    """The three nodes, in the guest."""

    def __init__(self, folder: FilePath) -> None:
        from ipmininet.iptopo import IPTopo

        from topologies.network import LabNet

        topology = IPTopo()
        forward = {"net.ipv4.ip_forward": 1}
        topology.addRouter("cn", routes=[("default", str(HOME_AGENT.ip))])
        topology.addRouter("ha", sysctls=forward, routes=[("default", str(CARE_OF.ip))])
        topology.addRouter("mn")
        topology.addLink("cn", "ha", params1={"ip": str(CORRESPONDENT)}, params2={"ip": str(HOME_AGENT)})
        topology.addLink("ha", "mn", params1={"ip": str(AGENT)}, params2={"ip": str(CARE_OF)})
        self._folder = folder
        self._net = LabNet(topology, working_folder=folder)
        self._net.start()
        self._home = self._net["mn"].namespace
        self._home.add_address("lo", IPv4Interface(f"{HOME_ADDRESS}/32"))

    def close(self) -> None:
        self._net.stop()

    def offload(self, on: bool) -> None:
        """Let buffers of many segments pass every link, or single packets only."""
        for node, names in (("cn", ["ha"]), ("ha", ["cn", "mn"]), ("mn", ["ha"])):
            namespace = self._net[node].namespace
            for name in names:
                namespace.netlink.link("set", index=namespace.index(name), gso_max_segs=NO_LIMIT if on else 1)

    def throughput(self, seconds: float) -> float:
        """Mbit/s from the correspondent to the home address."""
        flows = Flows("tcp", 1, 1400)
        ends = (self._net["cn"], self._net["mn"], CORRESPONDENT.ip, HOME_ADDRESS)
        return measure(*ends, flows, 0.3, seconds, self._folder, lambda: None).goodput

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Routes without a tunnel."""
        agent, node = self._net["ha"].namespace.netlink, self._net["mn"].namespace.netlink
        agent.route("add", dst=f"{HOME_ADDRESS}/32", gateway=str(CARE_OF.ip))
        node.route("add", dst="default", gateway=str(AGENT.ip), prefsrc=str(HOME_ADDRESS))
        yield
        agent.route("del", dst=f"{HOME_ADDRESS}/32")
        node.route("del", dst="default")

    @contextmanager
    def tunnel(self, encapsulation: Encapsulation) -> Iterator[None]:
        """What the agents make of one binding."""
        port = 434 if encapsulation is Encapsulation.UDP else 0
        kernels = []
        sides: tuple[tuple[str, Role, IPv4Address, IPv4Address], ...] = (
            ("ha", "home-agent", AGENT.ip, CARE_OF.ip),
            ("mn", "mobile-node", CARE_OF.ip, AGENT.ip),
        )
        for node, role, local, remote in sides:
            interface = "ha" if node == "mn" else None
            tunnel = Tunnel(encapsulation, local, remote, port, port, interface)
            with self._net[node].namespace.entered():
                kernel = Kernel(role, PathSelection(), None)
                if node == "mn":
                    kernel.own_addresses.own(HOME_ADDRESS)
                    kernel.own_addresses.set_access("ha", [local], remote)
                kernel.apply(AddTunnel(tunnel, encapsulation.value))
                kernel.apply(SetPaths(HOME_ADDRESS, (Path(tunnel, 1.0, 1),)))
            kernels.append((node, kernel))
        yield
        for node, kernel in kernels:
            with self._net[node].namespace.entered():
                kernel.close()
        # With the agent's own goes the address it found there.
        self._home.add_address("lo", IPv4Interface(f"{HOME_ADDRESS}/32"))


def inside(folder: FilePath, pairs: int, seconds: float) -> None:
    """In the guest: measure and print."""
    bench = Bench(folder)
    try:
        print(
            f"{'encapsulation':14} {'offload':8} {'ratio':>6} {'least':>6} {'most':>6} {'plain Mbit/s':>13}",
            flush=True,
        )
        for on in (False, True):
            bench.offload(on)
            for encapsulation in ENCAPSULATIONS:
                ratios, plains = [], []
                for _ in range(pairs):
                    with bench.plain():
                        plain = bench.throughput(seconds)
                    with bench.tunnel(encapsulation):
                        ratios.append(bench.throughput(seconds) / plain)
                    plains.append(plain)
                print(
                    f"{encapsulation.value:14} {'on' if on else 'off':8} {statistics.median(ratios):6.2f} "
                    f"{min(ratios):6.2f} {max(ratios):6.2f} {statistics.median(plains):13.0f}",
                    flush=True,
                )
    finally:
        bench.close()


def main() -> int:
    """Boot a guest on the real clock and run there; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="of measurements, for each ratio")
    parser.add_argument("--seconds", type=float, default=1.5, metavar="S", help="each measurement takes")
    parser.add_argument("--inside", type=FilePath, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside is not None:
        inside(given.inside, given.pairs, given.seconds)
        return 0
    kernel = find()
    if kernel is None:
        print("there is no guest kernel; make one with: make setup", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="encapsulations-") as name:
        folder = FilePath(name)
        argv = ["python", "-P", str(FilePath(__file__).resolve()), "--inside", str(folder)]
        argv += ["--pairs", str(given.pairs), "--seconds", str(given.seconds)]
        job = Job(
            argv,
            cwd=folder,
            folders=[Folder(folder, folder, writable=True)],
            environment={"PYTHONPATH": str(ROOT)},
            live=True,
        )
        with Lab(Clock.REAL, kernel).start(job, seed=1, wall_limit=WALL_LIMIT) as running:
            return running.wait()


if __name__ == "__main__":
    sys.exit(main())
