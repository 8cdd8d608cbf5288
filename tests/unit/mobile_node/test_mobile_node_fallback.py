# SPDX-License-Identifier: GPL-2.0-or-later
"""Home agents without the extension, and the switch of the node itself (FACTS G12 to G18)."""

from __future__ import annotations

import pytest

from tests.unit.mobile_node.mobile_node_lab import (
    DOWN,
    EVDO,
    OTHER_AGENT,
    OTHER_CARE_OF,
    WIFI,
    D,
    Lab,
    Request,
    S,
    T,
    advertisement,
    interface,
    lab,
    registered,
    up,
    visitor,
)


def legacy(node: Lab, seconds: float) -> list[Request]:
    """A home agent that drops what has the extension and accepts all else."""
    seen = []
    end = node.time + seconds
    while node.time < end:
        node.advance(0.02)
        waiting, node.sent = node.sent, []
        for request in waiting:
            seen.append(request)
            if request.binding_id is None:
                node.answer(request)
    return seen


def test_denial_by_the_home_agent_leaves_one_plain_registration() -> None:
    node = lab()
    node.start("evdo", "lte")
    node.answer(node.take(), code=192)
    request = node.wait(1.1)
    assert request.packet.interface == "evdo", "the best by priority"
    assert (request.types, request.flags & S, request.flags) == ([32], 0, D | T)
    node.answer(request)
    assert node.machine.registered
    assert [path.binding_id for path in node.paths] == [None]
    assert node.states() == {"wifi": "down", "evdo": "registered", "lte": "left-out"}
    node.advance(200)
    assert node.sent == []


def test_denial_of_a_renewal_stops_the_others_before_the_plain_registration() -> None:
    node = registered()
    node.answer(node.wait(), code=192)
    assert [path.binding_id for path in node.paths] == [1], "the chosen one is kept until it is replaced"
    request = node.wait(1.1)
    assert (request.binding_id, request.packet.interface) == (None, "wifi")
    node.answer(request)
    assert [path.binding_id for path in node.paths] == [None]
    assert len(node.tunnels) == 1


def test_denial_must_be_authenticated() -> None:
    node = registered()
    node.answer(node.wait(), code=192, authenticated=False)
    assert len(node.paths) == 3


def test_other_denial_code_of_the_profile() -> None:
    node = lab(profile={"denied_by_home_agent": 154})
    node.start("wifi")
    node.answer(node.take(), code=154)
    assert node.wait(1.1).binding_id is None


def test_extension_is_asked_for_again_after_the_hold_down() -> None:
    node = lab(lifetime=6000)
    node.start("wifi", "evdo")
    node.answer(node.take(), code=192)
    node.answer(node.wait(1.1))
    node.advance(298)
    assert node.sent == []
    probe = node.wait(4)
    assert (probe.binding_id, probe.overwrite, probe.packet.interface) == (1, True, "wifi")
    assert node.paths, "the plain binding lives on"
    node.answer(probe, code=192)
    node.advance(290)
    assert node.sent == [], "refused for another hold-down, the plain binding is still good"
    probe = node.wait(20)
    node.answer(probe)
    node.accept_all()
    assert sorted(p.binding_id or 0 for p in node.paths) == [1, 2]


def test_legacy_home_agent() -> None:
    node = lab()
    node.start("wifi", "evdo")
    seen = legacy(node, 40)
    plain = [r for r in seen if r.binding_id is None]
    with_extension = [r for r in seen if r.binding_id is not None]
    # Three each (FACTS G12); the first to have tried so often tries once without.
    first = plain[0]
    assert sum(r.packet.interface == first.packet.interface and r.time < first.time for r in seen) == 3
    # It is answered, so the home agent is alive: three more, and then it is legacy for the hold-down.
    after = [r for r in with_extension if r.time > first.time]
    assert len(after) == 3
    assert {r.packet.interface for r in after} == {"wifi"}
    assert node.machine.registered
    assert node.machine.status(node.now)["home_agent_support"] == "refused"
    assert [path.binding_id for path in node.paths] == [None]
    seen = legacy(node, 250)
    assert all(r.binding_id is None for r in seen)
    seen = legacy(node, 60)
    assert sum(r.binding_id is not None for r in seen) == 3, "asked again after the hold-down"
    assert node.machine.registered


def test_home_agent_that_was_only_late() -> None:
    node = lab()
    node.start("wifi", "evdo")
    while not any(r.binding_id is None for r in node.sent):
        node.advance(0.5)
    plain = node.sent[-1]
    node.sent.clear()
    node.answer(plain)
    node.accept_all(limit=6)
    assert sorted(p.binding_id or 0 for p in node.paths) == [1, 2], "not held down for 300 s"


