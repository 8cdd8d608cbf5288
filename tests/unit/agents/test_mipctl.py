# SPDX-License-Identifier: GPL-2.0-or-later
"""``mipctl`` against an agent that takes notes."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import mipctl

STATUS: dict[str, Any] = {
    "role": "home-agent",
    "policy": "per-flow",
    "note": "[/bold] [Errno 101] stays as it is",
    "bindings": [
        {
            "home_address": "198.51.100.10",
            "binding_id": 1,
            "care_of_address": "192.0.2.2",
            "encapsulation": "ipip",
            "lifetime_remaining": 598.25,
        },
        {"home_address": "198.51.100.10", "binding_id": None, "care_of_address": "192.0.2.34"},
    ],
    "devices": [
        {
            "device": "mip1",
            "alias": "[/wifi]",
            "encapsulation": "ipip",
            "mtu": 1480,
            "sent_packets": 12,
            "sent_octets": 3456,
        }
    ],
    "drops": {"unknown-end-point": 77, "truncated": 0},
}
EVENTS = [{"time": 1_767_225_600.125, "event": "request-denied", "code": 133, "reason": "[/late]"}]


class Agent:
    """Answers on a socket of its own and notes what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.error: str | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as stream:
                line = stream.readline()
                if not line:
                    return
                request = json.loads(line)
                self.asked.append(request)
                answers = {"status": STATUS, "events": {"events": EVENTS}}
                reply: dict[str, Any] = {"version": 1, "ok": answers.get(request["command"], {})}
                if self.error is not None:
                    reply = {"version": 1, "error": self.error}
                stream.write(json.dumps(reply).encode() + b"\n")

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._listener.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """The agent of node ``ha``, in a folder that mipctl looks into."""
    monkeypatch.setenv("MIPCTL_FOLDER", str(tmp_path))
    monkeypatch.delenv("MIPCTL_NODE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    made = Agent(tmp_path / "mip-home-agent_ha.sock")
    yield made
    made.close()


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mipctl", *words])
    return mipctl.main()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["set", "enable-multiple-tunnel-support", "0"], ("set-multiple-tunnel-support", {"enabled": False})),
        (["set", "enable-multiple-tunnel-support", "1"], ("set-multiple-tunnel-support", {"enabled": True})),
        (["set", "bandwidth", "3", "6250"], ("set-bandwidth", {"binding_id": 3, "kbytes": 6250})),
        (["set", "policy", "per-packet"], ("set-policy", {"policy": "per-packet"})),
        (["set", "pin", "2"], ("pin", {"binding_id": 2})),
        (["set", "pin", "none"], ("pin", {"binding_id": None})),
        (["reregister"], ("reregister", {"bulk": False})),
        (["reregister", "--bulk"], ("reregister", {"bulk": True})),
        (["deregister"], ("deregister", {"binding_id": None})),
        (["deregister", "all"], ("deregister", {"binding_id": None})),
        (["deregister", "7"], ("deregister", {"binding_id": 7})),
    ],
)
def test_what_is_asked(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, words: list[str], asked: tuple[str, dict[str, Any]]
) -> None:
    assert run(monkeypatch, *words) == 0
    command, arguments = asked
    assert agent.asked == [{"version": 1, "command": command, **arguments}]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["set"],
        ["set", "colour", "red"],
        ["set", "enable-multiple-tunnel-support", "2"],
        ["set", "enable-multiple-tunnel-support", "yes"],
        ["set", "bandwidth", "3"],
        ["set", "bandwidth", "-3", "5"],
        ["set", "bandwidth", "3", "-5"],
        ["set", "bandwidth", "3", "1e3"],
        ["set", "bandwidth", "１", "5"],
        ["set", "policy", "per-bit"],
        ["set", "pin", "all"],
        ["set", "pin", "0x1"],
        ["deregister", "none"],
        ["deregister", "1_0"],
        ["deregister", "9999"],
        ["--node", "ha", "--socket", "x", "status"],
        ["status", "extra"],
    ],
)
def test_bad_usage_asks_nothing(agent: Agent, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *words)
    assert caught.value.code == 2
    assert agent.asked == []


