# SPDX-License-Identifier: GPL-2.0-or-later
"""The two ends of a stream, as a program of its own that starts fast and needs nothing but Python.

``python -I -S stream_ends.py udp-send|udp-receive|tcp-send|tcp-receive ARGUMENT …``, see the
functions. Each end says ``ready`` on stdout, works until SIGTERM, then writes its log. It sleeps
or waits at every turn: a program that spins would stop the virtual clock.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import struct
import sys
import time
from array import array
from collections.abc import Callable

HEADER = struct.Struct("!QQ")
"""Number of the packet, and when it was sent, in nanoseconds of the monotonic clock."""
PAYLOAD = 32
"""Octets of a datagram."""
_BUFFER = 4 << 20


class _Ended(Exception):  # noqa: N818 - an order, not an error
    """SIGTERM came."""


def _end(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def udp_send(source: str, destination: str, port: str, interval: str, log: str) -> None:
    """A numbered datagram every ``interval`` nanoseconds; the log says how many."""
    period, number = int(interval), 0
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind((source, 0))
    target = (destination, int(port))
    fill = bytes(PAYLOAD - HEADER.size)
    unsent = 0
    ending: list[int] = []
    # Not by an exception: it could come between sending and counting.
    signal.signal(signal.SIGTERM, lambda sign, _: ending.append(sign))
    _ready()
    begun = time.monotonic_ns()
    while not ending:
        now = time.monotonic_ns()
        wait = begun + number * period - now
        if wait > 0:
            time.sleep(wait / 1e9)
            now = time.monotonic_ns()
        try:
            endpoint.sendto(HEADER.pack(number, now) + fill, target)
        except OSError:  # no way to send at the moment: lost like any other
            unsent += 1
        number += 1
    with open(log, "w") as file:
        json.dump({"sent": number, "unsent": unsent, "begun": begun, "ended": time.monotonic_ns()}, file)


def udp_receive(address: str, port: str, log: str) -> None:
    """Log (number, sent, arrived) of each datagram as three native 64-bit integers."""
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    endpoint.bind((address, int(port)))
    seen = array("q")
    _ready()
    try:
        while True:
            octets = endpoint.recv(PAYLOAD)
            seen.extend((*HEADER.unpack_from(octets), time.monotonic_ns()))
    except _Ended:
        with open(log, "wb") as file:
            seen.tofile(file)


def tcp_send(
    source: str, destination: str, port: str, count: str, interval: str, octets: str, log: str
) -> None:
    """``count`` connections, with a record of some octets on each every ``interval`` nanoseconds."""
    connections = []
    for _ in range(int(count)):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.bind((source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect((destination, int(port)))
        # At the end nothing lingers: what is under way then is thrown away.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.setblocking(False)
        connections.append(connection)
    period, record, turn = int(interval), bytes(int(octets)), 0
    begun = time.monotonic_ns()
    _ready()
    try:
        while True:
            wait = begun + turn * period - time.monotonic_ns()
            if wait > 0:
                time.sleep(wait / 1e9)
            turn += 1
            for connection in connections:
                try:
                    connection.send(record)
                except BlockingIOError:  # stalled: what waits in the socket shows when it goes on
                    continue
    except _Ended:
        with open(log, "w") as file:
            json.dump({"begun": begun, "ended": time.monotonic_ns()}, file)


def tcp_receive(address: str, port: str, log: str) -> None:
    """Log (connection, arrived, octets) of each read as three native 64-bit integers."""
    listener = socket.create_server((address, int(port)), backlog=64)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    seen = array("q")
    connections = 0
    _ready()
    try:
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    selector.register(connection, selectors.EVENT_READ, connections)
                    connections += 1
                    continue
                assert isinstance(key.fileobj, socket.socket)
                try:
                    octets = len(key.fileobj.recv(1 << 18))
                except ConnectionResetError:
                    octets = 0
                if octets:
                    seen.extend((key.data, time.monotonic_ns(), octets))
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    except _Ended:
        with open(log, "wb") as file:
            seen.tofile(file)


ROLES: dict[str, Callable[..., None]] = {
    "udp-send": udp_send,
    "udp-receive": udp_receive,
    "tcp-send": tcp_send,
    "tcp-receive": tcp_receive,
}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    ROLES[sys.argv[1]](*sys.argv[2:])
