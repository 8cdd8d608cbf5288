# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: what happens to traffic on Figure 3 (see ``test_figure3_*.py``)."""

from __future__ import annotations

import socket
import sys
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from agents.settings import Policy
from tests.net.figure3_stage import Stage, eventually, perform
from topologies.figure import CORRESPONDENT, HOME_ADDRESS

_PACE = 0.05
"""Seconds of network time between large datagrams: the smallest queue must never overflow."""
LARGE, FRAGMENTED, MANY = 150_000, 4_000, 2_000
_SINK, _SERVER = 7000, 8000
ENDS: dict[str, IPv4Address] = {"cn": CORRESPONDENT.ip, "mn": HOME_ADDRESS}


def _transfer(stage: Stage, opener: str, port: int) -> dict[str, list[int]]:
    """One TCP flow, opened by ``opener``, of LARGE octets from ``cn`` to ``mn``.

    Packets received and sent by the mobile node on each access link meanwhile.
    """
    listener = "mn" if opener == "cn" else "cn"
    counters = stage.node("mn").namespace.counters
    before = counters()
    with (
        stage.socket(listener, socket.SOCK_STREAM, ENDS[listener], port) as server,
        stage.socket(opener, socket.SOCK_STREAM, ENDS[opener]) as client,
    ):
        server.listen()
        client.connect((str(ENDS[listener]), port))
        accepted, _ = server.accept()
        sender, receiver = (client, accepted) if opener == "cn" else (accepted, client)
        sending = threading.Thread(target=sender.sendall, args=(bytes(LARGE),))
        sending.start()
        received = 0
        while received < LARGE:
            received += len(receiver.recv(65536))
        sending.join()
        accepted.close()
    after = counters()
    return {
        link: [
            after[link].received_packets - before[link].received_packets,
            after[link].sent_packets - before[link].sent_packets,
        ]
        for link in stage.links
    }


def mirror(stage: Stage) -> dict[str, list[dict[str, list[int]]]]:
    """Downloads one after another, half of them opened by the mobile node; SYNs are captured."""
    stage.select(Policy.PER_FLOW)
    with stage.captures("mirror", "ip proto 4"):
        return {
            opener: [_transfer(stage, opener, _SERVER + number) for number in range(4)]
            for opener in ("cn", "mn")
        }


def too_big(stage: Stage) -> tuple[int, str]:
    """A packet of 1500 octets that must not be fragmented."""
    return stage.run("cn", "ping", "-c", "1", "-M", "do", "-s", "1472", str(HOME_ADDRESS))


class _Flows:
    """UDP flows from the correspondent to the home address."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._sockets: list[socket.socket] = []
        self._sink = stage.socket("mn", socket.SOCK_DGRAM, HOME_ADDRESS, _SINK)

    def open(self, count: int) -> None:
        """Add flows."""
        first = 20_000 + len(self._sockets)
        self._sockets += [
            self._stage.socket("cn", socket.SOCK_DGRAM, CORRESPONDENT.ip, first + number)
            for number in range(count)
        ]

    def marks(self) -> dict[str, int]:
        """Send a datagram on each flow, await them all; each flow's tunnel by source port."""
        for sender in self._sockets:
            sender.sendto(b"datagram", (str(HOME_ADDRESS), _SINK))
        for _ in self._sockets:
            self._sink.recv(100)
        return self._stage.flow_marks("ha")


def tunnels_come_and_go(stage: Stage) -> dict[str, Any]:
    """LTE's tunnel comes while flows stand; then WiFi's goes, and comes back."""
    mobile_node = stage.node("mn").namespace
    stage.select(Policy.PER_FLOW)
    mobile_node.set_up("lte", False)
    eventually("binding 4 gone", lambda: stage.bindings() == [1, 2, 3])
    eventually("its tunnel deleted", lambda: len(stage.ask("ha", "status")["devices"]) == 3)
    flows = _Flows(stage)
    flows.open(6)
    report: dict[str, Any] = {"before": flows.marks()}
    mobile_node.set_up("lte", True)
    stage.until_registered()
    report["numbers"] = {link: row["number"] for link, row in stage.tunnels("ha").items()}
    report["after_lte_came"] = flows.marks()
    flows.open(8)
    report["with_new_flows"] = flows.marks()
    mobile_node.set_up("wifi", False)
    report["seconds_until_wifi_deregistered"] = eventually(
        "binding 1 gone", lambda: stage.bindings() == [2, 3, 4]
    )
    report["after_wifi_went"] = flows.marks()
    mobile_node.set_up("wifi", True)
    report["seconds_until_wifi_is_back"] = eventually("binding 1", lambda: stage.bindings() == [1, 2, 3, 4])
    stage.until_registered()
    report["after_wifi_is_back"] = flows.marks()
    return report


