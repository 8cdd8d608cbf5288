# SPDX-License-Identifier: GPL-2.0-or-later
"""What the testbed needs of a kernel, tried by using it.

``python -m topologies.features [--lines | --json]`` runs as root inside the kernel in question.
Each feature is used in a network and mount namespace of its own, in a process of its own: nothing
outside is touched and nothing stays. ``--lines`` prints one line per failure. Exit code: 0 all
work, 1 some do not, 2 bad usage or not root.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nftables
from pyroute2.iproute import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

OK, FAILED, USAGE = 0, 1, 2
_CLONE_NEWNS, _CLONE_NEWNET = 0x20000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_NTF_PROXY = 0x08
_libc = ctypes.CDLL(None, use_errno=True)


class FeatureError(RuntimeError):
    """The kernel took a request and did something else, or a tool refused; says what."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing a kernel must be able to do."""

    name: str
    purpose: str
    """What the testbed does with it."""
    attempt: Callable[[], object]
    """Uses it in the current namespaces; raises OSError, NetlinkError or FeatureError."""
    option: str
    """The kernel configuration option behind it."""
    module: str | None = None
    """Its module in Debian's kernel, if it is one."""

    @property
    def mend(self) -> str:
        """What a person can do about it on Debian."""
        load = f": sudo modprobe {self.module}" if self.module else " (Debian's linux-image-amd64 has it)"
        return f"a kernel with {self.option}{load}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying a feature."""

    name: str
    purpose: str
    reason: str | None
    """Why it does not work, as the kernel put it; None: it works."""
    mend: str

    @property
    def line(self) -> str:
        """One line about a failure."""
        return f"{self.name}: {self.reason}; mend it with: {self.mend}, or use --kernel guest"


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _enter_namespaces() -> None:
    """Leave every namespace shared with others; undone by the end of the process."""
    _checked(_libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS), "a new network and mount namespace")
    _checked(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "a private mount namespace")


def _pair(netlink: IPRoute) -> tuple[int, int]:
    """Two connected interfaces, up, with addresses 192.0.2.1/24 and 192.0.2.2/24."""
    netlink.link("add", ifname="left", kind="veth", peer={"ifname": "right"})
    left, right = (socket.if_nametoindex(name) for name in ("left", "right"))
    for last, index in enumerate((left, right), start=1):
        netlink.addr("add", index=index, address=f"192.0.2.{last}", prefixlen=24)
        netlink.link("set", index=index, state="up")
    return left, right


def _first_line(said: str) -> str:
    return (said.strip() or "no reason given").splitlines()[0]


def _veth() -> None:
    with IPRoute() as netlink:
        _pair(netlink)


def _bridge() -> None:
    with IPRoute() as netlink:
        left, _ = _pair(netlink)
        netlink.link("add", ifname="bridge", kind="bridge", br_stp_state=0, br_mcast_snooping=0)
        bridge = socket.if_nametoindex("bridge")
        netlink.link("set", index=left, master=bridge)
        netlink.link("set", index=bridge, state="up")


def _netem() -> None:
    with IPRoute() as netlink:
        left, _ = _pair(netlink)
        netlink.tc("add", "netem", index=left, handle="1:", delay=5000, rate="20000000bit", limit=100)
        if "netem" not in [queue.get_attr("TCA_KIND") for queue in netlink.get_qdiscs(index=left)]:
            raise FeatureError("the queue was accepted but is not there")


def _tunnel(kind: str) -> Callable[[], None]:
    def attempt() -> None:
        with IPRoute() as netlink:
            _pair(netlink)
            ends = {f"{kind}_local": "192.0.2.1", f"{kind}_remote": "192.0.2.2", f"{kind}_ttl": 64}
            netlink.link("add", ifname="tunnel", kind=kind, **ends)
            tunnel = socket.if_nametoindex("tunnel")
            netlink.link("set", index=tunnel, state="up")
            netlink.route("add", dst="198.51.100.0/24", oif=tunnel)

    return attempt


def _udp_tunnel() -> None:
    """By ``ip``: pyroute2 knows neither the listener nor the encapsulation of a device."""
    ends = "local 192.0.2.1 remote 192.0.2.2"
    for arguments in (
        "fou add port 4754 gue",
        f"link add tunnel type ipip {ends} encap gue encap-sport 434 encap-dport 434",
    ):
        done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise FeatureError(f"ip {' '.join(arguments.split()[:2])}: {_first_line(done.stderr)}")


