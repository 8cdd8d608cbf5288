# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms in which extensions are written (RFC 5944 §1.9 to §1.11)."""

from __future__ import annotations

import struct

from agents.wire.errors import Malformed

_HEADER = struct.Struct("!BB")
_LONG_HEADER = struct.Struct("!BBH")


def pack(layout: struct.Struct, *values: int | bytes) -> bytes:
    """Pack fixed fields.

    :raises Malformed: ``field-out-of-range`` if a value does not fit its field.
    """
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise Malformed("field-out-of-range", str(error)) from None


def tlv(type: int, data: bytes) -> bytes:
    """A simple (RFC 5944 §1.9) or, with the Sub-Type first in ``data``, short extension (§1.11)."""
    if len(data) > 0xFF:
        raise Malformed("too-long", f"extension {type}: {len(data)} octets of data, 255 fit")
    return pack(_HEADER, type, len(data)) + data


def long_extension(type: int, sub_type: int, data: bytes) -> bytes:
    """An extension in the long format (RFC 5944 §1.10)."""
    if len(data) > 0xFFFF:
        raise Malformed("too-long", f"extension {type}: {len(data)} octets of data, 65535 fit")
    return pack(_LONG_HEADER, type, sub_type, len(data)) + data
