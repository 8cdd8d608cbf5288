# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the guest: a batch of the aggregate experiment on a Figure 3 with something wrong in it.

``python -m tests.net.figure3_faults FAULT FOLDER WORKING_FOLDER``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from unittest import mock

from experiments import batch
from experiments.guest_job import perform
from topologies import figure
from topologies.links import AccessLink, Shaper, shaper
from topologies.mobile_ip import MobileIPDomain


class WrongKey(MobileIPDomain):
    """The mobile node has a key that the home agent does not know."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _, settings = self._daemons["mn"]
        settings["security_association"] = [{"spi": 256, "key": "ff" * 16}]


class ReverseTunnelForbidden(MobileIPDomain):
    """The home agent does not grant what the mobile node asks for."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _, settings = self._daemons["ha"]
        settings["reverse_tunnel"] = "forbidden"


def half_of_wifi(link: AccessLink, direction: str, links: Iterable[AccessLink]) -> Shaper:
    """WiFi gets half of the rate that it is said to have."""
    made = shaper(link, direction, links)
    return replace(made, rate=made.rate / 2) if link.name == "wifi" else made


FAULTS = {
    "wrong-key": ("MobileIPDomain", WrongKey),
    "reverse-tunnel-forbidden": ("MobileIPDomain", ReverseTunnelForbidden),
    "slow-wifi": ("shaper", half_of_wifi),
}

if __name__ == "__main__":
    with mock.patch.object(figure, *FAULTS[sys.argv.pop(1)]):
        perform(batch.execute)
