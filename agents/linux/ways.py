# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways of one agent: tunnel devices, and access links without a tunnel.

Each has a number, the mark of its packets, with a policy rule and a route table of its own.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.effects import AccessLink, Encapsulation, Tunnel
from agents.linux import policy_rules, remains, udp_tunnels
from agents.linux.path_selection import NUMBER_MASK
from agents.linux.remains import KeptWay

TABLE_BASE = 10_000
"""Route table of way number n is ``TABLE_BASE + n``."""
MARK_RULE_PRIORITY = 9_000
OUTER_TTL = 64
DEVICE = "mip"
"""Name of a tunnel's device, before its number."""
UNREACHABLE_METRIC = 4_000_000
_ON_LINK = 4  # RTNH_F_ONLINK
_GRE_KEY_PRESENT = 0x2000

LEAST_PATH_MTU = 552
"""A smaller one is not believed; the kernel's own limit (net.ipv4.route.min_pmtu)."""

Way = Tunnel | AccessLink


class WayError(RuntimeError):
    """A tunnel or link the kernel would not make or use; says which and why."""


@dataclass(slots=True)
class Device:
    """A way as it stands in the kernel."""

    number: int
    name: str
    index: int
    mtu: int
    """Octets of the largest packet it takes now."""
    gateway: IPv4Address | None = None
    """Next hop of an access link, on the link whatever its address."""
    sending: bool = True
    """False while a tunnel only drains."""
    home_addresses: set[IPv4Address] = field(default_factory=set)
    """Whose packets may come by it."""
    first_mtu: int = field(init=False)
    """As the kernel has made it."""

    def __post_init__(self) -> None:
        self.first_mtu = self.mtu

    @property
    def next_hop(self) -> dict[str, Any]:
        """The way as a route's next hop."""
        if self.gateway is None:
            return {"oif": self.index}
        return {"oif": self.index, "gateway": str(self.gateway), "flags": _ON_LINK}


