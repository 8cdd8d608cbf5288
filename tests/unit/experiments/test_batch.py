# SPDX-License-Identifier: GPL-2.0-or-later
"""What a batch records of its network; how it measures is a matter of the network tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from experiments.batch import Batch, BatchError, recorded
from topologies.links import DEFAULT_LINKS


def test_the_time_outs_of_a_nat_are_recorded_where_there_is_one() -> None:
    nat = recorded({"cn", "internet", "nat", "mn"})
    assert nat["nat"] == (
        "net.netfilter.nf_conntrack_udp_timeout",
        "net.netfilter.nf_conntrack_udp_timeout_stream",
    )
    without = recorded({"cn", "fa", "mn"})
    assert without == {node: nat[node] for node in ("cn", "mn")}
    assert "net.ipv4.tcp_congestion_control" in without["mn"]


def _calibrating(monkeypatch: pytest.MonkeyPatch, mbps: float, late: float) -> dict[str, float]:
    """A calibration of one link that carries so much, whose counters are looked at too late at the end."""
    (link, *_) = DEFAULT_LINKS

    def observe(_batch: Batch, _flows: object, _warm_up: float, duration: float, _name: str) -> Any:
        seconds = duration + late
        return SimpleNamespace(
            result=SimpleNamespace(goodput=mbps),
            carried={link.name: round(mbps * 1e6 / 8 * seconds)},
            window=(0, round(seconds * 1e9)),
        )

    batch = Batch.__new__(Batch)
    batch._plan = SimpleNamespace(direction="down")  # type: ignore[assignment]
    batch._topology = SimpleNamespace(accesses=[SimpleNamespace(link=link, binding_id=1)])  # type: ignore[assignment]
    monkeypatch.setattr(Batch, "_select", lambda *_: None)
    monkeypatch.setattr(Batch, "_ceiling", lambda *_: link.down)
    monkeypatch.setattr(Batch, "_flows", lambda *_: SimpleNamespace(payload=1428))
    monkeypatch.setattr(Batch, "_observe", observe)
    return batch.calibrate()


@pytest.mark.parametrize("late", [0.0, 0.1, -0.1])
def test_a_look_at_the_counters_that_comes_late_is_no_other_rate(
    monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    rate = DEFAULT_LINKS[0].down
    assert _calibrating(monkeypatch, rate, late) == {DEFAULT_LINKS[0].name: rate}
    with pytest.raises(BatchError, match="alone carried"):
        _calibrating(monkeypatch, 0.97 * rate, late)
