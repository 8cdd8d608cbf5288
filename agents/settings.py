# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent can be told: the models behind its TOML file, which ``settings_file`` reads.

Rates are in kbit/s and times in seconds, as the field names say.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agents.effects import Encapsulation
from agents.wire import Algorithm, WireProfile


class Policy(StrEnum):
    """How packets choose among the live tunnels (draft §7)."""

    PER_FLOW = "per-flow"
    PER_FLOW_HASH = "per-flow-hash"
    PER_PACKET = "per-packet"


class Weights(StrEnum):
    """How much of the traffic a tunnel gets (FACTS G43)."""

    EQUAL = "equal"
    BANDWIDTH = "bandwidth"


def _key_octets(value: object) -> object:
    if isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise ValueError("a key is written in hexadecimal, two digits per octet") from None
    return value


Key = Annotated[bytes, BeforeValidator(_key_octets), Field(min_length=1, max_length=64, repr=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Lifetime = Annotated[int, Field(ge=1, le=0xFFFF)]
"""Seconds; 65535 means for ever (RFC 5944 §3.3)."""
InterfaceName = Annotated[str, Field(min_length=1, max_length=15, pattern=r"^[^/\s:]+$")]


class Model(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecurityAssociation(Model):
    """One context of a mobility security association (RFC 5944 §1.6, §3.2)."""

    spi: int = Field(ge=256, le=0xFFFFFFFF)
    key: Key
    algorithm: Algorithm = Algorithm.HMAC_MD5
    replay: Literal["timestamps", "nonces"] = "timestamps"


class Profile(Model):
    """Type and code numbers of the draft's placeholders (FACTS §9)."""

    multiple_tunnel_request: int = Field(127, ge=1, le=127)
    denied_by_home_agent: int = Field(192, ge=128, le=192)
    denied_by_foreign_agent: int = Field(127, ge=64, le=127)
    request_length: Literal[10, 6] = 10
    """Length of the extension as sent: 10, or 6 for a peer that insists on the text (G1)."""

    @model_validator(mode="after")
    def _check(self) -> Profile:
        self.wire()  # refuses a number that is taken or outside its agent's range
        return self

    def wire(self) -> WireProfile:
        """The same numbers as the wire package wants them."""
        return WireProfile(
            multiple_tunnel_request=self.multiple_tunnel_request,
            denied_by_home_agent=self.denied_by_home_agent,
            denied_by_foreign_agent=self.denied_by_foreign_agent,
            request_length=self.request_length,
        )


class PathSelection(Model):
    """How this agent spreads the traffic of a home address."""

    policy: Policy = Policy.PER_FLOW
    weights: Weights = Weights.EQUAL
    mirror: bool = True
    """Answer a flow by the tunnel it came by; false: each end chooses for itself (G42)."""
    single_packets: bool = False
    """Cut TCP of this node into packets before a path is chosen, and leave those that come out of a tunnel
    single; false: ``per-packet`` spreads buffers of several segments where the kernel makes such, which costs
    less time."""


class Liveness(Model):
    """``[mobile_node.liveness]``: echo requests through every tunnel (FACTS G25, agents/liveness.py)."""

    enabled: bool = True
    interval: Seconds = 0.1
    """Seconds between two probes of a tunnel, and the least time-out of each."""
    quick_interval: Seconds = 0.02
    """Seconds between two probes once one is missing."""
    unanswered: int = Field(6, ge=2, le=40)
    """So many probes missing in a row, and nothing else received: the tunnel has failed."""
    unanswered_with_data: int = Field(10, ge=2, le=40)
    """The same while packets do arrive by the tunnel."""
    recovery_interval: Seconds = 1.0
    """Seconds between two probes of the path of a failed tunnel."""
    recovery_answers: int = Field(3, ge=1, le=100)
    """So many answers in a row before a failed tunnel is registered again."""


def _refuse(problems: list[str]) -> None:
    """Say all that is wrong with one key; :func:`load` makes a line of each."""
    if problems:
        raise ValueError("\n".join(problems))


def _unique_spis(associations: tuple[SecurityAssociation, ...]) -> tuple[SecurityAssociation, ...]:
    _refuse(
        [
            f"SPI {spi} stands {count} times; each context needs its own"
            for spi, count in Counter(a.spi for a in associations).items()
            if count > 1
        ]
    )
    return associations


def _carried(chosen: frozenset[Encapsulation]) -> frozenset[Encapsulation]:
    # Or a registration would succeed and no packet pass.
    if Encapsulation.MINIMAL in chosen:
        raise ValueError("minimal has no device in Linux; leave it out, and requests for it are denied")
    return chosen


Encapsulations = Annotated[frozenset[Encapsulation], AfterValidator(_carried)]

# Checked with the field and not with the whole table, or a mistake elsewhere in the table
# would hide this one: every problem is said at once.
SecurityAssociations = Annotated[
    tuple[SecurityAssociation, ...], Field(min_length=1), AfterValidator(_unique_spis)
]


class MobileNodeEntry(Model):
    """A mobile node the home agent serves."""

    home_address: IPv4Address
    security_association: SecurityAssociations
    multiple_tunnels: bool = True
    """Whether this node may use the extension at all (FACTS G18)."""


class ForeignAgentEntry(Model):
    """A foreign agent with which a mobility security association exists."""

    address: IPv4Address
    security_association: SecurityAssociations


class HomeAgentEntry(ForeignAgentEntry):
    """A home agent with which a foreign agent has a mobility security association."""


class VisitingNodeEntry(Model):
    """A mobile node with which a foreign agent has a mobility security association."""

    home_address: IPv4Address
    security_association: SecurityAssociations


class UdpTunnelling(Model):
    """RFC 3519 as the home agent grants it."""

    allowed: bool = True
    forced_allowed: bool = True
    """Assent to the F flag when no NAT is on the way (RFC 3519 §3.1.1)."""
    keepalive: int = Field(110, ge=0, le=0xFFFF)
    """Seconds announced in the reply; 0 leaves it to the mobile node."""
    maximum_lifetime: Lifetime = 60


class AdvertisementTiming(Model):
    """Unsolicited agent advertisements (RFC 5944 §2.1)."""

    interval: Seconds = 3.0
    lifetime: Lifetime = 9


class AgentAdvertisement(AdvertisementTiming):
    """A home agent's advertisements."""

    registration_lifetime: Lifetime = 600


class HomeAgentSettings(Model):
    """``[home_agent]`` of a home agent's file."""

    address: IPv4Address
    """Unicast address on the home link; source of all tunnels."""
    home_link: InterfaceName | None = None
    """Interface of the home link; without it there is no ARP (virtual home network)."""
    home_prefix_length: int = Field(24, ge=0, le=32)
    enable_multiple_tunnel_support: bool = True
    maximum_lifetime: Lifetime = 600
    maximum_bindings: int = Field(8, ge=1, le=65535)
    """Per mobile node (FACTS G33)."""
    timestamp_tolerance: Seconds = 7.0
    replay_scope: Literal["mobile-node", "binding"] = "mobile-node"
    reverse_tunnel: Literal["optional", "required", "forbidden"] = "optional"
    encapsulations: Encapsulations = frozenset({Encapsulation.IPIP, Encapsulation.GRE, Encapsulation.UDP})
    udp: UdpTunnelling = UdpTunnelling()
    advertise: bool = True
    """Send agent advertisements on the home link."""
    advertisement: AgentAdvertisement = AgentAdvertisement()
    profile: Profile = Profile()
    path_selection: PathSelection = PathSelection()
    control_socket: FilePath | None = None
    state_file: FilePath | None = None
    mobile_node: tuple[MobileNodeEntry, ...] = Field(min_length=1)
    foreign_agent: tuple[ForeignAgentEntry, ...] = ()

    @field_validator("mobile_node")
    @classmethod
    def _check(
        cls, entries: tuple[MobileNodeEntry, ...], known: ValidationInfo
    ) -> tuple[MobileNodeEntry, ...]:
        counts = Counter(entry.home_address for entry in entries)
        problems = [f"home address {a} stands {count} times" for a, count in counts.items() if count > 1]
        problems += [
            f"home address {a} is the home agent's own" for a in counts if a == known.data.get("address")
        ]
        _refuse(problems)
        return entries


class DeliveryStyle(StrEnum):
    """How a visitor gets its packets to the foreign agent for reverse tunnelling (RFC 3024 §5)."""

    DIRECT = "direct"
    ENCAPSULATING = "encapsulating"


class VisitorInterface(Model):
    """``[[foreign_agent.interface]]``: a link on which mobile nodes visit."""

    name: InterfaceName
    address: IPv4Address
    """The foreign agent's own on this link; it advertises and answers from it."""
    prefix_length: int = Field(24, ge=0, le=32)
    advertise: bool = True
    """Send advertisements unasked; solicitations are answered in any case."""
    care_of_address: IPv4Address | None = None
    """The only one advertised here; None: all of ``care_of_addresses``."""


class ForeignAgentSettings(Model):
    """``[foreign_agent]`` of a foreign agent's file."""

    care_of_addresses: tuple[IPv4Address, ...] = Field(min_length=1)
    """Ends of the tunnels; a request may name any of them (FACTS G39)."""
    interface: tuple[VisitorInterface, ...] = Field(min_length=1)
    uplink: InterfaceName | None = None
    """Interface towards the home agents: replies by any other are not believed. None: by any."""
    enable_multiple_tunnel_support: bool = True
    recognise_multiple_tunnels: bool = True
    """False: behave as an agent that has never heard of the extension (FACTS G12)."""
    maximum_lifetime: Lifetime = 600
    maximum_visitors: int = Field(1000, ge=1)
    """Entries in the visitor list; with so many the agent advertises that it is busy."""
    pending_limit: int = Field(5, ge=1)
    """Requests that may wait for a reply at a time (RFC 5944 §3.7.1)."""
    pending_time: Seconds = 7.0
    """How long each may wait."""
    registration_required: bool = False
    """R: mobile nodes with a co-located care-of address must register here too."""
    reverse_tunnel: Literal["optional", "required", "forbidden"] | None = None
    """None: required behind a NAT (RFC 3519 §4.5), else optional."""
    delivery_styles: frozenset[DeliveryStyle] = frozenset(DeliveryStyle)
    encapsulations: Encapsulations = frozenset({Encapsulation.IPIP, Encapsulation.GRE})
    behind_nat: bool = False
    """Ask home agents for UDP tunnels (RFC 3519)."""
    udp_forced: bool = False
    """Ask for them even if no NAT is seen (RFC 3519 F)."""
    udp_keepalive: int = Field(0, ge=0, le=0xFFFF)
    """Seconds between keepalives in a UDP tunnel; 0: as the home agent says."""
    advertisement: AdvertisementTiming = AdvertisementTiming()
    profile: Profile = Profile()
    path_selection: PathSelection = PathSelection()
    control_socket: FilePath | None = None
    state_file: FilePath | None = None
    mobile_node: tuple[VisitingNodeEntry, ...] = ()
    home_agent: tuple[HomeAgentEntry, ...] = ()

    @field_validator("care_of_addresses", "mobile_node", "home_agent", "interface")
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        # The first key of an entry is what it is known by.
        counts = Counter(str(next(iter(v))[1] if isinstance(v, Model) else v) for v in values)
        _refuse([f"{name} stands {count} times" for name, count in counts.items() if count > 1])
        return values

    @field_validator("interface")
    @classmethod
    def _offered(
        cls, interfaces: tuple[VisitorInterface, ...], known: ValidationInfo
    ) -> tuple[VisitorInterface, ...]:
        ours = known.data.get("care_of_addresses")
        _refuse(
            [
                f"{i.name}: care_of_address {i.care_of_address} is not one of care_of_addresses"
                for i in interfaces
                if ours is not None and i.care_of_address is not None and i.care_of_address not in ours
            ]
        )
        return interfaces

    @field_validator("delivery_styles", "encapsulations")
    @classmethod
    def _at_least(cls, chosen: frozenset[StrEnum], field: ValidationInfo) -> frozenset[StrEnum]:
        styles = field.field_name == "delivery_styles"
        least, rule = (DeliveryStyle.DIRECT, "3024 §3.1") if styles else (Encapsulation.IPIP, "5944 §4.1")
        problems = [] if least in chosen else [f"{least} must be one of them (RFC {rule})"]
        if Encapsulation.UDP in chosen:
            problems.append("udp is asked for with behind_nat = true, not here")
        _refuse(problems)
        return chosen


class AccessInterface(Model):
    """``[[mobile_node.interface]]``: one access link of the mobile node."""

    name: InterfaceName
    binding_id: int = Field(ge=1, le=254)
    care_of: Literal["co-located", "foreign-agent"] = "co-located"
    care_of_address: IPv4Address | None = None
    """Co-located: the address to register; None: the interface's own first address."""
    gateway: IPv4Address | None = None
    """Next hop on this link; None: the peer is on-link."""
    access_technology: int = Field(0, ge=0, le=255)
    """If-Type, of RFC 5213's registry (FACTS §18)."""
    downlink_kbit: int = Field(0, ge=0)
    """Announced as Interface Bandwidth; 0 is unknown (FACTS G3)."""
    uplink_kbit: int = Field(0, ge=0)
    """Weight of this link for the node's own traffic under ``weights = "bandwidth"``."""
    encapsulation: Encapsulation = Encapsulation.IPIP
    gre_key: bool = False
    udp_forced: bool = False
    priority: int = 100
    """Smaller is preferred where only one interface can be used (FACTS G14)."""

    @field_validator("encapsulation")
    @classmethod
    def _carried_here(cls, chosen: Encapsulation, known: ValidationInfo) -> Encapsulation:
        # With a foreign agent's care-of address the tunnel ends there.
        if chosen is Encapsulation.MINIMAL and known.data.get("care_of") == "co-located":
            raise ValueError(
                "minimal has no device in Linux; choose ipip, gre or udp for a co-located care-of address"
            )
        return chosen


class MobileNodeSettings(Model):
    """``[mobile_node]`` of a mobile node's file."""

    home_address: IPv4Address
    home_agent: IPv4Address
    home_prefix_length: int = Field(24, ge=0, le=32)
    security_association: SecurityAssociations
    """The first is used for requests; replies may use any."""
    enable_multiple_tunnel_support: bool = True
    lifetime: Lifetime = 600
    udp_lifetime: Lifetime = 60
    renew_at: tuple[float, float] = (0.5, 0.66)
    """Fractions of the granted lifetime between which a renewal is placed (FACTS G37)."""
    bulk_renewal: bool = True
    """Renew co-located bindings together where the draft allows it (FACTS G24, G25)."""
    legacy_attempts: int = Field(3, ge=1)
    """Unanswered requests with the extension before the agent counts as legacy (G12)."""
    legacy_hold_down: Seconds = 300.0
    deregister_at_stop: bool = True
    liveness: Liveness = Liveness()
    home_link: InterfaceName | None = None
    """Interface that may come up on the home link."""
    receive_broadcasts: bool = False
    """Ask for the broadcasts and multicasts of the home link (B bit, RFC 5944 §4.3, §4.4)."""
    home_gateway: IPv4Address | None = None
    """Router on the home link; None: the first one the home agent advertises."""
    profile: Profile = Profile()
    path_selection: PathSelection = PathSelection()
    control_socket: FilePath | None = None
    state_file: FilePath | None = None
    interface: tuple[AccessInterface, ...] = Field(min_length=1)
    foreign_agent: tuple[ForeignAgentEntry, ...] = ()
    """Security associations with foreign agents (Mobile-Foreign Authentication)."""

    @field_validator("renew_at")
    @classmethod
    def _check_renewal(cls, fractions: tuple[float, float]) -> tuple[float, float]:
        if not 0 < fractions[0] <= fractions[1] < 1:
            raise ValueError("two fractions with 0 < first <= second < 1")
        return fractions

    @field_validator("interface")
    @classmethod
    def _check(
        cls, accesses: tuple[AccessInterface, ...], known: ValidationInfo
    ) -> tuple[AccessInterface, ...]:
        problems = []
        for word, counts in (
            ("binding_id", Counter(str(i.binding_id) for i in accesses)),
            ("name", Counter(i.name for i in accesses)),
        ):
            problems += [
                f"{word} {value} stands {count} times; each interface needs its own"
                for value, count in counts.items()
                if count > 1
            ]
        home_address = known.data.get("home_address")
        problems += [
            f"{i.name}: care_of_address is the home address {home_address}; choose one of the visited network"
            for i in accesses
            if i.care_of_address is not None and i.care_of_address == home_address
        ]
        _refuse(problems)
        return accesses
