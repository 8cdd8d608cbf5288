# SPDX-License-Identifier: GPL-2.0-or-later
"""One campaign: mutated messages for all agents, alone and together, and for the decoders; its record."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from agents.decode_message import Key, decode_message
from agents.wire import Algorithm, TunnelData, WireError, decode_icmp, decode_registration
from tests.fuzz.chain_target import ChainTarget
from tests.fuzz.foreign_agent_target import ForeignAgentTarget
from tests.fuzz.home_agent_target import SCENARIOS, HomeAgentTarget
from tests.fuzz.mobile_node_target import MobileNodeTarget
from tests.unit.home_agent.home_agent_lab import KEY, SPI

_DECODERS: tuple[Callable[[bytes], object], ...] = (decode_registration, decode_icmp, TunnelData.decode)
_KEYS = [Key(SPI, KEY, Algorithm.HMAC_MD5)]
_SHARES = {"home agent": 0.45, "mobile node": 0.25, "foreign agent": 0.25, "chain": 0.05}
"""Of the messages, by target; a chain takes ten times as long."""


class Target(Protocol):
    """What messages are made for, and sent to."""

    def message(self) -> tuple[bytes, bool]:
        """The next message, and whether it was signed after it was mutated."""

    def deliver(self, payload: bytes) -> None:
        """Give it to the agent; AssertionError: what must hold does not."""


@dataclass
class Record:
    """What happened."""

    seed: int
    messages: int = 0
    signed: int = 0
    """Signed (advertisements: with a checksum) after the mutation."""
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failure: str | None = None

    def text(self) -> str:
        """For people."""
        rate = self.messages / self.seconds if self.seconds else 0.0
        share = 100 * self.signed / self.messages if self.messages else 0.0
        lines = [
            f"seed {self.seed}: {self.messages} messages in {self.seconds:.1f} s, {rate:.0f} per second",
            f"{self.signed} ({share:.0f} %) were signed after they were mutated",
            *(f"{count:>9}  {what}" for what, count in sorted(self.counts.items())),
            "FAILED" if self.failure else "no exception, and no rejected message changed any state",
        ]
        return "\n".join([*lines, self.failure] if self.failure else lines)


def run(messages: int, seconds: float, seed: int) -> Record:
    """Send up to ``messages`` for up to ``seconds``, until the first failure."""
    record = Record(seed)
    random = Random(seed)
    counts = record.counts
    targets: dict[str, list[Target]] = {
        "home agent": [HomeAgentTarget(scenario, random, counts) for scenario in SCENARIOS],
        "mobile node": [MobileNodeTarget(random, counts)],
        "foreign agent": [ForeignAgentTarget(random, counts)],
        "chain": [ChainTarget(random, counts)],
    }
    names, weights = list(_SHARES), list(_SHARES.values())
    began = time.monotonic()
    payload = b""
    try:
        while record.messages < messages and time.monotonic() < began + seconds:
            record.messages += 1
            target = random.choice(targets[random.choices(names, weights)[0]])
            payload, signed = target.message()
            record.signed += signed
            target.deliver(payload)
            _decode(payload, record.messages)
    except Exception:  # noqa: BLE001 — whatever it is, it is the finding
        octets = payload.hex()
        record.failure = f"message {record.messages} of seed {seed}: {octets}\n{traceback.format_exc()}"
    record.seconds = time.monotonic() - began
    return record


def _decode(payload: bytes, number: int) -> None:
    """Every decoder gives a message or a WireError, whatever the octets."""
    for decoder in _DECODERS:
        with suppress(WireError):
            decoder(payload)
    if number % 16 == 0:
        assert decode_message(payload, 0, _KEYS, icmp=number % 32 == 0).document()["offset"] == 0
