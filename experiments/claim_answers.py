# SPDX-License-Identifier: GPL-2.0-or-later
"""What the stored references say to each of the draft's claims, in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

Stored = Mapping[str, Mapping[str, Any]]
"""Summaries by name of their reference."""
_WIDTH = 110


def _paragraph(*sentences: str) -> str:
    return textwrap.fill(" ".join(sentences), _WIDTH, break_long_words=False, break_on_hyphens=False)


def _cell(stored: Stored, reference: str, **keys: object) -> Mapping[str, Any]:
    (found,) = (
        cell for cell in stored[reference]["cells"] if all(cell[key] == value for key, value in keys.items())
    )
    cell: Mapping[str, Any] = found
    return cell


def _interval(stat: Mapping[str, Any], digits: int, unit: str = "") -> str:
    """A mean with its confidence interval."""
    low, high = stat["ci95"]
    return f"{stat['mean']:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"


def aggregated(stored: Stored) -> str:
    """Aggregate goodput against the best link alone."""
    one, cell = (_cell(stored, "unequal-links", policy="per-flow", flows=flows) for flows in (1, 8))
    gain = cell["goodput_mbps"]["mean"] / cell["best_single_link_mbps"]
    return (
        f"**Yes.** Eight TCP flows, per-flow: {_interval(cell['goodput_mbps'], 2, ' Mbit/s')}, "
        f"{gain:.2f} times the best link alone ({cell['best_single_link_mbps']:.2f}); "
        f"efficiency {_interval(cell['efficiency'], 4)} of the ceiling {cell['ceiling_mbps']:.2f}. "
        f"One flow keeps to one link: {one['goodput_mbps']['mean']:.2f} Mbit/s."
    )


def shares(stored: Stored) -> str:
    """What each link carried."""
    cell = _cell(stored, "unequal-links", policy="per-flow", flows=8)
    shares = ", ".join(f"{name} {share:.3f}" for name, share in cell["link_share"].items())
    return f"**Yes**, with weights by announced bandwidth: shares of the octets are {shares}."


def in_order(stored: Stored) -> str:
    """Reordering under per-flow."""
    cells = [_cell(stored, "unequal-links", policy="per-flow", flows=flows) for flows in (1, 8)]
    worst = max(value for cell in cells for value in cell["reordering"]["ratio"]["samples"])
    runs = sum(cell["n"] for cell in cells)
    verdict = "**Yes.**" if worst == 0 else "**No.**"
    return f"{verdict} The largest reordered ratio (RFC 4737) of any of {runs} runs is {worst:g}."


def per_packet(stored: Stored) -> str:
    """How well spread packets fill the links."""
    eight, one = (_cell(stored, "unequal-links", policy="per-packet", flows=flows) for flows in (8, 1))
    flow = _cell(stored, "unequal-links", policy="per-flow", flows=8)
    equal = _cell(stored, "equal-links", policy="per-packet", flows=1)
    return (
        f"**Only where links are equal.** Over the default links eight flows get an efficiency of "
        f"{_interval(eight['efficiency'], 3)}, per-flow {_interval(flow['efficiency'], 3)}; one flow gets "
        f"{_interval(one['goodput_mbps'], 2, ' Mbit/s')}, less than the best link alone "
        f"({one['best_single_link_mbps']:.2f}). Over four equal links one flow reaches "
        f"{_interval(equal['efficiency'], 3)}, which no policy that keeps flows together can: "
        f"its best link gives "
        f"{equal['best_single_link_mbps'] / equal['ceiling_mbps']:.3f}."
    )


def reordering(stored: Stored) -> str:
    """How spread packets are reordered, and what that costs."""
    cells = [
        _cell(stored, reference, policy="per-packet", flows=flows)
        for flows in (1, 8)
        for reference in ("unequal-links", "equal-links")
    ]
    rows = [
        ("reordered ratio", [_interval(cell["reordering"]["ratio"], 3) for cell in cells]),
        ("3-reordered ratio", [_interval(cell["reordering"]["n3_ratio"], 4) for cell in cells]),
        ("mean extent, packets", [_interval(cell["reordering"]["mean_extent"], 1) for cell in cells]),
        ("95 % are at most so late, ms", [_interval(cell["late_time_ms"]["p95"], 2) for cell in cells]),
        ("retransmissions a run", [_interval(cell["retransmits"], 1) for cell in cells]),
        ("of these needless", [_interval(cell["spurious_retransmits"], 1) for cell in cells]),
    ]
    table = [
        "| per-packet | 1 flow, default links | 1, equal links | 8 flows, default links | 8, equal links |",
        "|---|---|---|---|---|",
        *(f"| {name} | {' | '.join(values)} |" for name, values in rows),
    ]
    return "\n".join(
        [
            "**Yes.**",
            "",
            *table,
            "",
            _paragraph(
                "Over equal links the ratio stays high while packets are hardly late: one small packet on",
                "one link (66 octets last 53 µs at 10 Mbit/s) shifts that link's queue against the others,",
                "and the ratio counts every inversion, however short. What differs is how late packets come,",
                "and what that does to TCP.",
            ),
            "",
            _stream(stored),
        ]
    )


def _stream(stored: Stored) -> str:
    equal, unequal = (
        _cell(stored, name, policy="per-packet", flows=1)["reordering"]["ratio"]
        for name in ("stream-equal-links", "stream-unequal-delays")
    )
    return (
        "A UDP stream of equal packets at a fifth of the links' rate has no such inversions: reordered "
        f"ratio {_interval(equal, 3)} over four equal links, {_interval(unequal, 3)} where only the delays "
        "differ (5, 15, 25 and 40 ms)."
    )


def worth_it(stored: Stored) -> str:
    """Where per-packet stops paying, by paths, flows and time."""
    cells = stored["asymmetry"]["cells"]
    one, eight = (
        [cell for cell in stored["asymmetry-start"]["cells"] if cell["flows"] == flows] for flows in (1, 8)
    )
    first, after = (
        _cell(stored, name, ratio=1, spread_ms=30, flows=1)["per-packet"]
        for name in ("asymmetry-start", "asymmetry")
    )
    early, late = (
        _cell(stored, name, policy="per-packet", flows=1)["goodput_mbps"]
        for name in ("unequal-links", "unequal-links-later")
    )
    rows = [("20 to 30 s", cell) for cell in cells] + [("2 to 4 s", cell) for cell in (*one, *eight)]
    return "\n".join(
        [
            _paragraph(
                "**It depends on the paths**, on how many flows there are, and on how long they last. Four",
                "links carry 40 Mbit/s in all; the ratio is that of the fastest rate to the slowest, the",
                "spread what the slowest link's delay exceeds the fastest one's by. For one TCP flow",
                "per-packet is",
                f"{_score(cells)} from 20 s after its start, and {_score(one)} from the second to the fourth",
                f"second. For eight flows, which per-flow spreads over all links, it is {_score(eight)}.",
            ),
            "",
            _paragraph(
                "In its first seconds a flow may get far less, probably because reordering that is taken for",
                f"loss ends its slow start: at ratio 1 and spread 30 ms {_interval(first, 2)} of the ceiling",
                f"from the second to the fourth second, {_interval(after, 2)} after 20 s. Over the default",
                f"links it does not recover: {_interval(early, 1)} Mbit/s from the first to the fourth",
                f"second, {_interval(late, 1)} after 20 s.",
            ),
            "",
            "| flows | time | ratio | spread, ms | efficiency per-flow | efficiency per-packet | gain |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {cell['flows']} | {when} | {cell['ratio']} | {cell['spread_ms']} "
                f"| {_interval(cell['per-flow'], 3)} | {_interval(cell['per-packet'], 3)} "
                f"| {_interval(cell['gain'], 2)} |"
                for when, cell in rows
            ),
        ]
    )


def _score(cells: Sequence[Mapping[str, Any]]) -> str:
    """In how many cases per-packet is better or worse: all of its gain's interval is on one side of 1."""
    better = sum(cell["gain"]["ci95"][0] > 1 for cell in cells)
    worse = sum(cell["gain"]["ci95"][1] < 1 for cell in cells)
    return f"better in {better} and worse in {worse} of {len(cells)} cases"


