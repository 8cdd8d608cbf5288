# SPDX-License-Identifier: GPL-2.0-or-later
"""A mobile node under fire: replies and advertisements, what must hold after each."""

from __future__ import annotations

import hmac
import io
import json
import pickle
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from random import Random

from pydantic import BaseModel

from agents.effects import Report
from agents.mobile_node_outbox import Outbox
from tests.fuzz.mutations import EXTENSIONS, mutate
from tests.unit.mobile_node.mobile_node_lab import (
    AGENT_KEY,
    AGENT_SPI,
    EVDO,
    F_BIT,
    FOREIGN_AGENT,
    FOREIGN_CARE_OF,
    H_BIT,
    HOME_AGENT,
    KEY,
    OTHER_AGENT,
    R_BIT,
    SPI,
    T_BIT,
    WIFI,
    Lab,
    Request,
    advertisement,
    authentication,
    checksum,
    interface,
    lab,
    reply_to,
    up,
)

FIXED_PART = 20
ADVERTISEMENT_FIXED_PART = 8
ADDRESSES = (HOME_AGENT, FOREIGN_AGENT, FOREIGN_CARE_OF, WIFI, IPv4Address("10.0.0.5"), IPv4Address(0))
LIFE = 800
"""Messages for one mobile node; then another one starts."""
ASSOCIATION = {"address": FOREIGN_AGENT, "security_association": [{"spi": AGENT_SPI, "key": AGENT_KEY.hex()}]}


def _co_located() -> Lab:
    return lab()


def _tunnels_of_all_kinds() -> Lab:
    return lab(
        interface("wifi", 1, encapsulation="udp", udp_forced=True),
        interface("evdo", 2, encapsulation="gre", gre_key=True),
        interface("lte", 3),
    )


def _nonces() -> Lab:
    return lab(security_association=[{"spi": SPI, "key": KEY.hex(), "replay": "nonces"}])


def _foreign_agent() -> Lab:
    return lab(interface("wifi", 1, care_of="foreign-agent"), interface("evdo", 2))


def _trusted_foreign_agent() -> Lab:
    return lab(
        interface("wifi", 1, care_of="foreign-agent"),
        interface("evdo", 2),
        foreign_agent=[ASSOCIATION],
        home_link="wifi",
    )


SCENARIOS: Mapping[str, Callable[[], Lab]] = {
    "co-located": _co_located,
    "tunnels of all kinds": _tunnels_of_all_kinds,
    "nonces": _nonces,
    "foreign agent": _foreign_agent,
    "trusted foreign agent": _trusted_foreign_agent,
}


class _Snapshot(pickle.Pickler):
    """All that can be reached from a mobile node, but for settings, randomness and counters."""

    def persistent_id(self, obj: object) -> str | None:
        return type(obj).__name__ if isinstance(obj, BaseModel | Random | Outbox) else None


def snapshot(node: object) -> bytes:
    """The same octets as long as nothing has changed."""
    octets = io.BytesIO()
    _Snapshot(octets, pickle.HIGHEST_PROTOCOL).dump(node)
    return octets.getvalue()


