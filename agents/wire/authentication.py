# SPDX-License-Identifier: GPL-2.0-or-later
"""Authenticators of the extensions 32, 33 and 34 (RFC 5944 §3.5.1, §5.1).

Protected are, in this order, the UDP payload up to the extension and the extension's own Type,
Length and SPI.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import StrEnum

from agents.wire.extensions import Authentication, AuthenticationType
from agents.wire.framing import pack

_HEADER = struct.Struct("!BBI")


class Algorithm(StrEnum):
    """How an authenticator is computed; part of the mobility security association."""

    HMAC_MD5 = "hmac-md5"
    """The default: RFC 2104, 16 octets."""
    HMAC_SHA256 = "hmac-sha256"
    """RFC 2104 with SHA-256, all 32 octets."""
    KEYED_MD5 = "keyed-md5"
    """MD5 with the key before and after the data, 16 octets; only for old peers (RFC 5944 §5.1)."""


_OCTETS = {Algorithm.HMAC_MD5: 16, Algorithm.HMAC_SHA256: 32, Algorithm.KEYED_MD5: 16}


def compute(algorithm: Algorithm, key: bytes, data: bytes) -> bytes:
    """The authenticator of ``data``."""
    if algorithm == Algorithm.KEYED_MD5:
        return hashlib.md5(key + data + key, usedforsecurity=False).digest()
    return hmac.digest(key, data, "md5" if algorithm == Algorithm.HMAC_MD5 else "sha256")


def append(message: bytes, type: AuthenticationType, spi: int, algorithm: Algorithm, key: bytes) -> bytes:
    """The message followed by an authentication extension that protects all of it.

    :raises Malformed: if ``spi`` has more than 32 bits.
    """
    protected = message + pack(_HEADER, type, 4 + _OCTETS[algorithm], spi)
    return protected + compute(algorithm, key, protected)


def verify(payload: bytes, extension: Authentication, algorithm: Algorithm, key: bytes) -> bool:
    """Whether an extension decoded from ``payload`` is genuine, in time independent of the answer."""
    expected = compute(algorithm, key, payload[: extension.covered])
    return hmac.compare_digest(expected, extension.authenticator)