@pytest.mark.parametrize(
    ("command", "document"),
    [
        ("status", STATUS),
        ("bindings", STATUS["bindings"]),
        ("tunnels", {"tunnels": STATUS["devices"], "drops": STATUS["drops"]}),
        ("events", EVENTS),
    ],
)
def test_json_is_alone_on_stdout(
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    document: Any,
) -> None:
    assert run(monkeypatch, command, "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == document
    assert said.err == ""
    assert len(agent.asked) == 1


@pytest.mark.usefixtures("agent")
def test_what_people_see(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "bindings") == 0
    table = capsys.readouterr().out
    assert "lifetime remaining" in table
    assert "598.2" in table
    assert "interface" not in table  # nobody has one
    assert " - " in table  # the binding without an identifier
    assert run(monkeypatch, "tunnels") == 0
    table, drops = capsys.readouterr().out.split("dropped")
    assert "[/wifi]" in table
    assert "sent octets" in table
    assert "3456" in table
    assert ("unknown-end-point │ 77" in drops, "truncated         │ 0" in drops) == (True, True)
    assert run(monkeypatch, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{key}: {STATUS[key]}" for key in ("role", "policy", "note", "drops")]
    assert run(monkeypatch, "events") == 0
    assert capsys.readouterr().out.strip() == "00:00:00.125 request-denied code=133 reason=[/late]"


@pytest.mark.usefixtures("agent")
def test_a_tunnel_is_told_in_full_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device = {
        "device": "mip1234",
        "alias": "wimax bid 3",
        "encapsulation": "ipip",
        "mtu": 1480,
        "local": "198.51.100.110",
        "remote": "192.168.100.100",
        "remote_port": 65535,
        "state": "draining",
        "sent_packets": 123456789,
        "sent_octets": 987654321,
        "received_packets": 234567890,
        "received_octets": 876543210,
    }
    monkeypatch.setitem(globals(), "STATUS", {**STATUS, "devices": [device]})
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "tunnels") == 0
    said = capsys.readouterr().out
    assert {str(value) for value in device.values()} - set(re.split(r" *[│\n] *", said)) == set()
    assert "encapsulation" in said


def test_a_refusal_is_a_failure(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.error = "unknown command or wrong arguments"
    assert run(monkeypatch, "reregister") == 1
    assert capsys.readouterr().err == f"mipctl: {agent.path}: the agent refuses: {agent.error}\n"


def test_an_agent_is_found_by_node_variable_or_socket(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Agent(agent.path.with_name("mip-mobile-node_mn.sock"))
    try:
        assert run(monkeypatch, "--node", "mn", "reregister") == 0
        monkeypatch.setenv("MIPCTL_NODE", "mn")
        assert run(monkeypatch, "reregister") == 0
        assert (len(agent.asked), len(other.asked)) == (0, 2)
        assert run(monkeypatch, "--node", "ha", "reregister") == 0
        assert run(monkeypatch, "--socket", str(agent.path), "reregister") == 0
        assert (len(agent.asked), len(other.asked)) == (2, 2)
    finally:
        other.close()


def test_which_agent_is_asked_when_it_is_not_clear(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Agent(agent.path.with_name("mip-mobile-node_mn.sock"))
    try:
        for words in (["status"], ["--node", "fa", "status"]):
            assert run(monkeypatch, *words) == 1
            assert capsys.readouterr().err.endswith(f"running in {agent.path.parent}: ha, mn\n")
    finally:
        other.close()
    assert agent.asked == other.asked == []


def test_nobody_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIPCTL_FOLDER", str(tmp_path / "gone"))
    monkeypatch.delenv("MIPCTL_NODE", raising=False)
    assert run(monkeypatch, "status") == 1
    assert capsys.readouterr().err.endswith("/gone: none\n")
    assert run(monkeypatch, "--socket", str(tmp_path / "x"), "status") == 1
    assert f"{tmp_path}/x: no agent answers" in capsys.readouterr().err


PROBED = {
    "state": "alive",
    "why": None,
    "since": 12.5,
    "round_trip_ms": 30.045,
    "time_out_ms": 100.0,
    "loss": 0.0,
    "probes_sent": 126,
    "probes_answered": 125,
}
LOST = {"state": "recovering", "why": "one-way-up", "since": 0.75}
MOBILE_NODE: dict[str, Any] = {
    "role": "mobile-node",
    "drops": {},
    "bindings": [
        {
            "interface": "wifi",
            "binding_id": 1,
            "state": "registered",
            "tunnel": {"encapsulation": None, "interface": "wifi", "gateway": "192.0.2.1"},
            "liveness": PROBED,
        },
        {"interface": "evdo", "binding_id": 2, "state": "registering", "tunnel": None, "liveness": LOST},
        {
            "interface": "lte",
            "binding_id": 4,
            "state": "registered",
            "tunnel": {"encapsulation": "ipip", "interface": "lte"},
            "liveness": PROBED,
        },
    ],
    "devices": [
        {"device": "mip2", "alias": "evdo bid 2", "interface": "evdo", "state": "draining"},
        {"device": "mip3", "alias": "lte bid 4", "interface": "lte", "state": "sending", "mtu": 1480},
    ],
}


def test_tunnels_of_a_mobile_node_show_what_its_probes_say(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(globals(), "STATUS", MOBILE_NODE)
    monkeypatch.setattr(sys, "argv", ["mipctl", "tunnels", "--json"])
    assert mipctl.main() == mipctl.OK
    assert agent.asked == [{"version": 1, "command": "status"}]
    rows = json.loads(capsys.readouterr().out)["tunnels"]
    shown = [(row["device"], row["state"], row.get("liveness"), row.get("why")) for row in rows]
    assert shown == [
        ("mip2", "draining", None, None),
        ("mip3", "sending", "alive", None),
        ("wifi", "sending", "alive", None),
        (None, "registering", "recovering", "one-way-up"),
    ]
    assert rows[1]["round_trip_ms"] == 30.045
    monkeypatch.setattr(sys, "argv", ["mipctl", "tunnels"])
    assert mipctl.main() == mipctl.OK
    table = capsys.readouterr().out
    assert "one-way-up" in table
    assert "30.0" in table
