# SPDX-License-Identifier: GPL-2.0-or-later
"""Many points of an experiment, run by a cluster: one guest per task, one table at the end."""
