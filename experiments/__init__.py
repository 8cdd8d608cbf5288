# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured on the networks: traffic, ceilings, statistics, results, figures."""
