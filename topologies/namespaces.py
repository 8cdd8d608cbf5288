# SPDX-License-Identifier: GPL-2.0-or-later
"""A node's network namespace, reached by netlink and files instead of a process per command.

Starting ``ip`` costs some 40 ms inside the guest, a netlink call well under one.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import NamedTuple

import nftables
from pyroute2 import netns
from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from topologies.links import Shaper


class Counters(NamedTuple):
    """What an interface has carried since it was made."""

    received_octets: int
    received_packets: int
    sent_octets: int
    sent_packets: int


class Namespace:
    """The network namespace of one process."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        with self.entered():
            self.netlink = IPRoute()

    def close(self) -> None:
        """Release the netlink socket; the namespace itself belongs to the process."""
        self.netlink.close()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run the body inside: sockets made in it stay in this namespace."""
        netns.pushns(str(self._proc / "ns/net"))
        try:
            yield
        finally:
            netns.popns()

    def index(self, name: str) -> int:
        """Interface index of ``name``.

        :raises KeyError: if there is no such interface.
        """
        with self.entered():
            try:
                return socket.if_nametoindex(name)
            except OSError:
                raise KeyError(f"no interface {name}") from None

    def set_up(self, name: str, up: bool = True) -> None:
        """Bring an interface up or down."""
        self.netlink.link("set", index=self.index(name), state="up" if up else "down")

    def set_mtu(self, name: str, mtu: int) -> None:
        """Set the largest IP packet of an interface, in octets."""
        self.netlink.link("set", index=self.index(name), mtu=mtu)

    def packets_as_on_the_wire(self, name: str) -> None:
        """Cut what leaves an interface into single packets before it is queued or counted.

        One segment at most per buffer turns off every kind of segmentation offload at once,
        those of tunnels included.
        """
        self.netlink.link("set", index=self.index(name), gso_max_segs=1)

    def link_address(self, name: str) -> str:
        """The link-layer address of an interface, ``aa:bb:…``."""
        (message,) = self.netlink.get_links(self.index(name))
        return str(message.get_attr("IFLA_ADDRESS"))

    def add_address(self, name: str, address: IPv4Interface) -> None:
        """Add an address, with its broadcast address."""
        self.netlink.addr(
            "add",
            index=self.index(name),
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
            broadcast=str(address.network.broadcast_address) if address.network.prefixlen < 31 else None,
        )

    def remove_address(self, name: str, address: IPv4Interface) -> None:
        """Remove an address."""
        self.netlink.addr(
            "del", index=self.index(name), address=str(address.ip), prefixlen=address.network.prefixlen
        )

    def add_route(self, destination: str, gateway: str) -> None:
        """Add a route to the main table; ``destination`` may be ``default``."""
        self.netlink.route("add", dst=destination, gateway=gateway)

    def masquerade(self, name: str) -> None:
        """Give what is forwarded out of an interface that interface's address, with a port of its own.

        :raises OSError: if the kernel refuses the rule.
        """
        rules = f"""table ip nat {{
            chain outwards {{
                type nat hook postrouting priority srcnat
                oifname "{name}" masquerade
            }}
        }}"""
        with self.entered():
            code, _, error = nftables.Nftables().cmd(rules)
        if code:
            raise OSError(f"nft refuses to masquerade at {name}: {error.strip()}")

    def bridge(self, name: str, ports: Sequence[str]) -> None:
        """Join ports to a new bridge without spanning tree or multicast snooping."""
        self.netlink.link("add", ifname=name, kind="bridge", br_stp_state=0, br_mcast_snooping=0)
        index = self.index(name)
        for port in ports:
            self.netlink.link("set", index=self.index(port), master=index)
        self.netlink.link("set", index=index, state="up")

    def shape(self, name: str, shaper: Shaper, *, again: bool = False) -> None:
        """Shape what leaves by an interface (netem as its only queue).

        :param again: change the shaper it has; what is queued stays.
        """
        self.netlink.tc(
            "change" if again else "add",
            "netem",
            index=self.index(name),
            handle="1:",
            delay=round(shaper.delay * 1000),
            jitter=round(shaper.jitter * 1000),
            loss=shaper.loss,
            rate=f"{round(shaper.rate * 1e6)}bit",
            limit=shaper.limit,
        )

    def sysctl(self, name: str, value: str | int) -> None:
        """Set a ``net.…`` sysctl of this namespace; dots in interface names as slashes."""
        with self.entered():
            Path("/proc/sys", name.replace(".", "/")).write_text(str(value))

    def read_sysctl(self, name: str) -> str:
        """The value of a sysctl of this namespace."""
        with self.entered():
            return Path("/proc/sys", name.replace(".", "/")).read_text().strip()

    def nft(self, text: str) -> None:
        """Load nft rules.

        :raises RuntimeError: saying what nft refuses.
        """
        with self.entered():
            rules = nftables.Nftables()
            code, _, error = rules.cmd(text)
        if code:
            raise RuntimeError(f"nft: {error.strip()}")

    def counters(self) -> dict[str, Counters]:
        """Octets (Ethernet header included) and packets of every interface."""
        found = {}
        for line in (self._proc / "net/dev").read_text().splitlines()[2:]:
            name, _, numbers = line.partition(":")
            values = [int(word) for word in numbers.split()]
            found[name.strip()] = Counters(values[0], values[1], values[8], values[9])
        return found

    def queues(self) -> dict[str, dict[str, int]]:
        """Per interface, what its queue sent, dropped and still holds."""
        found = {}
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in self.netlink.get_links()}
        for message in self.netlink.get_qdiscs():
            kind = message.get_attr("TCA_KIND")
            statistics = message.get_attr("TCA_STATS")
            if kind == "netem" and statistics is not None:
                found[str(names[message["index"]])] = {
                    "sent_octets": int(statistics["bytes"]),
                    "sent_packets": int(statistics["packets"]),
                    "dropped_packets": int(statistics["drop"]),
                    "queued_packets": int(statistics["qlen"]),
                }
        return found

    def retransmitted_segments(self) -> int:
        """TCP segments sent again since the namespace was made."""
        header, values = (
            line.split()
            for line in (self._proc / "net/snmp").read_text().splitlines()
            if line.startswith("Tcp:")
        )
        return int(values[header.index("RetransSegs")])

    def forget_flows(self) -> None:
        """Empty the connection-tracking table."""
        with self.entered():
            tracking = NFCTSocket()
        try:
            tracking.flush()
        finally:
            tracking.close()

    def forget_udp_flow(self, source: IPv4Address, destination: IPv4Address, port: int) -> None:
        """Remove one flow, with ``port`` at both ends, from the connection-tracking table.

        :raises KeyError: if it is not there.
        """
        flow = NFCTAttrTuple(
            saddr=str(source), daddr=str(destination), proto=socket.IPPROTO_UDP, sport=port, dport=port
        )
        with self.entered():
            tracking = NFCTSocket()
        try:
            tracking.entry("del", tuple_orig=flow)
        except NetlinkError:
            raise KeyError(f"no flow from {source} to {destination}, port {port}") from None
        finally:
            tracking.close()
