# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: headers on the wire, of signalling and of tunnelled packets (RFC 2003, RFC 6040)."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from tests.net.scenario_stage import Scene, eventually
from tests.net.scenario_traffic import ENDS

OCTETS = (0x00, 0x01, 0x02, 0x03, 0xB8, 0x2A)
"""TOS octets: every ECN field, expedited forwarding, and AF11 with ECT(0)."""
_PORT = 7300
_MARK = "table ip test-marks {{ chain marks {{ type filter hook forward priority mangle; {}; }}; }}"


def signalling(scene: Scene) -> dict[str, Any]:
    """Everything is given up and registered anew; captures ``hop-LINK`` and ``hop-internet``."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(scene.captures("hop", "udp port 434"))
        stack.enter_context(scene.capture("hop-internet", "internet", "fa", "udp port 434"))
        scene.register_afresh()
        scene.ask("mn", "reregister", bulk=False)
        time.sleep(3.0)
        scene.until_registered()
    return {"bindings": scene.bindings()}


def outer_headers(scene: Scene) -> dict[str, Any]:
    """A datagram of each TOS octet each way, of three TTLs; capture ``outer`` between internet and ``fa``."""
    sent = {}
    with scene.capture("outer", "internet", "fa", "ip proto 4"):
        for name, sender, receiver in (("down", "cn", "mn"), ("up", "mn", "cn")):
            with (
                scene.socket(sender, socket.SOCK_DGRAM, ENDS[sender]) as flow,
                scene.socket(receiver, socket.SOCK_DGRAM, ENDS[receiver], _PORT) as sink,
            ):
                for octet in OCTETS:
                    for ttl in (64, 40, 255):
                        flow.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, octet)
                        flow.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
                        flow.sendto(bytes([octet, ttl]), (str(ENDS[receiver]), _PORT))
                        assert sink.recv(10) == bytes([octet, ttl])
            sent[name] = len(OCTETS) * 3
    return sent


def _arriving(scene: Scene, sender: str, receiver: str) -> dict[str, int | None]:
    """The TOS octet with which a datagram of each octet arrives; None: it does not."""
    found: dict[str, int | None] = {}
    with (
        scene.socket(sender, socket.SOCK_DGRAM, ENDS[sender]) as flow,
        scene.socket(receiver, socket.SOCK_DGRAM, ENDS[receiver], _PORT) as sink,
    ):
        sink.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        sink.settimeout(1.0)
        for octet in OCTETS:
            flow.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, octet)
            flow.sendto(b"datagram", (str(ENDS[receiver]), _PORT))
            try:
                _, ancillary, _, _ = sink.recvmsg(100, 100)
                found[f"{octet:#04x}"] = ancillary[0][2][0]
            except TimeoutError:
                found[f"{octet:#04x}"] = None
    return found


def congestion_marks(scene: Scene) -> dict[str, Any]:
    """The internet marks outer headers: what the inner ones say afterwards (RFC 6040 §4.2)."""
    report: dict[str, Any] = {}
    for mark in ("ce", "ect0"):
        rule = f"ip protocol 4 ip ecn set {mark}"
        code, said = scene.run("internet", "nft", _MARK.format(rule))
        assert code == 0, said
        report[mark] = {
            "down": _arriving(scene, "cn", "mn"),
            "up": _arriving(scene, "mn", "cn"),
        }
        scene.run("internet", "nft", "delete", "table", "ip", "test-marks")
    report["unmarked"] = {"down": _arriving(scene, "cn", "mn"), "up": _arriving(scene, "mn", "cn")}
    eventually("the tunnels still stand", lambda: scene.bindings() == scene.binding_ids)
    return report
