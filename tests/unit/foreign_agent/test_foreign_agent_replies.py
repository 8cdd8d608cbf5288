# SPDX-License-Identifier: GPL-2.0-or-later
"""What is relayed back, what it must prove before, and what it changes (RFC 5944 §3.7.3, RFC 4636)."""

from __future__ import annotations

import pytest

from agents.effects import SendDatagram
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    CRITICAL_VENDOR,
    HOME,
    HOME_AGENT,
    HOME_ENTRY,
    LTE_LINK,
    NODE_ENTRY,
    NODE_KEY,
    OTHER_HOME_AGENT,
    STRANGER,
    WIFI_AGENT,
    WIFI_LINK,
    Lab,
    extension,
    read_denial,
    reply_to,
    signed_for_agent,
    signed_for_node,
)
from tests.unit.home_agent.home_agent_lab import FOREIGN_HOME, T, authentication, multiple

REFUSED = {68: b"\x2d\x02\x00\x44", 71: b"\x2d\x02\x00\x47", 101: b"\x2d\x02\x00\x65"}
"""FA Error extension, RFC 4636 §3: type 45, length 2, sub-type 0, status."""


def test_an_acceptance_is_relayed_to_where_the_request_came_from() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)), interface="lte", source_port=5999)
    octets = reply_to(relayed.payload, before=extension(131, b"mn"))
    back = lab.answer(octets)
    assert back is not None
    assert back.payload == octets
    assert (back.source, back.source_port) == (lab.settings.interface[1].address, 434)
    assert (back.destination, back.destination_port) == (HOME, 5999)
    assert (back.interface, back.link_destination) == ("lte", LTE_LINK)
    assert lab.pending() == []
    assert lab.rows()[1]["link_address"] == LTE_LINK
    assert lab.reports("visitor-added")[0]["lifetime"] == 600
    assert lab.status()["relayed"] == {"0": 1}


def test_what_stands_behind_the_authentication_of_the_reply_is_removed() -> None:
    lab = Lab()
    octets = reply_to(lab.relay(lab.request()).payload)
    back = lab.answer(octets + extension(200, b"abc") + extension(130))
    assert back is not None
    assert back.payload == octets


def test_the_reply_is_authenticated_for_a_mobile_node_with_an_association() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY])
    octets = reply_to(lab.relay(signed_for_node(lab.request())).payload)
    back = lab.answer(octets + extension(200, b"abc"))
    assert back is not None
    assert back.payload == signed_for_node(octets)


def test_a_reply_without_matching_request_is_discarded() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1))).payload
    other_home = relayed[:4] + (HOME + 1).packed + relayed[8:]
    other_low = relayed[:23] + bytes([relayed[23] ^ 1]) + relayed[24:]
    for octets in (other_home, other_low):
        before = lab.snapshot()
        assert lab.answer(reply_to(octets)) is None
        assert lab.reports("message-discarded")[0]["reason"] == "no-matching-request"
        assert lab.snapshot() == before
    other_high = relayed[:16] + bytes([relayed[16] ^ 1]) + relayed[17:]
    assert lab.answer(reply_to(other_high)) is not None
    assert lab.answer(reply_to(other_high)) is None


def test_a_reply_that_comes_by_a_visitor_link_is_not_believed() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1))).payload
    before = lab.snapshot()
    assert lab.answer(reply_to(relayed), interface="wifi") is None
    assert lab.reports("message-discarded")[0]["reason"] == "reply-by-a-visitor-link"
    assert lab.snapshot() == before
    anywhere = Lab(uplink=None)
    relayed = anywhere.relay(anywhere.request(multiple(1))).payload
    assert anywhere.answer(reply_to(relayed), interface="wifi") is not None


@pytest.mark.parametrize("code", [128, 131, 133, 134, 192, 255, 2, 64])
def test_a_denial_removes_the_pending_part_only(code: int) -> None:
    lab = Lab()
    lab.register(1)
    before = lab.snapshot()
    relayed = lab.relay(lab.request(multiple(1, kbytes=1), lifetime=300))
    octets = reply_to(relayed.payload, code=code, lifetime=0)
    back = lab.answer(octets)
    assert back is not None
    assert back.payload == octets
    assert lab.snapshot() == before
    assert lab.reports("reply-relayed")[0]["code"] == code


@pytest.mark.parametrize("code", [0, 1])
def test_codes_0_and_1_are_acceptances(code: int) -> None:
    lab = Lab()
    lab.register(None, code=code)
    assert list(lab.rows()) == [None]


def test_the_lifetime_is_the_least_of_reply_and_request() -> None:
    lab = Lab(maximum_lifetime=500)
    lab.register(1, lifetime=400, granted=900)
    lab.register(2, lifetime=400, granted=30)
    assert [lab.rows()[number]["lifetime"] for number in (1, 2)] == [400, 30]
    infinite = Lab(maximum_lifetime=65535)
    infinite.register(1, lifetime=65535, granted=65535)
    infinite.wait(10**6)
    assert infinite.rows()[1]["lifetime_remaining"] == 65535
    infinite.register(1, lifetime=65535, granted=100)
    infinite.wait(100)
    assert infinite.kernel.empty
    infinite.register(1, lifetime=100)
    infinite.register(1, lifetime=65535)
    assert infinite.kernel.timers == {}
    infinite.wait(101)
    assert infinite.rows()