def _multipath_route() -> None:
    with IPRoute() as netlink:
        left, right = _pair(netlink)
        hops = [{"oif": left, "hops": 3}, {"oif": right, "hops": 0}]
        netlink.route("add", dst="198.51.100.0/24", multipath=hops)


def _mark_rule() -> None:
    with IPRoute() as netlink:
        netlink.rule("add", fwmark=1, fwmask=0xFFFF, table=10_001, family=socket.AF_INET)


def _proxy_arp() -> None:
    with IPRoute() as netlink:
        left, _ = _pair(netlink)
        netlink.neigh("add", dst="192.0.2.9", ifindex=left, flags=_NTF_PROXY)


def _load(rules: str) -> None:
    nft = nftables.Nftables()
    code, _, error = nft.cmd(f"table ip probe {{\n{rules}\n}}\n")
    if code:
        # nft repeats the rule and underlines it below the reason.
        raise FeatureError(_first_line(error).rpartition("Error: ")[2])


def _rules(chain: str, *rules: str) -> Callable[[], None]:
    """A table with one chain of this kind is accepted."""
    body = "\n".join(rules)
    return lambda: _load(f"chain rules {{ type {chain}\n{body}\n}}")


def _sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys", name.replace(".", "/"))
    path.write_text(value)
    if path.read_text().strip() != value:
        raise FeatureError(f"{name} does not keep the value {value}")


def _liberal_tracking() -> None:
    _load("chain rules { type filter hook output priority mangle\nct state invalid counter\n}")
    _sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "1")


def _packet_socket() -> None:
    with IPRoute() as netlink:
        _pair(netlink)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as probe:
        probe.bind(("left", 0x0806))
        probe.send(b"\xff" * 6 + b"\x02" + b"\0" * 5 + b"\x08\x06" + b"\0" * 28)


def _socket_on_tmpfs() -> None:
    _checked(_libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None), "tmpfs")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("/tmp/socket")
        server.listen()
        client.connect("/tmp/socket")


