# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent discovery: ICMP router discovery messages and their extensions (RFC 1256 §3, RFC 5944 §2.1).

The octets run from the ICMP Type to the end of the ICMP message. The numbers of these extensions are
a space of their own (RFC 5944 §1.8).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from ipaddress import IPv4Address

from agents.wire.errors import Malformed, Truncated, UnknownExtension
from agents.wire.framing import pack, tlv

_ADVERTISEMENT = struct.Struct("!BBHBBH")
_SOLICITATION = struct.Struct("!BBHI")
_CHECKSUM = struct.Struct("!H")
_ROUTER_ADDRESS = struct.Struct("!Ii")
_MOBILITY_AGENT = struct.Struct("!HHH")
_CARE_OF_ADDRESS = struct.Struct("!I")

_TYPE_ADVERTISEMENT = 9
_TYPE_SOLICITATION = 10
_CODE_COMMON_TRAFFIC = 0
_CODE_NO_COMMON_TRAFFIC = 16
_EXTENSION_PADDING = 0
_EXTENSION_MOBILITY_AGENT = 16
_EXTENSION_PREFIX_LENGTHS = 19
_EXTENSION_CHALLENGE = 24

_RECOGNISED = frozenset({_EXTENSION_MOBILITY_AGENT, _EXTENSION_PREFIX_LENGTHS, _EXTENSION_CHALLENGE})

RouterAddresses = tuple[tuple[IPv4Address, int], ...]
"""Each router address with its preference, a signed 32-bit number; higher is better."""


class AdvertisementFlags(IntFlag):
    """Flags of a Mobility Agent Advertisement (RFC 5944 §2.1.1); reserved bits and r never appear."""

    R = 0x8000
    """Registration required, even with a co-located care-of address; only with F."""
    B = 0x4000
    """Busy: no new mobile nodes; only with F."""
    H = 0x2000
    """Home agent on this link."""
    F = 0x1000
    """Foreign agent on this link; needs a care-of address."""
    M = 0x0800
    """Minimal encapsulation."""
    G = 0x0400
    """Generic Routing Encapsulation."""
    T = 0x0100
    """Reverse tunnelling (RFC 3024)."""
    U = 0x0080
    """UDP tunnelling, from a foreign agent behind a NAT (RFC 3519 §3.4)."""
    X = 0x0040
    """Registration revocation (RFC 3543)."""
    I = 0x0020  # noqa: E741 — the letter of RFC 5944
    """Regional registration."""


_KNOWN_FLAGS = sum(AdvertisementFlags)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAdvertisement:
    """A router advertisement of a router that is no mobility agent (RFC 1256 §3)."""

    router_addresses: RouterAddresses
    lifetime: int
    """Seconds for which the addresses may be believed."""
    code: int = _CODE_COMMON_TRAFFIC

    def encode(self) -> bytes:
        """The ICMP message, checksum filled in.

        :raises Malformed: if a value does not fit its field.
        """
        return _with_checksum(_fixed_part(self.code, self.router_addresses, self.lifetime))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAdvertisement:
    """A router advertisement with a Mobility Agent Advertisement extension (RFC 5944 §2.1)."""

    router_addresses: RouterAddresses
    lifetime: int
    """Seconds for which the advertisement may be believed."""
    sequence: int
    """0 after a start of the agent; 65535 is followed by 256 (RFC 5944 §2.3.2)."""
    registration_lifetime: int
    """Longest the agent accepts, seconds; 65535 is for ever."""
    flags: AdvertisementFlags
    care_of_addresses: tuple[IPv4Address, ...]
    prefix_lengths: tuple[int, ...] = ()
    """One for each router address (not care-of address), or none at all."""
    challenge: bytes | None = None
    """Value of a Challenge extension (RFC 4721 §2); None: there is none."""
    code: int = _CODE_NO_COMMON_TRAFFIC
    """0: also routes packets that are not of mobile nodes; 16: does not."""

    def encode(self) -> bytes:
        """The ICMP message, padded to an even length, checksum filled in.

        :raises Malformed: if a value does not fit its field, or the numbers of router addresses and
            prefix lengths differ.
        """
        if len(self.prefix_lengths) not in (0, len(self.router_addresses)):
            raise Malformed("bad-length", "as many prefix lengths as router addresses, or none")
        if not all(0 <= length <= 32 for length in self.prefix_lengths):
            raise Malformed("bad-prefix-length", str(self.prefix_lengths))
        care_of_addresses = b"".join([address.packed for address in self.care_of_addresses])
        message = _fixed_part(self.code, self.router_addresses, self.lifetime) + tlv(
            _EXTENSION_MOBILITY_AGENT,
            pack(_MOBILITY_AGENT, self.sequence, self.registration_lifetime, self.flags) + care_of_addresses,
        )
        if self.prefix_lengths:
            message += tlv(_EXTENSION_PREFIX_LENGTHS, bytes(self.prefix_lengths))
        if self.challenge is not None:
            message += tlv(_EXTENSION_CHALLENGE, self.challenge)
        return _with_checksum(message + b"\0" * (len(message) % 2))


@dataclass(frozen=True, slots=True)
class RouterSolicitation:
    """Asks routers and mobility agents for an advertisement (RFC 1256 §3, RFC 5944 §2.2)."""

    def encode(self) -> bytes:
        """The ICMP message, checksum filled in."""
        return _with_checksum(pack(_SOLICITATION, _TYPE_SOLICITATION, 0, 0, 0))


def _words(message: bytes) -> int:
    # All 16-bit words in one number: modulo 0xffff its digits to the base 2**16 add up with the
    # end-around carry of the Internet checksum (RFC 1071).
    return int.from_bytes(message + b"\0" * (len(message) % 2), "big")


