# SPDX-License-Identifier: GPL-2.0-or-later
"""IPMininet with its per-interface shell commands replaced by netlink.

``LabNet`` is an ``IPNet``, ``LabNode`` an IPMininet node with daemons: Mininet's command line,
``node.cmd``, ``node.popen`` and overlays work as usual. What differs, and why, is in
docs/design.md ("Building a network").
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from ipmininet.ipnet import IPNet
from ipmininet.iptopo import IPTopo
from ipmininet.link import IPIntf, IPLink
from ipmininet.router.__router import IPNode
from ipmininet.router.config.base import NodeConfig
from ipmininet.utils import L3Router

from topologies.links import Shaper
from topologies.namespaces import Namespace

DAEMON_START_LIMIT = 120.0
"""Seconds of network time a daemon may take until it says it has started: one, or many times more on this
machine's own kernel if that machine is emulated. One that ends is noticed at once."""
DAEMON_END_LIMIT = 5.0
"""Seconds of network time a daemon may take to end."""
_NODE_SYSCTLS: Mapping[str, str | int] = {
    "net.ipv6.conf.all.disable_ipv6": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv4.tcp_no_metrics_save": 1,
    "net.ipv4.tcp_congestion_control": "cubic",
}
"""Set on every node before its first interface appears; recorded with every result."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A layer-2 segment inside a node."""

    name: str
    ports: Sequence[str]
    """Interfaces of the node, named after the nodes they lead to."""
    address: IPv4Interface | None = None
    """The node's own address on the segment, if it has one."""


class NetworkError(RuntimeError):
    """The network did not come up; says which node and why."""


class LabIntf(IPIntf):  # type: ignore[misc]
    """An interface configured by netlink; its addresses are those it was given."""

    node: LabNode
    addresses: dict[int, list[IPv4Interface]]

    def config(self, ip: str | None = None, mtu: int | None = None, **_params: object) -> dict[str, object]:
        """Set address and MTU in octets; Mininet's traffic-control parameters are not used here."""
        if self.name != "lo":
            self.node.namespace.packets_as_on_the_wire(self.name)
        if mtu is not None:
            self.node.namespace.set_mtu(self.name, mtu)
        if ip is not None:
            self.setIP(ip)
        return {}

    def isUp(self, setUp: bool = False) -> bool:  # noqa: N802 - Mininet's name
        """Bring the interface up unless it was declared ``down``."""
        if setUp and not self.params.get("down", False):
            self.node.namespace.set_up(self.name)
        return True

    def _refresh_addresses(self) -> None:
        """Nothing to read back: only :meth:`setIP` changes them."""

    def _set_ip(self, ip: str | None, prefixLen: int | None = None) -> None:  # noqa: N803
        if ip is None:  # Mininet's constructor does that
            return
        address = IPv4Interface(ip if "/" in ip or prefixLen is None else f"{ip}/{prefixLen}")
        if not address.is_loopback:
            for old in self.addresses[4]:
                self.node.namespace.remove_address(self.name, old)
            self.node.namespace.add_address(self.name, address)
        self.addresses = {4: [address], 6: []}

    setIP = _set_ip  # noqa: N815 - Mininet's name

    def delete(self) -> None:
        """Forget the interface; it goes with its node's namespace."""
        self.node.delIntf(self)
        self.link = None


class LabLink(IPLink):  # type: ignore[misc]
    """A pair of interfaces, each named after the node at the other end."""

    def __init__(self, node1: LabNode, node2: LabNode, **params: Any) -> None:
        super().__init__(node1, node2, **{**params, "intfName1": node2.name, "intfName2": node1.name})

    @classmethod
    def makeIntfPair(  # noqa: N802 - Mininet's name
        cls, name1: str, name2: str, _mac1: None, _mac2: None, node1: LabNode, node2: LabNode, **_: object
    ) -> None:
        # Made where they belong: under a host kernel nothing ever shows in the root namespace.
        node1.namespace.netlink.link(
            "add", ifname=name1, kind="veth", peer={"ifname": name2, "net_ns_pid": node2.pid}
        )


