# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy rules, some of which an earlier life of an agent has left."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError


def add(netlink: IPRoute, rule: Mapping[str, object]) -> None:
    """Have a rule; no error if it is there.

    :raises NetlinkError: if the kernel refuses it.
    """
    try:
        netlink.rule("add", **rule)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
