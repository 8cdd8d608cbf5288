# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP tunnels in the kernel (RFC 3519): GUE devices, and the rules that turn GUE into Tunnel Data.

Linux has no device for the Tunnel Data header (4, next header, 0, 0), but that of GUE version 0
(0, next header, flags 0) differs in its first octet only. So a tunnel is an ``ipip`` device with
``encap gue``, and nft turns 0 into 4 on the way out; on the way in it turns 4 into 0 and moves the
packet from the Mobile IP port, where the agent listens, to the kernel's GUE port. Signalling and data
share one port at both ends, and with it the mapping of every NAT on the way.

A device is found by its outer addresses alone, so two bindings behind one public address would be
the same. Each device therefore has a *pseudo address* of its own as its far end, made of the way's
number; the same rules put the far end's address and port in its place.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import GenericNetlinkSocket

from agents.effects import MOBILE_IP_PORT, Encapsulation, Tunnel

GUE_PORT = 4340
"""Where the kernel listens; nothing from outside may come there."""
PSEUDO_NETWORK = IPv4Network("198.18.0.0/15")
"""For benchmarks inside one network (RFC 2544): never on the wire here, nor anywhere else."""
OVERHEAD = 32
"""Octets in front of an inner packet: IP, UDP and Tunnel Data header."""
UNKNOWN = "unknown-udp-end-point"
"""Counter of Tunnel Data from where no tunnel ends, and of what comes to the GUE port itself."""
SAMPLES_PER_SECOND = 10
"""Of the same, given to the agent: the keepalive that completes a half-bound tunnel is among it."""
_GUE = 2  # TUNNEL_ENCAP_GUE and FOU_ENCAP_GUE
_FOU_ADD, _FOU_DELETE = 1, 2
_TOLD_APART_BY = {"mobile-node": "iifname . "}
"""What tells two tunnels apart besides addresses and ports: private addresses may coincide."""


class _FouMessage(genlmsg):  # type: ignore[misc]
    """A message of the kernel's ``fou`` family (linux/fou.h)."""

    nla_map = (
        ("FOU_ATTR_UNSPEC", "none"),
        ("FOU_ATTR_PORT", "be16"),
        ("FOU_ATTR_AF", "uint8"),
        ("FOU_ATTR_IPPROTO", "uint8"),
        ("FOU_ATTR_TYPE", "uint8"),
    )


class Listener:
    """The kernel's ear on the GUE port of this namespace."""

    def __init__(self) -> None:
        self._open = False

    def open(self) -> None:
        """Begin to listen; no error if it does already.

        :raises OSError: if the kernel cannot, as without ``fou``.
        """
        if self._open:
            return
        with contextlib.suppress(NetlinkError):  # a killed predecessor's
            self._ask(_FOU_DELETE)
        try:
            self._ask(_FOU_ADD)
        except NetlinkError as error:
            reason = "no fou in this kernel" if error.code == errno.ENOENT else str(error)
            raise OSError(error.code, f"UDP port {GUE_PORT} for GUE: {reason}") from None
        self._open = True

    def close(self) -> None:
        """Stop listening."""
        if self._open:
            with contextlib.suppress(NetlinkError, OSError):
                self._ask(_FOU_DELETE)
            self._open = False

    @staticmethod
    def _ask(command: int) -> None:
        message = _FouMessage()
        message["cmd"], message["version"] = command, 1
        message["attrs"] = [
            ("FOU_ATTR_PORT", GUE_PORT),
            ("FOU_ATTR_AF", socket.AF_INET),
            ("FOU_ATTR_TYPE", _GUE),
        ]
        with GenericNetlinkSocket() as family:
            family.bind("fou", _FouMessage)
            family.nlm_request(message, msg_type=family.prid, msg_flags=NLM_F_REQUEST | NLM_F_ACK)


def pseudo_address(number: int) -> IPv4Address:
    """The far end of way number ``number`` as its device knows it."""
    return PSEUDO_NETWORK[number]


def parameters(tunnel: Tunnel) -> dict[str, object]:
    """What a tunnel's ``ipip`` device needs besides its addresses."""
    return {
        "ipip_encap_type": _GUE,
        "ipip_encap_flags": 0,
        "ipip_encap_sport": tunnel.local_port,
        "ipip_encap_dport": tunnel.remote_port,
    }


def chains(role: str, tunnels: Mapping[Tunnel, int]) -> str:
    """The rules at ``prerouting`` and ``output``, before connection tracking, as nft text.

    :param tunnels: every tunnel with the number of its way; those that are no UDP tunnels are passed over.
    """
    ends = {tunnel: number for tunnel, number in tunnels.items() if tunnel.encapsulation is Encapsulation.UDP}
    before = _TOLD_APART_BY.get(role, "")
    arriving = ", ".join(
        (f'"{tunnel.interface}" . ' if before else "")
        + f"{tunnel.remote} . {tunnel.remote_port} . {tunnel.local} : {pseudo_address(number)}"
        for tunnel, number in ends.items()
    )
    leaving = ", ".join(f"{pseudo_address(number)} : {tunnel.remote}" for tunnel, number in ends.items())
    text = "  chain udp-in {\n    type filter hook prerouting priority raw - 10\n"
    text += f"    udp dport {GUE_PORT} fib daddr type local counter name {UNKNOWN} drop\n"
    text += f"    udp dport {MOBILE_IP_PORT} fib daddr type local jump at-mobile-ip-port\n  }}\n"
    text += "  chain at-mobile-ip-port {\n    notrack\n    @th,64,8 4 jump tunnel-data\n  }\n"
    text += "  chain tunnel-data {\n    udp length < 32 counter name truncated drop\n"
    if ends:
        # A look-up that finds nothing ends the rule. The checksum comes last: rewriting a port
        # would make a wrong one of zero, which says that there is none.
        text += (
            f"    @th,72,8 4 ip saddr set {before}ip saddr . udp sport . ip daddr map {{ {arriving} }} "
            f"udp dport set {GUE_PORT} @th,64,8 set 0 @th,80,16 set 0 udp checksum set 0 accept\n"
        )
    text += "    @th,72,8 != 4 counter name wrong-payload drop\n"
    text += f"    counter name {UNKNOWN} limit rate over {SAMPLES_PER_SECOND}/second drop\n    accept\n  }}\n"
    # The route was looked up for the pseudo address. "route" looks again; a mobile node's devices are
    # tied to their interfaces, and stay so.
    kind = "filter" if role == "mobile-node" else "route"
    text += f"  chain udp-out {{\n    type {kind} hook output priority raw - 10\n"
    text += f"    udp sport {MOBILE_IP_PORT} notrack\n"
    text += f"    ip daddr {PSEUDO_NETWORK} udp sport {MOBILE_IP_PORT} jump to-far-end\n  }}\n"
    text += "  chain to-far-end {\n"
    if ends:
        text += (
            f"    ip daddr set ip daddr map {{ {leaving} }} @th,64,8 set 4 udp checksum set 0 "
            # The inner packet's mark would lead it into the tunnel again.
            "meta mark set 0 accept\n"
        )
    return text + "    drop\n  }\n"
