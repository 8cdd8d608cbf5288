# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m topologies doctor``: what works on this machine, and what mends the rest.

Nothing is changed. Exit code: 0 if at least one kernel can do all and no tool or package is
missing, 1 otherwise, 2 for bad usage.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from topologies.lab.guest import (
    MEMORY_MIB,
    Clock,
    Guest,
    GuestError,
    Job,
    _memory_folder,
    job_environment,
)
from topologies.lab.guest_kernel import ROOT, GuestKernel, find

OK, FAILED = 0, 1
SET_UP = "sudo make setup"
_NEW_ENVIRONMENT = "rm -r .venv; make setup"
"""Set-up trusts an environment that it finished: what was changed by hand needs a new one."""
_TOOL_LIMIT = 60.0
_GUEST_LIMIT = 300.0
"""Seconds of wall-clock time; a guest takes a few, on an emulated machine many more."""
_FEATURES = ("-P", "-m", "topologies.features", "--json")
_WIDTH_WITHOUT_TERMINAL = 160


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    MISSING = "missing"
    UNTRIED = "not tried"


class Group(StrEnum):
    """What a check is about."""

    TOOL = "tool"
    PACKAGE = "Python package"
    GUEST = "guest kernel"
    HOST = "host kernel"


@dataclass(frozen=True, slots=True)
class Row:
    """One check."""

    group: Group
    name: str
    state: State
    found: str
    """What there is, or why it does not do."""
    mend: str = ""
    """What mends it."""
    detail: bool = False
    """One of many of a kind: the table counts those that are good, and shows the others."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program the testbed starts."""

    name: str
    package: str
    """The Debian package it is in."""
    version_option: str
    version: str
    """A pattern its version must match; the group is what is shown."""


TOOLS = (
    Tool("iperf", "iperf", "--version", r"iperf version (2\.\S+)"),
    Tool("nft", "nftables", "--version", r"nftables v(\S+)"),
    Tool("tshark", "tshark", "--version", r"TShark (?:\(Wireshark\) )?(\d[\d.]*\d)"),
    Tool("tcpdump", "tcpdump", "--version", r"tcpdump version (\S+)"),
    Tool("ip", "iproute2", "-V", r"iproute2-(\S+?),"),
    Tool("tc", "iproute2", "-V", r"iproute2-(\S+?),"),
    Tool("ethtool", "ethtool", "--version", r"ethtool version (\S+)"),
    Tool("conntrack", "conntrack", "--version", r"conntrack v(\S+)"),
    Tool("mnexec", "mininet", "-h", r"Execution utility for Mininet()"),
    Tool("ping", "iputils-ping", "-V", r"iputils (\S+)"),
    Tool("openssl", "openssl", "version", r"OpenSSL (\S+)"),
    Tool("setpriv", "util-linux", "--version", r"util-linux (\S+)"),
)


def tool_row(tool: Tool, search_path: str) -> Row:
    """Whether a program of the right version is where the testbed looks for it."""
    mend = f"{SET_UP} (Debian package {tool.package})"

    def missing(why: str) -> Row:
        return Row(Group.TOOL, tool.name, State.MISSING, why, mend)

    program = shutil.which(tool.name, path=search_path)
    if program is None:
        return missing("not installed")
    try:
        done = subprocess.run(
            [program, tool.version_option],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TOOL_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return missing(f"{program} does not run: {error}")
    version = re.search(tool.version, done.stdout)
    if version is None:
        said = (done.stdout.strip() or "nothing").splitlines()[0]
        return missing(f"{program} is not the version needed; it says: {said}")
    return Row(Group.TOOL, tool.name, State.OK, version[1] or program)


def locked_versions() -> dict[str, str]:
    """Name to version of every package set-up installs."""
    locks = (ROOT / "setup" / name for name in ("requirements.lock", "ipmininet.lock"))
    return {
        name: version
        for lock in locks
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE)
    }


def package_rows(locked: dict[str, str]) -> list[Row]:
    """Whether each package is there in its locked version, and Debian's two."""
    rows = []
    for name, version in locked.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "nothing"
        if found == version:
            rows.append(Row(Group.PACKAGE, name, State.OK, found, detail=True))
        else:
            why = f"{version} is locked, there is {found}"
            rows.append(Row(Group.PACKAGE, name, State.MISSING, why, _NEW_ENVIRONMENT, detail=True))
    for module, package in (("mininet", "mininet"), ("nftables", "python3-nftables")):
        if importlib.util.find_spec(module) is None:
            mend = f"{SET_UP} (Debian package {package})"
            rows.append(Row(Group.PACKAGE, module, State.MISSING, "not installed", mend))
        else:
            rows.append(Row(Group.PACKAGE, module, State.OK, "Debian's"))
    return rows


