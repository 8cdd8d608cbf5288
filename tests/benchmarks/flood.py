# SPDX-License-Identifier: GPL-2.0-or-later
"""Legitimate re-registrations at a home agent while forged requests pour in, on the real clock.

    python tests/benchmarks/flood.py [--rate 10000] [--seconds 10] [--nodes 50] [--json]

Everything is in a network namespace of its own. The home agent's program runs with its real event loop,
sockets and control socket; only its tunnels are left out, because a re-registration touches none and many
kernels have none. Each mobile node renews two bindings a second. The flood is an equal mix of requests with
a false authenticator from invented and from the mobile nodes' own addresses, recorded genuine requests,
requests for unknown home addresses, with an unknown extension, Tunnel Data, and noise.

Exit code 1: a binding was lost, the agent's memory grew by more than 16 MiB, or it stopped to answer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from agents.daemon.control import ask
from agents.wire import (
    Algorithm,
    AuthenticationType,
    MultipleTunnelRequest,
    RegistrationRequest,
    RequestFlags,
    append,
    ntp_timestamp,
)

HOME_AGENT = IPv4Address("10.0.0.1")
FIRST_HOME, FIRST_CARE_OF, FIRST_INVENTED = (IPv4Address(a) for a in ("10.1.0.1", "10.2.0.1", "10.128.0.1"))
PORT, NODE_PORT = 434, 4434
ANSWER_TIME = 1.0
"""A reply later than this is lost: the mobile node has asked again."""
MOST_GROWTH_KIB = 16 * 1024
_BURST = 0.005
_INSIDE = "FLOOD_BENCHMARK_NAMESPACE"
_IP_HEADER = struct.Struct("!BBHHHBBHII")


def key(number: int) -> bytes:
    """Of one mobile node."""
    return number.to_bytes(16, "big")


def request(number: int, identification: int, secret: bytes, home: IPv4Address | None = None) -> bytes:
    """A renewal by a mobile node, or what claims to be one."""
    message = RegistrationRequest(
        flags=RequestFlags.S | RequestFlags.D | RequestFlags.T,
        lifetime=600,
        home_address=home or FIRST_HOME + number,
        home_agent=HOME_AGENT,
        care_of_address=FIRST_CARE_OF + number,
        identification=identification,
        extensions=(MultipleTunnelRequest(4, 1, False, False, 6250),),
    )
    return append(message.encode(), AuthenticationType.MOBILE_HOME, 256, Algorithm.HMAC_MD5, secret)


# The agent


def run_agent(folder: Path, nodes: int) -> None:
    """The home agent's program; its tunnels go nowhere."""
    from agents.daemon.programs import HomeAgentShell
    from agents.daemon.shell import run
    from agents.effects import AddTunnel, Effect, SetPaths
    from agents.settings import HomeAgentSettings

    class WithoutTunnels(HomeAgentShell):
        def perform(self, effects: Iterable[Effect]) -> None:
            super().perform(e for e in effects if not isinstance(e, AddTunnel | SetPaths))

    entries = [
        {"home_address": FIRST_HOME + n, "security_association": [{"spi": 256, "key": key(n)}]}
        for n in range(nodes)
    ]
    settings = HomeAgentSettings.model_validate(
        {"address": HOME_AGENT, "mobile_node": entries, "control_socket": folder / "agent.sock"}
    )
    run(lambda: WithoutTunnels(settings, Random()))


@contextmanager
def agent(folder: Path, nodes: int) -> Iterator[int]:
    """Start it; its process identifier once it answers."""
    log = folder / "agent.log"
    command = [sys.executable, __file__, "--agent", str(folder), "--nodes", str(nodes)]
    with log.open("wb") as sink, subprocess.Popen(command, stderr=sink) as process:
        try:
            deadline = time.monotonic() + 20
            while not (folder / "agent.sock").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the home agent does not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()
            process.wait(20)


# The flood


def in_ip(source: IPv4Address, port: int, payload: bytes) -> bytes:
    """A UDP datagram to the home agent with the source of one's choice, without UDP checksum."""
    length = 28 + len(payload)
    header = _IP_HEADER.pack(0x45, 0, length, 0, 0, 64, 17, 0, int(source), int(HOME_AGENT))
    return header + struct.pack("!HHHH", port, PORT, 8 + len(payload), 0) + payload


