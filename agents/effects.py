# SPDX-License-Identifier: GPL-2.0-or-later
"""What a state machine sees and what it asks for.

The state machines (``home_agent``, ``mobile_node``, ``foreign_agent``) do no I/O. Each of
their methods takes an input and the current :class:`Instant` and returns a list of the
effects below, in the order in which they must happen. The shell (``daemon``) carries them
out: ``linux`` those that touch the kernel, the event loop datagrams and timers.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import NamedTuple

MOBILE_IP_PORT = 434
"""UDP port of Mobile IP control messages (RFC 5944 §1.8)."""


class Instant(NamedTuple):
    """A moment on both clocks, in seconds."""

    monotonic: float
    """Never steps; timers and lifetimes count on it."""
    unix: float
    """Seconds since 1970; Identification timestamps come from it (RFC 5944 §5.7.1)."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram that arrived on the Mobile IP port of this node."""

    payload: bytes
    source: IPv4Address
    source_port: int
    destination: IPv4Address
    """As written in the IP header: one of our addresses, a broadcast or a group."""
    interface: str
    ttl: int = 64
    link_source: str | None = None
    """Link-layer source address, ``aa:bb:…``, when the shell knows it."""


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """A network interface of this node as the kernel reports it."""

    up: bool
    """Enabled and with carrier."""
    addresses: tuple[IPv4Interface, ...] = ()
    """In the kernel's order; the first is the interface's own."""
    link_address: str | None = None
    """``aa:bb:…``"""


class Encapsulation(StrEnum):
    """How a tunnel carries a packet."""

    IPIP = "ipip"
    """IP in IP, protocol 4 (RFC 2003)."""
    GRE = "gre"
    """Generic Routing Encapsulation, protocol 47 (RFC 2784)."""
    MINIMAL = "minimal"
    """Minimal Encapsulation, protocol 55 (RFC 2004)."""
    UDP = "udp"
    """IP in IP behind UDP and the Tunnel Data header (RFC 3519 §3.3)."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One tunnel, named by its *effective* outer end points (FACTS G28)."""

    encapsulation: Encapsulation
    local: IPv4Address
    remote: IPv4Address
    local_port: int = 0
    """UDP encapsulation only, else 0."""
    remote_port: int = 0
    interface: str | None = None
    """The access link the outer packets must use; None: as routed."""
    key: int | None = None
    """GRE key (RFC 2890), if one was agreed."""


@dataclass(frozen=True, slots=True)
class AccessLink:
    """A way without a tunnel of its own.

    Mobile node: by a foreign agent or on the home link. Foreign agent: to one of its visitors.
    """

    interface: str
    gateway: IPv4Address
    """On-link next hop, pinned by ``SetNeighbour``: the foreign agent, or the visitor's home address.
    A router on the home link is not pinned."""


@dataclass(frozen=True, slots=True)
class Path:
    """One of the ways to (at the mobile node: from) a home address."""

    tunnel: Tunnel | AccessLink
    weight: float
    """Share of the traffic relative to the other paths; any positive unit."""
    binding_id: int | None
    """None for a binding registered without the Multiple Tunnel Request."""
    bandwidth: int = 0
    """Known rate in kbit/s, 0 if unknown: among equal weights the first flow takes the fastest."""
    shared_by: tuple[int | None, ...] = ()
    """The other bindings of the same tunnel, as at a home agent those by one foreign agent."""


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send a UDP datagram with a non-zero checksum (RFC 5944 §3.1)."""

    payload: bytes
    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    interface: str | None = None
    """Leave by this interface whatever the routing table says; None: as routed."""
    ttl: int = 64
    link_destination: str | None = None
    """Send to this link-layer address instead of asking ARP."""


@dataclass(frozen=True, slots=True)
class AddTunnel:
    """Create the tunnel; always precedes the first ``SetPaths`` that names it."""

    tunnel: Tunnel
    name: str
    """For people, at most 40 characters: shown by ``ip link`` as the device's alias."""


@dataclass(frozen=True, slots=True)
class RemoveTunnel:
    """Stop sending by the tunnel now; keep receiving for ``drain`` seconds, then delete it."""

    tunnel: Tunnel
    drain: float = 1.0


