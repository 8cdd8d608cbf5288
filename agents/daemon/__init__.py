# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs: an event loop around a state machine, its sockets, its kernel state, its control socket."""
