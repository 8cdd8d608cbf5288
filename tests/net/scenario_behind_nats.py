# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: two mobile nodes behind NATs that cannot tell, or must tell, one from the other.

Figure 6 and a second mobile node with two interfaces: one behind the figure's NAT too, one behind a NAT of
its own (``nat2``) whose private network has the very addresses of the first node's LTE network. As long
as ``nat2`` translates nothing, that interface is not behind a NAT at all.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections import Counter
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from ipmininet.router.config.base import NodeConfig

from agents.settings import Weights
from tests.net.scenario_stage import Scene, act, eventually
from tests.net.scenario_topologies import SECOND_HOME_ADDRESS, SECOND_KEY, expect_second_mobile_node
from topologies.figure import CORRESPONDENT, FORWARD, HOME_ADDRESS, HOME_AGENT
from topologies.figure6 import Figure6
from topologies.mobile_ip import LIFETIME, MobileNodeDaemon

_INTERNET_TO_SECOND_NAT = IPv4Interface("203.0.113.65/28")
SECOND_PUBLIC = IPv4Interface("203.0.113.66/28")
_NAT_TO_SECOND = IPv4Interface("192.168.9.1/28")
_BEHIND_THE_FIRST = IPv4Interface("192.168.9.2/28")
_FLOWS = 40
_PORT = 7600


class BehindNats(Figure6):
    """Figure 6 with ``nat2`` and ``mn2``."""

    def build(self, *args: object, **kwargs: object) -> None:
        """The second node's links before the overlays."""
        lte = next(network for network in self._networks if network.link.name == "lte")
        self.addRouter("nat2", sysctls=FORWARD, routes=[("default", str(_INTERNET_TO_SECOND_NAT.ip))])
        self.addRouter("mn2")
        super().build(*args, **kwargs)
        self.connect("internet", _INTERNET_TO_SECOND_NAT, "nat2", SECOND_PUBLIC)
        self.connect("nat", _NAT_TO_SECOND, "mn2", _BEHIND_THE_FIRST)
        self.connect("nat2", lte.router, "mn2", lte.mobile_node)
        settings = {
            "home_address": str(SECOND_HOME_ADDRESS),
            "home_agent": str(HOME_AGENT.ip),
            "home_prefix_length": HOME_AGENT.network.prefixlen,
            "lifetime": LIFETIME,
            "security_association": [{"spi": 257, "key": SECOND_KEY}],
            "interface": [
                _interface("nat", 1, _BEHIND_THE_FIRST, _NAT_TO_SECOND),
                _interface("nat2", 2, lte.mobile_node, lte.router),
            ],
        }
        self.addDaemon("mn2", MobileNodeDaemon, default_cfg_class=NodeConfig, settings=settings)


def _interface(
    name: str, binding_id: int, care_of_address: IPv4Interface, gateway: IPv4Interface
) -> dict[str, Any]:
    return {
        "name": name,
        "binding_id": binding_id,
        "care_of": "co-located",
        "care_of_address": str(care_of_address.ip),
        "gateway": str(gateway.ip),
        "encapsulation": "udp",
    }


def _second(scene: Scene) -> dict[int, dict[str, Any]]:
    """The bindings of ``mn2`` as the home agent has them, by binding identifier."""
    rows = scene.ask("ha", "status")["bindings"]
    return {row["binding_id"]: row for row in rows if row["home_address"] == str(SECOND_HOME_ADDRESS)}


def _exchanged(scene: Scene) -> dict[str, Any]:
    """Flows from the correspondent to each home address and back: what came where."""
    addresses = {"mn": HOME_ADDRESS, "mn2": SECOND_HOME_ADDRESS}
    sinks = {node: scene.socket(node, socket.SOCK_DGRAM, at, _PORT) for node, at in addresses.items()}
    sources = [scene.socket("cn", socket.SOCK_DGRAM, CORRESPONDENT.ip) for _ in range(2 * _FLOWS)]
    report: dict[str, Any] = {}
    for index, (node, address) in enumerate(addresses.items()):
        mine = sources[index * _FLOWS : (index + 1) * _FLOWS]
        for source in mine:
            source.sendto(node.encode(), (str(address), _PORT))
        heard: Counter[str] = Counter()
        for _ in mine:
            said, origin = sinks[node].recvfrom(100)
            heard[said.decode()] += 1
            sinks[node].sendto(said, origin)
        answers = Counter(source.recv(100).decode() for source in mine)
        report[node] = {"heard": dict(heard), "answers": dict(answers)}
    report["unasked"] = sum(map(_waiting, [*sinks.values(), *sources]))
    for each in (*sinks.values(), *sources):
        each.close()
    return report


def _waiting(sink: socket.socket) -> int:
    """Whether more has come than was asked for."""
    sink.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        return len(sink.recv(100))
    return 0


def _sent(scene: Scene) -> dict[str, int]:
    """Packets the home agent has sent by each tunnel, by whose it is."""
    return {row["alias"]: row["sent_packets"] for row in scene.ask("ha", "status")["devices"]}


def _seen(scene: Scene) -> dict[str, Any]:
    scene.until_registered()
    bindings = scene.ask("ha", "status")["bindings"]
    before = _sent(scene)
    exchanged = _exchanged(scene)
    return {
        "bindings": [
            [row[key] for key in ("home_address", "binding_id", "care_of_address", "encapsulation")]
            + [row["end_point"], row["end_point_port"]]
            for row in bindings
        ],
        "exchanged": exchanged,
        "sent": {name: count - before[name] for name, count in _sent(scene).items()},
    }


def _registered_anew(scene: Scene, what: str, remote: str) -> None:
    scene.ask("mn2", "reregister", bulk=False)

    def there() -> bool:
        row = _second(scene).get(2)
        return row is not None and row["end_point"] == remote

    eventually(what, there)


def direct(scene: Scene) -> dict[str, Any]:
    """``nat2`` only routes, also to addresses that the first NAT's private network has."""
    eventually("both bindings of mn2", lambda: len(_second(scene)) == 2)
    return _seen(scene)


def behind_its_own_nat(scene: Scene) -> dict[str, Any]:
    """It begins to translate."""
    scene.node("nat2").namespace.masquerade("internet")
    scene.run("nat2", "conntrack", "-F")
    _registered_anew(scene, "mn2 behind nat2", str(SECOND_PUBLIC.ip))
    return _seen(scene)


def direct_again(scene: Scene) -> dict[str, Any]:
    """It stops."""
    scene.run("nat2", "nft", "delete table ip nat")
    scene.run("nat2", "conntrack", "-F")
    _registered_anew(scene, "mn2 direct", scene.ask("mn2", "status")["bindings"][1]["care_of_address"])
    return _seen(scene)


STEPS = (direct, behind_its_own_nat, direct_again)


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    scene = Scene(folder, BehindNats(weights=Weights.EQUAL))
    expect_second_mobile_node(scene)
    lte = next(network for network in scene.topology._networks if network.link.name == "lte")
    scene.node("internet").namespace.add_route(str(lte.router.network), str(SECOND_PUBLIC.ip))
    act(scene, STEPS, chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