def forgeries(nodes: int, recorded: Sequence[bytes], random: Random) -> list[bytes]:
    """Seven kinds in equal parts, a few thousand packets to be sent again and again."""
    packets = []
    for _ in range(500):
        number = random.randrange(nodes)
        own, invented = FIRST_CARE_OF + number, FIRST_INVENTED + random.randrange(1 << 20)
        stamp = ntp_timestamp(time.time(), random.getrandbits(32))
        false = request(number, stamp, b"guessed")
        bad_extension = append(
            false[:24] + bytes([99, 0]), AuthenticationType.MOBILE_HOME, 256, Algorithm.HMAC_MD5, b"guessed"
        )
        packets += [
            in_ip(invented, 434, false),
            in_ip(own, NODE_PORT, false),
            in_ip(invented, 434, random.choice(recorded)),
            in_ip(invented, 434, request(number, stamp, key(number), home=invented)),
            in_ip(invented, 434, bad_extension),
            in_ip(own, random.randrange(1024, 65536), bytes([4, 4, 0, 0]) + random.randbytes(60)),
            in_ip(invented, 434, random.randbytes(random.randrange(80))),
        ]
    random.shuffle(packets)
    return packets


def flood(packets: Sequence[bytes], rate: float, stop: Event, sent: Any) -> None:
    """Send packets at a rate until told to stop."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        begun = time.monotonic()
        count = 0
        while not stop.is_set():
            for _ in range(int((time.monotonic() - begun) * rate) - count):
                raw.sendto(packets[count % len(packets)], (str(HOME_AGENT), 0))
                count += 1
            time.sleep(_BURST)
        sent.value = count


# The mobile nodes


@dataclass
class Phase:
    """What the mobile nodes and an operator saw for a while."""

    round_trips: list[float] = field(default_factory=list)
    sent: int = 0
    denied: int = 0
    operator: list[float] = field(default_factory=list)
    """How long ``mipctl status`` waited, each time."""

    def row(self) -> dict[str, float | int]:
        """Numbers; times in milliseconds."""
        trips, operator = sorted(self.round_trips), sorted(self.operator)
        return {
            "renewals": self.sent,
            "lost": self.sent - len(trips) - self.denied,
            "denied": self.denied,
            "p50_ms": round(1e3 * percentile(trips, 0.5), 2),
            "p99_ms": round(1e3 * percentile(trips, 0.99), 2),
            "max_ms": round(1e3 * percentile(trips, 1.0), 2),
            "mipctl_p99_ms": round(1e3 * percentile(operator, 0.99), 2),
        }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of sorted samples, by nearest rank; not a number without any."""
    return ordered[max(0, -(-int(share * 1000 * len(ordered)) // 1000) - 1)] if ordered else float("nan")


def clients(nodes: int) -> list[socket.socket]:
    """A socket on each mobile node's care-of address."""
    made = []
    for number in range(nodes):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        client.bind((str(FIRST_CARE_OF + number), NODE_PORT))
        made.append(client)
    return made


def renew(made: Sequence[socket.socket], seconds: float, control: Path, recorded: list[bytes]) -> Phase:
    """Two renewals a second by each node, evenly spread; replies are matched by Identification."""
    phase = Phase()
    poll = select.epoll()
    numbers = {client.fileno(): number for number, client in enumerate(made)}
    for client in made:
        poll.register(client, select.EPOLLIN)
    waiting: dict[tuple[int, int], float] = {}
    gap = 0.5 / len(made)
    begun = time.monotonic()
    next_send, next_question, turn = begun, begun + 0.05, 0
    while (now := time.monotonic()) < begun + seconds + ANSWER_TIME:
        if now >= next_send and next_send < begun + seconds:
            number = turn % len(made)
            identification = ntp_timestamp(time.time(), turn)
            payload = request(number, identification, key(number))
            waiting[number, identification & 0xFFFF_FFFF] = time.monotonic()
            made[number].sendto(payload, (str(HOME_AGENT), PORT))
            recorded.append(payload)
            phase.sent += 1
            turn += 1
            next_send += gap
        if now >= next_question:
            ask(control, "status")
            phase.operator.append(time.monotonic() - now)
            next_question = time.monotonic() + 0.25
        for descriptor, _ in poll.poll(max(0.0, min(next_send, next_question) - time.monotonic())):
            number = numbers[descriptor]
            reply = made[number].recv(2048)
            arrived = time.monotonic()
            sent = waiting.pop((number, int.from_bytes(reply[16:20], "big")), None)
            if sent is None:
                continue  # an answer to a forged request in this node's name
            if reply[1] != 0:
                phase.denied += 1
            elif arrived - sent <= ANSWER_TIME:
                phase.round_trips.append(arrived - sent)
    poll.close()
    return phase


def resident_kib(process: int) -> int:
    """The agent's memory."""
    text = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))


def processor_seconds(process: int) -> float:
    """Processor time the agent has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def dropped() -> int:
    """Datagrams that found no room in the agent's socket."""
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    wildcard = f"00000000:{PORT:04X}"
    return sum(int(row.split()[-1]) for row in rows if row.split()[1] == wildcard)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Without the flood, then with it."""
    for words in (
        "link set lo up",
        f"address add {HOME_AGENT}/32 dev lo",
        "route add local 10.0.0.0/8 dev lo",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    with tempfile.TemporaryDirectory(prefix="mip4-flood-") as name, agent(Path(name), options.nodes) as pid:
        control = Path(name) / "agent.sock"
        made = clients(options.nodes)
        recorded: list[bytes] = []
        renew(made, 1.0, control, recorded)  # the first registrations
        quiet = renew(made, options.seconds, control, recorded)
        before, memory, busy, lost = (
            ask(control, "status"),
            resident_kib(pid),
            processor_seconds(pid),
            dropped(),
        )
        stop, sent = multiprocessing.Event(), multiprocessing.Value("q", 0)
        packets = forgeries(options.nodes, recorded, Random(1))
        flooder = multiprocessing.Process(target=flood, args=(packets, options.rate, stop, sent))
        begun = time.monotonic()
        flooder.start()
        try:
            time.sleep(0.5)
            flooded = renew(made, options.seconds, control, recorded)
        finally:
            stop.set()
            flooder.join()
        took = time.monotonic() - begun
        after = ask(control, "status")
        return {
            "quiet": quiet.row(),
            "flooded": flooded.row(),
            "forged_per_second": round(sent.value / took),
            "dropped_by_socket": dropped() - lost,
            "agent_processor_share": round((processor_seconds(pid) - busy) / took, 2),
            "memory_kib": {"before": memory, "after": resident_kib(pid)},
            "bindings": {"before": len(before["bindings"]), "after": len(after["bindings"])},
            "load_average": os.getloadavg()[0],
        }


def problems(found: dict[str, Any], nodes: int) -> list[str]:
    """What must not happen."""
    said = []
    if found["bindings"] != {"before": nodes, "after": nodes}:
        said.append(f"bindings were lost: {found['bindings']}")
    growth = found["memory_kib"]["after"] - found["memory_kib"]["before"]
    if growth > MOST_GROWTH_KIB:
        said.append(f"the agent's memory grew by {growth} KiB")
    return said


def show(found: dict[str, Any]) -> None:
    """One table."""
    rows = {"without": found["quiet"], f"{found['forged_per_second']}/s forged": found["flooded"]}
    print("".join(f"{name:>16}" for name in ("flood", *found["quiet"])))
    for name, row in rows.items():
        print("".join(f"{value:>16}" for value in (name, *row.values())))
    for name in ("bindings", "memory_kib", "dropped_by_socket", "agent_processor_share", "load_average"):
        print(f"{name}: {found[name]}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=10_000, help="forged requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each of the two phases")
    parser.add_argument("--nodes", type=int, default=50, help="mobile nodes, two renewals a second each")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--agent", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.agent is not None:
        run_agent(options.agent, options.nodes)
        return 0
    if os.environ.get(_INSIDE) != "1":
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", *user, "--net", sys.executable, *sys.argv])
    found = measure(options)
    said = problems(found, options.nodes)
    print(json.dumps({**found, "problems": said})) if options.json else show(found)
    for line in said:
        print(f"flood: {line}", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
