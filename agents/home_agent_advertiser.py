# SPDX-License-Identifier: GPL-2.0-or-later
"""What the home agent advertises on its home link (RFC 5944 §2.1, §2.3)."""

from __future__ import annotations

from random import Random

from agents.advertiser import NO_DEFAULT_ROUTER, AdvertisedLink, Advertiser
from agents.effects import Encapsulation
from agents.settings import HomeAgentSettings
from agents.wire import AdvertisementFlags, AgentAdvertisement

ADVERTISEMENT_TIMER = "advertisement"
"""Key of the timer for the next multicast advertisement."""


def home_link_advertiser(settings: HomeAgentSettings, random: Random) -> Advertiser:
    """The advertiser of a home agent; silent without a home link."""
    flags = AdvertisementFlags.H
    if Encapsulation.GRE in settings.encapsulations:
        flags |= AdvertisementFlags.G
    content = AgentAdvertisement(
        router_addresses=((settings.address, NO_DEFAULT_ROUTER),),
        lifetime=settings.advertisement.lifetime,
        sequence=0,
        registration_lifetime=settings.advertisement.registration_lifetime,
        flags=flags,
        care_of_addresses=(),
        prefix_lengths=(settings.home_prefix_length,),
    )
    link = AdvertisedLink(
        interface=settings.home_link,
        source=settings.address,
        unasked=settings.advertise,
        interval=settings.advertisement.interval,
        timer=ADVERTISEMENT_TIMER,
    )
    return Advertiser(link, lambda: content, random)
