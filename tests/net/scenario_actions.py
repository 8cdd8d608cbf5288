# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: scenarios that every figure can go through. Each leaves all bindings registered."""

from __future__ import annotations

import time
from typing import Any

from agents.settings import Policy
from tests.net.scenario_stage import Scene, eventually
from tests.net.scenario_traffic import carried, traffic
from topologies.figure import CORRESPONDENT, HOME_ADDRESS
from topologies.mobile_ip import LIFETIME

EXPIRY_LIMIT = 1.2 * LIFETIME
_HOLD_DOWN_LIMIT = 120.0


def picture(scene: Scene) -> dict[str, Any]:
    """What each kernel has, from the home agent to the mobile node."""
    with_foreign_agent = "fa" in scene.agents.sockets
    return {
        "home_agent": scene.tunnel_ends("ha"),
        "foreign_agent": scene.tunnel_ends("fa") if with_foreign_agent else [],
        "mobile_node": scene.tunnel_ends("mn"),
        "bindings": scene.bindings(),
        "visitors": scene.visitors() if with_foreign_agent else {},
        "neighbours": scene.neighbours("fa") if with_foreign_agent else {},
        "reverse_interfaces": scene.reverse_interfaces() if with_foreign_agent else [],
        "ways": {node: sorted(scene.way_of(node).values()) for node in scene.agents.sockets},
    }


def structure(scene: Scene) -> dict[str, Any]:
    """The figure at rest, and where traffic goes."""
    addresses = {link: scene.node("mn").namespace.link_address(link) for link in scene.links}
    return {**picture(scene), "link_addresses": addresses, "carried": carried(scene)}


def lose(scene: Scene, link: str) -> dict[str, Any]:
    """A link of the mobile node goes down under traffic and comes back."""
    scene.select(Policy.PER_FLOW)
    report: dict[str, Any] = {"before": picture(scene)}
    binding_id = scene.binding_ids[scene.links.index(link)]
    remaining = [number for number in scene.binding_ids if number != binding_id]
    with traffic(scene, report) as streams:
        scene.node("mn").namespace.set_up(link, False)
        report["seconds_until_deregistered"] = eventually(
            "binding gone", lambda: scene.bindings() == remaining
        )
        time.sleep(1.5)  # what drains goes
        report["without"] = picture(scene)
        received = {name: stream.received for name, stream in streams.items()}
        sent = {name: stream.sent for name, stream in streams.items()}
        time.sleep(1.0)
        report["share_without"] = {
            name: (stream.received - received[name]) / (stream.sent - sent[name])
            for name, stream in streams.items()
        }
        scene.node("mn").namespace.set_up(link, True)
        report["seconds_until_back"] = eventually(
            "binding back", lambda: scene.bindings() == scene.binding_ids
        )
        scene.until_registered()
    report["again"] = picture(scene)
    report["carried"] = carried(scene)
    return report


def foreign_agent_denies(scene: Scene) -> dict[str, Any]:
    """EnableMultipleTunnelSupport is 0 at the foreign agent; then 1 again (draft §5.2, FACTS G14)."""
    denied = scene.ask("fa", "status")["replies"].get("127", 0)
    scene.ask("mn", "deregister", binding_id=None)
    eventually("no binding", lambda: scene.bindings() == [])
    scene.ask("fa", "set-multiple-tunnel-support", enabled=False)
    scene.ask("mn", "reregister", bulk=False)
    time.sleep(10.0)
    report = {
        "denials": scene.ask("fa", "status")["replies"].get("127", 0) - denied,
        "states": _states(scene),
        **picture(scene),
        "carried": carried(scene),
    }
    scene.ask("fa", "set-multiple-tunnel-support", enabled=True)
    scene.ask("mn", "reregister", bulk=False)
    scene.until_registered()
    report["again"] = scene.bindings()
    return report


def legacy_foreign_agent(scene: Scene) -> dict[str, Any]:
    """The foreign agent has never heard of the extension: it says nothing at all (FACTS G12)."""
    scene.ask("mn", "deregister", binding_id=None)
    eventually("no binding", lambda: scene.bindings() == [])
    scene.end("fa")
    scene.launch("fa", recognise_multiple_tunnels=False)
    scene.ask("mn", "reregister", bulk=False)
    eventually(
        "the mobile node gives the extension up with every legacy agent",
        lambda: scene.bindings() and not {"registering", "searching"} & set(_states(scene).values()),
        _HOLD_DOWN_LIMIT,
    )
    status = scene.ask("fa", "status")
    report = {
        "replies_of_its_own": status["replies"],
        "discarded": status["discarded"],
        "states": _states(scene),
        **picture(scene),
        "carried": carried(scene),
    }
    scene.end("fa")
    scene.launch("fa", recognise_multiple_tunnels=True)
    scene.ask("mn", "reregister", bulk=False)
    scene.until_registered()
    report["again"] = scene.bindings()
    return report


