# SPDX-License-Identifier: GPL-2.0-or-later
"""What the testbed needs of a kernel, tried in the guest."""

from __future__ import annotations

import json
from pathlib import Path

from tests.net.guests import in_guest, python_in_guest, topologies
from topologies.lab.lab import Lab

INJECT_MISSING = """
import socket, sys
from pyroute2.iproute import IPRoute
from topologies.features import FEATURES, Feature, attempt_all, report

def unknown_device():
    IPRoute().link("add", ifname="x", kind="nosuchkind")

def unknown_expression():
    from topologies.features import _load
    _load("chain rules { type filter hook output priority 0\\nnosuchword accept\\n}")

def dies():
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)

def faulty():
    raise ZeroDivisionError("fault of the trial")

veth = next(feature for feature in FEATURES if feature.name == "veth")
injected = [Feature(f.__name__, "nothing", f, "CONFIG_NO_SUCH", "nosuch")
            for f in (unknown_device, unknown_expression, dies, faulty)]
print([name for _, name in socket.if_nameindex()])
code = report(attempt_all([*injected, veth]))
print([name for _, name in socket.if_nameindex()])
sys.exit(code)
"""


def test_the_guest_has_every_feature(lab: Lab, tmp_path: Path) -> None:
    ended = in_guest(lab, tmp_path, "python", "-P", "-m", "topologies.features", "--json")
    outcomes = {row["name"]: row["reason"] for row in json.loads(ended.stdout)["features"]}
    assert len(outcomes) > 20
    assert {name: reason for name, reason in outcomes.items() if reason} == {}
    assert ended.code == 0


def test_a_missing_feature_is_reported_with_the_kernel_s_reason(lab: Lab, tmp_path: Path) -> None:
    ended = python_in_guest(lab, tmp_path, INJECT_MISSING)
    before, *lines, after = ended.stdout.splitlines()
    assert lines[1].startswith("unknown_expression: syntax error")  # the rest is nft's, by its version
    del lines[1]
    mend = "; mend it with: a kernel with CONFIG_NO_SUCH: sudo modprobe nosuch, or use --kernel guest"
    assert [line.removesuffix(mend) for line in lines] == [
        "unknown_device: Operation not supported",
        "dies: the trial died of signal -11",
        "faulty: the trial failed: ZeroDivisionError('fault of the trial')",
    ]
    assert ended.code == 1
    assert before == after  # and veth, which works, left none of its interfaces


def test_without_the_right_to_make_namespaces_one_line_says_so(lab: Lab, tmp_path: Path) -> None:
    features = "python -P -m topologies.features --lines"
    ended = in_guest(lab, tmp_path, "setpriv", "--bounding-set=-sys_admin", *features.split())
    assert ended.stdout.startswith("namespaces: a new network and mount namespace: Operation not permitted;")
    assert len(ended.stdout.splitlines()) == 1
    assert ended.code == 1


def test_doctor_tries_everything_and_its_exit_code_says_so(lab: Lab, tmp_path: Path) -> None:
    ended = topologies(tmp_path, "doctor", "--json")
    report = json.loads(ended.stdout)
    assert ended.stderr == ""
    assert ended.code == (0 if report["usable"] else 1)
    rows = report["rows"]
    assert {row["name"]: row["mend"] for row in rows if row["group"] == "tool" and row["state"] != "ok"} == {}
    guest = [row for row in rows if row["group"] == "guest kernel"]
    assert len(guest) > 20
    assert [row for row in guest if row["state"] != "ok"] == []
    assert lab.kernel_key in guest[0]["found"]
    # What only the host lacks needs no mending.
    host = [row for row in rows if row["group"] == "host kernel" and row["state"] != "ok"]
    assert all(row["mend"].startswith("the guest kernel is used instead") for row in host)
