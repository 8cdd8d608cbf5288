# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``python -m topologies FIGURE``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from topologies.command_line import Request, Scene, UsageError, read
from topologies.lab.guest import Clock
from topologies.lab.lab import KernelChoice
from topologies.links import DEFAULT_LINKS

HOME = Path("/home/somebody")


def request(*words: str, folder: Path = HOME) -> Request:
    return read(words, folder, (True, False))


def problems(*words: str, folder: Path = HOME) -> list[str]:
    with pytest.raises(UsageError) as caught:
        request(*words, folder=folder)
    return caught.value.problems


def test_defaults() -> None:
    for figure in ("3", "figure3"):
        scene = Scene(
            "3",
            DEFAULT_LINKS,
            Policy.PER_FLOW,
            Weights.EQUAL,
            Encapsulation.IPIP,
            "mn",
            ("mipctl", "bindings"),
            (True, False),
        )
        assert request(figure) == Request(scene, KernelChoice.AUTO, None)


def test_options_before_and_after_the_figure() -> None:
    made = request(
        "--kernel", "guest", "3", "--clock", "real", "--policy", "per-packet", "--link", "lte=1/2:3"
    )
    assert (made.kernel, made.clock, made.scene.policy) == (
        KernelChoice.GUEST,
        Clock.REAL,
        Policy.PER_PACKET,
    )
    assert [(link.down, link.up, link.delay) for link in made.scene.links if link.name == "lte"] == [
        (1, 2, 3)
    ]


def test_exec_takes_all_the_rest_verbatim() -> None:
    words = ["ls", "--kernel", "none", "--exec", "--", "-x", "", "a b", "*", "--help"]
    made = request("3", "--exec", "wifi", *words)
    assert made.scene.node == "wifi"
    assert list(made.scene.argv) == words
    assert made.kernel is KernelChoice.AUTO


@given(st.lists(st.text(), min_size=1))
def test_any_words_reach_the_lab_kernel_unchanged(words: list[str]) -> None:
    scene = request("3", "--link", "wifi=1/1:1,loss=2", "--exec", "cn", *words).scene
    carried = scene.as_json()
    assert carried.isascii()
    assert Scene.from_json(carried) == scene


def test_octets_that_are_no_text_reach_it_too() -> None:
    word = b"\xff\xfe".decode("utf-8", "surrogateescape")  # as sys.argv has them
    assert Scene.from_json(request("3", "--exec", "cn", word).scene.as_json()).argv == (word,)


def test_every_problem_at_once() -> None:
    found = problems(
        "figure9",
        "extra",
        *(
            "--kernel",
            "x",
            "--clock",
            "y",
            "--link",
            "foo=1/1:1",
            "--link",
            "wifi",
            "--policy",
            "p",
            "--verbos",
        ),
        "--weights",
        "--exec",
        "mn",
    )
    expected = (
        "figure 'figure9'", "extra", "--verbos", "--kernel 'x'", "--clock 'y'", "--link foo", "--link wifi",
        "--policy 'p'", "--weights without", "--exec: give a node and a command",
    )  # fmt: skip
    assert len(found) == len(expected)
    for part in expected:
        assert sum(problem.startswith(part) for problem in found) == 1, part


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "which figure?"),
        (["77"], "figure '77': there are 3, "),
        (["3", "--exec"], "give a node and a command"),
        (["3", "--exec", "mn"], "give a node and a command"),
        (["3", "--exec", "xx", "true"], "--exec xx: figure 3 has no such node; it has cn, "),
        (["4", "--exec", "xx", "true"], "--exec xx: figure 4 has no such node; it has cn, "),
        (["3", "--link"], "--link without a value"),
        (["3", "--exec=mn", "true"], "--exec=mn: node and command are words of their own"),
        (["3", "--kern", "guest"], "--kern: there is no such option"),
        (["3", "--kernel", "host", "--clock", "virtual"], "only the guest kernel has one"),
    ],
)
def test_one_problem(words: list[str], part: str) -> None:
    assert any(part in problem for problem in problems(*words))


@pytest.mark.parametrize("folder", ["/proc", "/proc/1", "/sys/kernel", "/dev", "/dev/shm", "/run"])
def test_the_host_s_special_folders_never_become_the_guest_s(folder: str) -> None:
    (problem,) = problems("3", folder=Path(folder))
    assert folder in problem


@pytest.mark.parametrize("folder", ["/", "/tmp", "/root", "/developer", "/home/somebody"])
def test_any_other_folder_will_do(folder: str) -> None:
    assert request("3", folder=Path(folder))