def feature_rows(group: Group, report: str, mend: Callable[[str], str]) -> list[Row]:
    """The rows of what ``topologies.features --json`` printed.

    :param mend: makes the row's advice of the feature's own.
    :raises ValueError: if it is no such report.
    """
    try:
        return [
            Row(
                group,
                outcome["name"],
                State.OK if outcome["reason"] is None else State.MISSING,
                outcome["reason"] or outcome["purpose"],
                "" if outcome["reason"] is None else mend(outcome["mend"]),
                detail=True,
            )
            for outcome in json.loads(report)["features"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a report of features: {error!r}") from None


def guest_rows(kernel: GuestKernel | None) -> list[Row]:
    """The guest kernel, a place for its memory, and what it can do when it runs."""
    if kernel is None:
        why = "not built for this setup/guest.config and guest.patch"
        return [Row(Group.GUEST, "kernel", State.MISSING, why, "make setup")]
    rows = [Row(Group.GUEST, "kernel", State.OK, f"{kernel.source_version}, key {kernel.key}")]
    try:
        found = f"{_memory_folder()}, at least {MEMORY_MIB} MiB free"
    except GuestError as error:
        why = " ".join(str(error).split())
        mend = f"TMPDIR=FOLDER, one on a file system with {MEMORY_MIB} MiB and without noexec"
        return [*rows, Row(Group.GUEST, "memory", State.MISSING, why, mend)]
    rows.append(Row(Group.GUEST, "memory", State.OK, found))
    again = f"make setup, after: rm -r {kernel.binary.parent}"
    job = Job(["python", *_FEATURES], environment={"PYTHONPATH": str(ROOT)}, live=False)
    try:
        with Guest(kernel, job, clock=Clock.VIRTUAL, seed=1, wall_limit=_GUEST_LIMIT) as guest:
            guest.wait()
            said = guest.output("stderr").strip()
            return rows + feature_rows(Group.GUEST, guest.output("stdout"), lambda _: again)
    except (GuestError, TimeoutError, OSError) as error:
        why = (str(error).splitlines() or ["no reason given"])[0]
    except ValueError:
        why = f"its features could not be tried: {said[-300:]}"
    return [*rows, Row(Group.GUEST, "start", State.MISSING, why, "docs/troubleshooting.md, “The guest”")]


def host_rows(instead: bool) -> list[Row]:
    """What this machine's own kernel can do.

    :param instead: the guest kernel is there, so nothing needs mending.
    """
    release = os.uname().release
    note = "the guest kernel is used instead" if instead else ""
    if os.geteuid() != 0:
        mend = note or "sudo make doctor"
        return [Row(Group.HOST, "features", State.UNTRIED, f"{release}: trying it needs root", mend)]
    done = subprocess.run(
        [sys.executable, *_FEATURES],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        rows = feature_rows(Group.HOST, done.stdout, lambda own: f"{note}; otherwise {own}" if note else own)
    except ValueError:
        why = f"{release}: they could not be tried: {done.stderr.strip()[-300:]}"
        return [Row(Group.HOST, "features", State.MISSING, why, note or SET_UP)]
    return [Row(Group.HOST, "kernel", State.OK, release), *rows]


def verdict(rows: Iterable[Row]) -> bool:
    """Whether experiments can run: all tools and packages, and all of one kernel."""
    bad = {row.group for row in rows if row.state is not State.OK}
    return not bad & {Group.TOOL, Group.PACKAGE} and not {Group.GUEST, Group.HOST} <= bad


def examine() -> list[Row]:
    """Every check, in the order of the report."""
    search_path = job_environment({})["PATH"]
    kernel = find()
    with ThreadPoolExecutor() as pool:  # what waits for other programs waits together
        guest = pool.submit(guest_rows, kernel)
        tools = list(pool.map(lambda tool: tool_row(tool, search_path), TOOLS))
        packages = package_rows(locked_versions())
        in_guest = guest.result()
    usable = all(row.state is State.OK for row in in_guest)
    return [*tools, *packages, *in_guest, *host_rows(usable)]


def summed_up(rows: Iterable[Row]) -> list[Row]:
    """The rows of the table: details that are good become one row of their group."""
    shown = []
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        ours = list(members)
        shown += [row for row in ours if not row.detail]
        details = [row for row in ours if row.detail]
        bad = [row for row in details if row.state is not State.OK]
        if details:
            kind = "locked packages" if group is Group.PACKAGE else "features"
            found = f"{len(details) - len(bad)} of {len(details)}"
            shown.append(Row(group, kind, State.MISSING if bad else State.OK, found))
        shown += bad
    return shown


def show(rows: Sequence[Row], console: Console) -> None:
    """The table, and what follows from it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("what", "name", "state", "found", "mend it with"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "state")
    colours = {State.OK: "green", State.MISSING: "red", State.UNTRIED: "yellow"}
    for row in summed_up(rows):
        what, name, found, mend = (Text(text) for text in (row.group.value, row.name, row.found, row.mend))
        table.add_row(what, name, Text(row.state, colours[row.state]), found, mend)
    console.print(table)
    good = verdict(rows)
    console.print("everything experiments need is there" if good else "experiments cannot run here yet")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        "python -m topologies doctor",
        description="What works on this machine, and what mends the rest. Nothing is changed. "
        "Exit code: 0 experiments can run, 1 they cannot, 2 bad usage.",
        allow_abbrev=False,
    )
    made.add_argument("--json", action="store_true", help="print JSON only")
    return made


def main(arguments: Sequence[str]) -> int:
    """``python -m topologies doctor [--json]``; the exit code."""
    given = parser().parse_args(arguments)
    rows = examine()
    good = verdict(rows)
    if given.json:
        print(json.dumps({"schema": 1, "usable": good, "rows": [asdict(row) for row in rows]}))  # noqa: T201
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = _WIDTH_WITHOUT_TERMINAL
        show(rows, console)
    return OK if good else FAILED
