# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries of the visitor list and what the kernel does for them (FACTS G38 to G40, G50; RFC 3024 §5)."""

from __future__ import annotations

import pytest

from agents.effects import (
    AddTunnel,
    Encapsulation,
    RemoveTunnel,
    SendDatagram,
    SetNeighbour,
    SetPaths,
    SetReversePath,
)
from tests.unit.foreign_agent.foreign_agent_lab import (
    CARE_OF,
    CO_LOCATED,
    ENCAPSULATING,
    HOME,
    HOME_AGENT,
    LTE_LINK,
    OTHER_CARE_OF,
    OTHER_HOME_AGENT,
    STRANGER,
    WIFI_AGENT,
    WIFI_LINK,
    Lab,
    plain_tunnel,
    reply_to,
)
from tests.unit.home_agent.home_agent_lab import D, G, S, T, gre_key, multiple


def test_a_visitor_has_a_tunnel_a_path_a_neighbour_and_a_reverse_path() -> None:
    lab = Lab()
    lab.register(1, kbytes=100)
    assert list(lab.kernel.tunnels) == [plain_tunnel()]
    assert lab.kernel.neighbours == {(HOME, "wifi"): WIFI_LINK}
    assert lab.kernel.reverse == {(HOME, "wifi"): plain_tunnel()}
    (path,) = lab.kernel.paths[HOME]
    assert (path.binding_id, path.weight, path.bandwidth) == (1, 1.0, 800)
    kinds = [type(effect) for effect in lab.effects]
    order = [AddTunnel, SetNeighbour, SetPaths, SetReversePath, SendDatagram]
    assert [kind for kind in kinds if kind in order] == order


def test_all_of_it_goes_with_the_entry_after_the_reply() -> None:
    lab = Lab()
    lab.register(1)
    lab.register(1, lifetime=0)
    assert lab.kernel.empty
    assert lab.kernel.timers == {}
    kinds = [type(effect) for effect in lab.effects]
    order = [SendDatagram, SetPaths, SetReversePath, SetNeighbour, RemoveTunnel]
    assert [kind for kind in kinds if kind in order] == order
    assert lab.reports("visitor-removed")[0]["reason"] == "deregistered"


def test_several_entries_share_a_tunnel_until_the_last_has_gone() -> None:
    lab = Lab()
    lab.register(1, "wifi")
    lab.register(2, "lte")
    assert lab.status()["tunnels"][0]["visitors"] == 2
    assert lab.weights() == {"wifi": 1.0, "lte": 1.0}
    lab.register(1, "wifi", lifetime=0)
    assert list(lab.kernel.tunnels) == [plain_tunnel()]
    assert lab.weights() == {"lte": 1.0}
    lab.register(1, home_address=HOME + 1)
    lab.register(2, "lte", lifetime=0)
    assert list(lab.kernel.tunnels) == [plain_tunnel()]
    assert lab.kernel.paths.keys() == {HOME + 1}


def test_each_care_of_address_has_its_own_tunnel() -> None:
    lab = Lab()
    lab.register(1, "wifi", care_of_address=CARE_OF)
    lab.register(2, "lte", care_of_address=OTHER_CARE_OF)
    assert lab.kernel.reverse == {
        (HOME, "wifi"): plain_tunnel(),
        (HOME, "lte"): plain_tunnel(local=OTHER_CARE_OF),
    }
    lab.register(1, "wifi", care_of_address=OTHER_CARE_OF)
    assert list(lab.kernel.tunnels) == [plain_tunnel(local=OTHER_CARE_OF)]
    assert lab.reports("visitor-moved")


def test_weights_follow_the_announced_bandwidth_where_they_are_to() -> None:
    lab = Lab(path_selection={"weights": "bandwidth"})
    lab.register(1, "wifi", kbytes=300)
    lab.register(2, "lte", kbytes=100)
    assert lab.weights() == {"wifi": 300.0, "lte": 100.0}
    lab.register(2, "lte", kbytes=0)
    assert lab.weights() == {"wifi": 300.0, "lte": 300.0}


def test_an_operator_can_set_a_bandwidth_until_another_is_announced() -> None:
    lab = Lab(path_selection={"weights": "bandwidth"})
    lab.register(1, "wifi", kbytes=300)
    lab.register(2, "lte", kbytes=100)
    lab.apply(lab.agent.set_bandwidth(2, 600, lab.now))
    assert lab.weights() == {"wifi": 300.0, "lte": 600.0}
    lab.register(2, "lte", kbytes=100)
    assert lab.weights()["lte"] == 600.0
    lab.register(2, "lte", kbytes=150)
    assert lab.weights()["lte"] == 150.0
    lab.apply(lab.agent.set_bandwidth(2, 0, lab.now, HOME))
    assert lab.weights()["lte"] == 300.0
    assert lab.rows()[2]["bandwidth_kbytes"] is None
    before = lab.snapshot()
    lab.apply(lab.agent.set_bandwidth(2, 5, lab.now, HOME + 1))
    assert lab.reports("bandwidth-not-set")
    for wrong in (-1, 2**32):
        with pytest.raises(ValueError, match="bandwidth"):
            lab.agent.set_bandwidth(2, wrong, lab.now)
    assert lab.snapshot() == before


