# SPDX-License-Identifier: GPL-2.0-or-later
"""Rejected timestamps, denials, and replies that must be discarded (RFC 5944 §3.6.2)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.unit.mobile_node.mobile_node_lab import (
    Lab,
    Request,
    authentication,
    interface,
    keyed_md5,
    lab,
    registered,
    reply_to,
)


def test_rejection_of_the_timestamp_is_repeated_at_once_with_the_home_agents_clock() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    ahead = int(node.now.unix) + 2_208_988_800 + 5000
    first = node.take()
    node.advance(0.1)
    node.answer(first, code=133, identification=ahead << 32 | first.identification & 0xFFFFFFFF)
    second = node.take()
    assert second.time == pytest.approx(first.time + 0.1)
    assert abs((second.identification >> 32) - ahead) <= 1
    assert node.machine.status(node.now)["clock_offset"] == pytest.approx(5000, abs=1)
    # A second rejection in a row waits.
    node.answer(second, code=133, identification=first.identification)
    assert node.sent == []
    node.advance(2.5)
    assert node.take().time - second.time >= 1


def test_rejection_within_the_tolerance_is_repeated_without_an_offset() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    first = node.take()
    node.answer(first, code=133)
    again = node.wait(0.05)
    assert again.identification > first.identification
    assert node.machine.status(node.now)["clock_offset"] == 0


def test_clock_that_was_far_ahead_goes_back() -> None:
    node = lab(interface("wifi", 1))
    node.unix_offset += 10_000
    node.start("wifi")
    first = node.take()
    right = (first.identification >> 32) - 10_000
    node.answer(first, code=133, identification=right << 32 | first.identification & 0xFFFFFFFF)
    assert abs((node.wait(0.05).identification >> 32) - right) <= 1


def test_nonces() -> None:
    association = {"spi": 256, "key": bytes(range(16)).hex(), "replay": "nonces"}
    node = lab(interface("wifi", 1), security_association=[association])
    node.start("wifi")
    first = node.take()
    node.advance(1.5)
    again = node.take()
    assert again.packet.payload == first.packet.payload, "a retransmission is the same packet"
    node.answer(again, code=133, identification=0xABCD << 32 | again.identification & 0xFFFFFFFF)
    fresh = node.take()
    assert fresh.identification >> 32 == 0xABCD
    assert fresh.identification & 0xFFFFFFFF != first.identification & 0xFFFFFFFF
    node.answer(fresh, identification=0xBEEF << 32 | fresh.identification & 0xFFFFFFFF)
    node.advance(400)
    assert node.sent[0].identification >> 32 == 0xBEEF


def test_nonce_of_a_changed_request_is_new() -> None:
    association = {"spi": 256, "key": bytes(range(16)).hex(), "replay": "nonces"}
    node = lab(interface("wifi", 1), security_association=[association], legacy_attempts=1)
    node.start("wifi")
    node.advance(1.5)
    first, plain = node.sent
    assert plain.binding_id is None
    assert plain.identification != first.identification


@pytest.mark.parametrize("code", [129, 130, 135, 137, 139, 142])
def test_denial_is_repeated_with_growing_pauses(code: int) -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    times = []
    for _ in range(6):
        request = node.take()
        times.append(request.time)
        node.answer(request, code=code)
        assert node.states()["wifi"] == "denied"
        assert node.row("wifi")["last_code"] == code
        assert str(code) in str(node.row("wifi")["last_code_text"])
        node.advance(70 if len(times) > 4 else 5 * 2.0 ** (len(times) - 1))
    assert [b - a for a, b in pairwise(times)] == pytest.approx([5, 10, 20, 40, 60])


def test_denied_renewal_leaves_the_binding_to_its_end() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take())
    node.advance(400)
    node.answer(node.sent[-1], code=130)
    assert node.paths
    node.advance(200)
    assert node.paths == ()


def test_granted_lifetime_of_zero_is_no_binding() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.answer(node.take(), lifetime=0)
    assert node.paths == ()
    assert not node.machine.registered


def discarded(payload: bytes, node: Lab, name: str = "wifi") -> str:
    """Deliver what must be ignored; the reason."""
    node.deliver(payload, name)
    assert node.paths == ()
    return str(node.discards()[-1])


def test_replies_that_must_be_discarded() -> None:
    node = lab(interface("wifi", 1), interface("evdo", 2))
    node.start("wifi")
    request = node.take()
    good = reply_to(request)
    bare = reply_to(request, authenticated=False)
    assert discarded(b"", node) == "truncated"
    assert discarded(good[:19], node) == "truncated"
    assert discarded(request.packet.payload, node) == "not-a-reply"
    assert discarded(good, node, "evdo") == "no-matching-request"
    assert discarded(reply_to(request, identification=1), node) == "no-matching-request"
    assert discarded(good[:4] + bytes(4) + good[8:], node) == "no-matching-request"
    assert discarded(bare, node) == "mobile-home-authentication-not-once"
    twice = good + authentication(good)
    assert discarded(twice, node) == "mobile-home-authentication-not-once"
    assert discarded(good[:-1] + bytes([good[-1] ^ 1]), node) == "mobile-home-authentication-invalid"
    unknown = bare + authentication(bare, spi=300)
    assert discarded(unknown, node) == "mobile-home-authentication-unknown-spi"
    assert discarded(reply_to(request, extensions=bytes([99, 0])), node) == "unknown-extension"
    assert discarded(reply_to(request, code=17), node) == "unknown-code"
    assert discarded(reply_to(request, code=66), node) == "denial-from-elsewhere"
    assert discarded(reply_to(request, code=192, authenticated=False), node).endswith("not-once")
    counters = node.machine.status(node.now)["counters"]
    assert isinstance(counters, dict)
    assert counters["message-discarded/truncated"] == 2
    node.deliver(good, "wifi")
    assert node.paths, "and after all that the right one still counts"


def test_reply_is_accepted_once() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    request = node.take()
    node.answer(request)
    assert discards_of_second(node, request) == ["no-matching-request"]


def discards_of_second(node: Lab, request: Request) -> list[object]:
    """Deliver a duplicate."""
    node.answer(request)
    return node.discards()


def test_old_keyed_md5_and_other_contexts_of_the_association() -> None:
    associations = [
        {"spi": 256, "key": bytes(range(16)).hex()},
        {"spi": 257, "key": "aa" * 16, "algorithm": "keyed-md5"},
    ]
    node = lab(interface("wifi", 1), security_association=associations)
    node.start("wifi")
    message = reply_to(node.take(), authenticated=False)
    node.deliver(message + keyed_md5(message, 257, b"\xaa" * 16), "wifi")
    assert node.machine.registered


def test_extension_in_a_reply_is_ignored_and_reported() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    request = node.take()
    data = request.extension(127)
    assert data is not None
    node.answer(request, extensions=bytes([127, 10]) + data)
    assert node.machine.registered
    assert [report.warning for report in node.events("extension-in-reply")] == [True]


def test_acceptance_without_simultaneous_bindings_ends_the_others() -> None:
    node = registered()
    node.advance(400)
    renewal = node.sent[-1]
    node.sent.clear()
    node.answer(renewal, code=1)
    assert len(node.paths) == 1
    assert node.machine.status(node.now)["home_agent_support"] == "refused"
    node.advance(2)
    assert {r.binding_id for r in node.sent} == {None}, "or they would end each other for ever"
