# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries out the effects that touch the kernel, and undoes all of it at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

import nftables
from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.effects import (
    AccessLink,
    AddTunnel,
    ForwardBroadcasts,
    GratuitousArp,
    Path,
    ReceiveBroadcasts,
    RemoveTunnel,
    SendProbe,
    SetEncapsulatedReversePath,
    SetNeighbour,
    SetPaths,
    SetReversePath,
    StartInterception,
    StopInterception,
    Tunnel,
)
from agents.kept_state import KeptSetting
from agents.linux import admission, neighbours, path_selection, remains, udp_tunnels
from agents.linux.admission import Dropped
from agents.linux.broadcasts import Broadcasts
from agents.linux.own_addresses import (
    ACCESS_RULE_PRIORITY,
    HOME_RULE_PRIORITY,
    HOME_TABLE,
    OwnAddresses,
)
from agents.linux.path_selection import NumberedPath, Role
from agents.linux.probes import Probes
from agents.linux.remains import KernelRecord
from agents.linux.reverse_paths import RULE_PRIORITY, ReversePaths
from agents.linux.sockets import Unreachable
from agents.linux.sysctls import Sysctls, sysctls_of
from agents.linux.ways import MARK_RULE_PRIORITY, Device, WayError, Ways
from agents.settings import PathSelection

KernelEffect = (
    AddTunnel
    | RemoveTunnel
    | SetPaths
    | SetReversePath
    | SetEncapsulatedReversePath
    | StartInterception
    | StopInterception
    | ForwardBroadcasts
    | ReceiveBroadcasts
    | GratuitousArp
    | SendProbe
    | SetNeighbour
)
TCP_IP_HEADERS = 40
_MAXIMUM_NEXT_HOP_WEIGHT = 256
PATH_MTU_AGE = 600.0
"""Seconds until a larger packet is tried again (RFC 1191 §6.3)."""
_FRAGMENTATION_NEEDED = (3, 4)
_DRAIN = 1.0
"""Seconds in which packets that are under way arrive by a tunnel that is given up."""
_REGISTRATION_TIME = 10.0
"""Seconds in which a mobile node that has restarted registers all its interfaces again, if it can."""
_PRIORITIES = {ACCESS_RULE_PRIORITY, RULE_PRIORITY, MARK_RULE_PRIORITY, HOME_RULE_PRIORITY}


class KernelError(RuntimeError):
    """The kernel refused something an agent cannot do without."""


