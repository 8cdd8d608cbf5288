# SPDX-License-Identifier: GPL-2.0-or-later
"""What doctor makes of tools, packages and reports of features."""

from __future__ import annotations

import importlib.metadata
import io
import itertools
import json
import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from topologies import doctor
from topologies.doctor import (
    TOOLS,
    Group,
    Row,
    State,
    Tool,
    feature_rows,
    locked_versions,
    package_rows,
    show,
    summed_up,
    tool_row,
    verdict,
)
from topologies.lab.guest import GuestError, job_environment
from topologies.lab.guest_kernel import ROOT, GuestKernel

IPERF = next(tool for tool in TOOLS if tool.name == "iperf")
GOOD = [Row(group, "x", State.OK, "") for group in Group]


def program(folder: Path, name: str, script: str) -> str:
    """A program of that name; where to look for it."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("script", "state", "found"),
    [
        ("echo 'iperf version 2.1.8 (12 August 2022) pthreads'", State.OK, "2.1.8"),
        ("echo 'iperf version 2.0.14a' >&2; exit 1", State.OK, "2.0.14a"),
        ("echo 'iperf 3.12 (cJSON 1.7.15)'", State.MISSING, "it says: iperf 3.12 (cJSON 1.7.15)"),
        ("exit 0", State.MISSING, "it says: nothing"),
    ],
)
def test_iperf_is_version_2_exactly(tmp_path: Path, script: str, state: State, found: str) -> None:
    row = tool_row(IPERF, program(tmp_path, "iperf", script))
    assert row.state is state
    assert row.found.endswith(found)
    assert ("Debian package iperf" in row.mend) == (state is State.MISSING)


def test_a_tool_that_is_not_there(tmp_path: Path) -> None:
    row = tool_row(IPERF, str(tmp_path))
    assert (row.state, row.found) == (State.MISSING, "not installed")
    assert row.mend == "sudo make setup (Debian package iperf)"


def test_a_tool_that_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "iperf").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "iperf").chmod(0o755)
    row = tool_row(IPERF, str(tmp_path))
    assert row.state is State.MISSING
    assert "does not run" in row.found


def test_a_tool_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_TOOL_LIMIT", 0.1)
    row = tool_row(IPERF, program(tmp_path, "iperf", "exec sleep 60"))
    assert row.state is State.MISSING
    assert "timed out" in row.found


def test_every_tool_comes_with_a_package_that_set_up_installs() -> None:
    # util-linux is on every Debian machine (its priority is "required").
    packages = (ROOT / "setup/debian-packages.txt").read_text()
    missing = [tool.name for tool in TOOLS if f"\n{tool.package} " not in packages]
    assert missing == ["setpriv"]


@pytest.mark.parametrize(
    ("name", "said", "version"),
    [
        ("nft", "nftables v1.0.6 (Lester Gooch #5)", "1.0.6"),
        (
            "tshark",
            "Running as root.\nTShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).",
            "4.0.17",
        ),
        (
            "tshark",
            'Running as user "root" and group "root". This could be dangerous.\n'
            "TShark (Wireshark) 4.4.19.\n\n",
            "4.4.19",
        ),
        ("ip", "ip utility, iproute2-6.1.0, libbpf 1.1.2", "6.1.0"),
        ("conntrack", "conntrack v1.4.7 (conntrack-tools)", "1.4.7"),
        ("ping", "ping from iputils 20221126", "20221126"),
        ("openssl", "OpenSSL 3.0.22 25 Aug 2026 (Library: OpenSSL 3.0.22 25 Aug 2026)", "3.0.22"),
    ],
)
def test_what_tools_of_debian_12_and_13_say_is_understood(name: str, said: str, version: str) -> None:
    (tool,) = (tool for tool in TOOLS if tool.name == name)
    found = re.search(tool.version, said)
    assert found is not None
    assert found[1] == version


def test_packages_are_compared_with_the_lock() -> None:
    there = importlib.metadata.version("pytest")
    rows = {row.name: row for row in package_rows({"pytest": there, "rich": "0.0.1", "no-such-package": "1"})}
    assert rows["pytest"].state is State.OK
    assert rows["rich"].found == f"0.0.1 is locked, there is {importlib.metadata.version('rich')}"
    assert rows["no-such-package"].found == "1 is locked, there is nothing"
    assert rows["rich"].mend == rows["no-such-package"].mend == "rm -r .venv; make setup"


def test_locked_versions_are_those_of_both_locks() -> None:
    locked = locked_versions()
    assert locked["ipmininet"] == "1.0"
    assert {"pydantic", "pyroute2", "rich", "pytest"} <= locked.keys()
    assert all("\\" not in version for version in locked.values())


FEATURES = json.dumps(
    {
        "schema": 1,
        "features": [
            {"name": "veth", "purpose": "links", "reason": None, "mend": "m1"},
            {"name": "netem", "purpose": "delay", "reason": "No such file", "mend": "m2"},
        ],
    }
)


def test_a_report_of_features_becomes_rows() -> None:
    good, bad = feature_rows(Group.HOST, FEATURES, lambda own: f"<{own}>")
    assert (good.name, good.state, good.found, good.mend) == ("veth", State.OK, "links", "")
    assert (bad.name, bad.state, bad.found, bad.mend) == ("netem", State.MISSING, "No such file", "<m2>")


@pytest.mark.parametrize("report", ["", "Traceback", "{}", '{"features": [{}]}', "[]", '{"features": 3}'])
def test_no_report_of_features_is_an_error_of_its_own(report: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        feature_rows(Group.HOST, report, str)


def test_experiments_can_run_with_all_tools_and_one_kernel() -> None:
    # The table of truth, written out: which groups may fail.
    for bad in itertools.product((False, True), repeat=4):
        states = zip(Group, bad, strict=True)
        rows = [Row(group, "x", State.MISSING if is_bad else State.OK, "") for group, is_bad in states]
        tool, package, guest, host = bad
        assert verdict(rows) is (not tool and not package and not (guest and host))


def test_a_host_kernel_that_was_not_tried_counts_for_nothing() -> None:
    untried = Row(Group.HOST, "features", State.UNTRIED, "")
    assert verdict([*GOOD[:3], untried])
    assert not verdict([*GOOD[:2], Row(Group.GUEST, "kernel", State.MISSING, ""), untried])


def test_an_ordinary_user_is_told_that_trying_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (row,) = doctor.host_rows(instead=False)
    assert row.state is State.UNTRIED
    assert "needs root" in row.found
    assert row.mend.startswith("sudo ")
    (row,) = doctor.host_rows(instead=True)
    assert row.mend == "the guest kernel is used instead"


def test_without_a_guest_kernel_set_up_mends_it() -> None:
    (row,) = doctor.guest_rows(None)
    assert (row.state, row.mend) == (State.MISSING, "make setup")


def test_no_place_for_the_guest_s_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_place() -> Path:
        raise GuestError("no place for the guest's memory; set TMPDIR to one:\n  /dev/shm: 64 MiB free")

    monkeypatch.setattr(doctor, "_memory_folder", no_place)
    kernel = GuestKernel(Path("/nowhere/linux"), Path("/nowhere/seeded.so"), "key", "6.12")
    found, memory = doctor.guest_rows(kernel)
    assert found.state is State.OK
    assert memory.state is State.MISSING
    assert memory.found.endswith("/dev/shm: 64 MiB free")
    assert "TMPDIR=" in memory.mend


def test_a_guest_that_does_not_start_is_a_row_and_no_traceback() -> None:
    kernel = GuestKernel(Path("/nowhere/linux"), Path("/nowhere/seeded.so"), "key", "6.12")
    row = doctor.guest_rows(kernel)[-1]
    assert (row.name, row.state, row.found) == ("start", State.MISSING, "the guest died:")


def text_of(rows: list[Row], width: int) -> str:
    """The table as a file or pipe gets it."""
    stream = io.StringIO()
    show(rows, Console(file=stream, width=width, highlight=False))
    return stream.getvalue()


def test_the_table_counts_good_details_and_shows_bad_ones() -> None:
    rows = [
        *GOOD[:3],
        Row(Group.HOST, "veth", State.OK, "links", detail=True),
        Row(Group.HOST, "netem", State.MISSING, "No such [file]", "sudo modprobe sch_netem", detail=True),
    ]
    shown = summed_up(rows)
    assert [(row.name, row.state, row.found) for row in shown[3:]] == [
        ("features", State.MISSING, "1 of 2"),
        ("netem", State.MISSING, "No such [file]"),
    ]
    text = text_of(rows, 120)
    assert "veth" not in text
    assert "No such [file]" in text  # brackets are no markup
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_the_table_fits_and_loses_nothing(width: int) -> None:
    row = Row(Group.HOST, "multipath-hash-policy", State.MISSING, "No such file", "sudo modprobe sch_netem")
    text = text_of([row], width)
    assert max(len(line) for line in text.splitlines()) <= width
    # Folded cells read downwards; nothing was cut off.
    assert text.count("_") == row.mend.count("_")
    assert text.count("-") == row.name.count("-")
    assert "missing" in text
    assert "…" not in text


@pytest.mark.parametrize("words", [["--jsn"], ["--json", "x"], ["3"]])
def test_bad_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor.main(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("rows", "code"), [(GOOD, 0), ([Row(Group.TOOL, "nft", State.MISSING, "")], 1)])
def test_json_holds_every_row(
    rows: list[Row], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: rows)
    assert doctor.main(["--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["usable"] is (code == 0)
    assert [row["name"] for row in report["rows"]] == [row.name for row in rows]


def test_a_tool_is_looked_for_where_runs_look_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in the caller's own PATH: nothing of it reaches a run.
    monkeypatch.setenv("PATH", program(tmp_path, "only-mine", "echo 1.0"))
    tool = Tool("only-mine", "mine", "--version", r"(\S+)")
    assert tool_row(tool, job_environment({})["PATH"]).state is State.MISSING
