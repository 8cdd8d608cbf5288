# SPDX-License-Identifier: GPL-2.0-or-later
"""The networks of the draft's figures, and the kernel they run in.

Importing IPMininet makes an SSH key pair in the temporary folder each time, for a daemon that
no figure uses, and leaves it there. A program that wants that daemon imports IPMininet first.
"""

import sys
import types

_SSHD = "ipmininet.router.config.sshd"


class SSHd:
    """Stands in for IPMininet's SSH daemon."""

    NAME = "sshd"

    def __init__(self, *_arguments: object, **_options: object) -> None:
        raise RuntimeError("to use IPMininet's SSHd, import ipmininet before topologies")


if _SSHD not in sys.modules:
    sys.modules[_SSHD] = types.ModuleType(_SSHD)
    sys.modules[_SSHD].SSHd = SSHd  # type: ignore[attr-defined]
