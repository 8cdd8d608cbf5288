# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests for what is not one's own: another's home address, another's Binding-Id, another's weight.

The outsider has no key. The insider is an honest customer of the same home agent, with a key of its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from agents.linux.slots import flow_cycle, packet_cycle
from tests.attacks.attacked import INSIDER_KEY, at_home_agent, home_agent, send
from tests.unit.home_agent.home_agent_lab import (
    AGENT_ENTRY,
    EVDO,
    FOREIGN_AGENT,
    FOREIGN_HOME,
    HOME,
    HOME_AGENT,
    LTE,
    NAT,
    OTHER_HOME,
    SPI,
    WIFI,
    D,
    Lab,
    M,
    S,
    T,
    authentication,
    fixed_request,
    multiple,
)

BAD_AUTHENTICATOR, BAD_FOREIGN_AUTHENTICATOR, POORLY_FORMED, NOT_ALLOWED = 131, 132, 134, 129
ATTACKER = NAT


def victim(**changes: Any) -> Lab:
    """The victim is registered on three links."""
    lab = home_agent(**changes)
    for number, care_of in ((1, WIFI), (2, EVDO), (3, LTE)):
        lab.wait(1.0)
        assert send(lab, lab.request(multiple(number), care_of_address=care_of)) == 0
    lab.wait(1.0)
    return lab


@pytest.mark.parametrize("lifetime", [0, 600])
@pytest.mark.parametrize(
    "extension", [b"", multiple(1), multiple(9), multiple(1, overwrite=True), multiple(1, bulk=True)]
)
@pytest.mark.parametrize("key", [INSIDER_KEY, b"guessed", b"\0"])
def test_a_request_for_anothers_home_address(key: bytes, extension: bytes, lifetime: int) -> None:
    lab = victim()
    before = at_home_agent(lab)
    forged = lab.request(extension, key=key, care_of_address=ATTACKER, lifetime=lifetime)
    assert send(lab, forged, ATTACKER) == BAD_AUTHENTICATOR
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("position", range(0, 58, 3))
def test_a_genuine_request_with_one_octet_changed(position: int) -> None:
    """Whatever the home agent reads, from flags to authenticator, is protected."""
    lab = victim()
    genuine = bytearray(lab.request(multiple(1), care_of_address=WIFI))
    genuine[position] ^= 0x20
    before = at_home_agent(lab)
    assert send(lab, bytes(genuine), ATTACKER) in (None, BAD_AUTHENTICATOR)
    assert at_home_agent(lab) == before


def test_a_request_without_authenticator() -> None:
    lab = victim()
    before = at_home_agent(lab)
    bare = fixed_request(identification=lab.identification(), care_of_address=ATTACKER)
    assert send(lab, bare, ATTACKER) is None
    assert send(lab, bare + multiple(1, overwrite=True), ATTACKER) is None
    assert at_home_agent(lab) == before


def test_a_genuine_authenticator_after_a_forged_one() -> None:
    """Every Mobile-Home Authentication must be right, or a stolen one could vouch for something else."""
    lab = victim()
    before = at_home_agent(lab)
    request = fixed_request(identification=lab.identification(), care_of_address=ATTACKER)
    forged = authentication(authentication(request, key=b"guessed"), key=INSIDER_KEY)
    assert send(lab, forged, ATTACKER) == BAD_AUTHENTICATOR
    genuine_first = authentication(lab.request(multiple(1), care_of_address=WIFI), key=b"guessed")
    assert send(lab, genuine_first, ATTACKER) == BAD_AUTHENTICATOR
    assert at_home_agent(lab) == before


def test_the_key_of_another_security_parameter_index() -> None:
    lab = victim()
    before = at_home_agent(lab)
    request = fixed_request(identification=lab.identification(), care_of_address=ATTACKER)
    for spi in (0, 255, SPI + 1, 0xFFFF_FFFF):
        assert send(lab, authentication(request, spi=spi), ATTACKER) == BAD_AUTHENTICATOR
    assert at_home_agent(lab) == before


@pytest.mark.parametrize("flag", ["overwrite", "bulk"])
def test_flags_added_behind_the_authenticator(flag: str) -> None:
    """The draft leaves open what a receiver does with an extension that is not protected (FACTS G10)."""
    lab = victim()
    genuine = lab.request(care_of_address=WIFI)
    before = (repr(lab.agent._table.all()), repr(lab.kernel))
    assert send(lab, genuine + multiple(1, **{flag: True}), ATTACKER) == POORLY_FORMED
    assert (repr(lab.agent._table.all()), repr(lab.kernel)) == before