def configurations(stored: Stored) -> str:
    """Efficiency and shares in each figure."""
    cells = stored["all-figures"]["cells"]
    lowest = min(min(cell["efficiency"]["samples"]) for cell in cells if cell["policy"] == "per-flow")
    return "\n".join(
        [
            _paragraph(
                "**Yes.** Eight TCP flows, per-flow: no run of any figure has less than",
                f"{lowest:.3f} of its ceiling.",
            ),
            "",
            "| figure | tunnels | policy | efficiency | shares of WiFi / EV-DO / WiMAX / LTE |",
            "|---|---|---|---|---|",
            *(
                f"| {cell['figure']} | {cell['encapsulation']} | {cell['policy']} "
                f"| {_interval(cell['efficiency'], 3)} "
                f"| {' / '.join(f'{share:.3f}' for share in cell['link_share'].values())} |"
                for cell in cells
            ),
        ]
    )


def any_tunnel(stored: Stored) -> str:
    """What the failure of the busiest tunnel costs."""
    cells = stored["failover"]["cells"]
    broken = sum(cell["broken"] for cell in cells)
    return "\n".join(
        [
            _paragraph(
                "**Yes.**" if broken == 0 else "**Not always.**",
                "When the tunnel that carries most fails, the others take over its traffic. Of",
                f"{sum(cell['n'] for cell in cells)} runs {broken} did not come back by themselves;",
                f"{sum(cell['false_alarms'] for cell in cells)} tunnels were given up that nothing was wrong",
                "with. A stream of 1,000 packets/s comes down meanwhile; numbers are median / 95th",
                "percentile / largest. [Failover](experiments/failover.md) says what each case is.",
            ),
            "",
            "| case | runs | outage, ms | packets lost | all tunnels back after, s |",
            "|---|---|---|---|---|",
            *(
                f"| {cell['case']} | {cell['n']} | {_percentiles(cell['outage_s'], 1000)} "
                f"| {_percentiles(cell['lost_packets'])} | {_percentiles(cell['recovery_s'], digits=2)} |"
                for cell in cells
            ),
        ]
    )