@pytest.mark.parametrize(
    ("flags", "before", "answer", "encapsulation", "key"),
    [
        (T | G, b"", b"", Encapsulation.GRE, None),
        (T | G, gre_key(7), gre_key(9), Encapsulation.GRE, 9),
        (T, gre_key(7), gre_key(7), Encapsulation.GRE, 7),
        (T, b"", gre_key(7), Encapsulation.IPIP, None),
    ],
)
def test_the_tunnel_is_what_the_request_asked_for(
    flags: int, before: bytes, answer: bytes, encapsulation: Encapsulation, key: int | None
) -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1) + before, flags=flags))
    lab.answer(reply_to(relayed.payload, before=answer))
    assert list(lab.kernel.tunnels) == [plain_tunnel(encapsulation, key=key)]


def test_without_t_there_is_no_reverse_path() -> None:
    lab = Lab()
    lab.register(1, flags=0)
    assert lab.kernel.reverse == {}
    assert list(lab.kernel.tunnels) == [plain_tunnel()]
    lab.register(1, flags=T)
    assert lab.kernel.reverse == {(HOME, "wifi"): plain_tunnel()}
    lab.register(1, flags=0)
    assert lab.kernel.reverse == {}


@pytest.mark.parametrize(
    ("flags", "encapsulation"),
    [(T, Encapsulation.IPIP), (T | G, Encapsulation.GRE)],
)
def test_the_encapsulating_delivery_style(flags: int, encapsulation: Encapsulation) -> None:
    lab = Lab()
    lab.register(1, flags=flags, after=ENCAPSULATING)
    tunnel = plain_tunnel(encapsulation)
    assert lab.kernel.delivered == {(HOME, "wifi"): (tunnel, encapsulation, WIFI_AGENT)}
    assert lab.rows()[1]["delivery"] == "encapsulating"
    lab.register(1, flags=flags)
    assert lab.kernel.delivered == {}
    assert lab.kernel.reverse == {(HOME, "wifi"): tunnel}
    lab.register(1, flags=flags, after=ENCAPSULATING)
    lab.register(1, lifetime=0)
    assert lab.kernel.empty


def test_a_delivery_style_that_is_protected_is_not_for_us() -> None:
    lab = Lab(delivery_styles=["direct"])
    payload = lab.request(ENCAPSULATING)
    assert lab.relay(payload).payload == payload


def test_a_co_located_visitor_needs_nothing_of_the_kernel() -> None:
    lab = Lab()
    lab.register(1, flags=D | T, care_of_address=CO_LOCATED)
    assert lab.kernel.empty
    row = lab.rows()[1]
    assert (row["co_located"], row["encapsulation"], row["care_of_address"]) == (True, None, str(CO_LOCATED))
    lab.wait(601)
    assert lab.rows() == {}


# Which entry a request means


def test_with_a_binding_id_a_new_link_moves_the_entry() -> None:
    lab = Lab()
    lab.register(1, "wifi")
    since = lab.rows()[1]["since"]
    lab.wait(50)
    lab.register(1, "lte")
    assert lab.rows()[1]["interface"] == "lte"
    assert lab.rows()[1]["since"] == since
    assert lab.kernel.neighbours == {(HOME, "lte"): LTE_LINK}
    assert lab.reports("visitor-moved")
    lab.register(1, "lte")
    assert lab.reports("visitor-renewed")


def test_without_one_each_attachment_is_an_entry() -> None:
    lab = Lab()
    lab.register(None, "wifi", flags=T | S)
    lab.register(None, "lte", flags=T | S)
    assert [row["interface"] for row in lab.status()["visitors"]] == ["wifi", "lte"]
    lab.register(None, "wifi", flags=T | S)
    assert len(lab.status()["visitors"]) == 2


def test_a_lost_interface_is_deregistered_over_another() -> None:
    lab = Lab()
    lab.register(1, "wifi")
    lab.register(2, "lte")
    back = lab.register(1, "lte", lifetime=0)
    assert back.link_destination == LTE_LINK
    assert list(lab.rows()) == [2]
    assert lab.weights() == {"lte": 1.0}
    lab.register(1, "lte", lifetime=0)
    assert list(lab.rows()) == [2]


def test_without_binding_id_a_deregistration_means_the_care_of_address() -> None:
    lab = Lab()
    lab.register(1, "wifi", care_of_address=CARE_OF)
    lab.register(2, "lte", care_of_address=OTHER_CARE_OF)
    lab.register(None, "lte", lifetime=0, care_of_address=CARE_OF)
    assert list(lab.rows()) == [2]


@pytest.mark.parametrize("bulk", [False, True])
def test_everything_can_be_deregistered_at_once(bulk: bool) -> None:
    lab = Lab()
    lab.register(1, "wifi")
    lab.register(2, "lte")
    lab.register(3, home_address=HOME + 1)
    if bulk:
        lab.register(2, "lte", bulk=True, lifetime=0)
    else:
        lab.register(None, "lte", lifetime=0, care_of_address=HOME)
    assert [row["home_address"] for row in lab.status()["visitors"]] == [str(HOME + 1)]


