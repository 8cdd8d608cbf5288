# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP checksums of control messages (RFC 5944 §3.1): checked, and zero accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.net.guests import python_in_guest
from topologies.lab.lab import Lab

pytestmark = pytest.mark.net

_PROGRAM = """
import select, socket, struct, subprocess
from agents.linux.sockets import ControlSocket

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
control = ControlSocket()
address = socket.inet_aton("127.0.0.1")
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
for word, wrong in (("good", 0), ("zero", None), ("bad", 1)):
    datagram = struct.pack("!HHHH", 40000, 434, 8 + len(word), 0) + word.encode()
    covered = address + address + struct.pack("!BBH", 0, 17, len(datagram)) + datagram
    covered += b"\\0" * (len(covered) % 2)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    checksum = 0 if wrong is None else (~total & 0xFFFF) ^ wrong
    raw.sendto(datagram[:6] + struct.pack("!H", checksum) + datagram[8:], ("127.0.0.1", 0))
while select.select([control], [], [], 1)[0]:
    received = control.receive()
    if received is not None:
        print(received.payload.decode(), flush=True)
"""  # fmt: skip


def test_a_wrong_checksum_is_dropped_and_none_is_accepted(lab: Lab, tmp_path: Path) -> None:
    ended = python_in_guest(lab, tmp_path, _PROGRAM)
    assert ended.stdout.split() == ["good", "zero"], ended.stderr
