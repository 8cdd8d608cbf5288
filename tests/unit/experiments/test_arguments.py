# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of ``aggregate``: defaults, and every problem said at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settings import Policy
from experiments.arguments import Command, UsageError, read
from experiments.plan import FIGURES, Plan
from topologies.lab.guest import Clock
from topologies.lab.guest_kernel import ROOT
from topologies.lab.lab import KernelChoice
from topologies.links import DEFAULT_LINKS

# Each is refused wherever one number is wanted.
NO_NUMBERS = [
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "1e400",
    "1e1",
    "",
    " ",
    "１",
    "0x10",
    "-3",
    "+3",
    "1_0",
    "1,",
    "٣",
]


def command(*words: str) -> Command[Plan]:
    return read(words, "aggregate", "description")


def problems(*words: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        command(*words)
    assert str(caught.value).splitlines() == caught.value.problems
    return caught.value.problems


def test_the_defaults() -> None:
    given = command()
    plan = given.plan
    assert plan.figures == FIGURES
    assert plan.policies == (Policy.PER_FLOW, Policy.PER_PACKET)
    assert (plan.weights, plan.protocol, plan.udp_rate) == ("bandwidth", "tcp", None)
    assert (plan.flows, plan.direction, plan.encapsulation) == ((1, 8), "down", "ipip")
    assert (plan.runs, plan.duration, plan.warm_up, plan.seed) == (10, 6, 2, 1)
    assert plan.links == DEFAULT_LINKS
    assert (given.kernel, given.clock, given.out) == (KernelChoice.AUTO, None, ROOT / "results")
    assert given.jobs == (os.cpu_count() or 1)
    assert not any((given.quick, given.dry_run, given.json, given.verbose))


def test_everything_can_be_changed(tmp_path: Path) -> None:
    given = command(
        *("--figure", "3", "--policy", "per-flow-hash, per-packet", "--weights", "equal"),
        *("--protocol", "udp", "--udp-rate", "12.5", "--flows", "4,1,1000", "--direction", "up"),
        *("--runs", "1000", "--duration", "0.5", "--warm-up", "0", "--seed", str(2**63 - 1)),
        *("--link", "evdo=5/5:1", "--kernel", "guest", "--clock", "real", "--jobs", "3"),
        *("--out", str(tmp_path / "new" / "er"), "--dry-run", "--json", "-v"),
    )
    plan = given.plan
    assert plan.policies == (Policy.PER_FLOW_HASH, Policy.PER_PACKET)
    assert (plan.weights, plan.protocol, plan.udp_rate, plan.flows) == ("equal", "udp", 12.5, (4, 1, 1000))
    assert (plan.direction, plan.runs, plan.duration, plan.warm_up) == ("up", 1000, 0.5, 0)
    assert plan.seed == 2**63 - 1
    assert [link.down for link in plan.links] == [20, 5, 10, 40]
    assert (given.kernel, given.clock, given.jobs) == (KernelChoice.GUEST, Clock.REAL, 3)
    assert given.dry_run
    assert given.json
    assert given.verbose
    assert not (tmp_path / "new").exists()


def test_quick_is_two_runs_of_three_seconds_of_one_figure_unless_told_otherwise() -> None:
    quick = command("--quick")
    assert (quick.quick, quick.plan.figures, quick.plan.runs, quick.plan.duration) == (True, (3,), 2, 3)
    changed = command("--quick", "--runs", "5").plan
    assert (changed.runs, changed.duration) == (5, 3)
    assert command("--quick", "--figure", "all").plan.figures == FIGURES
    assert command("--quick", "--figure", "4,6").plan.figures == (4, 6)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--figure", "99"], "--figure 99: allowed is 3"),
        (["--figure", "all,3"], "--figure all: allowed is 3"),
        (["--figure", "3,3"], "--figure 3,3: 3 stands there 2 times"),
        (["--policy", "per-bit"], "--policy per-bit: allowed is per-flow, per-flow-hash, per-packet"),
        (["--policy", "per-flow,per-flow"], "per-flow stands there 2 times"),
        (["--weights", "heavy"], "--weights heavy: allowed is equal, bandwidth"),
        (["--protocol", "sctp"], "--protocol sctp: allowed is tcp, udp"),
        (["--direction", "left"], "--direction left: allowed is down, up"),
        (["--encapsulation", "ipsec"], "--encapsulation ipsec: allowed is ipip"),
        (["--kernel", "mine"], "--kernel mine: allowed is auto, guest, host"),
        (["--clock", "wall"], "--clock wall: allowed is virtual, real"),
        (["--kernel", "host", "--clock", "virtual"], "--clock virtual: only the guest kernel has one"),
        (["--runs", "0"], "--runs 0: allowed is a whole number from 1 to 1000"),
        (["--runs", "1.5"], "--runs 1.5: allowed is a whole number"),
        (["--flows", "0"], "--flows 0: allowed is a whole number from 1 to 1000"),
        (["--flows", "1000000"], "--flows 1000000: allowed is"),
        (["--flows", "1,,8"], "--flows '': allowed is"),
        (["--flows", "1,01"], "--flows 1,01: 1 stands there 2 times"),
        (["--duration", "0"], "--duration 0: allowed is 0.5 to 3600 seconds in steps of 0.1"),
        (["--duration", "1.05"], "in steps of 0.1"),
        (["--duration", "3601"], "--duration 3601: allowed is 0.5 to 3600"),
        (["--warm-up", "0.01"], "--warm-up 0.01: allowed is 0 to 3600 seconds"),
        (["--seed", "-1"], "--seed -1: allowed is a whole number from 0 to 9223372036854775807"),
        (["--seed", "9223372036854775808"], "--seed 9223372036854775808: allowed is"),
        (["--seed", "9" * 5000], "allowed is a whole number"),
        (["--jobs", "0"], "--jobs 0: allowed is a whole number from 1 to 256"),
        (["--udp-rate", "5"], "--udp-rate: only with --protocol udp"),
        (["--protocol", "udp", "--udp-rate", "0"], "--udp-rate 0: allowed is a rate above 0"),
        (["--protocol", "udp", "--udp-rate", "0.0"], "--udp-rate 0.0: allowed is a rate above 0"),
        (["--link", "wifi=0/20:5"], "--link wifi=0/20:5: down is '0'"),
        (["--link", "gsm=1/1:1"], "no link 'gsm'; there are wifi, evdo, wimax, lte"),
        (["--link", "lte=1/1:1", "--link", "lte=2/2:2"], "lte is given twice"),
        (["--out", ""], "--out '': allowed is a folder"),
        (["--wobble"], "--wobble: there is no such option"),
        (["--run", "3"], "--run: there is no such option"),
        (["--js"], "--js: there is no such option"),
        (["stray"], "stray: there is no such option"),
        (["--seed"], "--seed '': allowed is"),
        (["--link"], "--link : the form is"),
        (["--quick=yes"], "ignored explicit argument"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(words: list[str], says: str) -> None:
    assert any(says in problem for problem in problems(*words))


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize(
    "option", ["--duration", "--warm-up", "--runs", "--seed", "--jobs", "--flows", "--udp-rate"]
)
def test_only_plain_numbers_are_numbers(option: str, text: str) -> None:
    said = problems("--protocol", "udp", f"{option}={text}")
    assert any(problem.startswith(f"{option} ") and "allowed is" in problem for problem in said)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = problems(
        *("--wobble", "--figure", "99", "--policy", "per-bit,per-byte", "--link", "wifi=0/0:x"),
        *("--runs", "0", "--flows", "0,1000000", "--duration", "nan", "--seed", "-1", "--jobs", "0"),
        *("--udp-rate", "x", "--out", str(tmp_path / "file"), "--warm-up"),
    )
    # 1 + 1 + 2 + 3 + 1 + 2 + 1 + 1 + 1 + 2 (UDP only, no number) + 1 + 1
    assert len(said) == 17


def test_results_cannot_go_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert problems("--out", str(file)) == [f"--out {file}: {file} is not a folder"]
    assert problems("--out", str(file / "below")) == [f"--out {file}/below: {file} is not a folder"]


def test_results_cannot_go_through_a_dangling_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    assert problems("--out", str(link)) == [f"--out {link}: {link} is not a folder"]


def test_results_need_write_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so the answer for an ordinary user is put into the kernel's mouth.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # noqa: ARG005
    (problem,) = problems("--out", str(tmp_path / "new"))
    assert problem == f"--out {tmp_path}/new: no permission to write in {tmp_path}"


def test_results_in_a_folder_one_may_not_look_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An ordinary user's stat below a closed folder fails; that must be a problem, not a traceback.
    closed = tmp_path / "closed"
    closed.mkdir()
    real = os.lstat

    def lstat(path: Any, **options: Any) -> os.stat_result:
        if closed in Path(path).parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "lstat", lstat)
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed)  # noqa: ARG005
    (problem,) = problems("--out", str(closed / "a" / "b"))
    assert problem.endswith(f"no permission to write in {closed}")


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=12),
    st.sampled_from(["--duration", "--flows", "--seed", "--udp-rate", "--figure", "--link"]),
)
def test_any_word_is_a_value_or_a_problem(text: str, option: str) -> None:
    try:
        plan = command(f"{option}={text}", "--protocol", "udp").plan
    except UsageError:
        return
    assert 0.5 <= plan.duration <= 3600
    assert all(1 <= count <= 1000 for count in plan.flows)
    assert len(set(plan.flows)) == len(plan.flows)
