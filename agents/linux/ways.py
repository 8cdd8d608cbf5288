# SPDX-License-Identifier: GPL-2.0-or-later
"""Tunnel devices: one per tunnel, each with a number, a mark and a route table of its own."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import Any

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.effects import Encapsulation, Tunnel
from agents.linux.path_selection import TUNNEL_MASK

TABLE_BASE = 10_000
"""Route table of tunnel number n is ``TABLE_BASE + n``."""
MARK_RULE_PRIORITY = 9_000
OUTER_TTL = 64
_UNREACHABLE_METRIC = 4_000_000
_DEVICE = "mip"


class TunnelError(RuntimeError):
    """A tunnel the kernel would not make; says which and why."""


@dataclass(slots=True)
class Device:
    """A tunnel device as it stands in the kernel."""

    number: int
    name: str
    index: int
    mtu: int
    sending: bool = True
    """False while it only drains."""


class Tunnels:
    """The tunnel devices of one agent."""

    def __init__(self, netlink: IPRoute) -> None:
        self._netlink = netlink
        self._devices: dict[Tunnel, Device] = {}

    def __getitem__(self, tunnel: Tunnel) -> Device:
        return self._devices[tunnel]

    def all(self) -> list[Tunnel]:
        """Every tunnel that has a device, draining ones too."""
        return list(self._devices)

    def rows(self) -> list[dict[str, Any]]:
        """Number, name, end points, MTU and counters of every device, as JSON can hold them."""
        rows = []
        for tunnel, device in self._devices.items():
            (facts,) = self._netlink.get_links(device.index)
            counters = facts.get_attr("IFLA_STATS64")
            rows.append(
                {
                    "number": device.number,
                    "device": device.name,
                    "alias": facts.get_attr("IFLA_IFALIAS"),
                    "encapsulation": tunnel.encapsulation.value,
                    "local": str(tunnel.local),
                    "remote": str(tunnel.remote),
                    "mtu": device.mtu,
                    "state": "sending" if device.sending else "draining",
                    "sent_packets": counters["tx_packets"],
                    "sent_octets": counters["tx_bytes"],
                    "received_packets": counters["rx_packets"],
                    "received_octets": counters["rx_bytes"],
                }
            )
        return rows

    def smallest_mtu(self) -> int | None:
        """MTU in octets of the smallest tunnel in use, None without one."""
        return min((device.mtu for device in self._devices.values() if device.sending), default=None)

    def add(self, tunnel: Tunnel, alias: str) -> Device:
        """Make the device, its mark's rule and its table; a draining one is taken up again.

        :raises TunnelError: if the kernel refuses; nothing of it is left then.
        """
        if tunnel in self._devices:
            device = self._devices[tunnel]
            device.sending = True
            return device
        taken = {device.number for device in self._devices.values()}
        number = next(n for n in range(1, TUNNEL_MASK) if n not in taken)
        name = f"{_DEVICE}{number}"
        try:
            self._netlink.link("add", ifname=name, **self._parameters(tunnel))
            index = self._netlink.link_lookup(ifname=name)[0]
            self._netlink.link("set", index=index, state="up", ifalias=alias[:255])
            (facts,) = self._netlink.get_links(index)
            device = Device(number, name, index, int(facts.get_attr("IFLA_MTU")))
            self._devices[tunnel] = device
            self._lead_mark_to(device)
        except NetlinkError as error:
            self.delete(tunnel)
            raise TunnelError(f"tunnel {alias}: the kernel refuses {tunnel}: {error.args[1]}") from None
        return device

    def retire(self, tunnel: Tunnel) -> None:
        """Stop sending by the tunnel; what still arrives is received until :meth:`delete`."""
        if tunnel in self._devices:
            self._devices[tunnel].sending = False

    def delete_retired(self, tunnel: Tunnel) -> None:
        """Delete the tunnel unless it was taken up again meanwhile."""
        if tunnel in self._devices and not self._devices[tunnel].sending:
            self.delete(tunnel)

    def delete(self, tunnel: Tunnel) -> None:
        """Delete device, rule and table; no error if any of them is gone already."""
        device = self._devices.pop(tunnel, None)
        if device is None:
            return
        with contextlib.suppress(NetlinkError):
            self._netlink.rule("del", **self._rule(device))
        with contextlib.suppress(NetlinkError):
            self._netlink.flush_routes(table=TABLE_BASE + device.number, family=socket.AF_INET)
        with contextlib.suppress(NetlinkError):
            self._netlink.link("del", index=device.index)

    def _parameters(self, tunnel: Tunnel) -> dict[str, object]:
        ends = {"local": str(tunnel.local), "remote": str(tunnel.remote), "ttl": OUTER_TTL}
        if tunnel.interface is not None:
            ends["link"] = socket.if_nametoindex(tunnel.interface)
        match tunnel.encapsulation:
            case Encapsulation.IPIP:
                return {"kind": "ipip", **{f"ipip_{key}": value for key, value in ends.items()}}
            case other:
                raise TunnelError(f"tunnel to {tunnel.remote}: encapsulation {other} is not supported yet")

    @staticmethod
    def _rule(device: Device) -> dict[str, int]:
        return {
            "fwmark": device.number,
            "fwmask": TUNNEL_MASK,
            "table": TABLE_BASE + device.number,
            "priority": MARK_RULE_PRIORITY,
            "family": socket.AF_INET,
        }

    def _lead_mark_to(self, device: Device) -> None:
        table = TABLE_BASE + device.number
        self._netlink.route("add", dst="default", oif=device.index, table=table)
        # When the device goes, nothing marked for it leaks out bare.
        self._netlink.route(
            "add", dst="default", type="unreachable", table=table, priority=_UNREACHABLE_METRIC
        )
        self._netlink.rule("add", **self._rule(device))
