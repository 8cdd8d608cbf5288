# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets made by hand, independently of what the agents are made of."""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
import time
from ipaddress import IPv4Address

from tests.net.scenario_stage import Scene

IP_IN_IP, UDP = 4, 17
MORE_FRAGMENTS = 0x2000
SECRET_PORT = 6666
"""Destination of all that must not arrive."""
_SINCE_1900 = 2_208_988_800
_REVERSE_TUNNEL, _SIMULTANEOUS = 0x02, 0x80


def _checksum(octets: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(
    source: IPv4Address | str,
    destination: IPv4Address | str,
    payload: bytes,
    protocol: int = IP_IN_IP,
    *,
    identification: int = 7,
    fragment: int = 0,
) -> bytes:
    """An IPv4 packet (RFC 791).

    :param fragment: flags and offset.
    """
    ends = IPv4Address(source).packed + IPv4Address(destination).packed
    total = 20 + len(payload)
    header = struct.pack("!BBHHHBBH", 0x45, 0, total, identification, fragment, 64, protocol, 0) + ends
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload


def secret(source: IPv4Address | str, destination: IPv4Address | str) -> bytes:
    """A UDP datagram that must not arrive, in its IP packet; without UDP checksum."""
    return ip(source, destination, struct.pack("!HHHH", 6665, SECRET_PORT, 14, 0) + b"secret", UDP)


def inject(scene: Scene, node: str, packet: bytes) -> None:
    """Send a packet from a node as it is, to where the node's routes lead."""
    with (
        scene.node(node).namespace.entered(),
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw,
    ):
        raw.sendto(packet, (str(IPv4Address(packet[16:20])), 0))


def request(
    home_address: IPv4Address, home_agent: IPv4Address, care_of_address: IPv4Address, number: int
) -> bytes:
    """A Registration Request with T and S, Lifetime 60 and an authenticator by an unknown key.

    :param number: makes the Identification differ from all others.
    """
    message = struct.pack("!BBH", 1, _REVERSE_TUNNEL | _SIMULTANEOUS, 60)
    message += home_address.packed + home_agent.packed + care_of_address.packed
    message += struct.pack("!II", int(time.time()) + _SINCE_1900, number)
    message += struct.pack("!BBI", 32, 20, 300)
    return message + hmac.digest(b"unknown", message, hashlib.md5)


def ask_foreign_agent(
    scene: Scene, agent: IPv4Address, messages: list[bytes], *, ttl: int = 255, wait: float = 1.0
) -> list[list[int]]:
    """Send requests from ``mn2`` by WiFi, from their home addresses; each reply's code and number."""
    node = scene.node("mn2")
    sockets = []
    for message in messages:
        home_address = IPv4Address(message[4:8])
        scene.run("mn2", "ip", "address", "replace", f"{home_address}/32", "dev", "lo")
        scene.run("mn2", "ip", "route", "replace", f"{agent}/32", "dev", "wifi")
        with node.namespace.entered():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        made.bind((str(home_address), 0))
        made.sendto(message, (str(agent), 434))
        sockets.append(made)
    found = []
    deadline = time.monotonic() + wait
    for made in sockets:
        made.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            reply = made.recv(1000)
            found.append([reply[1], int.from_bytes(reply[16:20], "big")])
        except TimeoutError:
            pass
        made.close()
    return found
