# SPDX-License-Identifier: GPL-2.0-or-later
"""A few thousand fuzzed messages, and that the fuzzer notices what it is there to notice."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable
from typing import Any

import pytest

from agents import foreign_agent, home_agent
from agents.foreign_agent import ForeignAgent
from agents.home_agent import HomeAgent
from agents.mobile_node_requests import Requests
from tests.fuzz import campaign
from tests.fuzz.campaign import run


def test_sample() -> None:
    record = run(3000, 60.0, 2)
    assert record.failure is None, record.text()
    assert record.messages == 3000
    assert record.signed > 1500
    seen = " ".join(record.counts)
    for word in (
        "home agent: accepted",
        "home agent: denied 133",
        "home agent: denied 134",
        "home agent: denied 192",
        "mobile node: registered",
        "mobile node: registration-denied",
        "foreign agent: request relayed",
        "foreign agent: reply accepted",
        "foreign agent: denied 127",
        "chain: ha, binding-",
        "chain: fa, visitor-",
        "chain: mn, renewed",
    ):
        assert word in seen, f"the messages never led to {word!r}"


def test_equal_seeds_send_equal_messages() -> None:
    assert run(300, math.inf, 7).counts == run(300, math.inf, 7).counts
    assert run(300, math.inf, 7).counts != run(300, math.inf, 8).counts


def always(*_: object) -> bool:
    return True


def forgetful(receive: Callable[..., Any]) -> Callable[..., Any]:
    """A home agent that drops a binding whenever it refuses a message."""

    def wrong(self: HomeAgent, *arguments: Any) -> Any:
        effects = receive(self, *arguments)
        if len(effects) == 1 and self._table._lists:
            self._table._lists.popitem()
        return effects

    return wrong


def hasty(receive: Callable[..., Any]) -> Callable[..., Any]:
    """A foreign agent that ends an entry when its node asks, before the home agent has agreed."""

    def wrong(self: ForeignAgent, *arguments: Any) -> Any:
        effects = receive(self, *arguments)
        if self._pending.all():
            self._table._lists.pop(self._pending.all()[-1].request.home_address, None)
        return effects

    return wrong


def impatient(receive: Callable[..., Any]) -> Callable[..., Any]:
    """A mobile node that gives up a request for any reply, good or bad."""

    def wrong(self: Requests, *arguments: Any) -> Any:
        before = dict(self._outstanding)
        try:
            return receive(self, *arguments)
        finally:
            if self._outstanding == before and before:
                self._outstanding.popitem()

    return wrong


@pytest.mark.parametrize(
    ("target", "name", "fault", "message"),
    [
        (hmac, "compare_digest", always, "an unauthentic"),
        (HomeAgent, "receive", forgetful(HomeAgent.receive), "changed the state"),
        (ForeignAgent, "receive", hasty(ForeignAgent.receive), "changed"),
        (foreign_agent, "check_reply", lambda *_: None, "reply was"),
        (Requests, "receive", impatient(Requests.receive), "a discarded message"),
        (home_agent, "check_format", lambda *_: 1 // 0, "ZeroDivisionError"),
        (campaign, "_DECODERS", (bytes.decode,), "UnicodeDecodeError"),
    ],
    ids=["authentication", "forgetful", "hasty", "credulous", "impatient", "exception", "decoder"],
)
def test_a_fault_is_found(
    target: object, name: str, fault: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, name, fault)
    record = run(3000, 60.0, 3)
    assert record.failure is not None
    assert message in record.failure
    assert f"message {record.messages} of seed 3: " in record.failure
