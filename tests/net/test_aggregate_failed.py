# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that cannot be valid say which node, which binding and why, and keep what there is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from experiments import aggregate as experiment
from experiments import command
from tests.net.aggregate_commands import SLOW_LINKS, aggregate
from topologies.lab.guest import Clock, Job
from topologies.lab.guest_kernel import GuestKernel
from topologies.lab.lab import Lab, Running

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("lab")]

WORDS = (
    "--figure",
    "3",
    "--policy",
    "per-flow",
    "--flows",
    "1",
    "--runs",
    "1",
    "--duration",
    "0.5",
    *SLOW_LINKS,
)


@dataclass(frozen=True, slots=True)
class FaultyLab:
    """A lab whose batches run with a fault of ``figure3_faults``."""

    lab: Lab
    fault: str

    @property
    def clock(self) -> Clock:
        return self.lab.clock

    @property
    def kernel(self) -> str:
        return self.lab.kernel

    @property
    def kernel_key(self) -> str:
        return self.lab.kernel_key

    @property
    def guest_kernel(self) -> GuestKernel | None:
        return self.lab.guest_kernel

    def start(self, job: Job, *, seed: int | None = None, wall_limit: float | None = None) -> Running:
        module = job.argv.index("experiments.batch")
        argv = [*job.argv[:module], "tests.net.figure3_faults", self.fault, *job.argv[module + 1 :]]
        return self.lab.start(replace(job, argv=argv), seed=seed, wall_limit=wall_limit)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a faulty run left."""

    code: int
    summary: dict[str, Any]
    stderr: str
    folder: Path


@pytest.fixture
def restored_signals() -> Iterator[None]:
    """The command sets handlers, and here it runs inside the test's process."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def fail(
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    restored_signals: None,  # noqa: ARG001
    request: pytest.FixtureRequest,
) -> Failure:
    """A run with the fault that the test names."""
    monkeypatch.setattr(command, "choose", lambda *_: FaultyLab(lab, request.param))
    code = experiment.main([*WORDS, "--json", "--out", str(tmp_path)])
    said = capfd.readouterr()
    return Failure(
        code, json.loads(said.out), said.err, Path(said.err.splitlines()[-1].removeprefix("result: "))
    )


def _check_kept_and_invalid(failure: Failure) -> None:
    assert failure.code == 1
    assert failure.summary["valid"] is False
    assert failure.summary["cells"][0]["n"] == 0
    assert json.loads((failure.folder / "manifest.json").read_text())["valid"] is False
    assert json.loads((failure.folder / "summary.json").read_text()) == failure.summary
    assert list(failure.folder.glob("raw/*/raw/mn.log"))
    assert list(failure.folder.glob("raw/*/raw/ha.log"))


@pytest.mark.parametrize("fail", ["reverse-tunnel-forbidden"], indirect=True)
def test_a_registration_that_is_denied(fail: Failure) -> None:
    _check_kept_and_invalid(fail)
    (problem,) = fail.summary["problems"]
    # Requested reverse tunnel unavailable (RFC 3024 §3.4).
    assert re.search(
        r"figure3-run001: mn: binding 1 \(wifi\) is denied after 30 s; last reply: .*\(137\)", problem
    )
    assert all(f"mn: binding {number} " in problem for number in (1, 2, 3, 4))
    assert "mn's log ends:" in problem


@pytest.mark.parametrize("fail", ["wrong-key"], indirect=True)
def test_a_registration_whose_replies_cannot_be_trusted(fail: Failure) -> None:
    _check_kept_and_invalid(fail)
    (problem,) = fail.summary["problems"]
    assert "figure3-run001: mn: binding 1 (wifi) is registering after 30 s; last reply: none" in problem
    # The home agent's denial, signed with its key, is discarded and logged (RFC 5944 §3.6.2.1).
    assert "reason=mobile-home-authentication-invalid" in problem
    (log,) = fail.folder.glob("raw/*/raw/ha.log")
    assert "code=131" in log.read_text()
    assert "mn: binding 1 (wifi)" in fail.stderr


@pytest.mark.parametrize("fail", ["slow-wifi"], indirect=True)
def test_a_calibration_that_fails(fail: Failure) -> None:
    _check_kept_and_invalid(fail)
    (problem,) = fail.summary["problems"]
    assert re.search(r"calibration: wifi alone carried 0\.(49|50)\d Mbit/s; its rate is 1$", problem)


def _works(command: str) -> bool:
    """Whether this machine's own kernel does something, in a namespace of its own."""
    isolated = ["unshare", "--net", "sh", "-c", f"ip link set lo up && {command}"]
    return subprocess.run(isolated, capture_output=True, check=False, timeout=20).returncode == 0


FEATURES = {
    "netem": "tc qdisc add dev lo root netem delay 1ms",
    "ipip": "ip link add try type ipip local 192.0.2.1 remote 192.0.2.2",
    "gre": "ip link add try type gre local 192.0.2.1 remote 192.0.2.2",
    "veth": "ip link add try type veth peer name other",
    "bridge": "ip link add try type bridge",
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to try features")
def test_the_host_s_kernel_names_every_missing_feature(tmp_path: Path) -> None:
    missing = {name for name, command in FEATURES.items() if not _works(command)}
    if not missing:
        pytest.skip("this machine's own kernel has the features")
    result = aggregate(tmp_path / "out", *WORDS, "--kernel", "host")
    assert result.code == 2
    assert result.summary["valid"] is False
    assert result.summary["cells"] == []
    named = {problem.split(":")[1].strip().split(" ")[0] for problem in result.summary["problems"]}
    assert missing <= named
    assert named.isdisjoint(FEATURES.keys() - missing)
    assert all("mend it with" in problem for problem in result.summary["problems"])
    assert not (tmp_path / "out").exists()


def test_an_ordinary_user_is_told_that_the_host_s_kernel_needs_root(tmp_path: Path) -> None:
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    result = aggregate(Path("/var/tmp") / tmp_path.name, *WORDS, "--kernel", "host", prefix=become)
    assert result.code == 2
    assert "needs root" in "".join(result.summary["problems"])
