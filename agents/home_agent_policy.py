# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tunnel a registration gets, or why it gets none (step 9 of the decision order, FACTS §23).

Reverse tunnelling after RFC 3024 §4.3.1, encapsulation after RFC 5944 §3.3 and RFC 6245 §4.2, UDP
tunnelling after RFC 3519 §4.6 (the table in FACTS §10). Nothing here changes any state.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random

from agents.bindings import Binding
from agents.effects import MOBILE_IP_PORT, Datagram, Encapsulation, Tunnel
from agents.home_agent_request import Contents
from agents.requests import FLAG_G, FLAG_M, FLAG_T, DeniedError, is_unicast
from agents.settings import HomeAgentSettings
from agents.wire import Extension, GreKey, RegistrationRequest, ReplyCode, UdpTunnelReply

_IP_IN_IP = 4
_FOLLOW_FLAGS = 0
_WILL_TUNNEL = 0
_DECLINED = 64


@dataclass(frozen=True, slots=True)
class Grant:
    """What the home agent is prepared to set up for one request."""

    tunnel: Tunnel | None
    """None: half bound, to be completed by the first keepalive."""
    keepalive_source: IPv4Address | None
    lifetime: int
    """Seconds."""
    for_mobile_node: tuple[Extension, ...] = ()
    """Extensions of the reply that the Mobile-Home Authentication protects."""
    for_foreign_agent: tuple[Extension, ...] = ()
    """Extensions of the reply behind it, in answer to what the foreign agent asked."""