def test_dead_home_agent_is_asked_with_and_without() -> None:
    node = lab(interface("wifi", 1))
    node.start("wifi")
    node.advance(300)
    assert [r.binding_id for r in node.sent[:9]] == [1, 1, 1, None, 1, 1, 1, None, 1]


def test_no_plain_try_while_another_binding_lives() -> None:
    node = lab()
    node.start("wifi", "evdo")
    node.answer(node.take())
    node.advance(250)
    assert {r.binding_id for r in node.sent} == {2}


def test_no_plain_try_at_a_home_agent_that_has_accepted_before() -> None:
    node = registered()
    for name in ("evdo", "lte"):
        node.change(name, DOWN)
    node.advance(2000)
    assert node.paths == ()
    assert all(r.binding_id is not None for r in node.sent)


def test_switched_off_one_interface_registers_plainly() -> None:
    node = lab(enable_multiple_tunnel_support=False)
    node.start("wifi", "evdo", "lte")
    request = node.take()
    assert (request.packet.interface, request.types) == ("wifi", [32])
    node.answer(request)
    node.advance(250)
    assert node.sent == []
    assert node.machine.registered
    assert node.states() == {"wifi": "registered", "evdo": "left-out", "lte": "left-out"}


def test_plain_registration_moves_to_the_next_interface_and_back() -> None:
    node = lab(enable_multiple_tunnel_support=False)
    node.start("wifi", "evdo")
    node.answer(node.take())
    node.change("wifi", DOWN)
    departure = node.take()
    assert departure.lifetime == 0
    node.answer(departure, lifetime=0)
    request = node.wait(0.1)
    assert (request.packet.interface, request.lifetime) == ("evdo", 600)
    node.answer(request)
    # The better one returns: the old one is used until the new one is accepted.
    node.advance(5)
    node.change("wifi", up(WIFI))
    request = node.take()
    assert request.packet.interface == "wifi"
    (path,) = node.paths
    assert getattr(path.tunnel, "local", None) == EVDO
    node.answer(request)
    (path,) = node.paths
    assert getattr(path.tunnel, "local", None) == WIFI


def test_plain_registration_leaves_an_interface_that_does_not_answer() -> None:
    node = lab(enable_multiple_tunnel_support=False)
    node.start("wifi", "evdo")
    node.advance(60)
    names = [r.packet.interface for r in node.sent]
    assert names[:3] == ["wifi"] * 3
    assert names[3:6] == ["evdo"] * 3
    assert "wifi" in names[6:]


def test_switch_at_run_time() -> None:
    node = registered()
    node.do(node.machine.set_multiple_tunnel_support(False, node.now))
    assert [path.binding_id for path in node.paths] == [1], "the others stop at once"
    request = node.wait(1.1)
    assert (request.binding_id, request.packet.interface) == (None, "wifi")
    node.answer(request)
    assert [path.binding_id for path in node.paths] == [None]
    node.do(node.machine.set_multiple_tunnel_support(False, node.now))
    assert node.effects == []
    node.advance(2)
    node.do(node.machine.set_multiple_tunnel_support(True, node.now))
    assert node.machine.status(node.now)["enable_multiple_tunnel_support"] is True
    seen = node.accept_all()
    assert [(r.binding_id, r.overwrite) for r in seen] == [(1, True), (2, False), (3, False)]
    assert len(node.paths) == 3
    node.do(node.machine.set_multiple_tunnel_support(True, node.now))
    assert node.effects == []


def test_switched_off_nothing_is_probed() -> None:
    node = lab(lifetime=6000)
    node.start("wifi")
    node.answer(node.take(), code=192)
    node.answer(node.wait(1.1))
    node.do(node.machine.set_multiple_tunnel_support(False, node.now))
    node.advance(1000)
    assert node.sent == []


def test_order_to_register_asks_a_refusing_home_agent_again() -> None:
    node = lab(lifetime=6000)
    node.start("wifi", "evdo")
    node.answer(node.take(), code=192)
    node.answer(node.wait(1.1))
    node.advance(10)
    node.do(node.machine.reregister(node.now))
    assert node.wait(1).binding_id == 1


def test_late_reply_to_an_undone_request_is_ignored() -> None:
    node = lab()
    node.start("wifi", "evdo")
    seen: list[Request] = []
    while not any(r.binding_id is None for r in seen):
        node.advance(0.1)
        waiting, node.sent = node.sent, []
        seen += waiting
    with_extension = [r for r in seen if r.binding_id is not None]
    node.answer(with_extension[-1])
    assert node.paths == ()
    assert node.discards()[-1] == "no-matching-request"


