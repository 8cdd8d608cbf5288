# SPDX-License-Identifier: GPL-2.0-or-later
"""Reflection at a victim's address, tunnels taken over from another port, and floods at a home agent."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

import pytest

from agents.effects import Encapsulation, SendDatagram, SendIcmp
from agents.home_agent_denials import DENIALS_AT_ONCE, STRANGERS_AT_ONCE
from tests.attacks.attacked import INSIDER_KEY, at_home_agent, home_agent, send
from tests.unit.home_agent.home_agent_lab import (
    EVDO,
    HOME,
    HOME_AGENT,
    LTE,
    NAT,
    OTHER_HOME,
    WIFI,
    D,
    Lab,
    T,
    authentication,
    fixed_request,
    multiple,
    udp_request,
)

PRIVATE = IPv4Address("192.168.1.10")
VICTIM = IPv4Address("198.51.100.200")
SOLICITATION = struct.pack("!BBHI", 10, 0, 0xF5FF, 0)


def keepalive(source: IPv4Address = HOME, destination: IPv4Address = HOME_AGENT) -> bytes:
    """Tunnel Data with an ICMP echo request from a home address (RFC 3519 §4.9)."""
    inner = struct.pack("!BBHHHBBHII", 0x45, 0, 28, 1, 0, 64, 1, 0, int(source), int(destination))
    return bytes([4, 4, 0, 0]) + inner + struct.pack("!BBHHH", 8, 0, 0, 1, 1)


def behind_nat(required: bool = False, **changes: Any) -> Lab:
    """The victim is registered behind a NAT, from port 40001."""
    lab = home_agent(**changes)
    lab.register(1, PRIVATE, source=NAT, source_port=40001, more=udp_request(required=required))
    return lab


# UDP tunnels


@pytest.mark.parametrize("port", [1, 434, 40000, 40002, 65535])
def test_tunnel_data_from_another_port_moves_no_tunnel(port: int) -> None:
    lab = behind_nat()
    before = at_home_agent(lab)
    assert send(lab, keepalive(), NAT, port) is None
    assert lab.reports("message-discarded")[0]["reason"] == "unexpected-tunnel-data"
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("source", [VICTIM, LTE, HOME_AGENT])
def test_a_keepalive_from_another_address_completes_nothing(source: IPv4Address) -> None:
    """Half bound: the first keepalive decides about the port, but never about the address."""
    lab = behind_nat(required=True)
    before = at_home_agent(lab)
    assert send(lab, keepalive(), source, 40001) is None
    assert at_home_agent(lab) == before


def test_only_the_first_keepalive_counts() -> None:
    lab = behind_nat(required=True)
    send(lab, keepalive(), NAT, 50123)
    before = at_home_agent(lab)
    send(lab, keepalive(), NAT, 50666)
    assert at_home_agent(lab) == before
    (tunnel,) = lab.kernel.tunnels
    assert (tunnel.encapsulation, tunnel.remote_port) == (Encapsulation.UDP, 50123)


def test_a_keepalive_for_another_mobile_node() -> None:
    lab = behind_nat(required=True)
    before = at_home_agent(lab)
    for payload in (keepalive(OTHER_HOME), keepalive(VICTIM), keepalive(destination=VICTIM)):
        assert send(lab, payload, NAT, 50123) is None
        assert at_home_agent(lab) == before


def test_a_request_without_key_from_another_port_moves_no_tunnel() -> None:
    lab = behind_nat()
    before = at_home_agent(lab)
    payload = lab.request(multiple(1) + udp_request(), key=b"guessed", care_of_address=PRIVATE)
    assert send(lab, payload, NAT, 50666) == 131
    assert at_home_agent(lab) == before


def test_an_end_point_seen_through_a_nat_is_believed_for_a_minute_only() -> None:
    """The outer source of a request is not protected (RFC 3519 §6): its reach is a short lifetime."""
    lab = behind_nat()
    assert lab.rows()[1]["lifetime"] <= 60
    lab.wait(61.0)
    assert lab.kernel.tunnels == {}


def test_an_unprotected_udp_tunnel_request_of_a_mobile_node_with_a_co_located_address() -> None:
    """Anybody on the way could add one behind the authenticator, and change the source too."""
    lab = home_agent()
    payload = lab.request(multiple(1), udp_request(force=True), care_of_address=WIFI)
    before = lab.kernel.tunnels.copy()
    assert send(lab, payload, VICTIM, 666) == 134
    assert lab.kernel.tunnels == before


# Reflection


def sent_to(lab: Lab, payload: bytes, source: IPv4Address) -> int:
    """Octets that go to the source of a datagram."""
    send(lab, payload, source)
    found = [effect for effect in lab.effects if isinstance(effect, SendDatagram)]
    assert all(effect.destination == source for effect in found), "never to the care-of address"
    return sum(len(effect.payload) for effect in found)


def forged(lab: Lab, **fields: Any) -> bytes:
    """A request with a false authenticator."""
    return lab.request(multiple(1), key=b"guessed", care_of_address=VICTIM, **fields)


def test_no_answer_is_longer_than_the_question() -> None:
    lab = home_agent()
    stolen = lab.request(multiple(1), care_of_address=WIFI)
    assert send(lab, stolen) == 0
    for payload in (
        stolen,
        forged(lab),
        forged(lab, lifetime=0),
        fixed_request(identification=1),
        b"",
        b"\1",
    ):
        assert sent_to(lab, payload, VICTIM) <= len(payload)


def test_the_answers_to_one_source_are_few() -> None:
    """A thousand forged requests in a second that claim to come from the victim."""
    lab = home_agent()
    answers = 0
    for _ in range(1000):
        lab.wait(0.001)
        answers += sent_to(lab, forged(lab), VICTIM) > 0
    assert answers <= DENIALS_AT_ONCE + 10
    assert lab.reports("denial-suppressed")


def test_the_answers_to_all_sources_are_bounded() -> None:
    lab = home_agent()
    answers = sum(sent_to(lab, forged(lab), VICTIM + number) > 0 for number in range(3000))
    assert answers == STRANGERS_AT_ONCE


def test_a_recorded_request_reflects_no_more_than_a_forged_one() -> None:
    lab = home_agent()
    stolen = lab.request(multiple(1), care_of_address=WIFI)
    assert send(lab, stolen) == 0
    assert sum(sent_to(lab, stolen, VICTIM) > 0 for _ in range(1000)) == DENIALS_AT_ONCE


def test_strangers_do_not_use_up_a_mobile_nodes_own_denials() -> None:
    """While forged requests in its name pour in, a mobile node whose clock is wrong still learns the time."""
    lab = home_agent()
    stolen = lab.request(multiple(1), care_of_address=WIFI)
    assert send(lab, stolen) == 0
    for number in range(5000):
        send(lab, forged(lab), WIFI)
        send(lab, forged(lab), VICTIM + number)
        send(lab, stolen, VICTIM)
    late = lab.request(multiple(1), care_of_address=WIFI, identification=1)
    assert send(lab, late, WIFI) == 133


def test_no_tunnel_to_a_victim_without_a_key() -> None:
    """Only one with a mobility security association can aim its own traffic at an address."""
    lab = home_agent()
    for _ in range(10):
        send(lab, forged(lab), VICTIM)
    assert lab.kernel.tunnels == {}
    assert lab.kernel.paths == {}


@pytest.mark.parametrize("address", ["255.255.255.255", "224.0.0.11", "127.0.0.1", "0.0.0.0"])
def test_no_answer_to_and_no_tunnel_to_many(address: str) -> None:
    """A group, a broadcast or a loopback address as source or as care-of address."""
    lab = home_agent()
    many = IPv4Address(address)
    before = lab.rows(), repr(lab.kernel)
    assert send(lab, lab.request(multiple(1), care_of_address=WIFI), many) is None
    assert send(lab, lab.request(multiple(1), care_of_address=many), WIFI) == 134
    assert (lab.rows(), repr(lab.kernel)) == before


def test_the_answers_to_solicitations_are_few() -> None:
    """An advertisement is longer than a solicitation, whose source may be forged."""
    lab = home_agent(advertise=True)
    answers = 0
    for number in range(1000):
        effects = lab.agent.receive_icmp(SOLICITATION, VICTIM + number, "eth0", None, lab.now)
        answers += sum(isinstance(effect, SendIcmp) for effect in effects)
    assert answers == 40


# Floods


def test_a_flood_of_bindings_ends_at_the_limit() -> None:
    """The insider registers thousands of Binding-Ids; the victim has as many as before."""
    lab = home_agent()
    assert send(lab, lab.request(multiple(1), care_of_address=EVDO)) == 0
    rows = lab.rows()
    codes: set[int | None] = set()
    for number in range(1, 2000):
        lab.wait(0.2)
        payload = lab.request(
            multiple(number), key=INSIDER_KEY, home_address=OTHER_HOME, care_of_address=VICTIM + number % 50
        )
        codes.add(send(lab, payload))
    others = [row for row in lab.status()["bindings"] if row["home_address"] == str(OTHER_HOME)]
    assert len(others) == 8
    assert codes == {0, 135}
    assert {number: row["care_of_address"] for number, row in lab.rows().items()} == {
        number: row["care_of_address"] for number, row in rows.items()
    }


def test_a_flood_of_binding_ids_is_forgotten() -> None:
    """One binding after another in the place of all others: what is remembered of them has an end."""
    lab = home_agent()
    for number in range(1, 1000):
        lab.wait(0.2)
        assert send(lab, lab.request(multiple(number, overwrite=True), care_of_address=WIFI)) == 0
    assert len(lab.agent._nodes[HOME].binding_ids) == 256
    assert set(lab.rows()) == {999}


@pytest.mark.parametrize("kind", ["skippable", "not skippable", "both"])
def test_a_flood_of_unknown_extensions(kind: str) -> None:
    """As many as a datagram holds. Skipped, or the request discarded; the rest of the state stays."""
    lab = home_agent()
    assert send(lab, lab.request(multiple(1), care_of_address=WIFI)) == 0
    lab.wait(1.0)
    before = repr(lab.agent._table.all())
    numbers = {"skippable": [200], "not skippable": [99], "both": [200, 99]}[kind]
    request = fixed_request(identification=lab.identification(), care_of_address=EVDO)
    request += b"".join(bytes([number, 0]) for number in numbers * (32_000 // len(numbers)))
    forged_code = send(lab, authentication(request, key=b"guessed"), VICTIM)
    assert forged_code == (131 if kind == "skippable" else None)
    assert repr(lab.agent._table.all()) == before


def test_a_flood_of_tunnel_data() -> None:
    """What the kernel hands on; nothing is kept of it."""
    lab = behind_nat(required=True)
    before = at_home_agent(lab)
    for number in range(3000):
        send(lab, keepalive(VICTIM + number), VICTIM + number % 7, number + 1)
        send(lab, keepalive(), VICTIM + number % 7, number + 1)
        send(lab, bytes([4, 4, 0, 0]) + bytes(number % 90), NAT, number + 1)
    assert at_home_agent(lab) == before
    assert lab.status()["discarded"].keys() <= {"unexpected-tunnel-data", "truncated"}


def test_a_flood_of_requests_for_nodes_that_do_not_exist() -> None:
    """Nothing is kept and nothing is signed for them."""
    lab = home_agent()
    before = at_home_agent(lab)
    for number in range(5000):
        payload = lab.request(home_address=VICTIM + number, care_of_address=VICTIM, flags=D | T)
        assert send(lab, payload, VICTIM) is None
    assert at_home_agent(lab) == before
    assert lab.status()["discarded"] == {"unknown-mobile-node": 5000}
