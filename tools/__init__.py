# SPDX-License-Identifier: GPL-2.0-or-later
"""What helps around the testbed: completion, documentation, a dissector."""
