# SPDX-License-Identifier: GPL-2.0-or-later
"""What is computed from captures: order, densities, delays, losses. Runs outside the guest."""
