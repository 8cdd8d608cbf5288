# SPDX-License-Identifier: GPL-2.0-or-later
"""A foreign agent under fire from both sides: visitors' requests, home agents' replies."""

from __future__ import annotations

import hmac
import json
import struct
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address
from random import Random
from typing import Any

from agents.effects import Datagram, Effect, Report, SendDatagram
from agents.foreign_agent_pending import PendingKey, pending_key
from tests.fuzz.mutations import EXTENSIONS, mutate
from tests.unit.foreign_agent.foreign_agent_lab import (
    AGENTS,
    ALL_AGENTS,
    CARE_OF,
    CO_LOCATED,
    ENCAPSULATING,
    HOME,
    HOME_AGENT,
    HOME_ENTRY,
    HOME_KEY,
    HOME_SPI,
    LINKS,
    NODE_ENTRY,
    NODE_KEY,
    NODE_SPI,
    OTHER_CARE_OF,
    OTHER_HOME_AGENT,
    STRANGER,
    Lab,
    extension,
    read_denial,
    reply_to,
    signed_for_agent,
    signed_for_node,
)
from tests.unit.home_agent.home_agent_lab import authentication, fixed_request

REQUEST_PART, REPLY_PART, SOLICITATION_PART = 24, 20, 8
SCENARIOS: Mapping[str, dict[str, Any]] = {
    "default": {},
    "trusted mobile node": {"mobile_node": [NODE_ENTRY]},
    "trusted home agent": {"home_agent": [HOME_ENTRY]},
    "behind a NAT": {"behind_nat": True, "home_agent": [HOME_ENTRY], "maximum_visitors": 3},
    "strict": {"reverse_tunnel": "required", "encapsulations": ["ipip"], "delivery_styles": ["direct"]},
    "legacy": {"recognise_multiple_tunnels": False, "uplink": None},
}
HOMES = (HOME, HOME, HOME + 1, HOME + 2)
ADDRESSES = (*HOMES, HOME_AGENT, OTHER_HOME_AGENT, CARE_OF, OTHER_CARE_OF, CO_LOCATED, IPv4Address(0))
BEHIND = (ENCAPSULATING, extension(130, b"\0"), *EXTENSIONS)
LIFE = 1500
"""Messages for one foreign agent; then another one starts."""
_KEPT = 8
_SOLICITATION = bytes.fromhex("0a00f5ff00000000")