class TunnelPolicy:
    """The settings that decide about tunnels."""

    def __init__(
        self, settings: HomeAgentSettings, home_addresses: Container[IPv4Address], random: Random
    ) -> None:
        self._settings = settings
        self._home_addresses = home_addresses
        self._random = random
        self._encapsulations = settings.encapsulations
        self._udp = settings.udp
        self._udp_available = settings.udp.allowed and Encapsulation.UDP in settings.encapsulations

    def grant(
        self, request: RegistrationRequest, contents: Contents, datagram: Datagram, previous: Binding | None
    ) -> Grant:
        """Decide about a well-formed request with a Lifetime.

        :param previous: the binding this one would replace, if it keeps its Binding-Id.
        :raises DeniedError: 129, 137, 138, 139 or 142.
        """
        flags = int(request.flags)
        self._check_reverse_tunnel(flags)
        maximum = self._settings.maximum_lifetime
        if contents.udp_tunnel is not None and self._use_udp(request, contents, flags, datagram):
            forced = contents.udp_tunnel.force and datagram.source == request.care_of_address
            answer = UdpTunnelReply(_WILL_TUNNEL, forced, self._udp.keepalive)
            lifetime = min(request.lifetime, maximum, self._udp.maximum_lifetime)
            half_bound = contents.udp_tunnel.registration_required and not contents.udp_from_foreign_agent
            tunnel = self._udp_tunnel(datagram, previous, half_bound)
            source = datagram.source if half_bound else None
            if contents.udp_from_foreign_agent:
                return Grant(tunnel, source, lifetime, for_foreign_agent=(answer,))
            return Grant(tunnel, source, lifetime, for_mobile_node=(answer,))
        return self._plain(request, contents, flags, previous, min(request.lifetime, maximum))

    def _check_reverse_tunnel(self, flags: int) -> None:
        if flags & FLAG_T:
            if self._settings.reverse_tunnel == "forbidden":
                raise DeniedError(ReplyCode.HA_REVERSE_TUNNEL_UNAVAILABLE, "reverse-tunnel-forbidden")
        elif self._settings.reverse_tunnel == "required":
            raise DeniedError(ReplyCode.HA_REVERSE_TUNNEL_MANDATORY, "reverse-tunnel-required")

    def _use_udp(
        self, request: RegistrationRequest, contents: Contents, flags: int, datagram: Datagram
    ) -> bool:
        """Whether to assent to the UDP Tunnel Request (the table in FACTS §10)."""
        asked = contents.udp_tunnel
        assert asked is not None
        if asked.encapsulation not in (_FOLLOW_FLAGS, _IP_IN_IP):
            raise DeniedError(ReplyCode.HA_UDP_ENCAPSULATION_UNAVAILABLE, "udp-encapsulation-unavailable")
        behind_nat = datagram.source != request.care_of_address
        required = asked.registration_required and not contents.udp_from_foreign_agent
        if not behind_nat and not required and not asked.force:
            return False
        if not self._udp_available:
            raise DeniedError(ReplyCode.HA_ADMINISTRATIVELY_PROHIBITED, "udp-tunnelling-not-allowed")
        if not behind_nat and not required and not self._udp.forced_allowed:
            raise DeniedError(ReplyCode.HA_ADMINISTRATIVELY_PROHIBITED, "forced-udp-tunnelling-not-allowed")
        other = flags & (FLAG_M | FLAG_G) or contents.gre_key is not None
        if asked.encapsulation == _FOLLOW_FLAGS and other:
            raise DeniedError(ReplyCode.HA_UDP_ENCAPSULATION_UNAVAILABLE, "udp-encapsulation-unavailable")
        return True

    def _udp_tunnel(self, datagram: Datagram, previous: Binding | None, half_bound: bool) -> Tunnel | None:
        self._check_end_point(datagram.source)
        if not half_bound:
            return Tunnel(
                Encapsulation.UDP,
                self._settings.address,
                datagram.source,
                local_port=MOBILE_IP_PORT,
                remote_port=datagram.source_port,
            )
        # The port of the request is the foreign agent's. One learnt before stays until the keepalive
        # that follows the reply tells another (RFC 3519 §4.6).
        known = None if previous is None else previous.tunnel
        if known is not None and known.encapsulation is Encapsulation.UDP and known.remote == datagram.source:
            return known
        return None

    def _plain(
        self,
        request: RegistrationRequest,
        contents: Contents,
        flags: int,
        previous: Binding | None,
        lifetime: int,
    ) -> Grant:
        encapsulation = self._encapsulation(flags, contents)
        self._check_end_point(request.care_of_address)
        for_mobile_node: list[Extension] = []
        for_foreign_agent: list[Extension] = []
        if contents.udp_tunnel is not None:
            answers = for_foreign_agent if contents.udp_from_foreign_agent else for_mobile_node
            answers.append(UdpTunnelReply(_DECLINED, False, 0))
        key: int | None = None
        if contents.gre_key is not None:
            key = self._gre_key(contents.gre_key, request.care_of_address, previous)
            answers = for_foreign_agent if contents.gre_key_from_foreign_agent else for_mobile_node
            answers.append(GreKey(key))
        tunnel = Tunnel(encapsulation, self._settings.address, request.care_of_address, key=key)
        return Grant(tunnel, None, lifetime, tuple(for_mobile_node), tuple(for_foreign_agent))

    def _encapsulation(self, flags: int, contents: Contents) -> Encapsulation:
        gre = bool(flags & FLAG_G) or contents.gre_key is not None  # RFC 6245 §4.2
        minimal = bool(flags & FLAG_M)
        if gre and minimal:
            # The reply could not say which of the two was chosen.
            raise DeniedError(ReplyCode.HA_ENCAPSULATION_UNAVAILABLE, "two-encapsulations")
        wanted = Encapsulation.GRE if gre else Encapsulation.MINIMAL if minimal else Encapsulation.IPIP
        if wanted not in self._encapsulations:
            raise DeniedError(ReplyCode.HA_ENCAPSULATION_UNAVAILABLE, "encapsulation-unavailable")
        return wanted

    def _gre_key(self, asked: GreKey, remote: IPv4Address, previous: Binding | None) -> int:
        """The key for both directions: the one asked for, or our own if that is 0 (RFC 6245 §4.2)."""
        if asked.key:
            return asked.key
        known = None if previous is None else previous.tunnel
        if known is not None and known.key and known.remote == remote:
            return known.key
        return self._random.randrange(1, 1 << 32)

    def _check_end_point(self, address: IPv4Address) -> None:
        """Refuse a tunnel that would lead packets back into this home agent, for ever."""
        if not is_unicast(address) or address == self._settings.address or address in self._home_addresses:
            raise DeniedError(ReplyCode.HA_ADMINISTRATIVELY_PROHIBITED, "end-point-not-allowed")
