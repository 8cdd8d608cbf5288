# SPDX-License-Identifier: GPL-2.0-or-later
"""Mobile IPv4 with multiple tunnels: the protocol and its programs.

Dependencies point one way: daemon → linux → state machines → wire.
"""
