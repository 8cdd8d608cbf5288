# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of a node's kernel that an agent changes while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

_SYSCTLS = {
    # Replies may come by any tunnel, and the home address answers on none of the access links.
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.fib_multipath_hash_policy": "1",
    # A flow that changes its tunnel reorders; tracking must not call that invalid.
    "net.netfilter.nf_conntrack_tcp_be_liberal": "1",
}
_ROLE_SYSCTLS: dict[str, dict[str, str]] = {
    "home-agent": {"net.ipv4.ip_forward": "1"},
    "foreign-agent": {"net.ipv4.ip_forward": "1"},
    "mobile-node": {
        "net.ipv4.conf.all.arp_ignore": "1",
        # A second care-of address of the same network stays when the first is removed.
        "net.ipv4.conf.all.promote_secondaries": "1",
    },
}


def sysctls_of(role: str, home_link: str | None) -> dict[str, str]:
    """What an agent needs, by name.

    :param role: ``home-agent``, ``foreign-agent`` or ``mobile-node``.
    """
    needed = {**_SYSCTLS, **_ROLE_SYSCTLS[role]}
    if home_link is not None and role == "home-agent":
        # Otherwise a proxied answer is up to 0.8 s late.
        needed[f"net.ipv4.neigh.{home_link}.proxy_delay"] = "0"
    return needed


class Sysctls:
    """Remembers what it has changed."""

    def __init__(self, kept: Mapping[str, str]) -> None:
        """Nothing is changed yet.

        :param kept: what an earlier life has found before it changed it, see :attr:`previous`.
        """
        self._kept = kept
        self._previous: dict[str, str] = {}

    @property
    def previous(self) -> dict[str, str]:
        """What there was before anything was changed, by name."""
        return dict(self._previous)

    def set(self, name: str, value: str) -> None:
        """Change one setting.

        :raises OSError: if there is none of this name, or it may not be changed.
        """
        path = self._path_of(name)
        found = path.read_text().strip()
        # What is as an earlier life has set it is that life's; anything else came after it.
        before = self._kept.get(name, found) if found == value else found
        self._previous.setdefault(name, before)
        path.write_text(value)

    def restore(self) -> None:
        """Set everything back."""
        for name, value in self._previous.items():
            with contextlib.suppress(OSError):
                self._path_of(name).write_text(value)

    @staticmethod
    def _path_of(name: str) -> Path:
        return Path("/proc/sys", name.replace(".", "/"))