def test_a_denied_deregistration_ends_nothing() -> None:
    lab = Lab()
    lab.register(1)
    lab.register(1, lifetime=0, code=133)
    assert list(lab.rows()) == [1]


def test_what_the_home_agent_replaces_goes_here_too() -> None:
    lab = Lab()
    lab.register(1, "wifi")
    lab.register(2, "lte", overwrite=True)
    assert list(lab.rows()) == [2]
    assert lab.reports("visitor-removed")[0]["reason"] == "replaced"
    lab.register(3, "wifi", bulk=True)
    assert list(lab.rows()) == [2, 3]
    lab.register(None, "wifi")
    assert list(lab.rows()) == [None]
    lab.register(1, "lte")
    assert list(lab.rows()) == [1]
    lab.register(2, "wifi", flags=T | S)
    lab.register(None, "wifi", flags=T | S, code=1)
    assert list(lab.rows()) == [None]


def test_overwrite_changes_nothing_when_it_is_denied() -> None:
    lab = Lab()
    lab.register(1, "wifi")
    lab.register(2, "lte", overwrite=True, code=192)
    assert list(lab.rows()) == [1]


def test_lifetimes_are_independent() -> None:
    lab = Lab()
    lab.register(1, "wifi", granted=100)
    lab.wait(50)
    lab.register(2, "lte", bulk=True, granted=100)
    lab.wait(51)
    assert list(lab.rows()) == [2]
    assert lab.reports("visitor-removed")[0]["reason"] == "expired"
    assert lab.weights() == {"lte": 1.0}
    lab.wait(50)
    assert lab.kernel.empty
    assert lab.status()["tunnels"] == []


def test_two_entries_on_one_device_share_its_neighbour() -> None:
    lab = Lab()
    lab.register(1, "wifi", care_of_address=CARE_OF)
    lab.register(2, "wifi", link=STRANGER, care_of_address=OTHER_CARE_OF)
    assert lab.kernel.neighbours == {(HOME, "wifi"): STRANGER}
    assert lab.kernel.reverse == {(HOME, "wifi"): plain_tunnel(local=OTHER_CARE_OF)}
    assert lab.weights() == {"wifi": 2.0}
    lab.register(1, "wifi", care_of_address=CARE_OF)
    assert lab.kernel.neighbours == {(HOME, "wifi"): WIFI_LINK}
    lab.register(1, "wifi", care_of_address=CARE_OF, lifetime=0)
    assert lab.kernel.neighbours == {(HOME, "wifi"): STRANGER}
    assert lab.weights() == {"wifi": 1.0}


# Nobody gets another's traffic


def test_a_home_address_has_one_home_agent() -> None:
    lab = Lab()
    lab.register(1)
    assert lab.deny(lab.request(multiple(1), home_agent=OTHER_HOME_AGENT)).code == 65
    payload = lab.request(multiple(1), home_agent=OTHER_HOME_AGENT, lifetime=0)
    lab.answer(reply_to(lab.relay(payload, link=STRANGER).payload))
    assert list(lab.rows()) == [1]
    lab.register(1, lifetime=0)
    lab.wait(1)
    relayed = lab.relay(lab.request(multiple(1), home_agent=OTHER_HOME_AGENT))
    assert lab.deny(lab.request(multiple(1)), link=STRANGER).code == 65
    lab.answer(reply_to(relayed.payload))
    assert lab.rows()[1]["home_agent"] == str(OTHER_HOME_AGENT)


@pytest.mark.parametrize("accepted", [False, True])
def test_the_way_to_a_home_agent_is_no_visitors(accepted: bool) -> None:
    lab = Lab()
    relayed = lab.relay(lab.request(multiple(1)))
    if accepted:
        lab.answer(reply_to(relayed.payload))
    hijack = lab.request(home_address=HOME_AGENT, home_agent=OTHER_HOME_AGENT)
    assert lab.deny(hijack, link=STRANGER).code == 65
    visitor = lab.request(home_address=HOME + 1, home_agent=HOME)
    assert lab.deny(visitor, link=STRANGER).code == 65


# Room


def test_a_full_list_takes_only_its_own() -> None:
    lab = Lab(maximum_visitors=2)
    lab.register(1, "wifi")
    assert not lab.status()["busy"]
    coming = lab.relay(lab.request(multiple(2)), interface="lte")
    assert lab.deny(lab.request(multiple(3))).code == 66
    lab.relay(lab.request(multiple(2)), interface="lte")
    assert coming is not None
    lab.wait(8)
    lab.relay(lab.request(multiple(1)))
    lab.register(2, "lte")
    assert lab.status()["busy"]
    lab.register(1, "wifi")
    lab.wait(1)
    assert lab.deny(lab.request(multiple(1), home_address=HOME + 1)).code == 66
    lab.register(1, lifetime=0)
    lab.register(1, home_address=HOME + 1)
