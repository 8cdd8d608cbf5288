# SPDX-License-Identifier: GPL-2.0-or-later
"""How many Registration Requests a second the home agent's state machine decides on one core.

Decode, authenticate, replay check, decision and signed reply, over 10,000 mobile nodes with two
bindings each; no sockets and no kernel. Requests are built beforehand.

    python tests/benchmarks/home_agent_requests.py [REQUESTS_PER_PHASE]
"""

from __future__ import annotations

import gc
import sys
import time
from ipaddress import IPv4Address
from random import Random

from agents.effects import Datagram, Instant, SendDatagram
from agents.home_agent import HomeAgent
from agents.settings import HomeAgentSettings
from agents.wire import (
    AuthenticationType,
    MultipleTunnelRequest,
    RegistrationRequest,
    RequestFlags,
    append,
    ntp_timestamp,
)

MOBILE_NODES = 10_000
HOME_AGENT = IPv4Address("10.0.0.1")
UNIX = 1_265_675_966.0


def home_agent_settings() -> HomeAgentSettings:
    """A home agent with many mobile nodes."""
    nodes = [
        {
            "home_address": IPv4Address("10.1.0.0") + number,
            "security_association": [{"spi": 256, "key": number.to_bytes(16, "big")}],
        }
        for number in range(MOBILE_NODES)
    ]
    return HomeAgentSettings.model_validate({"address": HOME_AGENT, "mobile_node": nodes})


def datagrams(settings: HomeAgentSettings, count: int, second: int) -> list[Datagram]:
    """Requests of all mobile nodes in turn, two bindings each."""
    made = []
    for number in range(count):
        node, binding_id = number // 2 % MOBILE_NODES, number % 2 + 1
        association = settings.mobile_node[node].security_association[0]
        care_of_address = IPv4Address("172.16.0.0") + 2 * node + binding_id
        request = RegistrationRequest(
            flags=RequestFlags.S | RequestFlags.D | RequestFlags.T,
            lifetime=600,
            home_address=settings.mobile_node[node].home_address,
            home_agent=HOME_AGENT,
            care_of_address=care_of_address,
            identification=ntp_timestamp(UNIX + second, number),
            extensions=(MultipleTunnelRequest(4, binding_id, False, False, 6250),),
        )
        payload = append(
            request.encode(),
            AuthenticationType.MOBILE_HOME,
            association.spi,
            association.algorithm,
            association.key,
        )
        made.append(Datagram(payload, care_of_address, 434, HOME_AGENT, "eth0"))
    return made


def _run(agent: HomeAgent, sent: list[Datagram], second: int) -> float:
    now = Instant(float(second), UNIX + second)
    replies = 0
    began = time.process_time()
    for datagram in sent:
        for effect in agent.receive(datagram, now):
            if type(effect) is SendDatagram and effect.payload[1] == 0:
                replies += 1
    seconds = time.process_time() - began
    if replies != len(sent):
        raise SystemExit(f"{replies} of {len(sent)} requests were accepted")
    return len(sent) / seconds


def main() -> None:
    """Print requests per second of processor time, for new bindings and for renewals."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2 * MOBILE_NODES
    settings = home_agent_settings()
    agent = HomeAgent(settings, Random(1))
    agent.start(Instant(0.0, UNIX))
    gc.freeze()
    for second, phase in enumerate(("new bindings", "renewals", "renewals again"), 1):
        rate = _run(agent, datagrams(settings, count, second), second)
        print(f"{phase}: {rate:,.0f} requests/s ({1e6 / rate:.1f} us each)")


if __name__ == "__main__":
    main()
