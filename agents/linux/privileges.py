# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent may do to the machine: its network, and nothing else (capabilities(7), prctl(2)).

Called once everything is imported and the settings are read. A process that is not root has nothing to
give up; in a lab guest the agents are root, and then a fault in them is still confined to the network.
"""

from __future__ import annotations

import ctypes
import os
import struct

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_VERSION_3 = 0x2008_0522
_NET_BIND_SERVICE, _NET_ADMIN, _NET_RAW = 10, 12, 13
KEPT = frozenset({_NET_BIND_SERVICE, _NET_ADMIN, _NET_RAW})
"""Port 434; tunnels, routes, rules and nft; packet sockets and ICMP."""
_HIGHEST = 63
_WORD = 32


def drop_privileges() -> None:
    """Keep only :data:`KEPT` of the capabilities there are, and let no program started later have more.

    :raises OSError: if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    had = effective()
    if not had:
        return
    _call(libc.prctl, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(_HIGHEST + 1):
        # Fails for a number the kernel does not know, and without the right to shorten the list.
        if number not in KEPT and libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    kept = sum(1 << number for number in KEPT & had)
    halves = kept & 0xFFFF_FFFF, kept >> _WORD
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    effective_permitted_inheritable = struct.pack("=6I", halves[0], halves[0], 0, halves[1], halves[1], 0)
    sets = ctypes.create_string_buffer(effective_permitted_inheritable)
    _call(libc.capset, header, sets)


def effective() -> frozenset[int]:
    """Numbers of the capabilities this process has."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("CapEff:"))
    mask = int(line.split()[1], 16)
    return frozenset(number for number in range(_HIGHEST + 1) if mask >> number & 1)


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"giving up privileges: {os.strerror(number)}")
