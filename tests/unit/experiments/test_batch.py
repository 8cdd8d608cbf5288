# SPDX-License-Identifier: GPL-2.0-or-later
"""What a batch records of its network; how it measures is a matter of the network tests."""

from __future__ import annotations

from experiments.batch import recorded


def test_the_time_outs_of_a_nat_are_recorded_where_there_is_one() -> None:
    nat = recorded({"cn", "internet", "nat", "mn"})
    assert nat["nat"] == (
        "net.netfilter.nf_conntrack_udp_timeout",
        "net.netfilter.nf_conntrack_udp_timeout_stream",
    )
    without = recorded({"cn", "fa", "mn"})
    assert without == {node: nat[node] for node in ("cn", "mn")}
    assert "net.ipv4.tcp_congestion_control" in without["mn"]
