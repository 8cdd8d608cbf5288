# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: Figure 4, whose one tunnel hides four links from the home agent."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from agents.settings import Policy, Weights
from tests.net import scenario_headers
from tests.net.scenario_actions import (
    foreign_agent_crashes,
    foreign_agent_denies,
    foreign_agent_restarts,
    legacy_foreign_agent,
    lose,
    mobile_node_killed,
    overwrite,
    picture,
    returns_home,
    structure,
)
from tests.net.scenario_bad_input import at_foreign_agent, at_home_agent, bad_data, bad_requests
from tests.net.scenario_stage import Scene, act, eventually
from tests.net.scenario_topologies import SECOND_HOME_ADDRESS, WithSeconds, expect_second_mobile_node, plug
from tests.net.scenario_traffic import carried, traffic
from topologies.figure import HOME_ADDRESS


def interface_lost(scene: Scene) -> dict[str, Any]:
    """LTE; only the foreign agent can react."""
    scene.node("fa").namespace.forget_flows()
    return lose(scene, "lte")


def flows_of_a_lost_interface(scene: Scene) -> dict[str, Any]:
    """Connection marks at the foreign agent before and after EV-DO goes down under traffic."""
    scene.select(Policy.PER_FLOW)
    scene.node("fa").namespace.forget_flows()
    report: dict[str, Any] = {}
    with traffic(scene, report):
        report["before"] = scene.flow_ways()
        scene.node("mn").namespace.set_up("evdo", False)
        eventually("visitor of evdo gone", lambda: "evdo" not in scene.visitors())
        time.sleep(0.5)
        report["after"] = scene.flow_ways()
        scene.node("mn").namespace.set_up("evdo", True)
        scene.until_registered()
    return report


def bad_data_at_foreign_agent(scene: Scene) -> dict[str, Any]:
    """Packets at the foreign agent's end of the tunnel."""
    return bad_data(scene, at_foreign_agent())


def bad_data_at_home_agent(scene: Scene) -> dict[str, Any]:
    """Packets at the home agent's end of the tunnel."""
    return bad_data(scene, at_home_agent())


def another_foreign_agent(scene: Scene) -> dict[str, Any]:
    """A second one appears on WiFi; the first falls silent there; then all is as before."""
    report: dict[str, Any] = {}
    plug(scene, "fa2", "wifi")
    time.sleep(12.0)  # several advertisements of both
    report["while both are heard"] = {**picture(scene), "at_second": scene.visitors("fa2")}
    plug(scene, "fa", "wifi", plugged=False)
    report["seconds_until_moved"] = eventually("a visitor of the second", lambda: scene.visitors("fa2"), 30)
    scene.until_registered()
    report["moved"] = {**picture(scene), "at_second": scene.visitors("fa2")}
    report["second"] = scene.tunnel_ends("fa2")
    report["second_neighbours"] = scene.neighbours("fa2")
    report["carried_moved"] = carried(scene)
    plug(scene, "fa", "wifi")
    plug(scene, "fa2", "wifi", plugged=False)
    report["seconds_until_back"] = eventually("back at the first", lambda: _at_first(scene), 30)
    scene.until_registered()
    scene.end("fa2")  # its dead entry with it
    return {**report, "again": picture(scene), "carried": carried(scene)}


def _at_first(scene: Scene) -> bool:
    rows = scene.ask("ha", "status")["bindings"]
    return len({row["care_of_address"] for row in rows}) == 1 and scene.bindings() == scene.binding_ids


def _probes_answered(scene: Scene) -> int:
    rows = [row for node in ("mn", "mn2") for row in scene.ask(node, "status")["bindings"]]
    return sum(row["liveness"].get("probes_answered", 0) for row in rows)


def two_mobile_nodes(scene: Scene) -> dict[str, Any]:
    """A second mobile node comes to the same agents; they talk to each other; it leaves."""
    for link in ("wifi", "lte"):
        plug(scene, "mn2", link)
    eventually("mn2 registered", lambda: scene.ask("mn2", "status")["registered"], 90)
    second = str(SECOND_HOME_ADDRESS)
    report: dict[str, Any] = {
        "home_agent": scene.tunnel_ends("ha"),
        "foreign_agent": scene.tunnel_ends("fa"),
        "uses": [row["bindings"] for row in scene.ask("ha", "status")["tunnels"]],
        "neighbours": {"mn": scene.neighbours("fa"), "mn2": scene.neighbours("fa", second)},
        "bindings": sorted(
            [row["home_address"], row["binding_id"]] for row in scene.ask("ha", "status")["bindings"]
        ),
    }
    before, probes = scene.ask("ha", "status")["devices"][0], _probes_answered(scene)
    ping = ("ping", "-q", "-c", "20", "-i", "0.05", "-W", "1", "-I")
    report["ping"] = scene.run("mn", *ping, str(HOME_ADDRESS), second)
    report["ping_back"] = scene.run("mn2", *ping, second, str(HOME_ADDRESS))
    after, probes = scene.ask("ha", "status")["devices"][0], _probes_answered(scene) - probes
    report["through_home_agent"] = [
        after[k] - before[k] - probes for k in ("received_packets", "sent_packets")
    ]
    report["both"] = {}
    with traffic(scene, report["both"]):
        report["ping_under_traffic"] = scene.run("mn2", *ping, second, str(HOME_ADDRESS))
    scene.end("mn2")
    report["after"] = {
        "bindings": scene.bindings(),
        "of_second": [r for r in scene.ask("fa", "status")["visitors"] if r["home_address"] == second],
        "neighbours": scene.neighbours("fa", second),
        **{key: value for key, value in picture(scene).items() if key in ("home_agent", "visitors")},
    }
    for link in ("wifi", "lte"):
        plug(scene, "mn2", link, plugged=False)
    return {**report, "carried": carried(scene)}


STEPS = (
    structure,
    interface_lost,
    flows_of_a_lost_interface,
    scenario_headers.signalling,
    scenario_headers.outer_headers,
    scenario_headers.congestion_marks,
    bad_data_at_foreign_agent,
    bad_data_at_home_agent,
    bad_requests,
    two_mobile_nodes,
    another_foreign_agent,
    foreign_agent_restarts,
    foreign_agent_crashes,
    foreign_agent_denies,
    legacy_foreign_agent,
    overwrite,
    mobile_node_killed,
    returns_home,
)


def main(folder: Path, *chosen: str) -> None:
    """The scene, or some of its steps."""
    scene = Scene(folder, WithSeconds(weights=Weights.BANDWIDTH))
    expect_second_mobile_node(scene)
    act(scene, STEPS, chosen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