class ForeignAgentTarget:
    """One foreign agent after the other, with a model of its kernel and a clock of its own."""

    def __init__(self, random: Random, counts: Counter[str]) -> None:
        self._random = random
        self._counts = counts
        self._left = 0
        self._begin()

    def _begin(self) -> None:
        self._changes = SCENARIOS[self._random.choice(list(SCENARIOS))]
        self._lab = Lab(**self._changes)
        self._left = LIFE
        self._relayed: dict[PendingKey, bytes] = {}
        self._kind = "request"

    # Making messages

    def message(self) -> tuple[bytes, bool]:
        """The next message, and whether it was signed after it was mutated."""
        self._left -= 1
        if self._left < 0:
            self._begin()
        self._pass_time()
        waiting = self._lab.agent._pending._parts
        self._relayed = {key: payload for key, payload in self._relayed.items() if key in waiting}
        chance = self._random.random()
        if chance < 0.02:
            self._kind = "solicitation"
            return mutate(_SOLICITATION, SOLICITATION_PART, self._random, ADDRESSES), False
        self._kind = "reply" if self._relayed and chance < 0.6 else "request"
        return self._reply() if self._kind == "reply" else self._request()

    def _request(self) -> tuple[bytes, bool]:
        random = self._random
        body = fixed_request(
            identification=self._lab.identification(),
            flags=random.choice((0x02, 0x02, 0x82, 0x0A, 0x22, random.randrange(256))),
            lifetime=random.choice((0, 60, 600, 600)),
            home_address=random.choice(HOMES),
            home_agent=random.choice((HOME_AGENT, HOME_AGENT, HOME_AGENT, OTHER_HOME_AGENT)),
            care_of_address=random.choice((CARE_OF, CARE_OF, OTHER_CARE_OF, CO_LOCATED)),
        )
        for _ in range(random.choice((0, 1, 1, 2))):
            body += random.choice(EXTENSIONS[: 6 if random.random() < 0.7 else None])
        if random.random() < 0.25:
            return mutate(self._signed_request(body), REQUEST_PART, random, ADDRESSES), False
        if random.random() < 0.8:
            body = mutate(body, REQUEST_PART, random, ADDRESSES)
        return self._signed_request(body), True

    def _signed_request(self, body: bytes) -> bytes:
        message = authentication(body)
        if self._random.random() < 0.3:
            message += self._random.choice(BEHIND)
        trusted = "mobile_node" in self._changes and self._random.random() < 0.8
        return signed_for_node(message) if trusted else message

    def _reply(self) -> tuple[bytes, bool]:
        random = self._random
        key, relayed = random.choice(list(self._relayed.items()))
        body = reply_to(
            relayed,
            code=random.choice((0, 0, 0, 0, 1, 64, 133, random.randrange(256))),
            lifetime=random.choice((None, None, 0, 30, 0xFFFF)),
            sign=False,
        )
        for _ in range(random.choice((0, 0, 1, 2))):
            body += random.choice(EXTENSIONS)
        if random.random() < 0.25:
            return mutate(self._signed_reply(body), REPLY_PART, random, ADDRESSES), False
        if random.random() < 0.8:
            body = mutate(body, REPLY_PART, random, ADDRESSES)
        if len(body) >= REPLY_PART and random.random() < 0.8:
            low = struct.pack("!I", key.identification)
            body = body[:4] + key.home_address.packed + body[8:16] + low + body[20:]
        return self._signed_reply(body), True

    def _signed_reply(self, body: bytes) -> bytes:
        message = authentication(body)
        if self._random.random() < 0.2:
            message += self._random.choice(EXTENSIONS)
        trusted = "home_agent" in self._changes and self._random.random() < 0.8
        return signed_for_agent(message) if trusted else message

    # Delivering them

    def deliver(self, payload: bytes) -> None:
        """Give it to the agent and check everything that must hold.

        :raises AssertionError: it does not.
        """
        lab, random = self._lab, self._random
        before = self._state()
        if self._kind == "solicitation":
            lab.apply(lab.agent.receive_icmp(payload, HOME, "wifi", LINKS["wifi"], lab.now))
            assert self._state() == before, "a solicitation changed the state"
            return
        interface = random.choice(("wifi", "wifi", "lte")) if self._kind == "request" else "eth0"
        datagram = Datagram(
            payload,
            HOME if self._kind == "request" else HOME_AGENT,
            random.choice((434, 5434, 5434, 0 if random.random() < 0.1 else 434)),
            random.choice((AGENTS.get(interface, CARE_OF), ALL_AGENTS)),
            interface if random.random() < 0.95 else random.choice(("wifi", "eth0", "eth1")),
            random.choice((255, 255, 255, 255, 255, 255, 64)),
            random.choice((LINKS.get(interface), LINKS.get(interface), STRANGER)),
        )
        effects = lab.apply(lab.agent.receive(datagram, lab.now))
        self._check(datagram, effects, before)
        if random.random() < 0.005:
            json.dumps(lab.status())

    def _check(self, datagram: Datagram, effects: list[Effect], before: _State) -> None:
        reports = {effect.event: effect for effect in effects if isinstance(effect, Report)}
        sent = [effect for effect in effects if isinstance(effect, SendDatagram)]
        assert len(sent) <= 1
        after = self._state()
        if (discarded := reports.get("message-discarded")) is not None:
            self._counts[f"foreign agent: discarded, {discarded.fields['reason']}"] += 1
            assert effects == [discarded], f"a discarded message had an effect: {effects}"
            assert after == before, "a discarded message changed the state"
        elif (denied := reports.get("request-denied") or reports.get("denial-suppressed")) is not None:
            self._counts[f"foreign agent: denied {denied.fields['code']}"] += 1
            self._check_denial(datagram, sent, before)
        elif "request-relayed" in reports:
            self._counts["foreign agent: request relayed"] += 1
            self._check_relayed(datagram, sent[0], before)
        else:
            self._check_reply(datagram, reports, sent[0], before)
        assert len(after.pending) <= self._lab.settings.pending_limit
        assert sum(map(len, after.lists.values())) <= self._lab.settings.maximum_visitors

    def _check_denial(self, datagram: Datagram, sent: list[SendDatagram], before: _State) -> None:
        """A denial ends a pending part if a reply led to it, and changes nothing else."""
        after = self._state()
        assert (after.lists, after.switches) == (before.lists, before.switches), (
            "a denied message changed an entry"
        )
        gone = before.pending.keys() - after.pending.keys()
        assert after.pending.keys() <= before.pending.keys()
        assert len(gone) == (datagram.payload[0] == 3), "a denied request changed the pending parts"
        for denial in sent:
            home_address = IPv4Address(denial.payload[4:8])
            trusted = "mobile_node" in self._changes and home_address == HOME
            read_denial(denial, NODE_KEY if trusted else None)
            assert denial.link_destination in (datagram.link_source, *LINKS.values(), STRANGER)

    def _check_relayed(self, datagram: Datagram, relayed: SendDatagram, before: _State) -> None:
        """What is relayed is the mobile node's own request, and no entry has changed yet."""
        payload = datagram.payload
        after = self._state()
        assert (after.lists, after.switches) == (before.lists, before.switches), (
            "a request changed an entry before it was accepted"
        )
        home_address = IPv4Address(payload[4:8])
        trusted = "mobile_node" in self._changes and home_address == HOME
        assert not trusted or _vouched_for(payload, 33, NODE_SPI, NODE_KEY), "an unauthentic request relayed"
        assert relayed.destination == IPv4Address(payload[8:12])
        assert relayed.source in (CARE_OF, OTHER_CARE_OF)
        # To the end of the mobile node's own authenticator, octet for octet.
        own = payload.rfind(b"\x20\x14\x00\x00\x01\x00", REQUEST_PART) + 22
        assert relayed.payload[:own] == payload[:own]
        key = pending_key(home_address, int.from_bytes(payload[16:24], "big"))
        part = after.pending[key]
        if part.home_agent is not None:
            assert _vouched_for(relayed.payload, 34, HOME_SPI, HOME_KEY), "relayed without our authenticator"
        self._relayed = dict(list(self._relayed.items())[-_KEPT:]) | {key: relayed.payload}

    def _check_reply(
        self, datagram: Datagram, reports: Mapping[str, Report], relayed: SendDatagram, before: _State
    ) -> None:
        """A reply ends its pending part; only an acceptance changes entries, and only its node's."""
        payload, after = datagram.payload, self._state()
        home_address = IPv4Address(payload[4:8])
        key = pending_key(home_address, int.from_bytes(payload[12:20], "big"))
        part = before.pending[key]
        assert after.pending.keys() == before.pending.keys() - {key}
        assert relayed.payload.startswith(payload[:REPLY_PART]), "another reply was relayed"
        assert relayed.link_destination == part.attachment.link_address, "relayed to somebody else"
        authentic = part.home_agent is None or _vouched_for(payload, 34, HOME_SPI, HOME_KEY)
        others = [{a: v for a, v in state.lists.items() if a != home_address} for state in (before, after)]
        assert others[0] == others[1], "a reply changed another node's entries"
        if "reply-relayed" in reports or "reply-refused" in reports:
            word = "denial relayed" if "reply-relayed" in reports else "reply refused"
            self._counts[f"foreign agent: {word}"] += 1
            assert after.lists == before.lists, "a denied registration changed an entry"
            return
        self._counts["foreign agent: reply accepted"] += 1
        assert authentic, "an unauthentic reply was believed"
        assert payload[1] in (0, 1)

    def _pass_time(self) -> None:
        random, lab = self._random, self._lab
        chance = random.random()
        lab.wait(random.uniform(1, 700) if chance < 0.004 else 1.1 if chance < 0.3 else 0.01)
        if random.random() < 0.003:
            quoted = random.choice([b"", *self._relayed.values()])[: random.randrange(30)]
            lab.apply(lab.agent.unreachable(HOME_AGENT, random.randrange(16), lab.now, quoted))
        if random.random() < 0.002:
            lab.apply(lab.agent.set_multiple_tunnel_support(random.random() < 0.8, lab.now))

    def _state(self) -> _State:
        return _State(self._lab)


class _State:
    """All a rejected message must leave alone; entries and pending parts are immutable values."""

    def __init__(self, lab: Lab) -> None:
        agent = lab.agent
        self.lists = {address: dict(visitors) for address, visitors in agent._table._lists.items()}
        self.pending = dict(agent._pending._parts)
        self.switches = agent._multiple_tunnels, agent._running

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def _vouched_for(payload: bytes, kind: int, spi: int, key: bytes) -> bool:
    """Whether some authenticator of this kind in the message is genuine, computed here."""
    head = struct.pack("!BBI", kind, 20, spi)
    start = payload.find(head)
    while start >= 0:
        covered = start + len(head)
        if payload[covered : covered + 16] == hmac.digest(key, payload[:covered], "md5"):
            return True
        start = payload.find(head, start + 1)
    return False
