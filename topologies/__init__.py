# SPDX-License-Identifier: GPL-2.0-or-later
"""The networks of the draft's figures, and the kernel they run in."""