def foreign_agent_restarts(scene: Scene) -> dict[str, Any]:
    """The foreign agent ends in order and starts again."""
    report: dict[str, Any] = {"code": scene.end("fa")}
    report["left"] = scene.tunnel_ends("fa")
    return _comes_again(scene, report)


def foreign_agent_crashes(scene: Scene) -> dict[str, Any]:
    """The foreign agent is killed, so nothing is undone, and starts again."""
    scene.kill("fa")
    return _comes_again(scene, {"left": scene.tunnel_ends("fa")})


def _comes_again(scene: Scene, report: dict[str, Any]) -> dict[str, Any]:
    figure = scene.topology
    behind = [link.name for link in figure.links_of_figure if figure.behind_foreign_agent(link)]
    begun = time.monotonic()
    scene.launch("fa")
    eventually("all visitors", lambda: sorted(scene.visitors()) == sorted(behind), 3 * LIFETIME)
    report["seconds_until_registered"] = time.monotonic() - begun
    scene.until_registered()
    return {**report, **picture(scene), "carried": carried(scene)}


def mobile_node_killed(scene: Scene) -> dict[str, Any]:
    """The mobile node's agent is killed; everything runs out with the lifetime; then it starts again."""
    scene.kill("mn")
    before = scene.ask("ha", "status")
    age = max(row["lifetime_remaining"] for row in before["bindings"])
    begun = time.monotonic()
    time.sleep(age - 5.0)
    report_early = scene.bindings()
    eventually("no binding", lambda: scene.bindings() == [], EXPIRY_LIMIT, poll=0.5)
    report: dict[str, Any] = {"early": report_early, "remaining": age, "seconds": time.monotonic() - begun}
    eventually("no visitor", lambda: scene.visitors() == {}, EXPIRY_LIMIT, poll=1.0)
    time.sleep(2.0)
    scene_now = picture(scene)
    report.update({key: scene_now[key] for key in ("home_agent", "foreign_agent", "neighbours")})
    report["reverse_interfaces"] = scene_now["reverse_interfaces"]
    report["proxies"] = scene.kernel_state("ha")["proxies"]
    scene.launch("mn")
    scene.until_registered()
    return {**report, "again": picture(scene), "carried": carried(scene)}


def overwrite(scene: Scene) -> dict[str, Any]:
    """A mobile node that was killed starts again with one link: its first registration has O (FACTS G16)."""
    scene.kill("mn")
    namespace = scene.node("mn").namespace
    first, *others = scene.links
    for link in others:
        namespace.set_up(link, False)
    report: dict[str, Any] = {"before": picture(scene)}
    scene.launch("mn")
    report["seconds"] = eventually("only the first binding", lambda: scene.bindings() == [1])
    eventually(
        "what the killed one has left is gone",
        lambda: all(row["state"] == "sending" for row in scene.ask("mn", "status")["devices"]),
    )
    time.sleep(1.5)  # what drains elsewhere goes
    report["alone"] = picture(scene)
    report["carried_alone"] = carried(scene)
    for link in others:
        namespace.set_up(link, True)
    scene.until_registered()
    return {**report, "first": first, "again": picture(scene), "carried": carried(scene)}


def returns_home(scene: Scene) -> dict[str, Any]:
    """The home link comes up, all is deregistered, traffic goes there; then it goes down again."""
    report: dict[str, Any] = {}
    home = scene.node("mn").namespace
    with traffic(scene, report):
        home.set_up("home", True)
        report["seconds_until_home"] = eventually("at home", lambda: _at_home(scene))
        time.sleep(2.0)
        report["bindings_at_home"] = scene.bindings()
        report["home_agent"] = scene.tunnel_ends("ha")
        report["proxies"] = scene.kernel_state("ha")["proxies"]
        scene.run("home", "ip", "neighbour", "flush", "dev", "lan")
        ping = ("ping", "-c", "3", "-i", "0.2", "-W", "1")
        report["ping_at_home"] = scene.run("cn", *ping, str(HOME_ADDRESS))
        report["ping_from_home"] = scene.run("mn", *ping, "-I", str(HOME_ADDRESS), str(CORRESPONDENT.ip))
        report["neighbour"] = scene.run("home", "ip", "neighbour", "show", str(HOME_ADDRESS))[1]
        report["link_address"] = home.link_address("home")
        home.set_up("home", False)
        report["seconds_until_away"] = eventually(
            "bindings", lambda: scene.bindings() == scene.binding_ids, 60
        )
        scene.until_registered()
    return {**report, "again": picture(scene), "carried": carried(scene)}


def _at_home(scene: Scene) -> bool:
    found = scene.ask("mn", "status")["at_home"]
    return bool(found and found["deregistered"])


def _states(scene: Scene) -> dict[str, str]:
    return {row["interface"]: row["state"] for row in scene.ask("mn", "status")["bindings"]}
