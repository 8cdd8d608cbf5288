# SPDX-License-Identifier: GPL-2.0-or-later
"""What the foreign agent advertises on each of its links (RFC 5944 §2.1.1)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from random import Random
from typing import NamedTuple

from agents.advertiser import NO_DEFAULT_ROUTER, AdvertisedLink, Advertiser
from agents.effects import Encapsulation
from agents.settings import ForeignAgentSettings, VisitorInterface
from agents.wire import AdvertisementFlags, AgentAdvertisement


class AdvertisementTimer(NamedTuple):
    """Key of the timer for the next multicast on an interface."""

    interface: str


def offered(settings: ForeignAgentSettings, interface: VisitorInterface) -> tuple[IPv4Address, ...]:
    """The care-of addresses advertised on an interface."""
    if interface.care_of_address is not None:
        return (interface.care_of_address,)
    return settings.care_of_addresses


def _flags(settings: ForeignAgentSettings, reverse_tunnel: str) -> AdvertisementFlags:
    flags = AdvertisementFlags.F
    for flag, wanted in (
        (AdvertisementFlags.R, settings.registration_required),
        (AdvertisementFlags.G, Encapsulation.GRE in settings.encapsulations),
        (AdvertisementFlags.T, reverse_tunnel != "forbidden"),
        (AdvertisementFlags.U, settings.behind_nat),
    ):
        if wanted:
            flags |= flag
    return flags


def visitor_link_advertiser(
    settings: ForeignAgentSettings,
    interface: VisitorInterface,
    reverse_tunnel: str,
    busy: Callable[[], bool],
    random: Random,
) -> Advertiser:
    """The advertiser for one interface; each counts its own sequence.

    :param busy: whether new mobile nodes would be turned away now.
    """
    flags = _flags(settings, reverse_tunnel)

    def content() -> AgentAdvertisement:
        return AgentAdvertisement(
            router_addresses=((interface.address, NO_DEFAULT_ROUTER),),
            lifetime=settings.advertisement.lifetime,
            sequence=0,
            registration_lifetime=settings.maximum_lifetime,
            flags=flags | AdvertisementFlags.B if busy() else flags,
            care_of_addresses=offered(settings, interface),
            prefix_lengths=(interface.prefix_length,),
        )

    link = AdvertisedLink(
        interface=interface.name,
        source=interface.address,
        unasked=interface.advertise,
        interval=settings.advertisement.interval,
        timer=AdvertisementTimer(interface.name),
    )
    return Advertiser(link, content, random)
