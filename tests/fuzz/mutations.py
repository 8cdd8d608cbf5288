# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that are wrong in many ways, made of good ones.

A message is mutated as a *body*, before it is signed, so that most of what comes out passes the
authentication and reaches the checks behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address
from random import Random

EXTENSIONS = tuple(
    bytes.fromhex(octets)
    for octets in (
        "7f0a0004000100000000186a",  # Multiple Tunnel Request, BID 1
        "7f0a00080002000000001388",
        "7f0a00050003800000000000",  # B
        "7f0a000a00044000000001f4",  # O
        "7f08000a000100000ff0",
        "7f06000400020000",
        "9006000000000000",  # UDP Tunnel Request
        "9006000080000000",  # F
        "9006000040040000",  # R
        "2c06000000000050",  # UDP Tunnel Reply
        "2c06004000000000",
        "2d02004e",  # FA Error
        "30000004000000ff",  # GRE key
        "3000000400000000",
        "8200",
        "83056e6f6465",  # NAI, its Length one too many
        "8403010203",
        "890680005f000000",
        "9104016f6b21",
        "940600180a050000",  # Mobile Network Request
        "8600000000090001ff",
        "260000060000000900 01",
        "9a01000404010100",
        "8b010004c0000201",
        "2401001400000100" + "00" * 16,
        "2114000002bc" + "00" * 16,
        "2214000002bc" + "00" * 16,
        "c803010203",
        "00",
        "3300",
    )
)
_LIFETIMES = (0, 0, 1, 59, 60, 300, 600, 601, 0xFFFE, 0xFFFF)
_LONG_TYPES = frozenset({36, 38, 48, 139, 154})


def split(body: bytes, fixed_part: int) -> list[bytes]:
    """The extensions of a well-formed body; what cannot be split stays in one piece."""
    parts, offset = [], fixed_part
    while offset < len(body):
        size = 1
        if body[offset]:
            header = 4 if body[offset] in _LONG_TYPES else 2
            if offset + header > len(body):
                size = len(body) - offset
            else:
                size = header + int.from_bytes(body[offset + header // 2 : offset + header], "big")
        parts.append(body[offset : offset + size])
        offset += size
    return parts


def _flip(body: bytes, random: Random) -> bytes:
    octets = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 8))):
        if octets:
            octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    return bytes(octets)


def _overwrite(body: bytes, random: Random) -> bytes:
    start = random.randrange(len(body) + 1)
    new = random.choice((b"\0", b"\xff", b"\x80", b"\x7f", random.randbytes(4)))
    return body[:start] + new + body[start + len(new) :]


def _truncate(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _insert(body: bytes, random: Random) -> bytes:
    start = random.randrange(len(body) + 1)
    return body[:start] + random.randbytes(random.randrange(1, 9)) + body[start:]


def _lie(parts: list[bytes], random: Random) -> None:
    """Another Length than there are octets."""
    place = random.randrange(len(parts))
    part = bytearray(parts[place])
    if len(part) > 1:
        where = 3 if part[0] in _LONG_TYPES and len(part) > 3 else 1
        part[where] = random.choice(
            (0, 1, part[where] - 1 & 255, part[where] + 1 & 255, 255, random.randrange(256))
        )
    parts[place] = bytes(part)


def _duplicate(parts: list[bytes], random: Random) -> None:
    parts.insert(random.randrange(len(parts) + 1), random.choice(parts))


def _remove(parts: list[bytes], random: Random) -> None:
    del parts[random.randrange(len(parts))]


def _shuffle(parts: list[bytes], random: Random) -> None:
    random.shuffle(parts)


_OF_OCTETS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip,
    _flip,
    _flip,
    _overwrite,
    _truncate,
    _insert,
)
_OF_PARTS: tuple[Callable[[list[bytes], Random], None], ...] = (_lie, _duplicate, _remove, _shuffle)


def _fields(body: bytes, random: Random, addresses: tuple[IPv4Address, ...]) -> bytes:
    """Other values in the fixed part: flags or code, lifetime, addresses."""
    octets = bytearray(body)
    if len(octets) < 20:
        return body
    match random.randrange(4):
        case 0:
            octets[1] = random.randrange(256)
        case 1:
            struct.pack_into("!H", octets, 2, random.choice(_LIFETIMES))
        case 2:
            octets[8:12] = random.choice(addresses).packed
        case _:
            octets[12:16] = random.choice(addresses).packed
    return bytes(octets)


def mutate(body: bytes, fixed_part: int, random: Random, addresses: tuple[IPv4Address, ...]) -> bytes:
    """One to four changes: of fields, of whole extensions (also of other messages), of octets."""
    for _ in range(random.choice((1, 1, 2, 4))):
        choice = random.random()
        if choice < 0.3:
            body = _fields(body, random, addresses)
            continue
        if choice < 0.45:
            body = random.choice(_OF_OCTETS)(body, random)
            continue
        parts = split(body, fixed_part)
        if choice < 0.7 or not parts:
            parts.insert(random.randrange(len(parts) + 1), random.choice(EXTENSIONS))  # a splice
        else:
            random.choice(_OF_PARTS)(parts, random)
        body = body[:fixed_part] + b"".join(parts)
    return body
