# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent that was killed has left in its node's kernel, and what would be in the next one's way.

Names and numbers start at 1 in every life of an agent, so its successor would find them taken.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Collection

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from agents.kept_state import KeptModel, KeptSetting
from agents.settings import Policy


class KernelRecord(KeptModel):
    """What an agent keeps over a restart of its part of the kernel."""

    policy: KeptSetting[Policy]


def remove(netlink: IPRoute, device: str, priorities: Collection[int]) -> None:
    """Delete tunnel devices, policy rules and the tables these lead to.

    :param device: the name of every tunnel device, before its number.
    :param priorities: of the rules.
    """
    numbered = re.compile(re.escape(device) + r"[0-9]+")
    for link in netlink.get_links():
        if numbered.fullmatch(link.get_attr("IFLA_IFNAME")):
            with contextlib.suppress(NetlinkError):
                netlink.link("del", index=link["index"])
    for rule in netlink.get_rules(family=socket.AF_INET):
        priority = rule.get_attr("FRA_PRIORITY")
        if priority not in priorities:
            continue
        table = rule.get_attr("FRA_TABLE")
        with contextlib.suppress(NetlinkError):
            netlink.flush_routes(table=table, family=socket.AF_INET)
        with contextlib.suppress(NetlinkError):
            netlink.rule("del", priority=priority, table=table, family=socket.AF_INET)
