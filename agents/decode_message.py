# SPDX-License-Identifier: GPL-2.0-or-later
"""Any octets as a message for people: what the agents read in them, as far as they can be read.

An authenticator is checked with the keys given. A message that an agent would refuse is shown up to
the place of the fault, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Address
from typing import Any

from agents.wire import (
    DRAFT_02,
    AdvertisementFlags,
    AgentAdvertisement,
    Algorithm,
    Authentication,
    AuthenticationType,
    Extension,
    GeneralizedAuthentication,
    GreKey,
    MessageType,
    MobileNodeNai,
    MultipleTunnelRequest,
    Recognised,
    RegistrationRequest,
    RequestFlags,
    RouterAdvertisement,
    TunnelData,
    Unusable,
    VendorExtension,
    WireError,
    decode_icmp,
    decode_registration,
    describe_code,
    verify,
)
from agents.wire.parsing import parse_extensions

Fields = dict[str, Any]
"""In JSON's types."""

_FIXED_PART: dict[int, int] = {MessageType.REGISTRATION_REQUEST: 24, MessageType.REGISTRATION_REPLY: 20}
_KINDS: dict[int, str] = {kind: kind.name.lower().replace("_", "-") for kind in MessageType}
_IP_IN_IP = 4
_FLAG_LETTERS = {RequestFlags.R_IGNORED: "r", RequestFlags.X_IGNORED: "x"}
_RECOGNISED_NAMES = {136: "nai-carrying", 139: "dynamic-home-agent", 148: "mobile-network", 154: "multipath"}
_AUTHENTICATION_NAMES = {
    AuthenticationType.MOBILE_HOME: "mobile-home-authentication",
    AuthenticationType.MOBILE_FOREIGN: "mobile-foreign-authentication",
    AuthenticationType.FOREIGN_HOME: "foreign-home-authentication",
}


@dataclass(frozen=True, slots=True)
class Key:
    """What a security association needs to check an authenticator."""

    spi: int
    secret: bytes
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class Part:
    """One extension as it stands in the message."""

    type: int
    length: int
    """The number in its Length field."""
    name: str
    fields: Fields
    authentication: bool = False


@dataclass(slots=True)
class Message:
    """One message, as far as it could be read."""

    offset: int
    """Of its first octet in what was given."""
    kind: str = "unknown"
    fields: Fields = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    error: str | None = None
    where: Fields = field(default_factory=dict)
    """Of a capture: frame, time, source and destination."""

    def document(self) -> Fields:
        """The message in the form of ``--json``."""
        return {
            "offset": self.offset,
            **self.where,
            "kind": self.kind,
            "fields": self.fields,
            "extensions": [
                {"type": part.type, "length": part.length, "name": part.name, "fields": part.fields}
                for part in self.parts
                if not part.authentication
            ],
            "authentications": [
                {"type": part.type, **part.fields} for part in self.parts if part.authentication
            ],
            "order": [part.type for part in self.parts],
            "error": self.error,
        }


def decode_message(payload: bytes, offset: int, keys: Sequence[Key], icmp: bool) -> Message:
    """Read one UDP payload of port 434, or with ``icmp`` one ICMP message. Never fails: see ``error``."""
    message = Message(offset)
    try:
        if icmp:
            _read_icmp(payload, message)
        elif payload[:1] == bytes([MessageType.TUNNEL_DATA]):
            _read_tunnel_data(payload, message)
        else:
            _read_registration(payload, message, keys)
    except WireError as error:
        message.error = message.error or str(error)
    return message


def _read_icmp(payload: bytes, message: Message) -> None:
    discovered = decode_icmp(payload)
    if not isinstance(discovered, AgentAdvertisement | RouterAdvertisement):
        message.kind = "router-solicitation"
        return
    message.kind = "router-advertisement"
    message.fields = {
        "code": discovered.code,
        "lifetime": discovered.lifetime,
        "router_addresses": [
            {"address": str(address), "preference": preference}
            for address, preference in discovered.router_addresses
        ],
    }
    if isinstance(discovered, AgentAdvertisement):
        message.kind = "agent-advertisement"
        message.fields |= {
            "sequence": discovered.sequence,
            "registration_lifetime": discovered.registration_lifetime,
            "flags": {str(flag.name): flag in discovered.flags for flag in AdvertisementFlags},
            "care_of_addresses": [str(address) for address in discovered.care_of_addresses],
            "prefix_lengths": list(discovered.prefix_lengths),
            "challenge": None if discovered.challenge is None else discovered.challenge.hex(),
        }


def _read_tunnel_data(payload: bytes, message: Message) -> None:
    message.kind = "tunnel-data"
    data = TunnelData.decode(payload)
    inner, packet = None, data.payload
    if data.next_header == _IP_IN_IP and len(packet) >= 20 and packet[0] >> 4 == 4:
        source, destination = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
        inner = {"source": source, "destination": destination, "protocol": packet[9]}
    message.fields = {"next_header": data.next_header, "octets": len(packet), "inner": inner}


