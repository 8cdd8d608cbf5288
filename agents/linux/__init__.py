# SPDX-License-Identifier: GPL-2.0-or-later
"""The only package that touches the kernel: tunnels, path selection, neighbours, sockets."""
