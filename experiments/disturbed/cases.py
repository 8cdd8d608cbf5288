# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiments of this kind: the cases of each and the traffic they run under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.disturbed.disturbance import Disturbance
from experiments.disturbed.streams import Traffic
from experiments.faults import FAULTS
from experiments.handovers import HANDOVERS

FAILOVER, HANDOVER = "failover", "handover"
CONNECTIONS = 7
"""The flow cycle has two slots for each of four tunnels: with the UDP stream, every tunnel gets a flow."""
TRAFFIC = {
    FAILOVER: Traffic(1000, CONNECTIONS, record_interval=0.05, record_octets=32),
    # 1.4 Mbit/s in all: no queue builds up anywhere, so that what is lost is lost by the handover.
    HANDOVER: Traffic(100, CONNECTIONS, record_interval=0.05, record_octets=1250),
}
CASES: dict[str, Sequence[Disturbance]] = {FAILOVER: FAULTS, HANDOVER: HANDOVERS}


@dataclass(frozen=True, slots=True)
class Case:
    """A disturbance and what runs meanwhile."""

    disturbance: Disturbance
    traffic: Traffic


def case_of(experiment: str, name: str) -> Case:
    """A case by its name.

    :raises KeyError: if there is none.
    """
    for disturbance in CASES[experiment]:
        if disturbance.name == name:
            return Case(disturbance, TRAFFIC[experiment])
    raise KeyError(f"{experiment} has no case {name}")