def test_an_acceptance_without_lifetime_ends_the_entry() -> None:
    lab = Lab()
    lab.register(1)
    lab.register(2, "lte")
    lab.register(1, granted=0)
    assert list(lab.rows()) == [2]


# Replies that cannot be honoured


def test_the_foreign_home_authentication_of_the_reply_is_checked() -> None:
    lab = Lab(home_agent=[HOME_ENTRY])
    octets = reply_to(lab.relay(lab.request(multiple(1))).payload)
    back = lab.answer(signed_for_agent(octets + extension(200, b"x")))
    assert back is not None
    assert back.payload == octets
    assert list(lab.rows()) == [1]


def test_a_deregistration_needs_no_foreign_home_authentication() -> None:
    lab = Lab(home_agent=[HOME_ENTRY])
    relayed = lab.relay(lab.request(multiple(1), lifetime=0)).payload
    octets = reply_to(relayed)
    back = lab.answer(octets)
    assert back is not None
    assert back.payload == octets


@pytest.mark.parametrize("code", [0, 133])
@pytest.mark.parametrize("fault", ["none", "twice", "key", "spi", "inside"])
def test_every_fault_of_it_is_68(fault: str, code: int) -> None:
    lab = Lab(home_agent=[HOME_ENTRY], mobile_node=[NODE_ENTRY])
    relayed = lab.relay(signed_for_node(lab.request(multiple(1)))).payload
    octets = reply_to(relayed, code=code)
    inside = reply_to(relayed, code=code, sign=False)
    faulty = {
        "none": octets,
        "twice": signed_for_agent(signed_for_agent(octets)),
        "key": signed_for_agent(octets, b"another key"),
        "spi": authentication(octets, FOREIGN_HOME, b"foreign-home key", 501),
        "inside": authentication(signed_for_agent(inside)),
    }[fault]
    back = lab.answer(faulty)
    assert back is not None
    if code == 0:
        # The mobile node can check what the home agent has granted, and end it (RFC 4636 §5).
        kept = faulty if fault == "inside" else octets
        assert back.payload == signed_for_node(kept + REFUSED[68])
        assert lab.reports("reply-refused")[0]["code"] == 68
    else:
        assert read_denial(back, NODE_KEY).code == 68
    assert back.link_destination == WIFI_LINK
    assert lab.rows() == {}
    assert lab.pending() == []
    assert lab.kernel.empty


def test_a_reply_without_mobile_home_authentication_is_71() -> None:
    lab = Lab()
    lab.register(1)
    before = lab.snapshot()
    relayed = lab.relay(lab.request(multiple(1))).payload
    back = lab.answer(reply_to(relayed, sign=False))
    assert back is not None
    assert read_denial(back).code == 71
    assert lab.snapshot() == before


def test_an_acceptance_by_another_home_agent_is_71() -> None:
    lab = Lab()
    octets = reply_to(lab.relay(lab.request(multiple(1))).payload, home_agent=OTHER_HOME_AGENT)
    back = lab.answer(octets)
    assert back is not None
    assert back.payload == octets + REFUSED[71]
    assert lab.kernel.empty
    denied = reply_to(lab.relay(lab.request(multiple(1))).payload, code=136, home_agent=OTHER_HOME_AGENT)
    back = lab.answer(denied)
    assert back is not None
    assert back.payload == denied


@pytest.mark.parametrize("protected", [True, False])
def test_a_critical_vendor_extension_in_the_reply_is_101(protected: bool) -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1))).payload
    octets = reply_to(relayed, before=CRITICAL_VENDOR) if protected else reply_to(relayed)
    back = lab.answer(octets if protected else octets + CRITICAL_VENDOR)
    assert back is not None
    assert back.payload == octets + REFUSED[101]
    assert lab.kernel.empty
    lab.wait(1)
    relayed = lab.relay(lab.request(multiple(1))).payload
    back = lab.answer(reply_to(relayed, code=130, before=CRITICAL_VENDOR))
    assert back is not None
    assert read_denial(back).code == 101


# Pending parts


def test_the_reply_goes_to_the_link_of_its_own_request() -> None:
    lab = Lab()
    first = lab.relay(lab.request(multiple(1)), interface="wifi")
    second = lab.relay(lab.request(multiple(2)), interface="lte")
    back = [lab.answer(reply_to(relayed.payload)) for relayed in (second, first)]
    assert [b.link_destination for b in back if b] == [LTE_LINK, WIFI_LINK]
    assert {number: row["interface"] for number, row in lab.rows().items()} == {1: "wifi", 2: "lte"}


def test_a_newer_request_of_the_same_sender_takes_the_place_of_the_older() -> None:
    lab = Lab()
    older = lab.relay(lab.request(multiple(1)))
    newer = lab.relay(lab.request(multiple(1)))
    assert len(lab.pending()) == 1
    assert lab.answer(reply_to(older.payload)) is None
    assert lab.answer(reply_to(newer.payload)) is not None