class LabNode(IPNode, L3Router):  # type: ignore[misc]
    """A node: a shell in a network namespace, with its daemons."""

    def __init__(
        self,
        name: str,
        *,
        config: Any = NodeConfig,
        sysctls: Mapping[str, str | int] | None = None,
        bridge: Bridge | None = None,
        shapers: Mapping[str, Shaper] | None = None,
        routes: Sequence[tuple[str, str]] = (),
        masquerade: str | None = None,
        **params: Any,
    ) -> None:
        """Make the node.

        :param shapers: by interface; each shapes what leaves by it.
        :param routes: (destination, gateway) pairs, set when the network starts.
        :param masquerade: the interface at which every packet gets its address as source (NAPT).
        """
        super().__init__(name, config=config, create_logdirs=False, **params)
        self._bridge = bridge
        self._shapers = shapers or {}
        self._routes = routes
        self._masquerade = masquerade
        for key, value in {**_NODE_SYSCTLS, **(sysctls or {})}.items():
            self.namespace.sysctl(key, value)
        LabIntf("lo", node=self, port=-1, moveIntfFn=lambda *_: None)

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802 - Mininet's name
        """Start the node's shell, whose process holds the namespace."""
        super().startShell(mnopts)
        self.namespace = Namespace(self.pid)

    def prepare(self) -> None:
        """Before any daemon starts, when the interfaces of all nodes exist."""
        if self._bridge is not None:
            self.namespace.bridge(self._bridge.name, self._bridge.ports)
            if self._bridge.address is not None:
                self.namespace.add_address(self._bridge.name, self._bridge.address)
        for interface, shaper in self._shapers.items():
            self.namespace.shape(interface, shaper)
        for destination, gateway in self._routes:
            self.namespace.add_route(destination, gateway)
        if self._masquerade is not None:
            self.namespace.masquerade(self._masquerade)

    def start(self) -> None:
        """Write the daemons' files, check them, start them, and wait until each says it has.

        :raises NetworkError: if a daemon ends or does not start within its limit.
        """
        for daemon in self.nconfig.daemons:
            self.nconfig._cfg[daemon.NAME] = daemon.build()
            daemon.write(daemon.render(self.nconfig._cfg))
            self.launch(daemon)

    def launch(self, daemon: Any) -> None:
        """Start one daemon of this node and wait for it (also used to start it again)."""
        log = Path(self.cwd) / f"{self.name}.log"
        with open(log, "ab") as sink:
            number = self._processes.popen(
                shlex.split(daemon.startup_line), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            )
        process = self._processes.get_process(number)
        daemon.process = process
        deadline = time.monotonic() + DAEMON_START_LIMIT
        while not daemon.has_started(self._processes):
            if process.poll() is not None:
                raise NetworkError(f"{self.name}: {daemon.NAME} ended at once:\n{log.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise NetworkError(
                    f"{self.name}: {daemon.NAME} did not start within {DAEMON_START_LIMIT:.0f} s; "
                    f"its log:\n{log.read_text()[-2000:]}"
                )
            time.sleep(0.01)

    def end_daemons(self) -> None:
        """Tell the daemons to end and wait; a mobile node still deregisters."""
        for daemon in reversed(self.nconfig.daemons):
            process = getattr(daemon, "process", None)
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(DAEMON_END_LIMIT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def terminate(self) -> None:
        """End daemons and shell; the namespace goes with its last process."""
        self._processes.terminate()
        self.namespace.close()
        super(IPNode, self).terminate()


class LabNet(IPNet):  # type: ignore[misc]
    """An ``IPNet`` of :class:`LabNode` and :class:`LabLink` with fixed addresses."""

    inited = True
    """Mininet's own preparation changes sysctls of the whole machine; ours are per namespace."""

    def __init__(self, topo: IPTopo, *, working_folder: Path) -> None:
        """Build the network of ``topo``; :meth:`start` starts its daemons.

        :param working_folder: where daemons keep configuration, log, socket and state.
        """
        self.working_folder = working_folder
        super().__init__(
            topo=topo,
            router=LabNode,
            config=NodeConfig,
            link=LabLink,
            intf=LabIntf,
            controller=None,
            allocate_IPs=False,
            use_v6=False,
        )

    def addRouter(self, name: str, cls: Any = None, **params: Any) -> LabNode:  # noqa: N802
        """Add a node whose files lie in this network's folder."""
        node: LabNode = super().addRouter(name, cls, cwd=str(self.working_folder), **params)
        return node

    def stop(self) -> None:
        """End the daemons, those that started last first, while the network still stands."""

        def last(node: LabNode) -> int:
            return max((daemon.PRIO for daemon in node.nconfig.daemons), default=0)

        for node in sorted(self.routers, key=last, reverse=True):
            node.end_daemons()
        super().stop()

    def start(self) -> None:
        """Set bridges, shapers and routes everywhere, then start the daemons."""
        for node in self.routers:
            node.prepare()
        super().start()