class MobileNodeTarget:
    """One mobile node after the other."""

    def __init__(self, random: Random, counts: Counter[str]) -> None:
        self._random = random
        self._counts = counts
        self._left = 0
        self._sequence = 1
        self._interface = "wifi"
        self._icmp = False
        self._begin()

    def _begin(self) -> None:
        self._node = SCENARIOS[self._random.choice(list(SCENARIOS))]()
        self._left = LIFE
        self._requests: list[Request] = []
        first = {
            item.name: up(EVDO if item.name == "evdo" else WIFI) for item in self._node.settings.interface
        }
        self._node.do(self._node.machine.start(first, self._node.now))

    # Making messages

    def message(self) -> tuple[bytes, bool]:
        """The next message, and whether it was signed after it was mutated."""
        self._left -= 1
        if self._left < 0:
            self._begin()
        self._live()
        self._icmp = not self._requests or self._random.random() < 0.2
        return self._advertisement() if self._icmp else self._reply()

    def _live(self) -> None:
        """Let time pass until requests are out; answer some well, so that there is something to lose."""
        node, random = self._node, self._random
        outstanding = node.machine._registrations.requests.outstanding
        open_ones = {pending.request.identification for pending in outstanding}
        self._requests = [request for request in self._requests if request.identification in open_ones]
        if node.timers and (not self._requests or random.random() < 0.05):
            ahead = max(0.0, min(node.timers.values()) - node.time) + random.random() * 0.01
            node.advance(min(ahead, 700.0))
        if random.random() < 0.03:
            self._sequence += 1
            node.hear(advertisement(self._sequence))
        if node.sent:
            self._requests += node.sent
            node.sent.clear()
            if random.random() < 0.2:
                key = AGENT_KEY if node.settings.foreign_agent else None
                node.answer(self._requests.pop(), foreign_key=key)

    def _reply(self) -> tuple[bytes, bool]:
        random = self._random
        request = self._requests[-1] if random.random() < 0.7 else random.choice(self._requests)
        assert request.packet.interface is not None
        self._interface = request.packet.interface
        code = random.choice((0, 0, 0, 1, 69, 77, 127, 133, 134, 192, random.randrange(256)))
        body = reply_to(request, code, random.choice((0, 60, 300, request.lifetime)), authenticated=False)
        for _ in range(random.choice((0, 0, 1, 2))):
            body += random.choice(EXTENSIONS)
        trusted = bool(self._node.settings.foreign_agent) and random.random() < 0.8
        if random.random() < 0.25:
            return mutate(self._sign(body, trusted), FIXED_PART, random, ADDRESSES), False
        if random.random() < 0.9:
            body = mutate(body, FIXED_PART, random, ADDRESSES)
        if len(body) >= FIXED_PART and random.random() < 0.8:
            identification = struct.pack("!Q", request.identification)
            body = body[:4] + request.home_address.packed + body[8:12] + identification + body[20:]
        return self._sign(body, trusted), True

    def _sign(self, body: bytes, trusted: bool) -> bytes:
        message = body + authentication(body)
        if self._random.random() < 0.2:
            message += self._random.choice(EXTENSIONS)
        return message + authentication(message, 33, AGENT_SPI, AGENT_KEY) if trusted else message

    def _advertisement(self) -> tuple[bytes, bool]:
        random = self._random
        self._interface = random.choice([item.name for item in self._node.settings.interface])
        care_of = [FOREIGN_CARE_OF, IPv4Address("198.51.100.8")][: random.randrange(3)]
        flags = random.choice((F_BIT | T_BIT, F_BIT | R_BIT, H_BIT, random.getrandbits(16)))
        router = random.choice((None, FOREIGN_AGENT, HOME_AGENT))
        prefix = None if router is None else random.choice((None, 24, 0))
        lifetimes = random.choice((9, 0, 3)), random.choice((600, 0, 60))
        body = advertisement(random.randrange(1 << 16), flags, care_of, *lifetimes, router, prefix)
        body = mutate(body, ADVERTISEMENT_FIXED_PART, random, ADDRESSES)
        if random.random() < 0.25 or len(body) < ADVERTISEMENT_FIXED_PART:
            return body, False
        return checksum(body[:2] + b"\0\0" + body[4:] + b"\0" * (len(body) % 2)), True

    # Delivering them

    def deliver(self, payload: bytes) -> None:
        """Give it to the node and check everything that must hold.

        :raises AssertionError: it does not.
        """
        node, random, icmp = self._node, self._random, self._icmp
        self._come_to_rest()
        before = snapshot(node.machine)
        bound = self._bound()
        source = random.choice((FOREIGN_AGENT, FOREIGN_AGENT, HOME_AGENT, OTHER_AGENT))
        if icmp:
            node.hear(payload, self._interface, source)
        else:
            node.deliver(payload, self._interface, source)
        reports = [effect for effect in node.effects if isinstance(effect, Report)]
        words = {report.event: report.fields for report in reports}
        rejected = words.get("advertisement-discarded" if icmp else "message-discarded")
        if rejected is not None:
            self._counts[f"mobile node: discarded, {rejected['reason']}"] += 1
            assert node.effects == reports, f"a discarded message had an effect: {node.effects}"
            assert snapshot(node.machine) == before, "a discarded message changed the state"
        elif icmp:
            self._counts["mobile node: advertisement taken"] += 1
        else:
            verdict = next(
                (w for w in ("registered", "renewed", "registration-denied") if w in words), "settled"
            )
            self._counts[f"mobile node: {verdict}"] += 1
            gained = verdict in ("registered", "renewed") or self._bound() - bound
            assert not gained or _vouched_for(payload), "an unauthentic reply was accepted"
        if random.random() < 0.005:
            json.dumps(node.machine.status(node.now))

    def _come_to_rest(self) -> None:
        """Nothing but the message may be left to be done: a second look at the same instant finds nothing."""
        effects = self._node.do(self._node.machine.timer("none", self._node.now))
        assert not effects, f"the mobile node was not at rest after an event: {effects}"

    def _bound(self) -> set[str]:
        return {name for name, link in self._node.machine._links.items() if link.binding is not None}


def _vouched_for(payload: bytes) -> bool:
    """Whether some authenticator of the home agent in the message is genuine, computed here."""
    head = b"\x20\x14" + struct.pack("!I", SPI)
    start = payload.find(head, FIXED_PART)
    while start >= 0:
        covered = start + len(head)
        if payload[covered : covered + 16] == hmac.digest(KEY, payload[:covered], "md5"):
            return True
        start = payload.find(head, start + 1)
    return False