class Ways:
    """The ways of one agent."""

    def __init__(self, netlink: IPRoute, single_packets: bool) -> None:
        self._netlink = netlink
        self._limits = {"gso_max_segs": 1, "gro_max_size": 1} if single_packets else {}
        self._listener = udp_tunnels.Listener()
        self._devices: dict[Way, Device] = {}
        self._left: set[Tunnel] = set()
        """Adopted and not taken up so far."""
        self._reserved: dict[Way, int] = {}
        """Numbers of access links in an earlier life: tracked connections know them."""

    def __getitem__(self, way: Way) -> Device:
        try:
            return self._devices[way]
        except KeyError:  # the kernel refused it when it was to be made
            raise WayError(f"there is no {way}") from None

    def get(self, way: Way) -> Device | None:
        """The way's device, None if the kernel refused it."""
        return self._devices.get(way)

    def items(self) -> list[tuple[Way, Device]]:
        """Every way with its device."""
        return list(self._devices.items())

    def at(self, index: int) -> Way | None:
        """The way whose device has this interface index, if there is one."""
        return next((way for way, device in self._devices.items() if device.index == index), None)

    def tunnels(self) -> dict[Tunnel, Device]:
        """Every tunnel that has a device, draining ones too."""
        return {way: device for way, device in self._devices.items() if isinstance(way, Tunnel)}

    def smallest_mtu(self) -> int | None:
        """MTU in octets of the smallest tunnel in use, None without one."""
        return min((device.mtu for device in self.tunnels().values() if device.sending), default=None)

    def add(self, tunnel: Tunnel, alias: str) -> None:
        """Make a tunnel's device, its mark's rule and its table; a draining one is taken up again.

        :raises WayError: if the kernel refuses; nothing of it is left then.
        """
        self._left.discard(tunnel)
        if tunnel in self._devices and self.exists(self._devices[tunnel]):
            self._lead_mark_to(self._devices[tunnel])
            self._devices[tunnel].sending = True
            return
        self.delete(tunnel)
        number = self._free_number()
        name = f"{DEVICE}{number}"
        try:
            self._netlink.link("add", ifname=name, **self._parameters(tunnel, number))
            index = socket.if_nametoindex(name)
            self._netlink.link("set", index=index, state="up", ifalias=alias[:255], **self._limits)
            (facts,) = self._netlink.get_links(index)
            self._devices[tunnel] = Device(number, name, index, int(facts.get_attr("IFLA_MTU")))
            self._lead_mark_to(self._devices[tunnel])
        except (NetlinkError, OSError) as error:
            self.delete(tunnel)
            raise WayError(f"tunnel {alias}: the kernel refuses {tunnel}: {error}") from None

    def use(self, links: Collection[AccessLink]) -> None:
        """Have exactly these access links as ways.

        :raises WayError: if an interface does not exist.
        """
        for way in [way for way in self._devices if isinstance(way, AccessLink) and way not in links]:
            self.delete(way)
        for link in links:
            try:
                if link not in self._devices:
                    index = socket.if_nametoindex(link.interface)
                    (facts,) = self._netlink.get_links(index)
                    self._devices[link] = Device(
                        self._number_of(link),
                        link.interface,
                        index,
                        int(facts.get_attr("IFLA_MTU")),
                        link.gateway,
                    )
                # Again each time: the kernel drops the routes of an interface that went down.
                self._lead_mark_to(self._devices[link])
            except (NetlinkError, OSError) as error:
                raise WayError(f"link {link.interface}: {error}") from None

    def adopt(self, kept: Collection[KeptWay]) -> None:
        """Have the tunnels of an earlier life whose devices still are as they should be.

        They receive, and drain until :meth:`add` takes them up. All other tunnel devices are deleted.
        """
        for known in kept:
            if isinstance(known.way, AccessLink):
                self._reserved[known.way] = known.number
                continue
            device = self._device_of(known.way, known.number)
            if device is not None:
                device.home_addresses |= set(known.home_addresses)
                self._devices[known.way] = device
                self._left.add(known.way)
        remains.delete_devices(self._netlink, DEVICE, {device.name for device in self._devices.values()})

    def delete_left(self) -> None:
        """Delete what was adopted and not taken up."""
        for tunnel in self._left:
            self.delete(tunnel)
        self._left.clear()
        self._reserved.clear()

    def snapshot(self) -> tuple[KeptWay, ...]:
        """Every way, for :meth:`adopt` in another life."""
        return tuple(
            KeptWay(way=way, number=device.number, home_addresses=tuple(sorted(device.home_addresses)))
            for way, device in self._devices.items()
        )

    def rules(self) -> list[dict[str, int]]:
        """The policy rule of every way."""
        return [self._rule(device) for device in self._devices.values()]

    def _device_of(self, tunnel: Tunnel, number: int) -> Device | None:
        """The device of a tunnel's name if it has all that :meth:`add` would give it."""
        name = f"{DEVICE}{number}"
        try:
            wanted = self._parameters(tunnel, number)
            index = socket.if_nametoindex(name)
            (facts,) = self._netlink.get_links(index)
        except (NetlinkError, OSError, WayError):
            return None
        information = facts.get_attr("IFLA_LINKINFO")
        data = information and information.get_attr("IFLA_INFO_DATA")
        if data is None or information.get_attr("IFLA_INFO_KIND") != wanted.pop("kind"):
            return None
        if any(data.get_attr(f"IFLA_{key.upper()}") != value for key, value in wanted.items()):
            return None
        return Device(number, name, index, int(facts.get_attr("IFLA_MTU")), sending=False)

    @staticmethod
    def exists(device: Device) -> bool:
        """Whether a device is still there: anybody may have deleted it by hand."""
        try:
            return socket.if_nametoindex(device.name) == device.index
        except OSError:
            return False

    def learn_path_mtu(self, far_end: IPv4Address, port: int, mtu: int) -> Tunnel | None:
        """A router on the way to a UDP tunnel's far end has dropped a packet that was too big.

        The kernel notes that for tunnels it knows by their real addresses; UDP tunnels it does not.

        :param mtu: octets of an outer packet that would have passed.
        :returns: the tunnel, if it takes smaller packets from now on.
        """
        for tunnel, device in self.tunnels().items():
            if tunnel.encapsulation is Encapsulation.UDP and (tunnel.remote, tunnel.remote_port) == (
                far_end,
                port,
            ):
                inner = max(mtu, LEAST_PATH_MTU) - udp_tunnels.OVERHEAD
                return tunnel if inner < device.mtu and self._set_mtu(device, inner) else None
        return None

    def forget_path_mtu(self, tunnel: Tunnel) -> bool:
        """Try the first MTU again: the path may have changed; whether the tunnel is still there."""
        device = self._devices.get(tunnel)
        return device is not None and self._set_mtu(device, device.first_mtu)

    def _set_mtu(self, device: Device, mtu: int) -> bool:
        try:
            self._netlink.link("set", index=device.index, mtu=mtu)
        except NetlinkError:  # deleted by hand
            return False
        device.mtu = mtu
        return True

    def retire(self, tunnel: Tunnel) -> None:
        """Stop sending by a tunnel; what still arrives is received until :meth:`delete_retired`."""
        if tunnel in self._devices:
            self._devices[tunnel].sending = False

    def delete_retired(self, tunnel: Tunnel) -> bool:
        """Delete a tunnel unless it was taken up again meanwhile; whether it was deleted."""
        if tunnel not in self._devices or self._devices[tunnel].sending:
            return False
        self.delete(tunnel)
        return True

    def delete(self, way: Way) -> None:
        """Delete device, rule and table; no error if any of them is gone already."""
        device = self._devices.pop(way, None)
        if device is None:
            return
        with contextlib.suppress(NetlinkError):
            self._netlink.rule("del", **self._rule(device))
        with contextlib.suppress(NetlinkError):
            self._netlink.flush_routes(table=TABLE_BASE + device.number, family=socket.AF_INET)
        if isinstance(way, Tunnel):
            with contextlib.suppress(NetlinkError):
                self._netlink.link("del", index=device.index)

    def close(self) -> None:
        """Delete every way."""
        for way in list(self._devices):
            self.delete(way)
        self._listener.close()

    def rows(self) -> list[dict[str, Any]]:
        """Number, name, end points, MTU and counters of every tunnel there is, as JSON can hold them."""
        rows = []
        for tunnel, device in self.tunnels().items():
            try:
                (facts,) = self._netlink.get_links(device.index)
            except NetlinkError:  # deleted by hand
                continue
            counters = facts.get_attr("IFLA_STATS64")
            rows.append(
                {
                    "number": device.number,
                    "device": device.name,
                    "alias": facts.get_attr("IFLA_IFALIAS"),
                    "encapsulation": tunnel.encapsulation.value,
                    "interface": tunnel.interface,
                    "local": str(tunnel.local),
                    "remote": str(tunnel.remote),
                    "remote_port": tunnel.remote_port,
                    "mtu": device.mtu,
                    "state": "sending" if device.sending else "draining",
                    "sent_packets": counters["tx_packets"],
                    "sent_octets": counters["tx_bytes"],
                    "received_packets": counters["rx_packets"],
                    "received_octets": counters["rx_bytes"],
                }
            )
        return rows

    def _number_of(self, link: AccessLink) -> int:
        """The number a link had in an earlier life, or a free one."""
        return self._reserved.pop(link) if link in self._reserved else self._free_number()

    def _free_number(self) -> int:
        taken = {*(device.number for device in self._devices.values()), *self._reserved.values()}
        number = next((n for n in range(1, NUMBER_MASK + 1) if n not in taken), None)
        if number is None:
            raise WayError(f"all {NUMBER_MASK} numbers of ways are taken")
        return number

    def _parameters(self, tunnel: Tunnel, number: int) -> dict[str, object]:
        udp = tunnel.encapsulation is Encapsulation.UDP
        ends: dict[str, object] = {
            "local": str(tunnel.local),
            "remote": str(udp_tunnels.pseudo_address(number) if udp else tunnel.remote),
            "ttl": OUTER_TTL,
            "tos": 1,  # inherit: RFC 2003 §3.1
        }
        if tunnel.interface is not None:
            ends["link"] = socket.if_nametoindex(tunnel.interface)
        match tunnel.encapsulation:
            case Encapsulation.IPIP:
                return {"kind": "ipip", **{f"ipip_{key}": value for key, value in ends.items()}}
            case Encapsulation.UDP:
                self._listener.open()
                named = {f"ipip_{key}": value for key, value in ends.items()}
                return {"kind": "ipip", **named, **udp_tunnels.parameters(tunnel)}
            case Encapsulation.GRE:
                if tunnel.key is not None:  # both directions have the same one (RFC 6245 §4.2)
                    ends |= {"ikey": tunnel.key, "okey": tunnel.key}
                    ends |= {"iflags": _GRE_KEY_PRESENT, "oflags": _GRE_KEY_PRESENT}
                return {"kind": "gre", **{f"gre_{key}": value for key, value in ends.items()}}
            case other:
                raise WayError(
                    f"tunnel to {tunnel.remote}: encapsulation {other} has no device in this kernel"
                )

    @staticmethod
    def _rule(device: Device) -> dict[str, int]:
        return {
            "fwmark": device.number,
            "fwmask": NUMBER_MASK,
            "table": TABLE_BASE + device.number,
            "priority": MARK_RULE_PRIORITY,
            "family": socket.AF_INET,
        }

    def _lead_mark_to(self, device: Device) -> None:
        table = TABLE_BASE + device.number
        self._netlink.route("replace", dst="default", table=table, **device.next_hop)
        # When the device goes, nothing marked for it leaks out bare.
        self._netlink.route(
            "replace", dst="default", type="unreachable", table=table, priority=UNREACHABLE_METRIC
        )
        policy_rules.add(self._netlink, self._rule(device))
