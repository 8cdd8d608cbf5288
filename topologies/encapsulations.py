# SPDX-License-Identifier: GPL-2.0-or-later
"""The encapsulations a figure can be built with."""

from agents.effects import Encapsulation

BUILT_ENCAPSULATIONS = (Encapsulation.IPIP, Encapsulation.GRE, Encapsulation.UDP)
"""What the agents carry in the kernel; minimal encapsulation they refuse."""