def test_the_same_request_again_is_relayed_again() -> None:
    lab = Lab()
    payload = lab.request(multiple(1))
    lab.relay(payload)
    lab.wait(5)
    lab.relay(payload)
    lab.wait(5)
    assert len(lab.pending()) == 1


def test_nobody_gets_the_reply_by_repeating_anothers_request() -> None:
    lab = Lab()
    payload = lab.request(multiple(1))
    relayed = lab.relay(payload)
    assert lab.discard(payload, link=STRANGER) == "identification-in-use"
    assert lab.discard(payload, interface="lte") == "identification-in-use"
    back = lab.answer(reply_to(relayed.payload))
    assert back is not None
    assert back.link_destination == WIFI_LINK


def test_of_two_requests_of_one_sender_with_the_same_low_bits_the_newer_counts() -> None:
    lab = Lab()
    lab.relay(lab.request(multiple(1), identification=7 << 32 | 5))
    lab.relay(lab.request(multiple(2), identification=8 << 32 | 5))
    assert [row["binding_id"] for row in lab.pending()] == [2]


def test_a_stranger_does_not_push_a_request_aside() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    lab.relay(lab.request(multiple(1)), link=STRANGER)
    assert len(lab.pending()) == 2
    back = lab.answer(reply_to(relayed.payload))
    assert back is not None
    assert lab.rows()[1]["link_address"] == WIFI_LINK


def test_at_the_limit_another_request_is_66_and_a_repetition_passes() -> None:
    lab = Lab(pending_limit=2)
    lab.relay(lab.request(multiple(1)))
    first = lab.relay(lab.request(multiple(2)))
    assert lab.deny(lab.request(multiple(3))).code == 66
    lab.wait(1)
    assert lab.deny(lab.request(multiple(3), lifetime=0)).code == 66
    second = lab.relay(lab.request(multiple(2)))
    assert first.payload != second.payload
    lab.answer(reply_to(second.payload))
    lab.relay(lab.request(multiple(3)))


def test_a_request_without_reply_ends_with_78() -> None:
    lab = Lab()
    lab.register(1)
    before = lab.snapshot()
    lab.relay(lab.request(multiple(1)))
    assert lab.wait(6.9) == []
    (sent,) = lab.wait(0.2)
    assert read_denial(sent).code == 78
    assert sent.link_destination == WIFI_LINK
    assert lab.pending() == []
    assert lab.snapshot()[2] == before[2]
    assert lab.wait(100) == []


def test_a_request_whose_lifetime_ends_first_ends_in_silence() -> None:
    lab = Lab()
    lab.relay(lab.request(multiple(1), lifetime=3))
    assert lab.wait(3.1) == []
    assert lab.pending() == []
    assert lab.reports("request-ended")
    lab.relay(lab.request(multiple(1), lifetime=0))
    (sent,) = lab.wait(7.1)
    assert read_denial(sent).code == 78


def test_the_time_out_is_authenticated_too() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY], pending_time=2)
    lab.relay(signed_for_node(lab.request(multiple(1))))
    (sent,) = lab.wait(2.1)
    assert read_denial(sent, NODE_KEY).code == 78


# ICMP errors


@pytest.mark.parametrize(("icmp", "code"), [(0, 80), (1, 81), (3, 82), (2, 88), (5, 88), (13, 88)])
def test_an_icmp_error_denies_what_waits_for_that_home_agent(icmp: int, code: int) -> None:
    lab = Lab()
    lab.register(1)
    before = lab.snapshot()
    lab.relay(lab.request(multiple(1)))
    assert lab.apply(lab.agent.unreachable(OTHER_HOME_AGENT, icmp, lab.now)) == []
    effects = lab.apply(lab.agent.unreachable(HOME_AGENT, icmp, lab.now))
    (sent,) = [effect for effect in effects if isinstance(effect, SendDatagram)]
    denial = read_denial(sent)
    assert (denial.code, sent.source) == (code, WIFI_AGENT)
    assert lab.snapshot() == before


def test_an_icmp_error_that_quotes_a_request_is_about_that_one() -> None:
    lab = Lab()
    first = lab.relay(lab.request(multiple(1)))
    lab.relay(lab.request(multiple(2)), interface="lte")
    lab.apply(lab.agent.unreachable(HOME_AGENT, 1, lab.now, first.payload[:40]))
    assert [row["binding_id"] for row in lab.pending()] == [2]
    assert lab.apply(lab.agent.unreachable(HOME_AGENT, 1, lab.now, b"\4\4\0\0")) == []
    assert lab.apply(lab.agent.unreachable(HOME_AGENT, 4, lab.now)) == []
    assert len(lab.pending()) == 1


def test_a_reply_after_all_is_too_late() -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    lab.apply(lab.agent.unreachable(HOME_AGENT, 1, lab.now))
    assert lab.answer(reply_to(relayed.payload)) is None
    assert lab.rows() == {}


def test_flags_do_not_matter_to_the_match() -> None:
    lab = Lab()
    lab.register(1, flags=T, care_of_address=CARE_OF)
    assert lab.rows()[1]["reverse_tunnel"]
