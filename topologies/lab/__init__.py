# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab kernel: where a whole network runs, on which clock (docs/design.md, "The lab kernel")."""