def per_packet(stage: Stage) -> dict[str, Any]:
    """Many small packets of one flow, each way; packets each tunnel sent."""
    stage.select(Policy.PER_PACKET)
    report = {}
    for sender, receiver, node in (("cn", "mn", "ha"), ("mn", "cn", "mn")):
        before = stage.tunnels(node)
        with stage.socket(sender, socket.SOCK_DGRAM, ENDS[sender]) as flow:
            for _ in range(MANY):
                flow.sendto(b"datagram", (str(ENDS[receiver]), _SINK + 1))
        after = stage.tunnels(node)
        report[node] = {
            link: row["sent_packets"] - before[link]["sent_packets"] for link, row in after.items()
        }
    return report


def fragments(stage: Stage) -> dict[str, Any]:
    """Datagrams and pings of several fragments, each way under each policy: how many arrived whole."""
    report: dict[str, Any] = {}
    for policy in Policy:
        stage.select(policy)
        for sender, receiver in (("cn", "mn"), ("mn", "cn")):
            port = _SINK + 2
            with (
                stage.socket(sender, socket.SOCK_DGRAM, ENDS[sender]) as flow,
                stage.socket(receiver, socket.SOCK_DGRAM, ENDS[receiver], port) as sink,
            ):
                sent = {number.to_bytes(2, "big") * (FRAGMENTED // 2) for number in range(20)}
                for datagram in sorted(sent):
                    flow.sendto(datagram, (str(ENDS[receiver]), port))
                    time.sleep(_PACE)
                sink.settimeout(3.0)
                arrived: set[bytes] = set()
                try:
                    while len(arrived) < len(sent):
                        arrived.add(sink.recv(65536))
                except TimeoutError:
                    pass
            source, target = str(ENDS[sender]), str(ENDS[receiver])
            ping = stage.run(
                sender, "ping", "-q", "-c", "3", "-i", "0.2", "-s", str(FRAGMENTED), "-I", source, target
            )
            report[f"{policy.value} from {sender}"] = {"whole": len(arrived & sent), "ping": ping}
    return report


def _try_to_send(stage: Stage, rounds: int) -> None:
    """Traffic of the home address that must not leave bare, to a far and to an on-link address."""
    sockets = [stage.socket("mn", socket.SOCK_DGRAM, HOME_ADDRESS) for _ in range(8)]
    near = IPv4Address("192.0.2.1")  # the router on WiFi
    for _ in range(rounds):
        for flow in sockets:
            for target in (CORRESPONDENT.ip, near):
                try:
                    flow.sendto(b"may not leave bare", (str(target), 9))
                except OSError as error:
                    # Unreachable is the right answer once the tunnel is gone.
                    if error.errno not in (101, 113):
                        raise
    for flow in sockets:
        flow.close()


def _answers(stage: Stage) -> None:
    ping = ("ping", "-c", "1", "-W", "1", str(HOME_ADDRESS))
    eventually("an answer of the home address", lambda: stage.run("cn", *ping)[0] == 0)


def _register_afresh(stage: Stage) -> None:
    stage.ask("mn", "deregister", binding_id=None)
    eventually("all bindings gone", lambda: stage.bindings() == [])
    stage.ask("mn", "reregister", bulk=False)
    stage.until_registered()
    _answers(stage)


def devices_deleted(stage: Stage) -> None:
    """By hand, one tunnel device of the mobile node and then all, under each policy."""
    for policy in Policy:
        stage.select(policy)
        before = [row["device"] for row in stage.tunnels("mn").values()]
        with stage.captures(f"bare-{policy.value}", "ip"):
            _try_to_send(stage, 1)
            stage.run("mn", "ip", "link", "delete", before[0])
            _try_to_send(stage, 2)
            for device in before[1:]:
                stage.run("mn", "ip", "link", "delete", device)
            _try_to_send(stage, 2)
        stage.end("mn")
        stage.begin("mn")


def agent_survives_deleted_devices(stage: Stage) -> None:
    """An agent all of whose devices were deleted by hand must answer and be able to register anew."""
    for row in stage.tunnels("mn").values():
        stage.run("mn", "ip", "link", "delete", row["device"])
    try:
        stage.ask("mn", "status")
        _register_afresh(stage)
    finally:
        stage.end("mn")
        stage.begin("mn")


def interfaces_followed_without_a_device(stage: Stage) -> None:
    """One device deleted by hand must not keep the agent from following another interface."""
    stage.select(Policy.PER_FLOW)
    stage.run("mn", "ip", "link", "delete", stage.tunnels("mn")["wimax"]["device"])
    stage.node("mn").namespace.set_up("evdo", False)
    eventually("binding 2 gone", lambda: stage.bindings() == [1, 3, 4])
    stage.node("mn").namespace.set_up("evdo", True)
    eventually("binding 2 back", lambda: stage.bindings() == [1, 2, 3, 4])
    _register_afresh(stage)


def main(folder: Path) -> None:
    """The scene."""
    stage = Stage(folder)
    stage.start()
    perform(
        stage,
        (
            mirror,
            too_big,
            tunnels_come_and_go,
            per_packet,
            fragments,
            devices_deleted,
            agent_survives_deleted_devices,
            interfaces_followed_without_a_device,
        ),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
