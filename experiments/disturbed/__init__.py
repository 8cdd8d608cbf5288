# SPDX-License-Identifier: GPL-2.0-or-later
"""Experiments that disturb a running network and measure what its streams notice: failover, handover."""
