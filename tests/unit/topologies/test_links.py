# SPDX-License-Identifier: GPL-2.0-or-later
"""Access links: ``--link`` words and what netem makes of a link."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.links import DEFAULT_LINKS, AccessLink, LinkError, parse_links, shaper

BY_NAME = {link.name: link for link in DEFAULT_LINKS}


def problems(*words: str) -> list[str]:
    with pytest.raises(LinkError) as caught:
        parse_links(words)
    assert str(caught.value).splitlines() == caught.value.problems
    return caught.value.problems


def test_default_links_are_those_of_the_figures() -> None:
    assert [(link.name, link.down, link.up, link.delay) for link in DEFAULT_LINKS] == [
        ("wifi", 20, 20, 5),
        ("evdo", 3.1, 1.8, 40),
        ("wimax", 10, 4, 25),
        ("lte", 40, 20, 15),
    ]
    # RFC 5213's registry (FACTS §18): 802.11, 3GPP2 HRPD, 802.16e, 3GPP E-UTRAN.
    assert [link.access_technology for link in DEFAULT_LINKS] == [4, 10, 5, 8]


def test_no_word_changes_nothing() -> None:
    assert parse_links([]) == DEFAULT_LINKS


def test_a_word_changes_its_link_and_keeps_order_and_technology() -> None:
    links = parse_links(["evdo=5/2.5:7.5ms,loss=1.5,jitter=2ms,queue=80,mtu=1400"])
    assert links[1] == AccessLink("evdo", 5, 2.5, 7.5, 10, loss=1.5, jitter=2, queue=80, mtu=1400)
    assert [links[0], *links[2:]] == [DEFAULT_LINKS[0], *DEFAULT_LINKS[2:]]


def test_whole_numbers_become_integers() -> None:
    link = parse_links(["lte=1/1:1,queue=7,mtu=576"])[3]
    assert isinstance(link.queue, int)
    assert isinstance(link.mtu, int)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("wifi=0/20:5", "down is '0'; allowed is a rate of 0.01 to 1000 Mbit/s"),
        ("wifi=20/1001:5", "up is '1001'; allowed is a rate of 0.01 to 1000 Mbit/s"),
        ("wifi=20/20:-5", "delay is '-5'; allowed is a delay of 0 to 10000 ms"),
        ("wifi=-3/20:5", "down is '-3'"),
        ("wifi=nan/20:5", "down is 'nan'"),
        ("wifi=inf/20:5", "down is 'inf'"),
        ("wifi=1e2/20:5", "down is '1e2'"),
        ("wifi=1e400/20:5", "down is '1e400'"),
        ("wifi=0x10/20:5", "down is '0x10'"),
        ("wifi=１/20:5", "down is '１'"),
        ("wifi=1_0/20:5", "down is '1_0'"),
        ("wifi=/20:5", "down is ''"),
        ("wifi=20/20:", "delay is ''"),
        ("wifi=20/20:5s", "delay is '5s'"),
        ("wifi=20/20:5msms", "delay is '5ms'"),
        ("wifi=" + "9" * 400 + "/20:5", "allowed is a rate"),
        ("wifi=20/20:5,loss=100", "allowed is a loss of 0 to 99 per cent"),
        ("wifi=20/20:5,loss=1%", "loss is '1%'"),
        ("wifi=20/20:5,queue=0", "allowed is a queue of 1 to 1000000 packets"),
        ("wifi=20/20:5,queue=1.5", "allowed is a whole number"),
        ("wifi=20/20:5,mtu=575", "allowed is an MTU of 576 to 1500 octets"),
        ("wifi=20/20:5,mtu=1501", "allowed is an MTU of 576 to 1500 octets"),
        ("wifi=20/20:5,colour=red", "no option 'colour'; there are loss, jitter, queue, mtu"),
        ("wifi=20/20:5,down=3", "no option 'down'"),
        ("wifi=20/20:5,loss", "loss is ''"),
        ("wifi=20/20:5,", "no option ''"),
        ("wifi=20/20:5,loss=1,loss=1", "loss is given twice"),
        ("satellite=1/1:300", "no link 'satellite'; there are wifi, evdo, wimax, lte"),
        ("WiFi=20/20:5", "no link 'WiFi'"),
        ("wifi", "the form is NAME=DOWN/UP:DELAY"),
        ("wifi=20:5", "the form is NAME=DOWN/UP:DELAY"),
        ("", "the form is NAME=DOWN/UP:DELAY"),
    ],
)
def test_a_link_that_cannot_be_is_refused(word: str, says: str) -> None:
    (problem,) = problems(word)
    assert problem.startswith(f"--link {word}: ")
    assert says in problem


def test_a_link_given_twice_is_refused() -> None:
    assert problems("wifi=20/20:5", "wifi=10/10:5") == ["--link wifi=10/10:5: wifi is given twice"]


def test_all_problems_are_said_at_once() -> None:
    said = problems("wifi=0/0:x,loss=200,shape=round", "nonsense", "gsm=1/1:1", "lte=1/1:1")
    assert len(said) == 7
    assert sum(line.startswith("--link wifi=") for line in said) == 5


@given(st.text(max_size=30))
def test_any_text_is_a_link_or_a_problem(text: str) -> None:
    for word in (text, f"wifi={text}", f"wifi=1/1:1,{text}"):
        try:
            links = parse_links([word])
        except LinkError:
            continue
        assert len(links) == 4
        assert all(math.isfinite(link.down) and 0.01 <= link.down <= 1000 for link in links)


# --- shapers -----------------------------------------------------------------------------
# limit = ceil(rate × (delay + largest round trip) / frame), at least 50. Frame 1514 octets =
# 12,112 bits; the largest base round trip of the default links is EV-DO's, 80 ms.


@pytest.mark.parametrize(
    ("name", "direction", "rate", "limit"),
    [
        ("wifi", "down", 20, 141),  # 20e6 × 0.085 / 12112 = 140.4
        ("evdo", "down", 3.1, 50),  # 3.1e6 × 0.120 / 12112 = 30.7
        ("wimax", "down", 10, 87),  # 10e6 × 0.105 / 12112 = 86.7
        ("lte", "down", 40, 314),  # 40e6 × 0.095 / 12112 = 313.7
        ("wifi", "up", 20, 141),
        ("evdo", "up", 1.8, 50),
        ("wimax", "up", 4, 50),  # 4e6 × 0.105 / 12112 = 34.7
        ("lte", "up", 20, 157),  # 20e6 × 0.095 / 12112 = 156.9
    ],
)
def test_queues_by_hand(name: str, direction: str, rate: float, limit: int) -> None:
    made = shaper(BY_NAME[name], direction, DEFAULT_LINKS)
    assert (made.rate, made.limit) == (rate, limit)
    assert (made.delay, made.jitter, made.loss) == (BY_NAME[name].delay, 0, 0)


def test_small_packets_need_more_places() -> None:
    links = (AccessLink("wifi", 20, 20, 5, mtu=576), *DEFAULT_LINKS[1:])
    assert shaper(links[0], "down", links).limit == 361  # 1.7e6 / (8 × 590) = 360.2


def test_a_queue_that_was_asked_for_is_kept() -> None:
    link = AccessLink("wifi", 20, 20, 5, loss=1, jitter=2, queue=3)
    made = shaper(link, "up", [link])
    assert (made.limit, made.loss, made.jitter) == (3, 1, 2)