@pytest.mark.parametrize("name", ["wifi", "evdo"])
def test_held_interface_is_not_chosen(name: str) -> None:
    node = lab(enable_multiple_tunnel_support=False)
    node.start("wifi", "evdo")
    node.answer(node.take())
    node.do(node.machine.deregister(1 if name == "wifi" else 2, node.now))
    seen = node.accept_all()
    assert len(node.paths) == 1
    (path,) = node.paths
    assert getattr(path.tunnel, "local", None) == (EVDO if name == "wifi" else WIFI)
    assert bool(seen) == (name == "wifi")


def test_an_order_right_after_a_denial_puts_the_question_again() -> None:
    node = registered()
    node.do(node.machine.reregister(node.now))
    node.answer(node.take(), code=0)  # WiFi has just been renewed: its plain request must wait
    node.answer(node.wait(1.0), code=192)
    node.do(node.machine.reregister(node.now))
    question = node.wait(1.5)
    assert (question.packet.interface, question.binding_id) == ("wifi", 1)
    node.answer(question, code=0)
    node.accept_all()
    assert [path.binding_id for path in node.paths] == [1, 2, 3]


def test_the_choice_of_the_one_interface_stands_until_something_happens() -> None:
    node = visitor(enable_multiple_tunnel_support=False)
    node.do(node.machine.start({}, node.now))
    node.change("wifi", up())
    node.change("evdo", up(EVDO))
    node.hear(advertisement())
    for seconds in (0, 0.5, 1, 3.0):
        node.advance(seconds)
    node.hear(advertisement(lifetime=0))
    node.advance(0.1)
    node.hear(advertisement(2))
    before = node.machine.status(node.now)
    node.do(node.machine.timer("none", node.now))
    assert node.machine.status(node.now) == before


def test_the_chosen_interface_does_not_repeat_a_denied_renewal_early() -> None:
    node = lab(interface("wifi", 1), interface("evdo", 2), enable_multiple_tunnel_support=False)
    node.start("evdo")
    node.answer(node.take())
    for _ in range(3):
        node.answer(node.wait(), code=128)
    node.change("wifi", up(WIFI))
    node.advance(6.9)
    assert {request.packet.interface for request in node.sent} == {"wifi"}
    node.sent.clear()
    node.advance(2)  # wifi has stayed silent three times; EV-DO may ask again 20 s after its denial
    assert node.sent == []
    before = node.machine.status(node.now)
    assert node.do(node.machine.timer("none", node.now)) == []
    assert node.machine.status(node.now) == before


def test_a_question_put_lately_is_not_put_again_early() -> None:
    """However the one interface that asks changes: a request before its time would count as a failure."""
    node = visitor(enable_multiple_tunnel_support=False)
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO)}, node.now))
    node.do(node.machine.set_multiple_tunnel_support(True, node.now))
    node.sent.clear()
    node.hear(advertisement())
    while node.row("wifi")["attempts"] < 3:
        request = node.wait()
        node.answer(request, code=128)  # not silent: the next one is due after 5, 10, 20 s
        node.hear(advertisement())
    node.hear(advertisement(lifetime=0))
    node.advance(1.0)
    node.sent.clear()
    node.hear(advertisement())
    assert node.do(node.machine.timer("none", node.now)) == []
    node.advance(1.1)
    assert [request for request in node.sent if request.packet.interface == "wifi"] == []


def test_another_foreign_agent_is_a_new_chance_for_its_interface() -> None:
    node = visitor(enable_multiple_tunnel_support=False)
    node.do(node.machine.start({"wifi": up(), "evdo": up(EVDO)}, node.now))
    node.hear(advertisement())
    while node.row("wifi")["attempts"] < 3:
        request = node.wait()
        if request.packet.interface == "wifi":
            node.answer(request, code=128)
        node.hear(advertisement())
    node.hear(advertisement(lifetime=0))
    node.answer(node.wait())
    node.hear(advertisement(care_of=[OTHER_CARE_OF]), source=OTHER_AGENT)
    assert node.do(node.machine.timer("none", node.now)) == []
    assert node.wait(1.1).care_of_address == OTHER_CARE_OF


def test_after_a_question_without_an_answer_the_best_interface_gets_its_chance_at_once() -> None:
    node = lab(interface("wifi", 1), interface("evdo", 2), legacy_hold_down=60.0)
    node.start("evdo")
    node.answer(node.take(), code=192)
    node.answer(node.wait())
    node.change("wifi", up(WIFI))
    while (request := node.wait()).binding_id is None:
        assert request.packet.interface == "wifi"
    assert request.packet.interface == "evdo", "the one with the plain binding asks"
    node.advance(6.99)
    assert [r.packet.interface for r in node.sent] == ["evdo", "evdo"]
    node.sent.clear()
    node.advance(0.01)
    assert node.events("extension-unanswered")[-1].fields["interface"] == "evdo"
    request = node.take()
    assert (request.binding_id, request.packet.interface) == (None, "wifi")
    assert node.do(node.machine.timer("none", node.now)) == []