@dataclass(frozen=True, slots=True)
class SetPaths:
    """Replace the set of paths over which traffic of ``home_address`` is spread.

    Flows on a path that stays are not moved; an empty tuple stops forwarding.
    """

    home_address: IPv4Address
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class SetReversePath:
    """Foreign agent: where packets of a visitor go that arrive bare (RFC 3024 §5.1).

    Set before the first packet may come; one for each home address and interface. Always comes after
    the ``AddTunnel`` and before the ``RemoveTunnel`` of its tunnel.
    """

    home_address: IPv4Address
    """Source of the packets."""
    interface: str
    """Where they arrive."""
    tunnel: Tunnel | None
    """Where they leave; None ends it."""


@dataclass(frozen=True, slots=True)
class SetEncapsulatedReversePath:
    """Foreign agent: where packets of a visitor go that it tunnels to the agent (RFC 3024 §5.2).

    The outer header goes, the inner packet leaves by ``tunnel``; what arrives bare is forwarded
    untunnelled (§5.4). Order as with :class:`SetReversePath`.
    """

    home_address: IPv4Address
    """Outer source, and inner source, of the packets."""
    interface: str
    """Where they arrive."""
    agent_address: IPv4Address
    """Outer destination."""
    encapsulation: Encapsulation
    """Between mobile node and foreign agent: as negotiated, never ``UDP``."""
    tunnel: Tunnel | None
    """None ends it."""


@dataclass(frozen=True, slots=True)
class StartInterception:
    """Home agent: gratuitous ARP, then proxy ARP for the address (RFC 5944 §4.6)."""

    home_address: IPv4Address


@dataclass(frozen=True, slots=True)
class StopInterception:
    """Home agent: stop proxy ARP; with ``link_address``, tell the home link where the node is."""

    home_address: IPv4Address
    link_address: str | None = None


@dataclass(frozen=True, slots=True)
class ForwardBroadcasts:
    """Home agent: send a mobile node one copy of each broadcast and multicast that arrives on the home
    link (RFC 5944 §4.3, §4.4; FACTS G47).

    Always comes after the ``AddTunnel`` and before the ``RemoveTunnel`` of its tunnel.
    """

    home_address: IPv4Address
    tunnel: Tunnel | None
    """None ends it."""
    nested: bool = False
    """The tunnel ends at a foreign agent: first in a datagram to the home address, so that it knows for whom
    the copy is."""


@dataclass(frozen=True, slots=True)
class ReceiveBroadcasts:
    """Mobile node: take in the home link's broadcasts and multicasts, by any tunnel and, behind a foreign
    agent, in datagrams from the home agent to the home address (RFC 5944 §4.3). Stays until the end."""

    home_address: IPv4Address
    home_agent: IPv4Address
    home_network: IPv4Network


@dataclass(frozen=True, slots=True)
class GratuitousArp:
    """Mobile node back on its home link: announce the home address there (RFC 5944 §4.6)."""

    home_address: IPv4Address
    interface: str


@dataclass(frozen=True, slots=True)
class SendIcmp:
    """Send an ICMP message (router solicitation or advertisement) with IP TTL 1."""

    payload: bytes
    """From the ICMP type to the end, checksum filled in."""
    source: IPv4Address
    destination: IPv4Address
    interface: str
    link_destination: str | None = None


@dataclass(frozen=True, slots=True)
class SendProbe:
    """Send an ICMP echo request, whatever path selection would choose."""

    payload: bytes
    """From the ICMP type to the end, checksum filled in."""
    source: IPv4Address
    destination: IPv4Address
    interface: str
    """The access link it leaves by."""
    through: Tunnel | AccessLink | None
    """The way to use; None: none, bare from the care-of address ``source``."""


@dataclass(frozen=True, slots=True)
class SetNeighbour:
    """Pin the link address of a neighbour, without ARP (RFC 5944 §4.6)."""

    address: IPv4Address
    interface: str
    link_address: str | None
    """None removes the entry."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Call ``timer(key)`` at ``at`` on the monotonic clock; replaces a running one of that key."""

    key: Hashable
    at: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Forget the timer; no error if it does not run."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class Report:
    """Something a person or a test may want to know; counted by ``event``, kept, and logged."""

    event: str
    """A fixed word with hyphens, such as ``request-denied``; the counter's name."""
    fields: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    warning: bool = False
    """Logged at warning level, rate-limited by the shell."""


Effect = (
    SendDatagram
    | AddTunnel
    | RemoveTunnel
    | SetPaths
    | SetReversePath
    | SetEncapsulatedReversePath
    | StartInterception
    | StopInterception
    | ForwardBroadcasts
    | ReceiveBroadcasts
    | GratuitousArp
    | SendIcmp
    | SendProbe
    | SetNeighbour
    | StartTimer
    | StopTimer
    | Report
)
