# SPDX-License-Identifier: GPL-2.0-or-later
"""A user's own IPMininet script: Figure 5 with one more host behind the correspondent. Needs root."""

from __future__ import annotations

import sys
import tempfile
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from topologies.figure import CORRESPONDENT, FORWARD
from topologies.figure5 import Figure5
from topologies.network import LabNet
from topologies.registered import AgentNetwork

ROUTER, SERVER = IPv4Interface("203.0.113.49/28"), IPv4Interface("203.0.113.50/28")


class WithServer(Figure5):
    """``server`` is one hop behind ``cn``."""

    def build(self, *args: Any, **kwargs: Any) -> None:
        """The figure, then a node, a link, and the way there."""
        super().build(*args, **kwargs)
        self.addRouter("server", routes=[("default", str(ROUTER.ip))])
        self.connect("cn", ROUTER, "server", SERVER)
        self.nodeInfo("cn")["sysctls"] = FORWARD
        self.nodeInfo("internet")["routes"].append((str(SERVER.network), str(CORRESPONDENT.ip)))


def main() -> int:
    """Bring it up, look at it, take it down."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        network = AgentNetwork(WithServer(), Path(folder))
        net: LabNet = network.net
        try:
            network.start()
            sys.stdout.write(net["mn"].cmd(["ping", "-c", "2", "-i", "0.2", str(SERVER.ip)]))
            for row in network.ask("ha", "status")["bindings"]:
                sys.stdout.write(f"binding {row['binding_id']} care-of address {row['care_of_address']}\n")
        finally:
            network.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
