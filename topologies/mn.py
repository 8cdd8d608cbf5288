# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures for Mininet's own command: ``sudo mn --custom topologies/mn.py --topo figure3``.

``mn`` runs this file's text and takes its names over, some of them in place of its own. What stands
behind them is ``topologies.mininet_command``; this file only finds it, with whatever Python runs ``mn``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Text that is run has no __file__.
sys.path.insert(0, str(Path(sys._getframe().f_code.co_filename).resolve().parent.parent))

from topologies.environment import PYTHON, continue_program

if os.path.realpath(sys.prefix) != os.path.realpath(PYTHON.parent.parent):
    continue_program(sys.argv[0])

from mininet.node import NullController

from topologies.figures import available
from topologies.mininet_command import FigureCLI, Runner, topology

_runner = Runner()
topos = {f"figure{number}": topology(number) for number in available()}
Mininet = MininetWithControlNet = _runner.network
CLI = FigureCLI
cleanup = _runner.clean_up


def findController() -> Any:  # noqa: N802 - Mininet's name
    """None is needed: there is no switch."""
    return NullController
