# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet sockets that see only what a classic BPF program lets through."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

ETHERTYPE_IP = 0x0800
_SO_ATTACH_FILTER = 26

Step = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""

LOAD_OCTET, LOAD_HALF = 0x30, 0x28
"""At an absolute offset, from the IP header on."""
LOAD_OCTET_BEHIND, LOAD_HALF_BEHIND = 0x50, 0x48
"""At an offset from the end of the IP header, after :data:`HEADER_LENGTH`."""
HEADER_LENGTH: Step = (0xB1, 0, 0, 0)
EQUAL, ANY_BIT, RETURN = 0x15, 0x45, 0x06
ACCEPT, DROP = 0xFFFF, 0


def open_filtered(interface: str, program: Sequence[Step]) -> socket.socket:
    """A non-blocking socket that receives IPv4 packets of one interface, from the IP header on.

    :raises OSError: if the interface does not exist or the right is missing.
    """
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
        description = struct.pack("HL", len(program), ctypes.addressof(code))
        opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, description)
        opened.bind((interface, ETHERTYPE_IP))
    except OSError:
        opened.close()
        raise
    return opened


def link_address(octets: bytes) -> str:
    """A link-layer address as ``aa:bb:…``."""
    return ":".join(f"{octet:02x}" for octet in octets)