def _mnexec() -> None:
    done = subprocess.run(["mnexec", "-n", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise FeatureError(_first_line(done.stderr))


_HOOK = "filter hook {} priority mangle"
FEATURES: tuple[Feature, ...] = (
    Feature(
        "namespaces", "every node is one", _enter_namespaces, "CONFIG_NET_NS, and root outside a container"
    ),
    Feature("mnexec", "starts every node's shell", _mnexec, "CONFIG_NET_NS, and the package mininet"),
    Feature("veth", "every link", _veth, "CONFIG_VETH", "veth"),
    Feature("bridge", "access networks and the home link", _bridge, "CONFIG_BRIDGE", "bridge"),
    Feature("netem", "rate, delay and loss of the links", _netem, "CONFIG_NET_SCH_NETEM", "sch_netem"),
    Feature("ipip", "IP-in-IP tunnels", _tunnel("ipip"), "CONFIG_NET_IPIP", "ipip"),
    Feature("gre", "GRE tunnels", _tunnel("gre"), "CONFIG_NET_IPGRE", "ip_gre"),
    Feature("udp-tunnel", "tunnels through NATs (RFC 3519)", _udp_tunnel, "CONFIG_NET_FOU_IP_TUNNELS", "fou"),
    Feature("multipath-route", "policy per-flow-hash", _multipath_route, "CONFIG_IP_ROUTE_MULTIPATH"),
    Feature(
        "multipath-hash-policy",
        "policy per-flow-hash",
        lambda: _sysctl("net.ipv4.fib_multipath_hash_policy", "1"),
        "CONFIG_IP_ROUTE_MULTIPATH",
    ),
    Feature("mark-rule", "leads a marked packet to its tunnel", _mark_rule, "CONFIG_IP_MULTIPLE_TABLES"),
    Feature(
        "nft-numgen",
        "the next slot of a cycle of tunnels",
        _rules(_HOOK.format("prerouting"), "meta mark set numgen inc mod 3 map { 0 : 1, 1 : 2, 2 : 1 }"),
        "CONFIG_NFT_NUMGEN",
        "nft_numgen",
    ),
    Feature(
        "nft-connection-mark",
        "a flow keeps its tunnel",
        _rules(
            _HOOK.format("prerouting"),
            "ct mark & 0xffff { 1, 2 } meta mark set ct mark return",
            "ct mark set meta mark",
        ),
        "CONFIG_NFT_CT and CONFIG_NF_CONNTRACK_MARK",
        "nft_ct",
    ),
    Feature(
        "nft-route-chain",
        "path selection for packets of the node itself",
        _rules("route hook output priority mangle", "meta mark set 1"),
        "CONFIG_NF_TABLES_IPV4",
        "nf_tables",
    ),
    Feature(
        "nft-verdict-map",
        "path selection by home address",
        lambda: _load(
            "chain chosen { counter\n}\nmap choices { type ipv4_addr : verdict\n"
            "elements = { 198.51.100.10 : goto chosen }\n}\n"
            "chain rules { type filter hook prerouting priority mangle\nip daddr vmap @choices\n}"
        ),
        "CONFIG_NF_TABLES",
        "nf_tables",
    ),
    Feature(
        "nft-payload-rewrite",
        "the Tunnel Data header of RFC 3519, untracked",
        _rules("filter hook output priority raw", "udp dport 434 @th,64,8 0 @th,64,8 set 4 notrack"),
        "CONFIG_NFT_CT and CONFIG_NF_TABLES_IPV4",
        "nft_ct",
    ),
    Feature(
        "nft-masquerade",
        "the NAT in front of a mobile node",
        _rules("nat hook postrouting priority srcnat", "ip saddr 192.0.2.0/24 masquerade"),
        "CONFIG_NFT_MASQ",
        "nft_masq",
    ),
    Feature(
        "liberal-tracking",
        "a flow that reorders stays a flow",
        _liberal_tracking,
        "CONFIG_NF_CONNTRACK",
        "nf_conntrack",
    ),
    Feature("proxy-arp", "the home agent answers for absent mobile nodes", _proxy_arp, "CONFIG_INET"),
    Feature("packet-socket", "gratuitous ARP, captures", _packet_socket, "CONFIG_PACKET", "af_packet"),
    Feature("socket-on-tmpfs", "control sockets of the agents", _socket_on_tmpfs, "CONFIG_TMPFS"),
)
"""In the order of the report; the first is what all others are tried in."""


def _reason(feature: Feature) -> str | None:
    """Use a feature in namespaces of our own; why it does not work."""
    try:
        _enter_namespaces()
        if feature.attempt is not _enter_namespaces:
            feature.attempt()
    except NetlinkError as error:
        return os.strerror(error.code)
    except FileNotFoundError as error:
        return f"there is no {error.filename}"
    except OSError as error:
        return error.strerror or str(error)
    except FeatureError as error:
        return str(error)
    return None


def attempt(feature: Feature) -> Outcome:
    """Try one feature in a child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, (_reason(feature) or "").encode())
        except Exception as error:  # noqa: BLE001 - a fault of the trial is an outcome too
            os.write(writer, f"the trial failed: {error!r}".encode())
        finally:
            os._exit(0)  # whatever happens, the child never returns into the caller's code
    os.close(writer)
    with open(reader, "rb") as stream:
        reason: str | None = stream.read().decode() or None
    _, status = os.waitpid(child, 0)
    if status:
        reason = f"the trial died of signal {os.waitstatus_to_exitcode(status)}"
    return Outcome(feature.name, feature.purpose, reason, feature.mend)


def attempt_all(features: Sequence[Feature] = FEATURES) -> list[Outcome]:
    """Try features; if there are no namespaces to try them in, that is the only outcome."""
    first = attempt(FEATURES[0])
    if first.reason is not None:
        return [first]
    return [first, *(_with_module(feature) for feature in features if feature is not FEATURES[0])]


def _with_module(feature: Feature) -> Outcome:
    """Try a feature; if it fails, once more with its module, which the kernel does not load for everything
    that asks (``fou`` on Debian's).
    """
    outcome = attempt(feature)
    if outcome.reason is None or feature.module is None or shutil.which("modprobe") is None:
        return outcome
    loaded = subprocess.run(["modprobe", "--quiet", feature.module], capture_output=True, check=False)
    return attempt(feature) if loaded.returncode == 0 else outcome


def report(outcomes: Sequence[Outcome], *, as_json: bool = False) -> int:
    """Print failures as lines, or everything as JSON; the exit code."""
    failed = [outcome for outcome in outcomes if outcome.reason is not None]
    if as_json:
        print(json.dumps({"schema": 1, "features": [asdict(outcome) for outcome in outcomes]}))  # noqa: T201
    else:
        for outcome in failed:
            print(outcome.line)  # noqa: T201
    return FAILED if failed else OK


def main(arguments: Sequence[str]) -> int:
    """The module's command line."""
    if list(arguments) not in ([], ["--lines"], ["--json"]):
        sys.stderr.write("usage: python -m topologies.features [--lines | --json]\n")
        return USAGE
    if os.geteuid() != 0:
        sys.stderr.write("topologies.features: needs root; mend it with: sudo\n")
        return USAGE
    return report(attempt_all(), as_json="--json" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