def _read_registration(payload: bytes, message: Message, keys: Sequence[Key]) -> None:
    message.kind = _KINDS.get(payload[0], "unknown") if payload else "unknown"
    fixed_part = _FIXED_PART.get(payload[0], 0) if payload else 0
    fixed = decode_registration(payload[:fixed_part] or payload)
    message.fields = {
        "lifetime": fixed.lifetime,
        "home_address": str(fixed.home_address),
        "home_agent": str(fixed.home_agent),
        "identification": f"{fixed.identification:016x}",
    }
    if isinstance(fixed, RegistrationRequest):
        message.fields["care_of_address"] = str(fixed.care_of_address)
        message.fields["flags"] = {
            _FLAG_LETTERS.get(flag, str(flag.name)): flag in fixed.flags for flag in RequestFlags
        }
    else:
        message.fields |= {"code": fixed.code, "code_text": describe_code(fixed.code)}
    for start, extension in walk_extensions(payload, fixed_part):
        message.parts.append(_part(payload, start, extension, keys))
        if isinstance(extension, Unusable) and message.error is None:
            message.error = f"{extension.reason}: extension {extension.type} at octet {start}"


def walk_extensions(payload: bytes, offset: int) -> Iterator[tuple[int, Extension]]:
    """Extensions one by one with their places, read as the agents read them.

    :raises WireError: where the agents would raise it, after what stands before.
    """
    while offset < len(payload):
        end = _end(payload, offset)
        (extension,) = parse_extensions(payload[offset:end], 0, DRAFT_02)
        if isinstance(extension, Authentication):
            extension = replace(extension, covered=extension.covered + offset)
        yield offset, extension
        offset = end


def _end(payload: bytes, offset: int) -> int:
    """Where an extension ends; if it is not complete, the end of the payload.

    Only the reader knows which types have a Length of 16 bits. So it is asked, with data at which it
    gives up at once if it takes the header for a shorter one: Type 1 is no extension.
    """
    if payload[offset] == 0:
        return offset + 1
    header = payload[offset : offset + 4]
    length = int.from_bytes(header[2:], "big")
    if len(header) == 4 and offset + 4 + length <= len(payload):
        try:
            if len(parse_extensions(header + b"\x01" * length, 0, DRAFT_02)) == 1:
                return offset + 4 + length
        except WireError:
            pass
    end = offset + 2 + header[1] if len(header) > 1 else len(payload)
    try:
        parse_extensions(payload[offset:end], 0, DRAFT_02)
    except WireError:
        return len(payload)
    return min(end, len(payload))


def _part(payload: bytes, start: int, extension: Extension, keys: Sequence[Key]) -> Part:
    kind = payload[start]
    if isinstance(extension, Authentication):
        name = _AUTHENTICATION_NAMES[extension.type]
        return Part(kind, payload[start + 1], name, _check(payload, extension, keys), True)
    length = 0 if kind == 0 else payload[start + 1]
    if _has_long_format(extension):
        length = int.from_bytes(payload[start + 2 : start + 4], "big")
    return Part(kind, length, _name(extension), _extension_fields(extension))


def _has_long_format(extension: Extension) -> bool:
    match extension:
        case GeneralizedAuthentication() | GreKey() | VendorExtension(critical=True):
            return True
        case Recognised() | Unusable():
            return extension.sub_type is not None
        case _:
            return False


def _check(payload: bytes, extension: Authentication, keys: Sequence[Key]) -> Fields:
    """SPI, algorithm and whether it is genuine; None where no key was given for its SPI."""
    fitting = [key for key in keys if key.spi == extension.spi]
    right = [key for key in fitting if verify(payload, extension, key.algorithm, key.secret)]
    chosen = next(iter(right or fitting), None)
    return {
        "spi": extension.spi,
        "algorithm": None if chosen is None else str(chosen.algorithm),
        "valid": bool(right) if fitting else None,
    }


def _name(extension: Extension) -> str:
    match extension:
        case VendorExtension(critical=critical):
            return "critical-vendor-extension" if critical else "normal-vendor-extension"
        case Recognised(type=kind):
            return _RECOGNISED_NAMES.get(kind, "recognised")
        case Unusable(type=DRAFT_02.multiple_tunnel_request):
            return "multiple-tunnel-request"
        case _:
            return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(extension).__name__).lower()


def _extension_fields(extension: Extension) -> Fields:
    match extension:
        case MultipleTunnelRequest():
            return {
                "if_type": extension.access_technology,
                "binding_id": extension.binding_id,
                "bulk": extension.bulk,
                "overwrite": extension.overwrite,
                "bandwidth_kbytes": extension.bandwidth_kbytes,
            }
        case MobileNodeNai():
            return {"nai": extension.nai.decode("utf-8", "replace")}
        case _:
            names = [item.name for item in fields(extension) if item.name != "type"]
            return {name: _value(getattr(extension, name)) for name in names}


def _value(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