@pytest.mark.parametrize("flag", [{}, {"overwrite": True}, {"bulk": True}])
@pytest.mark.parametrize("lifetime", [0, 600])
@pytest.mark.parametrize("scope", ["mobile-node", "binding"])
def test_the_binding_id_of_another_mobile_node(scope: str, lifetime: int, flag: dict[str, bool]) -> None:
    """The insider uses the victim's Binding-Ids and care-of address, in requests of its own."""
    lab = victim(replay_scope=scope)
    rows, paths = lab.rows(), lab.kernel.paths[HOME]
    replay = repr(lab.agent._nodes[HOME].replay)
    for number in (1, 2, 3):
        payload = lab.request(
            multiple(number, **flag),
            key=INSIDER_KEY,
            home_address=OTHER_HOME,
            care_of_address=WIFI,
            lifetime=lifetime,
        )
        assert send(lab, payload, ATTACKER) == 0
        theirs = [row for row in lab.status()["bindings"] if row["home_address"] != str(OTHER_HOME)]
        assert {row["binding_id"]: row for row in theirs} == rows
        assert len(lab.status()["bindings"]) <= 3 + number
    assert (lab.rows(), lab.kernel.paths[HOME]) == (rows, paths)
    assert repr(lab.agent._nodes[HOME].replay) == replay


def test_the_insider_does_not_end_a_tunnel_the_victim_uses() -> None:
    """Both have registered the same care-of address; one goes, the tunnel stays for the other."""
    lab = victim()
    own: dict[str, Any] = {"key": INSIDER_KEY, "home_address": OTHER_HOME}
    assert send(lab, lab.request(multiple(1), care_of_address=WIFI, **own)) == 0
    tunnels = set(lab.kernel.tunnels)
    assert send(lab, lab.request(lifetime=0, care_of_address=OTHER_HOME, **own)) == 0
    assert set(lab.kernel.tunnels) == tunnels
    assert set(lab.weights()) == {str(WIFI), str(EVDO), str(LTE)}


def test_the_binding_id_of_another_interface_takes_its_place_alone() -> None:
    """Only the mobile node itself can do so: one binding moves, the others stay as they are."""
    lab = victim()
    rows = lab.rows()
    assert send(lab, lab.request(multiple(1), care_of_address=NAT), NAT) == 0
    after = lab.rows()
    assert {number: rows[number] for number in (2, 3)} == {number: after[number] for number in (2, 3)}
    assert after[1]["care_of_address"] == str(NAT)


@pytest.mark.parametrize("kbytes", [0, 1, 0xFFFF_FFFF])
def test_a_lie_about_bandwidth_moves_the_liars_traffic_only(kbytes: int) -> None:
    lab = victim(path_selection={"weights": "bandwidth"})
    weights = lab.weights()
    payload = lab.request(
        multiple(1, kbytes=kbytes), key=INSIDER_KEY, home_address=OTHER_HOME, care_of_address=ATTACKER
    )
    assert send(lab, payload, ATTACKER) == 0
    assert lab.weights() == weights


def test_the_largest_lie_leaves_every_tunnel_in_use_and_the_tables_small() -> None:
    """4 TB/s on one link of the node's own: the others still get flows, and no table grows with it."""
    lab = victim(path_selection={"weights": "bandwidth"})
    assert send(lab, lab.request(multiple(1, kbytes=0xFFFF_FFFF), care_of_address=WIFI)) == 0
    weights = [path.weight for path in lab.kernel.paths[HOME]]
    assert len(weights) == 3
    assert len(packet_cycle(weights)) <= 256
    assert set(packet_cycle(weights)) == {0, 1, 2}
    assert set(flow_cycle(weights)) == {0, 1, 2}


def test_a_request_through_a_foreign_agent_that_has_a_key() -> None:
    """Its Foreign-Home Authentication is required; the mobile node's own genuine one is not enough."""
    lab = victim(foreign_agent=[AGENT_ENTRY])
    before = repr(lab.agent._table.all())
    for signature in (b"", b"guessed"):
        payload = lab.request(multiple(1), flags=S | T, care_of_address=FOREIGN_AGENT)
        if signature:
            payload = authentication(payload, FOREIGN_HOME, signature, 700)
        assert send(lab, payload, FOREIGN_AGENT) == BAD_FOREIGN_AUTHENTICATOR
        assert repr(lab.agent._table.all()) == before


@pytest.mark.parametrize("end", [HOME_AGENT, HOME, OTHER_HOME])
def test_a_tunnel_into_the_home_agent_itself(end: object) -> None:
    """The insider asks for a loop: its packets would go round for ever."""
    lab = victim()
    before = (lab.rows(), repr(lab.kernel))
    payload = lab.request(
        multiple(1), key=INSIDER_KEY, home_address=OTHER_HOME, care_of_address=end, flags=D | T
    )
    assert send(lab, payload, ATTACKER) in (NOT_ALLOWED, POORLY_FORMED)
    assert (lab.rows(), repr(lab.kernel)) == before


def test_a_request_for_two_things_at_once_changes_nothing() -> None:
    """B and O together, or the extension twice: denied before anything is done (FACTS G9, G20)."""
    lab = victim()
    before = (lab.rows(), repr(lab.kernel))
    for extension in (
        multiple(1, bulk=True, overwrite=True),
        multiple(1, overwrite=True) + multiple(2),
        multiple(1, sub_type=1, overwrite=True),
    ):
        assert send(lab, lab.request(extension, care_of_address=WIFI)) == POORLY_FORMED
        assert (lab.rows(), repr(lab.kernel)) == before
    assert send(lab, lab.request(multiple(1, overwrite=True), flags=D | T | M, care_of_address=WIFI)) == 139
    assert (lab.rows(), repr(lab.kernel)) == before