def _percentiles(found: Mapping[str, Any] | None, factor: float = 1, digits: int = 0) -> str:
    """Median, 95th percentile and largest."""
    if found is None:
        return "-"
    return " / ".join(f"{factor * found[key]:.{digits}f}" for key in ("p50", "p95", "max"))


def moving(stored: Stored) -> str:
    """What a new care-of address costs."""
    cells = stored["handover"]["cells"]
    lost = max(cell["lost_packets"]["max"] for cell in cells if cell["case"] == "make-before-break")
    return "\n".join(
        [
            _paragraph(
                "**Yes**, and nothing is lost"
                if lost == 0
                else f"**Yes**, with up to {lost:.0f} packets lost",
                "where the new address is registered before the old one goes. A stream of 100 packets/s",
                "comes down meanwhile; numbers are median / 95th percentile / largest.",
            ),
            "",
            "| case | policy | runs | outage, ms | packets lost |",
            "|---|---|---|---|---|",
            *(
                f"| {cell['case']} | {cell['policy']} | {cell['n']} | {_percentiles(cell['outage_s'], 1000)} "
                f"| {_percentiles(cell['lost_packets'])} |"
                for cell in cells
            ),
        ]
    )


def no_copies(stored: Stored) -> str:
    """Whether any datagram came twice."""
    cells = [cell for name in ("unequal-links", "all-figures") for cell in stored[name]["cells"]]
    most = max(value for cell in cells for value in cell["duplication_ratio"]["samples"])
    verdict = "**Yes.**" if most == 0 else "**No.**"
    runs = sum(cell["n"] for cell in cells)
    return f"{verdict} The largest share of duplicates among the packets of any of {runs} runs is {most:g}."


def bulk(stored: Stored) -> str:
    """What bulk re-registration saves."""
    rows = [
        f"{row['bindings']} bindings {_interval(row['messages_share'], 3)}"
        for row in stored["signalling"]["savings"]
        if row["bindings"] > 1
    ]
    return (
        "**Yes.** Share of the messages that bulk re-registration saves: "
        + ", ".join(rows)
        + ". It is less than "
        "all but one request: every second renewal of an interface is its own (FACTS G24, G25)."
    )
