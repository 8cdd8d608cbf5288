# SPDX-License-Identifier: GPL-2.0-or-later
"""Defences of the programs around the state machines, and of the kernel's rules that they load."""

from __future__ import annotations

from tests.attacks.mutant import kernel_mutant, mutant

HYGIENE = (
    mutant(
        "keys are in files that only their owner reads",
        "agents/settings_file.py",
        "if mode & _OTHERS:",
        "if False:",
        "hygiene.py::test_keys_that_others_can_read",
    ),
    mutant(
        "keys have no representation",
        "agents/settings.py",
        "max_length=64, repr=False)",
        "max_length=64)",
        "hygiene.py::test_keys_are_not_shown",
    ),
    mutant(
        "authenticators are compared in constant time",
        "agents/wire/authentication.py",
        "hmac.compare_digest(expected, extension.authenticator)",
        "expected == extension.authenticator",
        "hygiene.py::test_authenticators_are_compared_in_constant_time",
    ),
    mutant(
        "the control socket is its owner's",
        "agents/daemon/control.py",
        "os.umask(0o177)",
        "os.umask(0)",
        "hygiene.py::test_the_control_socket_by_another_user",
    ),
    mutant(
        "the control protocol has a version",
        "agents/daemon/control.py",
        "if type(version) is not int or version != VERSION:",
        "if not isinstance(request, dict):",
        "hygiene.py::test_bad_requests_at_the_control_socket",
    ),
    mutant(
        "an agent gives its privileges up",
        "agents/linux/privileges.py",
        "    _call(libc.capset, header, sets)",
        "    del header, sets",
        "hygiene.py::test_an_agent_keeps_the_network_and_nothing_else",
    ),
)

KERNEL = (
    kernel_mutant(
        "encapsulated packets come from a tunnel's end point",
        "agents/linux/admission.py",
        r'text += f"    {known}counter name {COUNTERS[0]} drop\n"',
        "",
        "figure3.py::test_bad_data_is_dropped_and_counted",
    ),
    kernel_mutant(
        "what a tunnel carries has an address it is for",
        "agents/linux/admission.py",
        "{foreign} counter name {COUNTERS[1]} drop",
        "{foreign} counter name {COUNTERS[1]}",
        "figure3.py::test_bad_data_is_never_forwarded",
    ),
    kernel_mutant(
        "Tunnel Data comes to the Mobile IP port only",
        "agents/linux/udp_tunnels.py",
        "fib daddr type local counter name {UNKNOWN} drop",
        "fib daddr type local counter name {UNKNOWN}",
        "figure6.py::test_tunnel_data_past_the_mobile_ip_port_never_comes_through",
    ),
    kernel_mutant(
        "Tunnel Data comes from the end point of its binding",
        "agents/linux/udp_tunnels.py",
        r'text += f"    counter name {UNKNOWN} limit rate over',
        r'text += f"    ip saddr set {pseudo_address(min(ends.values(), default=0))} '
        r'udp dport set {GUE_PORT} @th,64,8 set 0 @th,80,16 set 0 udp checksum set 0 accept\n"'
        "\n"
        r'    text += f"    counter name {UNKNOWN} limit rate over',
        "figure6.py::test_bad_tunnel_data_is_dropped_and_counted",
        "figure6.py::test_bad_tunnel_data_is_never_forwarded_and_changes_nothing",
    ),
)
