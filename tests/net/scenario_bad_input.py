# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: packets and requests that no agent may believe."""

from __future__ import annotations

import contextlib
import time
from ipaddress import IPv4Address
from typing import Any, NamedTuple

from tests.net.scenario_packets import MORE_FRAGMENTS, ask_foreign_agent, inject, ip, request, secret
from tests.net.scenario_stage import Scene, eventually
from tests.net.scenario_topologies import SECOND_FOREIGN_AGENT, plug
from topologies.figure import CORRESPONDENT, FOREIGN_AGENT, HOME_ADDRESS, HOME_AGENT

STRANGER = IPv4Address("198.51.100.99")
BLACK_HOLE = IPv4Address("203.0.113.200")
_CN, _HA, _FA = CORRESPONDENT.ip, HOME_AGENT.ip, FOREIGN_AGENT.ip


class Case(NamedTuple):
    """Where a tunnel ends, and what may and may not come out of it there."""

    node: str
    remote: IPv4Address
    local: IPv4Address
    right: tuple[IPv4Address, IPv4Address]
    wrong: tuple[IPv4Address, IPv4Address]


def at_foreign_agent() -> Case:
    """From the home agent."""
    return Case("fa", _HA, _FA, (_CN, HOME_ADDRESS), (_CN, STRANGER))


def at_home_agent(care_of_address: IPv4Address = _FA) -> Case:
    """From a care-of address."""
    return Case("ha", care_of_address, _HA, (HOME_ADDRESS, _CN), (STRANGER, _CN))


def at_mobile_node(care_of_address: IPv4Address) -> Case:
    """From the home agent to a co-located care-of address."""
    return Case("mn", _HA, care_of_address, (_CN, HOME_ADDRESS), (_CN, STRANGER))


def _packets(case: Case) -> dict[str, list[bytes]]:
    remote, local = case.remote, case.local
    right, wrong = secret(*case.right), secret(*case.wrong)
    return {
        "unknown outer source": [ip(_CN, local, right)],
        "wrong inner address": [ip(remote, local, wrong)],
        "nested": [ip(remote, local, ip(remote, local, right))],
        "nested from afar": [ip(remote, local, ip(_CN, local, right))],
        "inner header cut": [ip(remote, local, right[:12])],
        "inner packet cut": [ip(remote, local, right[:-4])],
        "no inner packet": [ip(remote, local, b"")],
        "only the first fragment": [
            ip(remote, local, right[:24], identification=10, fragment=MORE_FRAGMENTS)
        ],
        "fragments from afar": [
            ip(_CN, local, right[:24], identification=8, fragment=MORE_FRAGMENTS),
            ip(_CN, local, right[24:], identification=8, fragment=3),
        ],
        "fragments, wrong inner address": [
            ip(remote, local, wrong[:24], identification=9, fragment=MORE_FRAGMENTS),
            ip(remote, local, wrong[24:], identification=9, fragment=3),
        ],
    }


def bad_data(scene: Scene, case: Case) -> dict[str, Any]:
    """Each packet alone: what was dropped where, and whether anything changed; captures ``bad-NODE-*``."""
    before = scene.still(case.node)
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(scene.captures(f"bad-{case.node}", "ip"))
        stack.enter_context(scene.capture(f"bad-{case.node}-cn", "cn", "internet", "ip"))
        for name, packets in _packets(case).items():
            drops, kernel = scene.drops(case.node), _kernel_drops(scene, case.node)
            for packet in packets:
                inject(scene, "internet", packet)
            time.sleep(0.3)
            drops_after, kernel_after = scene.drops(case.node), _kernel_drops(scene, case.node)
            found[name] = {"agent": _more(drops, drops_after), "kernel": _more(kernel, kernel_after)}
        # The same packet, well formed: the captures would see a secret that comes through.
        inject(scene, "internet", ip(case.remote, case.local, secret(*case.right)))
        time.sleep(0.3)
    after = scene.still(case.node)
    unchanged = {kind: before[kind] == after[kind] for kind in ("kernel", "agent")}
    return {"cases": found, "unchanged": unchanged}


def _more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {key: count - before[key] for key, count in after.items() if count != before[key]}


def _kernel_drops(scene: Scene, node: str) -> dict[str, int]:
    code, said = scene.run(node, "nstat", "-asz")
    assert code == 0, said
    names = ("IpInHdrErrors", "IpExtInTruncatedPkts", "IpInDiscards", "IpReasmFails", "IpInUnknownProtos")
    rows = (line.split() for line in said.splitlines())
    return {row[0]: int(row[1]) for row in rows if row[:1] and row[0] in names}


def bad_requests(scene: Scene) -> dict[str, Any]:
    """From the place of ``mn2``, whose own agent does not run: each must get its code."""
    scene.end("mn2")
    plug(scene, "mn2", "wifi")
    scene.run("internet", "ip", "route", "add", "blackhole", f"{BLACK_HOLE}/32")
    before = scene.still("fa")
    agent = next(network.router.ip for network in scene.topology._networks if network.link.name == "wifi")
    report: dict[str, Any] = {}

    def one(home_address: IPv4Address, care_of_address: IPv4Address, ttl: int) -> list[list[int]]:
        message = request(home_address, _HA, care_of_address, 1)
        replies = ask_foreign_agent(scene, agent, [message], ttl=ttl)
        time.sleep(1.0)
        return replies

    report["ttl 254"] = one(STRANGER, _FA, 254)
    report["ttl 1"] = one(STRANGER + 1, _FA, 1)
    report["care-of address of another agent"] = one(STRANGER + 2, SECOND_FOREIGN_AGENT.ip, 255)
    report["care-of address of another agent for mn"] = one(HOME_ADDRESS, SECOND_FOREIGN_AGENT.ip, 255)
    report["neighbours"] = scene.neighbours("fa")
    flood = [request(STRANGER + 10 + n, BLACK_HOLE, _FA, 100 + n) for n in range(9)]
    report["flood"] = ask_foreign_agent(scene, agent, flood)
    report["pending"] = len(scene.ask("fa", "status")["pending"])
    report["seconds_until_over"] = eventually(
        "nothing pending", lambda: not scene.ask("fa", "status")["pending"]
    )
    report["codes"] = scene.ask("fa", "status")["replies"]
    report["own registration meanwhile"] = scene.bindings()
    scene.run("internet", "ip", "route", "del", "blackhole", f"{BLACK_HOLE}/32")
    for address in (HOME_ADDRESS, *(STRANGER + n for n in range(3)), *(STRANGER + 10 + n for n in range(9))):
        scene.run("mn2", "ip", "address", "del", f"{address}/32", "dev", "lo")
    scene.run("mn2", "ip", "route", "del", f"{agent}/32", "dev", "wifi")
    after = scene.still("fa")
    report["unchanged"] = {kind: before[kind] == after[kind] for kind in ("kernel", "agent")}
    report["neighbours_left"] = scene.run("fa", "ip", "neighbour", "show", "nud", "permanent")[1]
    plug(scene, "mn2", "wifi", plugged=False)
    scene.launch("mn2")
    return report
