# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: what size of packets passes, and whether TCP gets by without being told."""

from __future__ import annotations

import socket
import threading
from ipaddress import IPv4Address

from tests.net.scenario_stage import Scene
from tests.net.scenario_traffic import ENDS

OCTETS = 300_000
"""Of a TCP transfer."""
_BLOCK = (
    "table ip block { chain through { type filter hook forward priority 0; icmp type 3 drop; }; "
    "chain own { type filter hook output priority 0; icmp type 3 drop; }; }"
)


def transfers_without_icmp(scene: Scene) -> dict[str, int]:
    """Octets that arrive of a TCP transfer each way while no router says that packets are too big."""
    code, said = scene.run("internet", "nft", _BLOCK)
    assert code == 0, said
    found = {"down": _transfer(scene, "cn", "mn"), "up": _transfer(scene, "mn", "cn")}
    scene.run("internet", "nft", "delete", "table", "ip", "block")
    return found


def _transfer(scene: Scene, sender: str, receiver: str) -> int:
    """Octets of a TCP transfer that arrive."""
    with (
        scene.socket(receiver, socket.SOCK_STREAM, ENDS[receiver], 7400) as listener,
        scene.socket(sender, socket.SOCK_STREAM, ENDS[sender]) as source,
    ):
        listener.listen()
        source.connect((str(ENDS[receiver]), 7400))
        sink, _ = listener.accept()
        sink.settimeout(20.0)

        def send() -> None:
            source.sendall(bytes(OCTETS))
            source.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        received = 0
        with sink:
            while chunk := sink.recv(65536):
                received += len(chunk)
        thread.join()
        return received


def ping(scene: Scene, node: str, target: IPv4Address, size: int) -> str:
    """What ``ping -M do`` says to a packet of so many octets, sent often enough to learn."""
    return scene.run(
        node, "ping", "-M", "do", "-c", "3", "-i", "0.3", "-W", "1", "-s", str(size - 28), str(target)
    )[1]
