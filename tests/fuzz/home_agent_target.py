# SPDX-License-Identifier: GPL-2.0-or-later
"""A home agent under fire: what must hold after every message."""

from __future__ import annotations

import hmac
import json
import struct
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address
from random import Random
from typing import Any

from agents.effects import Datagram, Effect, Instant, Report, SendDatagram
from agents.home_agent import HomeAgent
from tests.fuzz.mutations import EXTENSIONS, mutate
from tests.unit.home_agent.home_agent_lab import (
    AGENT_ENTRY,
    AGENT_KEY,
    AGENT_SPI,
    FOREIGN_AGENT,
    FOREIGN_HOME,
    HOME,
    HOME_AGENT,
    KEY,
    MOBILE_HOME,
    OTHER_HOME,
    SPI,
    START,
    Kernel,
    authentication,
    fixed_request,
    ntp,
    read_reply,
    settings,
)

NONCES = [
    {"home_address": address, "security_association": [{"spi": SPI, "key": KEY, "replay": "nonces"}]}
    for address in (HOME, OTHER_HOME)
]
SCENARIOS: Mapping[str, dict[str, Any]] = {
    "default": {},
    "nonces": {"mobile_node": NONCES},
    "replay per binding": {"replay_scope": "binding", "maximum_bindings": 3},
    "foreign agent": {"foreign_agent": [AGENT_ENTRY]},
    "strict": {"udp": {"allowed": False}, "reverse_tunnel": "required", "maximum_bindings": 2},
    "disabled": {"enable_multiple_tunnel_support": False, "home_link": None},
}
CARE_OF = tuple(
    IPv4Address(text)
    for text in ("192.0.2.10", "198.51.100.20", "198.51.100.99", "192.0.2.254", "0.0.0.0", "255.255.255.255")
)
ADDRESSES = (*CARE_OF, HOME, HOME_AGENT, IPv4Address("127.0.0.1"), IPv4Address("224.0.0.11"))
SOURCES = (*CARE_OF[:4] * 4, HOME, IPv4Address("203.0.113.7"), IPv4Address(0))
DESTINATIONS = (*[HOME_AGENT] * 12, IPv4Address("10.0.0.255"), IPv4Address("255.255.255.255"), CARE_OF[0])
PORTS = (*[434] * 12, *[5000] * 6, 0)
KEEPALIVE = bytes.fromhex("040400004500001c00010000400166db0a0000050a0000010800f7fd00010001")
FIXED_PART = 24
_LONG_TYPES = frozenset({36, 38, 48})
_AMBIGUOUS_TYPES = frozenset({139, 154})
"""Skippable types in the long format: an own small reader had better not judge them."""


def is_authentic(payload: bytes) -> bool | None:
    """Whether the first Mobile-Home Authentication is genuine, read and computed here; None: cannot say."""
    offset = FIXED_PART
    while offset < len(payload):
        kind = payload[offset]
        if kind in _AMBIGUOUS_TYPES:
            return None
        if kind == MOBILE_HOME:
            (spi,) = struct.unpack_from("!I", payload, offset + 2)
            given = payload[offset + 6 : offset + 2 + payload[offset + 1]]
            return spi == SPI and given == hmac.digest(KEY, payload[: offset + 6], "md5")
        if kind == 0:
            offset += 1
        elif kind in _LONG_TYPES:
            offset += 4 + int.from_bytes(payload[offset + 2 : offset + 4], "big")
        else:
            offset += 2 + payload[offset + 1]
    return False


