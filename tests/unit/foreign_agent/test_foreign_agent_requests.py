# SPDX-License-Identifier: GPL-2.0-or-later
"""Which requests are relayed, how, and which are denied with what (RFC 5944 §3.7.2, RFC 3024 §4.2)."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.unit.foreign_agent.foreign_agent_lab import (
    ALL_AGENTS,
    CARE_OF,
    CO_LOCATED,
    CRITICAL_VENDOR,
    ENCAPSULATING,
    HOME,
    HOME_AGENT,
    HOME_ENTRY,
    HOME_KEY,
    HOME_SPI,
    LTE_AGENT,
    MOBILE_FOREIGN,
    NODE_ENTRY,
    NODE_KEY,
    NODE_SPI,
    OTHER_CARE_OF,
    OTHER_HOME_AGENT,
    STRANGER,
    WIFI_AGENT,
    WIFI_LINK,
    Lab,
    authentic,
    extension,
    extensions_after,
    signed_for_agent,
    signed_for_node,
)
from tests.unit.home_agent.home_agent_lab import (
    R_IGNORED,
    X_IGNORED,
    B,
    D,
    G,
    M,
    S,
    T,
    authentication,
    fixed_request,
    gre_key,
    multiple,
)


def test_a_request_is_relayed_from_the_care_of_address_to_the_home_agent() -> None:
    lab = Lab()
    payload = lab.request(multiple(1))
    sent = lab.relay(payload)
    assert (sent.source, sent.destination) == (CARE_OF, HOME_AGENT)
    assert (sent.source_port, sent.destination_port) == (434, 434)
    assert sent.payload == payload
    assert sent.link_destination is None
    (row,) = lab.pending()
    assert (row["home_address"], row["binding_id"], row["link_address"]) == (str(HOME), 1, WIFI_LINK)
    assert lab.kernel.empty
    assert lab.status()["visitors"] == []


def test_the_request_names_the_care_of_address() -> None:
    lab = Lab()
    assert lab.relay(lab.request(multiple(1), care_of_address=OTHER_CARE_OF)).source == OTHER_CARE_OF


def test_what_stands_behind_the_authentication_is_removed() -> None:
    lab = Lab()
    payload = lab.request(multiple(1) + extension(131, b"mn@example.org"))
    more = ENCAPSULATING + extension(132, b"challenge") + multiple(2, overwrite=True) + extension(200, b"x")
    assert lab.relay(payload + more).payload == payload
    assert lab.pending()[0]["binding_id"] == 1


def test_padding_and_other_lengths_of_the_extension_do_not_shift_what_is_relayed() -> None:
    lab = Lab()
    for number, before in enumerate((b"\0\0", multiple(1, length=6), multiple(2, length=8) + b"\0")):
        payload = lab.request(before, home_address=HOME + number)
        assert lab.relay(payload + extension(200, b"abc")).payload == payload


def test_all_up_to_the_last_mobile_home_authentication_is_kept() -> None:
    lab = Lab()
    payload = authentication(lab.request(multiple(1)) + extension(200, b"x"), spi=999)
    assert lab.relay(payload + extension(201)).payload == payload


def test_a_foreign_home_authentication_is_added_for_a_home_agent_with_an_association() -> None:
    lab = Lab(home_agent=[HOME_ENTRY])
    payload = lab.request(multiple(1))
    sent = lab.relay(payload + extension(200, b"x")).payload
    assert sent == signed_for_agent(payload)
    (kind, data), *rest = extensions_after(sent, len(payload))
    assert (kind, int.from_bytes(data[:4], "big"), rest) == (34, HOME_SPI, [])
    assert authentic(sent, HOME_KEY)


@pytest.mark.parametrize(
    "fields",
    [
        {"lifetime": 0},
        {"flags": D | T, "care_of_address": CO_LOCATED},
        {"home_agent": OTHER_HOME_AGENT},
    ],
)
def test_no_foreign_home_authentication_where_it_must_not_be(fields: dict[str, Any]) -> None:
    lab = Lab(home_agent=[HOME_ENTRY])
    payload = lab.request(**fields)
    assert lab.relay(payload).payload == payload


def test_a_co_located_address_is_relayed_from_the_care_of_address_of_the_link() -> None:
    interfaces = [
        {"name": "wifi", "address": WIFI_AGENT, "care_of_address": OTHER_CARE_OF, "advertise": False}
    ]
    lab = Lab(interface=interfaces)
    payload = lab.request(flags=D | T, care_of_address=CO_LOCATED)
    assert lab.relay(payload, source=CO_LOCATED).source == OTHER_CARE_OF
    away = lab.request(lifetime=0, care_of_address=HOME, flags=0)
    assert lab.relay(away).source == OTHER_CARE_OF


def test_reserved_bits_and_what_only_the_home_agent_judges_pass() -> None:
    lab = Lab()
    both = multiple(1, bulk=True, overwrite=True)
    assert lab.relay(lab.request(both, flags=T | S | B | R_IGNORED | X_IGNORED))
    assert lab.relay(lab.request(multiple(2) + multiple(3)))  # G9
    assert lab.relay(lab.request(extension(148, b"\0\x18\x0a\5\0\0"), flags=T))


# Denials of what every request must be


def test_the_denial_goes_back_where_the_request_came_from() -> None:
    lab = Lab()
    payload = lab.request(multiple(1), lifetime=601)
    denial = lab.deny(payload, source_port=5000)
    assert (denial.code, denial.lifetime, denial.home_agent) == (69, 600, HOME_AGENT)
    sent = denial.sent
    assert (sent.source, sent.source_port) == (WIFI_AGENT, 434)
    assert (sent.destination, sent.destination_port) == (HOME, 5000)
    assert (sent.interface, sent.link_destination) == ("wifi", WIFI_LINK)


@pytest.mark.parametrize("destination", [ALL_AGENTS, IPv4Address("255.255.255.255")])
def test_what_was_sent_to_a_group_is_answered_from_the_address_on_that_link(destination: IPv4Address) -> None:
    lab = Lab()
    denial = lab.deny(lab.request(lifetime=601), interface="lte", destination=destination)
    assert denial.sent.source == LTE_AGENT


def test_what_was_sent_to_a_care_of_address_is_answered_from_it() -> None:
    lab = Lab()
    assert lab.deny(lab.request(lifetime=601), destination=CARE_OF).sent.source == CARE_OF


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (96, {"home_address": IPv4Address(0)}),
        (90, {"home_agent": IPv4Address(0)}),
        (70, {"home_address": IPv4Address("224.0.0.5")}),
        (70, {"home_agent": IPv4Address("255.255.255.255")}),
        (116, {"home_agent": WIFI_AGENT}),
        (116, {"home_agent": CARE_OF}),
        (65, {"home_address": WIFI_AGENT}),
        (65, {"home_address": HOME_AGENT}),
    ],
)
@pytest.mark.parametrize("lifetime", [0, 600])
def test_a_request_with_impossible_addresses_is_denied(
    code: int, fields: dict[str, Any], lifetime: int
) -> None:
    denial = Lab().deny(Lab().request(**fields, lifetime=lifetime))
    assert (denial.code, denial.lifetime) == (code, lifetime)
    home_address = fields.get("home_address", HOME)
    broadcast = int(home_address) >> 24 in (0, 224)
    assert denial.sent.destination == (IPv4Address("255.255.255.255") if broadcast else home_address)
    assert denial.sent.link_destination == WIFI_LINK


@pytest.mark.parametrize("lifetime", [0, 600])
def test_a_request_without_mobile_home_authentication_is_poorly_formed(lifetime: int) -> None:
    lab = Lab()
    fields: dict[str, Any] = {"identification": 5, "care_of_address": CARE_OF, "flags": T}
    assert lab.deny(fixed_request(lifetime=lifetime, **fields)).code == 70
    lab.wait(1)
    assert lab.deny(signed_for_node(fixed_request(lifetime=lifetime, **fields))).code == 70


def test_a_critical_vendor_extension_is_denied_wherever_it_stands() -> None:
    lab = Lab()
    assert lab.deny(lab.request(CRITICAL_VENDOR)).code == 100
    lab.wait(1)
    assert lab.deny(lab.request() + CRITICAL_VENDOR).code == 100


# Mobile-Foreign Authentication


def test_an_authenticated_request_is_relayed_and_the_reply_authenticated() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY])
    payload = lab.request(multiple(1))
    assert lab.relay(signed_for_node(payload + ENCAPSULATING)).payload == payload


def test_every_fault_of_the_mobile_foreign_authentication_is_67() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY])
    plain = lab.request(multiple(1))
    inside = authentication(signed_for_node(fixed_request(identification=9, care_of_address=CARE_OF)))
    for payload in (
        plain,
        signed_for_node(signed_for_node(plain)),
        signed_for_node(plain, b"another key"),
        authentication(plain, MOBILE_FOREIGN, NODE_KEY, NODE_SPI + 1),
        inside,
        lab.request(lifetime=0),
    ):
        denial = lab.deny(payload, NODE_KEY)
        assert denial.code == 67
        lab.wait(1)


def test_what_stands_behind_the_mobile_foreign_authentication_is_not_believed() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY], delivery_styles=["direct"])
    lab.relay(signed_for_node(lab.request(multiple(1))) + ENCAPSULATING)


def test_a_mobile_node_without_association_need_not_authenticate() -> None:
    lab = Lab(mobile_node=[NODE_ENTRY])
    lab.relay(lab.request(home_address=HOME + 1))
    lab.relay(signed_for_node(lab.request(home_address=HOME + 2)))


# Denials of what a registration asks for; a deregistration asks for nothing


@pytest.mark.parametrize(
    ("code", "changes", "fields"),
    [
        (77, {}, {"care_of_address": CO_LOCATED}),
        (77, {}, {"flags": D | T}),
        (69, {"maximum_lifetime": 300}, {"lifetime": 301}),
        (69, {}, {"lifetime": 65535}),
        (72, {}, {"flags": M | T}),
        (72, {"encapsulations": ["ipip"]}, {"flags": G | T}),
        (72, {}, {"flags": M | G | T}),
        (72, {"encapsulations": ["ipip"]}, {"before": gre_key(5)}),
        (79, {"delivery_styles": ["direct"]}, {"after": ENCAPSULATING}),
        (79, {}, {"after": extension(130, b"\1")}),
        (70, {}, {"after": ENCAPSULATING, "flags": 0}),
        (74, {"reverse_tunnel": "forbidden"}, {}),
        (75, {"reverse_tunnel": "required"}, {"flags": 0}),
        (75, {"behind_nat": True}, {"flags": 0}),
        (70, {}, {"before": multiple(1, length=7)}),
        (70, {}, {"before": multiple(1, sub_type=1)}),
        (127, {"enable_multiple_tunnel_support": False}, {"before": multiple(1)}),
        (
            117,
            {"enable_multiple_tunnel_support": False, "profile": {"denied_by_foreign_agent": 117}},
            {"before": multiple(1)},
        ),
        (70, {"enable_multiple_tunnel_support": False}, {"before": multiple(1, length=7)}),
    ],
)
def test_a_registration_is_denied_and_the_deregistration_relayed(
    code: int, changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    lab = Lab(**changes)
    assert lab.deny(lab.request(**fields)).code == code
    payload = lab.request(**{**fields, "lifetime": 0, "after": b""})
    assert lab.relay(payload + fields.get("after", b"")).payload == payload


def test_a_request_for_a_reverse_tunnel_must_come_from_the_link() -> None:
    lab = Lab()
    denial = lab.deny(lab.request(multiple(1)), ttl=254)
    assert denial.code == 76
    lab.relay(lab.request(multiple(1)), ttl=1, destination=ALL_AGENTS)
    lab.relay(lab.request(multiple(2), flags=0), ttl=64)
    lab.relay(lab.request(multiple(3), lifetime=0), ttl=64)


def test_only_the_mobile_node_itself_needs_what_a_co_located_address_asks_for() -> None:
    lab = Lab(reverse_tunnel="forbidden", encapsulations=["ipip"], delivery_styles=["direct"])
    lab.relay(lab.request(flags=D | T | G, care_of_address=CO_LOCATED), source=CO_LOCATED)
    assert lab.deny(lab.request(flags=D | T, care_of_address=CO_LOCATED), ttl=3).code == 76


def test_a_smart_nat_may_be_said_to_need_no_reverse_tunnel() -> None:
    lab = Lab(behind_nat=True, reverse_tunnel="optional")
    lab.relay(lab.request(flags=0))


def test_plain_requests_pass_where_multiple_tunnels_are_disabled() -> None:
    lab = Lab(enable_multiple_tunnel_support=False)
    lab.relay(lab.request())
    lab.relay(lab.request() + multiple(1))
    assert lab.pending()[0]["binding_id"] is None


def test_an_agent_that_has_never_heard_of_the_extension_is_silent() -> None:
    lab = Lab(recognise_multiple_tunnels=False)
    for before in (multiple(1), multiple(1, length=7)):
        for lifetime in (0, 600):
            assert lab.discard(lab.request(before, lifetime=lifetime)) == "unknown-extension"
    assert lab.discard(lab.request() + multiple(1)) == "unknown-extension"
    assert lab.status()["discarded"] == {"unknown-extension": 5}
    lab.relay(lab.request())


# Silence


@pytest.mark.parametrize(
    ("reason", "where"),
    [
        ("not-by-a-visitor-link", {"interface": "eth0", "link": STRANGER}),
        ("no-address-to-answer", {"link": None}),
        ("no-address-to-answer", {"source_port": 0}),
    ],
)
def test_a_request_that_cannot_be_answered_is_discarded(reason: str, where: dict[str, Any]) -> None:
    lab = Lab()
    assert lab.discard(lab.request(), **where) == reason


@pytest.mark.parametrize(
    ("reason", "payload"),
    [
        ("truncated", b""),
        ("truncated", b"\1\2\3"),
        ("unexpected-message-type", b"\7" + bytes(30)),
        ("unexpected-tunnel-data", b"\4\4\0\0" + bytes(28)),
        ("unknown-extension", fixed_request(identification=1) + extension(99)),
    ],
)
def test_what_is_no_registration_message_is_discarded(reason: str, payload: bytes) -> None:
    lab = Lab()
    assert lab.discard(payload) == reason
    assert lab.status()["discarded"] == {reason: 1}


# One denial per second


def test_one_mobile_node_gets_one_denial_per_second() -> None:
    lab = Lab()
    assert lab.deny(lab.request(lifetime=601)).code == 69
    lab.wait(0.9)
    assert lab.send(lab.request(flags=M | T), interface="lte") is None
    assert [r["code"] for r in lab.reports("denial-suppressed")] == [72]
    assert lab.deny(lab.request(lifetime=601, home_address=HOME + 1)).code == 69
    lab.wait(0.1)
    assert lab.deny(lab.request(flags=M | T)).code == 72
    assert lab.status()["replies"] == {"69": 2, "72": 1}


def test_of_those_too_distant_one_per_second_in_all() -> None:
    lab = Lab()
    assert lab.deny(lab.request(), ttl=9).code == 76
    assert lab.send(lab.request(home_address=HOME + 1), ttl=9) is None
    lab.wait(1)
    assert lab.deny(lab.request(home_address=HOME + 1), ttl=9).code == 76


def test_the_identification_of_a_denial_is_the_whole_one() -> None:
    lab = Lab()
    payload = lab.request(lifetime=700)
    denial = lab.deny(payload)
    assert struct.pack("!Q", denial.identification) == payload[16:24]