class Kernel:
    """One agent's part of its node's kernel state."""

    def __init__(
        self,
        role: Role,
        selection: PathSelection,
        home_link: str | None,
        record: KernelRecord | None = None,
    ) -> None:
        """Set the node's sysctls, and adopt what an earlier life has left; the rest of it goes.

        With ``record`` the earlier life's table, rules and routes stay in force until :meth:`begun`.

        :param record: what an earlier life of the agent has kept.
        :raises KernelError: naming what is missing.
        """
        self._role = role
        self._configured = selection
        policy = selection.policy if record is None else record.policy.value(selection.policy)
        self.selection = selection.model_copy(update={"policy": policy})
        self.generation = 0
        """Counts the changes of what :meth:`snapshot` gives."""
        self._home_link = home_link
        self._netlink = IPRoute()
        self._nft = nftables.Nftables()
        self._ways = Ways(self._netlink, selection.single_packets)
        self._reverse = ReversePaths(self._netlink, self._ways)
        self._broadcasts = Broadcasts(self._netlink, self._ways, home_link)
        self._table = f"mip-{role}"
        self._paths: dict[IPv4Address, tuple[Path, ...]] = {}
        self._loaded: frozenset[Tunnel] = frozenset()
        """Tunnels the rules in force know of."""
        self._encapsulated: set[Tunnel] = set()
        """Tunnels in which visitors send to a foreign agent."""
        self._intercepted: set[IPv4Address] = set()
        self.own_addresses = OwnAddresses(self._netlink, home_link)
        """A mobile node's."""
        self._sysctls = Sysctls({} if record is None else record.sysctls)
        self.pinned: int | None = None
        """With a binding identifier here, only that binding carries traffic."""
        self.probes = Probes(self._ways) if role == "mobile-node" else None
        """Of the tunnels of a mobile node."""
        self._pinned: set[tuple[IPv4Address, str]] = set()
        """Neighbours, by address and interface."""
        self._taking_over = record is not None
        if record is None:
            self._sweep()  # before the devices, with which the routes go that tell what else is ours
        self._ways.adopt(() if record is None else record.ways)
        if record is None or self._nft.cmd(f"list table ip {self._table}")[0]:
            self._load(now=True)  # connection tracking appears with the first rule that uses it
        for name, value in sysctls_of(role, home_link).items():
            self._sysctl(name, value)

    def apply(self, effect: KernelEffect) -> None:
        """Carry out one effect. ``RemoveTunnel`` only retires; call :meth:`delete_retired` later.

        :raises WayError: if the kernel refuses, as when an interface has just gone.
        """
        try:
            self._apply(effect)
        except (NetlinkError, OSError) as error:
            raise WayError(f"{type(effect).__name__}: {error}") from None

    def begun(self) -> float | None:
        """The state machine has started, and all that it has restored is here: put it in force.

        A mobile node has restored no paths. What it finds stays in force until it has its first ones.

        :return: seconds until :meth:`delete_left` must be called; None: there is no need.
        """
        if not self._taking_over:
            return None
        if self._role == "mobile-node":
            return _REGISTRATION_TIME
        self._take_over()
        return _DRAIN

    def delete_left(self) -> None:
        """Delete the adopted tunnels that were not taken up."""
        self._take_over()
        self._ways.delete_left()
        self._load()
        self.generation += 1

    def _take_over(self) -> None:
        """Put the present state in force in place of an earlier life's, and sweep that away.

        Adopted tunnels go on receiving until :meth:`delete_left`.
        """
        if self._taking_over:
            self._taking_over = False
            self._load()
            self._sweep()

    def _apply(self, effect: KernelEffect) -> None:
        self.generation += 1
        match effect:
            case AddTunnel(tunnel, name):
                self._ways.add(tunnel, name)
            case RemoveTunnel(tunnel, _):
                self._ways.retire(tunnel)
            case SetPaths(home_address, paths):
                self._paths[home_address] = paths
                self._ways.use(self._links())
                self._let_in(home_address, paths)
                self._route(home_address)
                self._load()
                if self._role == "mobile-node":
                    if paths:
                        self._take_over()
                    ways = (path.tunnel for path in paths)
                    at_home = any(
                        isinstance(way, AccessLink) and way.interface == self._home_link for way in ways
                    )
                    self.own_addresses.live_on_home_link(home_address, at_home)
            case SetReversePath(home_address, interface, tunnel):
                self._reverse.set(home_address, interface, tunnel)
                if tunnel is not None and tunnel not in self._loaded:  # other tunnel, same links
                    self._load()
            case SetEncapsulatedReversePath():
                self._set_encapsulated(effect)
            case StartInterception(home_address):
                self._intercept(home_address, True)
            case StopInterception(home_address, link_address):
                self._intercept(home_address, False)
                if link_address is not None and self._home_link is not None:
                    neighbours.announce(self._home_link, home_address, link_address)
            case ForwardBroadcasts():
                self._broadcasts.forward(effect)
                self._load()
            case ReceiveBroadcasts():
                self._broadcasts.receive(effect)
                self._load()
            case GratuitousArp(home_address, interface):
                own = neighbours.link_address_of(self._netlink, interface)
                neighbours.announce(interface, home_address, own)
            case SendProbe():
                if self.probes is not None:
                    self.probes.send(effect)
            case SetNeighbour(address, interface, link_address):
                neighbours.pin(self._netlink, address, interface, link_address)
                if link_address is None:
                    self._pinned.discard((address, interface))
                else:
                    self._pinned.add((address, interface))

    def replaces_tunnel(self, effect: SetPaths) -> bool:
        """Whether a binding would get another tunnel, and the one it has now can still be used."""
        now = {path.binding_id: path.tunnel for path in self._paths.get(effect.home_address, ())}
        moved = [
            now[path.binding_id]
            for path in effect.paths
            if path.tunnel != now.get(path.binding_id, path.tunnel)
        ]
        return any((device := self._ways.get(way)) and self._ways.exists(device) for way in moved)

    def admit(self, effect: SetPaths) -> None:
        """Take packets by these paths from now on, without sending by them yet."""
        self._let_in(effect.home_address, effect.paths)
        self._load()

    def delete_retired(self, tunnel: Tunnel) -> None:
        """End of a tunnel's drain time."""
        if self._ways.delete_retired(tunnel):
            self._load()

    def learn_path_mtu(self, error: Unreachable) -> Tunnel | None:
        """An ICMP error came for the Mobile IP port: it may be about Tunnel Data that was too big.

        :returns: the tunnel that takes smaller packets from now on, if one does; after
            ``PATH_MTU_AGE`` seconds, call :meth:`forget_path_mtu`.
        """
        if (error.kind, error.code) != _FRAGMENTATION_NEEDED:
            return None
        tunnel = self._ways.learn_path_mtu(error.destination, error.port, error.mtu)
        if tunnel is not None:
            self._reroute()
        return tunnel

    def forget_path_mtu(self, tunnel: Tunnel) -> None:
        """The path may have changed: try packets of the first size again."""
        if self._ways.forget_path_mtu(tunnel):
            self._reroute()

    def set_selection(self, selection: PathSelection, pinned: int | None) -> None:
        """Change policy or weights while traffic flows; every cycle starts at its first slot."""
        self.selection = selection
        self.pinned = pinned
        self.generation += 1
        self._reroute()

    def snapshot(self) -> KernelRecord:
        """What is to be kept over a restart."""
        return KernelRecord(
            policy=KeptSetting(configured=self._configured.policy, current=self.selection.policy),
            ways=self._ways.snapshot(),
            sysctls=self._sysctls.previous,
        )

    def devices(self) -> list[dict[str, Any]]:
        """The tunnel devices with their counters, for ``mipctl tunnels``."""
        return self._ways.rows()

    def drops(self) -> dict[str, int]:
        """Packets dropped at the tunnels' ends, by reason."""
        dropped = admission.dropped(self._nft, self._table)
        return {name: count.packets for name, count in dropped.items()}

    def close(self) -> None:
        """Undo everything: tunnels, routes, rules, proxy entries, table, sysctls."""
        if self.probes is not None:
            self.probes.close()
        self._take_over()
        for home_address in list(self._paths):
            self._paths[home_address] = ()
            self._route(home_address)
        self._reverse.close()
        self._broadcasts.close()
        self._ways.close()
        for home_address in list(self._intercepted):
            self._intercept(home_address, False)
        self.own_addresses.close()
        self._run(f"table ip {self._table} {{}}\ndelete table ip {self._table}\n")
        self._sysctls.restore()
        self._netlink.close()

    def _set_encapsulated(self, effect: SetEncapsulatedReversePath) -> None:
        """A tunnel from the visitor ends here; what comes out of it is led on like what comes bare."""
        inner = Tunnel(effect.encapsulation, effect.agent_address, effect.home_address)
        if effect.tunnel is not None:
            self._encapsulated.add(inner)
            self._ways.add(inner, f"{effect.home_address} encapsulating")
            self._ways[inner].home_addresses.add(effect.home_address)
            self._reverse.set(effect.home_address, self._ways[inner].name, effect.tunnel)
        elif inner in self._ways.tunnels():
            self._reverse.set(effect.home_address, self._ways[inner].name, None)
            self._ways.delete(inner)
            self._encapsulated.discard(inner)
        self._load()

    def _links(self) -> list[AccessLink]:
        """The ways without a tunnel that any home address has."""
        every = (path.tunnel for paths in self._paths.values() for path in paths)
        return [way for way in every if isinstance(way, AccessLink)]

    def _usable(self, paths: Sequence[Path]) -> list[tuple[Path, Device]]:
        # A tunnel that the kernel refused or somebody deleted has no device; the others carry its share.
        every = [(path, self._ways.get(path.tunnel)) for path in paths]
        usable = [(path, device) for path, device in every if device and self._ways.exists(device)]
        if self.pinned is None:
            return usable
        # Bindings that share a tunnel have it all; where the binding is gone, the others carry its share.
        pinned = [
            (path, device) for path, device in usable if self.pinned in (path.binding_id, *path.shared_by)
        ]
        return pinned or usable

    def _let_in(self, home_address: IPv4Address, paths: Sequence[Path]) -> None:
        for path in paths:
            if (device := self._ways.get(path.tunnel)) is not None:
                device.home_addresses.add(home_address)

    def _reroute(self) -> None:
        """Bring routes and rules up to date."""
        for home_address in self._paths:
            self._route(home_address)
        self._load()

    def _route(self, home_address: IPv4Address) -> None:
        """The unmarked route: ``per-flow-hash`` lives by it, proxy ARP and the first look-up need it."""
        usable = self._usable(self._paths[home_address])
        largest = max((path.weight for path, _ in usable), default=1.0)
        next_hops = [
            {
                **device.next_hop,
                "hops": max(1, round(path.weight / largest * _MAXIMUM_NEXT_HOP_WEIGHT)) - 1,
            }
            for path, device in usable
        ]
        if self._role == "mobile-node":
            route: dict[str, object] = {"dst": "default", "prefsrc": str(home_address)}
            mtu = min((device.mtu for _, device in usable), default=None)
            if mtu is not None:
                route["metrics"] = {"mtu": mtu, "advmss": mtu - TCP_IP_HEADERS}
        else:
            route = {"dst": f"{home_address}/32"}
        # A mobile node needs it in the main table too, which finds the source of what has none yet.
        for table in ({}, {"table": HOME_TABLE}) if self._role == "mobile-node" else ({},):
            if next_hops:
                self._netlink.route("replace", multipath=next_hops, proto=remains.PROTOCOL, **route, **table)
            else:
                with contextlib.suppress(NetlinkError):
                    self._netlink.route(
                        "del", dst=route["dst"], type="unicast", proto=remains.PROTOCOL, **table
                    )

    def _sweep(self) -> None:
        """Remove what is an agent's in this node and is none of ours."""
        served = [address for address, paths in self._paths.items() if paths]
        destinations = (
            [remains.DEFAULT] if self._role == "mobile-node" else [str(address) for address in served]
        )
        wanted = remains.Wanted(
            rules=[*self._ways.rules(), *self._reverse.rules(), *self.own_addresses.rules()],
            destinations=[remains.DEFAULT] if served and self._role == "mobile-node" else destinations,
            neighbours=self._pinned,
            proxies=self._intercepted,
            proxy_link=self._home_link if self._role == "home-agent" else None,
        )
        remains.sweep(self._netlink, _PRIORITIES, wanted)

    def _load(self, now: bool = False) -> None:
        """Load the agent's table anew, in one transaction.

        :param now: also while an earlier life's table is still in force.
        """
        if self._taking_over and not now:
            return
        addresses = {
            home_address: [
                NumberedPath(device.number, device.name, path.weight, path.bandwidth)
                for path, device in self._usable(paths)
            ]
            for home_address, paths in self._paths.items()
        }
        probed = {
            home_address: [
                NumberedPath(device.number, device.name, 1.0, 0.0)
                for device in (self._ways.get(path.tunnel) for path in paths)
                if device is not None
            ]
            for home_address, paths in self._paths.items()
        }
        home_agents = {tunnel.remote for tunnel in self._ways.tunnels() if tunnel not in self._encapsulated}
        mtu = None if self._role == "mobile-node" else self._ways.smallest_mtu()
        text = f"table ip {self._table} {{}}\ndelete table ip {self._table}\ntable ip {self._table} {{\n"
        text += path_selection.chains(
            self._role,
            self.selection,
            addresses,
            probed,
            home_agents if self._role == "foreign-agent" else (),
        )
        text += path_selection.clamp(None if mtu is None else mtu - TCP_IP_HEADERS)
        self._loaded = frozenset(self._ways.tunnels())
        numbers = {tunnel: device.number for tunnel, device in self._ways.tunnels().items()}
        # Counters go on over a reload, but a new life does not count what a killed one has.
        before = {} if now else admission.dropped(self._nft, self._table)
        text += (
            path_selection.congestion() + self._admission(before) + udp_tunnels.chains(self._role, numbers)
        )
        self._run(text + self._broadcasts.chain() + "}\n")

    def _admission(self, before: Mapping[str, Dropped]) -> str:
        """What each tunnel may carry: to or from the home addresses it was made for."""
        tunnels = self._ways.tunnels()
        from_visitors = {
            device.name: device.home_addresses
            for tunnel, device in tunnels.items()
            if tunnel in self._encapsulated
        }
        towards_agent = {
            device.name: device.home_addresses
            for tunnel, device in tunnels.items()
            if tunnel not in self._encapsulated
        }
        if self._role == "foreign-agent":  # a tunnel is shared by all visitors of a home agent
            visitors = {address for address, paths in self._paths.items() if paths}
            towards_agent = dict.fromkeys(towards_agent, visitors)
        if self._role == "home-agent":
            return admission.chains(tunnels, towards_agent, {}, before=before)
        return admission.chains(tunnels, from_visitors, towards_agent, self._broadcasts.received, before)

    def _run(self, text: str) -> None:
        code, _, error = self._nft.cmd(text)
        if code:
            raise KernelError(f"nft refuses the table {self._table}: {error.strip()}")

    def _intercept(self, home_address: IPv4Address, intercept: bool) -> None:
        if self._home_link is None:
            return
        if intercept:
            self._intercepted.add(home_address)
            own = neighbours.link_address_of(self._netlink, self._home_link)
            neighbours.announce(self._home_link, home_address, own)
        else:
            self._intercepted.discard(home_address)
        neighbours.set_proxy(self._netlink, home_address, self._home_link, intercept)

    def _sysctl(self, name: str, value: str) -> None:
        try:
            self._sysctls.set(name, value)
        except OSError as error:
            raise KernelError(f"sysctl {name} = {value}: {error.strerror}") from None
