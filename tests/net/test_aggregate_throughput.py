# SPDX-License-Identifier: GPL-2.0-or-later
"""The aggregate experiment's claims about throughput, with fewer and shorter runs than by default.

Two runs of 3 s where an interval is needed, one where a bound is: on the virtual clock they
differ from the full ones in the number of samples, not in what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.net.aggregate_commands import Result, aggregate
from topologies.lab.lab import Lab

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

RATES = {
    "down": {"wifi": 20, "evdo": 3.1, "wimax": 10, "lte": 40},
    "up": {"wifi": 20, "evdo": 1.8, "wimax": 4, "lte": 20},
}
ALL = "per-flow,per-flow-hash,per-packet"
_SHORT = ("--figure", "3", "--duration", "3")
_EQUAL = tuple(word for name in RATES["down"] for word in ("--link", f"{name}=10/10:15"))
COMMANDS = {
    "down": ("--policy", ALL, "--flows", "1,8", "--runs", "2", *_SHORT),
    "up": (
        "--policy",
        "per-flow,per-flow-hash",
        "--flows",
        "1,8",
        "--runs",
        "2",
        "--direction",
        "up",
        *_SHORT,
    ),
    "equal-weights-down": (
        "--policy",
        "per-flow",
        "--flows",
        "1",
        "--weights",
        "equal",
        "--runs",
        "1",
        *_SHORT,
    ),
    "equal-weights-up": (
        *("--policy", "per-flow", "--flows", "1", "--weights", "equal", "--runs", "1", *_SHORT),
        *("--direction", "up"),
    ),
    "equal-links": ("--policy", "per-packet", "--flows", "1", "--runs", "1", *_EQUAL, *_SHORT),
    "udp": ("--policy", "per-flow,per-packet", "--flows", "8", "--protocol", "udp", "--runs", "1", *_SHORT),
}


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory,
    lab: Lab,  # noqa: ARG001 - there must be a guest
) -> Iterator[dict[str, Future[Result]]]:
    """Every command, two at a time."""
    out = tmp_path_factory.mktemp("aggregate")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(aggregate, out / name, *words) for name, words in COMMANDS.items()}


Results = dict[str, "Future[Result]"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_result_is_valid(results: Results, name: str) -> None:
    result = results[name].result()
    assert result.code == 0, result.stderr
    assert result.summary["valid"] is True
    assert result.summary["problems"] == []
    assert (result.summary["kernel"], result.summary["clock"]) == ("guest", "virtual")
    assert result.folder is not None
    assert (result.folder / "summary.json").read_bytes() == result.stdout


@pytest.mark.parametrize("direction", RATES)
def test_eight_flows_per_flow_fill_the_links_in_every_run(results: Results, direction: str) -> None:
    cell = results[direction].result().cell("per-flow", 8)
    assert len(cell["efficiency"]["samples"]) == 2
    assert min(cell["efficiency"]["samples"]) >= 0.98


@pytest.mark.parametrize("direction", RATES)
def test_each_link_carries_its_part_of_the_ceiling(results: Results, direction: str) -> None:
    rates = RATES[direction]
    cell = results[direction].result().cell("per-flow", 8)
    carried = {name: share * cell["efficiency"]["mean"] for name, share in cell["link_share"].items()}
    for name, rate in rates.items():
        assert carried[name] >= 0.9 * rate / sum(rates.values()), carried


@pytest.mark.parametrize("direction", RATES)
def test_hashing_is_not_better_than_per_flow(results: Results, direction: str) -> None:
    result = results[direction].result()
    upper = result.cell("per-flow", 8)["goodput_mbps"]["ci95"][1]
    assert result.cell("per-flow-hash", 8)["goodput_mbps"]["mean"] <= upper


@pytest.mark.parametrize("direction", RATES)
def test_one_flow_gets_the_best_single_link(results: Results, direction: str) -> None:
    cell = results[direction].result().cell("per-flow", 1)
    assert cell["goodput_mbps"]["mean"] >= 0.97 * cell["best_single_link_mbps"]


@pytest.mark.parametrize("direction", RATES)
def test_one_flow_gets_the_best_single_link_with_equal_weights(results: Results, direction: str) -> None:
    cell = results[f"equal-weights-{direction}"].result().cell("per-flow", 1)
    assert cell["weights"] == "equal"
    assert cell["goodput_mbps"]["mean"] >= 0.97 * cell["best_single_link_mbps"]


def test_per_packet_hurts_one_flow_over_unequal_links(results: Results) -> None:
    cell = results["down"].result().cell("per-packet", 1)
    assert cell["goodput_mbps"]["mean"] < cell["best_single_link_mbps"]


def test_per_packet_serves_one_flow_over_equal_links(results: Results) -> None:
    cell = results["equal-links"].result().cell("per-packet", 1)
    assert cell["efficiency"]["mean"] >= 0.85


@pytest.mark.parametrize("policy", ["per-flow", "per-packet"])
def test_an_overload_of_udp_measures_the_ceiling(results: Results, policy: str) -> None:
    cell = results["udp"].result().cell(policy, 8)
    # Largest datagram through a tunnel: 1500 - 20 - 20 - 8; netem adds 14 to the packet of 1500.
    # WiFi, behind the foreign agent, carries it without the tunnel's 20 octets.
    assert cell["ceiling_mbps"] == pytest.approx(53.1 * 1452 / 1514 + 20 * 1452 / 1494)
    assert cell["goodput_mbps"]["mean"] == pytest.approx(cell["ceiling_mbps"], rel=0.01)


def test_the_best_single_link_is_lte(results: Results) -> None:
    cell = results["down"].result().cell("per-flow", 1)
    assert cell["best_single_link_mbps"] == pytest.approx(40 * 1428 / 1514, rel=0.01)