def _with_checksum(message: bytes) -> bytes:
    return message[:2] + _CHECKSUM.pack(-_words(message) % 0xFFFF) + message[4:]


def _fixed_part(code: int, router_addresses: RouterAddresses, lifetime: int) -> bytes:
    fixed = pack(_ADVERTISEMENT, _TYPE_ADVERTISEMENT, code, 0, len(router_addresses), 2, lifetime)
    return fixed + b"".join(
        [pack(_ROUTER_ADDRESS, int(address), preference) for address, preference in router_addresses]
    )


def decode_icmp(payload: bytes) -> AgentAdvertisement | RouterAdvertisement | RouterSolicitation:
    """Read a router discovery message.

    The rules are those of RFC 1256 §4.2 and §5.2, except that a mobility agent may advertise no router
    addresses and Code 16 (RFC 5944 §2.1).

    :raises Truncated: if the message ends too early.
    :raises UnknownExtension: for an unrecognised extension below 128.
    :raises Malformed: ``unexpected-message-type``, ``bad-checksum``, ``bad-code``, ``bad-entry-size``,
        ``no-router-address``, ``bad-length``, ``bad-prefix-length`` or ``duplicate-extension``.
    """
    if len(payload) < _ADVERTISEMENT.size:
        raise Truncated(f"{len(payload)} octets, the fixed part has {_ADVERTISEMENT.size}")
    message_type, code, _, count, entry_words, lifetime = _ADVERTISEMENT.unpack_from(payload)
    if message_type not in (_TYPE_ADVERTISEMENT, _TYPE_SOLICITATION):
        raise Malformed("unexpected-message-type", f"ICMP type {message_type}")
    if _words(payload) % 0xFFFF:
        raise Malformed("bad-checksum")
    if message_type == _TYPE_SOLICITATION:
        if code:
            raise Malformed("bad-code", f"code {code} in a solicitation")
        return RouterSolicitation()
    if entry_words < 2:
        raise Malformed("bad-entry-size", f"{entry_words} words per router address, at least 2")
    end = _ADVERTISEMENT.size + count * entry_words * 4
    if end > len(payload):
        raise Truncated(f"{len(payload)} octets, {count} router addresses end at {end}")
    router_addresses = tuple(
        (IPv4Address(address), preference)
        for address, preference in (
            _ROUTER_ADDRESS.unpack_from(payload, start)
            for start in range(_ADVERTISEMENT.size, end, entry_words * 4)
        )
    )
    extensions = _parse_extensions(payload, end)
    mobility_agent = extensions.get(_EXTENSION_MOBILITY_AGENT)
    if mobility_agent is None:
        if code != _CODE_COMMON_TRAFFIC:
            raise Malformed("bad-code", f"code {code} of a router that is no mobility agent")
        if not router_addresses:
            raise Malformed("no-router-address")
        return RouterAdvertisement(router_addresses=router_addresses, lifetime=lifetime)
    if code not in (_CODE_COMMON_TRAFFIC, _CODE_NO_COMMON_TRAFFIC):
        raise Malformed("bad-code", f"code {code} of a mobility agent")
    return _agent_advertisement(router_addresses, lifetime, code, extensions)


def _parse_extensions(payload: bytes, offset: int) -> dict[int, bytes]:
    """The recognised extensions, data by type.

    The experimental 127 counts as unrecognised and drops the message (RFC 5944 §1.8), although
    RFC 4064 §4.2 would have it ignored.
    """
    extensions: dict[int, bytes] = {}
    end = len(payload)
    while offset < end:
        kind = payload[offset]
        if kind == _EXTENSION_PADDING:
            offset += 1
            continue
        if kind < 128 and kind not in _RECOGNISED:
            raise UnknownExtension(kind)
        start = offset + 2
        if start > end:
            raise Truncated(f"extension {kind} has no header")
        offset = start + payload[start - 1]
        if offset > end:
            raise Truncated(f"extension {kind} has {end - start} of {payload[start - 1]} octets")
        if kind in extensions:
            raise Malformed("duplicate-extension", f"type {kind}")
        if kind in _RECOGNISED:
            extensions[kind] = payload[start:offset]
    return extensions


def _agent_advertisement(
    router_addresses: RouterAddresses, lifetime: int, code: int, extensions: dict[int, bytes]
) -> AgentAdvertisement:
    mobility_agent = extensions[_EXTENSION_MOBILITY_AGENT]
    rest = len(mobility_agent) - _MOBILITY_AGENT.size
    if rest < 0 or rest % _CARE_OF_ADDRESS.size:
        raise Malformed("bad-length", f"Mobility Agent Advertisement of {len(mobility_agent)} octets")
    sequence, registration_lifetime, flags = _MOBILITY_AGENT.unpack_from(mobility_agent)
    prefix_lengths = tuple(extensions.get(_EXTENSION_PREFIX_LENGTHS, b""))
    if len(prefix_lengths) not in (0, len(router_addresses)):
        raise Malformed(
            "bad-length", f"{len(prefix_lengths)} prefix lengths, {len(router_addresses)} router addresses"
        )
    if any(length > 32 for length in prefix_lengths):
        raise Malformed("bad-prefix-length", str(prefix_lengths))
    return AgentAdvertisement(
        router_addresses=router_addresses,
        lifetime=lifetime,
        sequence=sequence,
        registration_lifetime=registration_lifetime,
        flags=AdvertisementFlags(flags & _KNOWN_FLAGS),
        care_of_addresses=tuple(
            IPv4Address(address)
            for (address,) in _CARE_OF_ADDRESS.iter_unpack(mobility_agent[_MOBILITY_AGENT.size :])
        ),
        prefix_lengths=prefix_lengths,
        challenge=extensions.get(_EXTENSION_CHALLENGE),
        code=code,
    )