class HomeAgentTarget:
    """One home agent with a model of its kernel and a clock of its own."""

    def __init__(self, scenario: str, random: Random, counts: Counter[str]) -> None:
        self._changes = SCENARIOS[scenario]
        self._random = random
        self._counts = counts
        self._agent = HomeAgent(settings(advertise=False, **self._changes), Random(1))
        self._kernel = Kernel()
        self._now = START
        self._identification = 0
        self._nonce = 0
        self._newest: dict[IPv4Address, int] = {}
        self._kernel.apply(self._agent.start(self._now))

    # Making messages

    def message(self) -> tuple[bytes, bool]:
        """The next message, and whether it was signed after it was mutated."""
        random = self._random
        if random.random() < 0.03:
            return mutate(KEEPALIVE, 4, random, ADDRESSES), False
        body = fixed_request(
            identification=self._fresh(),
            flags=random.choice((0x22, 0x22, 0x02, 0x2A, random.randrange(256))),
            lifetime=random.choice((0, 300, 600, 600)),
            home_address=random.choice((HOME, HOME, OTHER_HOME)),
            care_of_address=random.choice(CARE_OF[:4]),
        )
        for _ in range(random.choice((0, 1, 1, 2))):
            body += random.choice(EXTENSIONS[: 6 if random.random() < 0.7 else None])
        if random.random() < 0.25:
            signed = self._sign(body)
            return mutate(signed, FIXED_PART, random, ADDRESSES), False
        if random.random() < 0.9:
            body = mutate(body, FIXED_PART, random, ADDRESSES)
        if len(body) >= FIXED_PART and random.random() < 0.85:
            # What every further check hides behind: whose request it is, and that it is fresh.
            home = body[4:8] if body[4:8] == OTHER_HOME.packed else HOME.packed
            agent = HOME_AGENT.packed if random.random() < 0.8 else body[8:12]
            body = body[:4] + home + agent + body[12:16] + struct.pack("!Q", self._fresh()) + body[24:]
        return self._sign(body), True

    def _sign(self, body: bytes) -> bytes:
        random = self._random
        message = authentication(body)
        for _ in range(random.choice((0, 0, 0, 1))):
            message += random.choice(EXTENSIONS)
        if "foreign_agent" in self._changes and random.random() < 0.8:
            message = authentication(message, FOREIGN_HOME, AGENT_KEY, AGENT_SPI)
        return message

    def _fresh(self) -> int:
        if "mobile_node" in self._changes:
            return self._nonce << 32 | self._random.getrandbits(32)
        self._identification = max(ntp(self._now.unix), self._identification + 1)
        return self._identification

    # Delivering them

    def deliver(self, payload: bytes) -> None:
        """Give it to the agent and check everything that must hold.

        :raises AssertionError: it does not.
        """
        self._pass_time()
        random = self._random
        source = (
            FOREIGN_AGENT
            if "foreign_agent" in self._changes and random.random() < 0.6
            else random.choice(SOURCES)
        )
        datagram = Datagram(
            payload, source, random.choice(PORTS), random.choice(DESTINATIONS), "eth1", ttl=255
        )
        before, learnt = self._state(), self._learnt()
        effects = self._agent.receive(datagram, self._now)
        self._kernel.apply(effects)
        assert effects, "a message was lost without a trace"
        sent = [effect for effect in effects if isinstance(effect, SendDatagram)]
        if not sent:
            self._check_unanswered(effects, before, learnt)
            return
        reply = read_reply(sent[0])
        self._nonce = reply.identification >> 32
        assert len(sent) == 1
        assert (sent[0].destination, sent[0].destination_port) == (datagram.source, datagram.source_port)
        if reply.code > 1:
            self._counts[f"home agent: denied {reply.code}"] += 1
            assert [type(effect) for effect in effects] == [SendDatagram, Report], (
                "a denial did more than answer"
            )
            assert self._state() == before, "a denied request changed the state"
            assert reply.code != 131 or self._learnt() == learnt, "an unauthentic request was learnt from"
            return
        self._counts["home agent: accepted"] += 1
        assert is_authentic(payload) is not False, "an unauthentic request was accepted"
        self._check_order(payload)

    def _check_unanswered(self, effects: list[Effect], before: object, learnt: object) -> None:
        (report,) = [effect for effect in effects if isinstance(effect, Report)]
        if report.event == "binding-completed":
            self._counts["home agent: keepalive accepted"] += 1
            return
        if report.event == "denial-suppressed":
            self._counts["home agent: denied in silence"] += 1
            assert effects == [report], f"a suppressed denial had an effect: {effects}"
            assert self._state() == before, "a denied request changed the state"
            unauthentic = report.fields["code"] == 131
            assert not unauthentic or self._learnt() == learnt, "an unauthentic request was learnt from"
            return
        self._counts[f"home agent: discarded, {report.fields['reason']}"] += 1
        assert effects == [report], f"a discarded message had an effect: {effects}"
        assert self._state() == before, "a discarded message changed the state"
        # The foreign agent's part is looked at after the Identification has been used up.
        late = report.fields["reason"] == "foreign-home-authentication-without-association"
        assert late or self._learnt() == learnt, "an unauthentic request was learnt from"

    def _check_order(self, payload: bytes) -> None:
        """With one sequence of timestamps per node, every accepted one exceeds all before."""
        if self._changes.get("replay_scope") or "mobile_node" in self._changes:
            return
        home_address, identification = IPv4Address(payload[4:8]), int.from_bytes(payload[16:24], "big")
        assert identification > self._newest.get(home_address, 0), "a replayed request was accepted"
        self._newest[home_address] = identification

    def _pass_time(self) -> None:
        """Mostly milliseconds, at times long enough for bindings to end; due timers run in order."""
        random = self._random
        end = self._now.monotonic + (
            random.uniform(1, 700) if random.random() < 0.004 else random.random() * 0.02
        )
        while due := [at for at in self._kernel.timers.values() if at <= end]:
            at = min(due)
            key = next(key for key, when in self._kernel.timers.items() if when == at)
            del self._kernel.timers[key]
            self._set_time(max(at, self._now.monotonic))
            self._kernel.apply(self._agent.timer(key, self._now))
        self._set_time(end)
        if random.random() < 0.002:
            status = self._agent.status(self._now)
            json.dumps(status)
            assert status["running"] is True

    def _set_time(self, monotonic: float) -> None:
        self._now = Instant(monotonic, self._now.unix + monotonic - self._now.monotonic)

    def _state(self) -> object:
        """All a rejected request must leave alone; bindings and paths are immutable values."""
        agent, table = self._agent, self._agent._table
        lists = {address: dict(bindings) for address, bindings in table._lists.items()}
        return lists, dict(table._paths), dict(table._uses), agent._multiple_tunnels, agent._running

    def _learnt(self) -> object:
        """What only an authentic request may teach: Identifications, Binding-Ids, the last answer."""
        return [
            (
                node.replay.floor,
                dict(node.replay.floors),
                node.replay.nonce,
                dict(node.binding_ids),
                node.answered,
            )
            for node in self._agent._nodes.values()
        ]
