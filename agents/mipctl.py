# SPDX-License-Identifier: GPL-2.0-or-later
"""``mipctl``: look at and change a running agent."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agents import decode
from agents.daemon.control import ControlError, ask
from agents.settings import Policy

OK, FAILED, USAGE = 0, 1, 2
RUNTIME_FOLDER = Path("/run/mip4")
"""Where agents keep their control sockets unless their settings say otherwise."""

_BINDING_COLUMNS = (
    "home_address", "binding_id", "state", "interface", "care_of_address", "encapsulation",
    "lifetime_remaining",
)  # fmt: skip
# Two tables, as one would not fit into 80 columns.
_TUNNEL_COLUMNS = ("device", "alias", "local", "remote", "remote_port", "state")
_DEVICE_COLUMNS = (
    "device", "encapsulation", "mtu", "sent_packets", "sent_octets", "received_packets", "received_octets",
)  # fmt: skip
_LIVENESS_COLUMNS = ("alias", "liveness", "since", "why", "round_trip_ms", "time_out_ms", "loss")


def _whole_number(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 20):
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number")
    return int(word)


def _binding_or(nothing: str) -> Callable[[str], int | None]:
    """Reads a binding identifier, or the word that stands for none in particular."""

    def read(word: str) -> int | None:
        if word == nothing:
            return None
        if not (word.isascii() and word.isdecimal() and len(word) < 4):
            raise argparse.ArgumentTypeError(f"{word!r} is neither a binding identifier nor {nothing!r}")
        return int(word)

    return read


def _address(word: str) -> str | None:
    """Reads an IPv4 address, or the word for whichever there is."""
    if word == "any":
        return None
    try:
        return str(IPv4Address(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is neither an IPv4 address nor 'any'") from None


def parser() -> argparse.ArgumentParser:
    """The options and commands."""
    made = argparse.ArgumentParser("mipctl", description="Look at and change a running Mobile IP agent.")
    where = made.add_mutually_exclusive_group()
    where.add_argument("--node", metavar="NAME", help="the agent of this lab node (default: $MIPCTL_NODE)")
    where.add_argument("--socket", type=Path, metavar="PATH", help="its control socket")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (
        ("status", "state, counters and settings"),
        ("bindings", "the binding table, or the mobile node's registrations"),
        ("tunnels", "tunnel devices with their counters, and what was dropped, by reason"),
        ("events", "what happened lately"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("--json", action="store_true", help="print JSON only")
    change = commands.add_parser("set", help="change a setting of the running agent")
    settings = change.add_subparsers(dest="setting", required=True, metavar="SETTING")
    support = settings.add_parser("enable-multiple-tunnel-support", help="0 or 1")
    support.add_argument("enabled", choices=("0", "1"))
    bandwidth = settings.add_parser("bandwidth", help="weight of a binding, live")
    bandwidth.add_argument("binding_id", type=_whole_number, metavar="BID")
    bandwidth.add_argument("kbytes", type=_whole_number, metavar="KBYTES", help="kilobytes per second")
    care_of = settings.add_parser(
        "care-of-address", help="mobile node: register another one, the old meanwhile"
    )
    care_of.add_argument("binding_id", type=_whole_number, metavar="BID")
    care_of.add_argument("address", type=_address, metavar="ADDRESS|any")
    policy = settings.add_parser("policy", help="how packets choose a tunnel; starts every cycle anew")
    policy.add_argument("policy", choices=[policy.value for policy in Policy])
    pin = settings.add_parser("pin", help="carry all traffic by one binding, or by all again")
    pin.add_argument("binding_id", type=_binding_or("none"), metavar="BID|none")
    again = commands.add_parser("reregister", help="mobile node: register again now")
    again.add_argument("--bulk", action="store_true", help="all bindings with one request")
    away = commands.add_parser("deregister", help="mobile node: give up a binding or all")
    away.add_argument("binding_id", type=_binding_or("all"), nargs="?", default="all", metavar="BID|all")
    decode.add_arguments(commands.add_parser("decode", help="what a message or a capture file contains"))
    return made


def _socket(arguments: argparse.Namespace) -> Path:
    """The control socket meant.

    :raises ControlError: naming the agents there are.
    """
    if arguments.socket is not None:
        return Path(arguments.socket)
    folder = Path(os.environ.get("MIPCTL_FOLDER", RUNTIME_FOLDER))
    node = arguments.node or os.environ.get("MIPCTL_NODE")
    found = sorted(folder.glob(f"*_{node}.sock" if node else "*.sock"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(path.stem.rpartition("_")[2] for path in folder.glob("*.sock")))
    raise ControlError(
        f"which agent? give --node NAME or --socket PATH; running in {folder}: {names or 'none'}"
    )


def _change(socket: Path, arguments: argparse.Namespace) -> None:
    match arguments.command, getattr(arguments, "setting", None):
        case "set", "enable-multiple-tunnel-support":
            ask(socket, "set-multiple-tunnel-support", enabled=arguments.enabled == "1")
        case "set", "bandwidth":
            ask(socket, "set-bandwidth", binding_id=arguments.binding_id, kbytes=arguments.kbytes)
        case "set", "care-of-address":
            ask(socket, "set-care-of-address", binding_id=arguments.binding_id, address=arguments.address)
        case "set", "policy":
            ask(socket, "set-policy", policy=arguments.policy)
        case "set", "pin":
            ask(socket, "pin", binding_id=arguments.binding_id)
        case "reregister", _:
            ask(socket, "reregister", bulk=arguments.bulk)
        case "deregister", _:
            ask(socket, "deregister", binding_id=arguments.binding_id)


def _show(socket: Path, arguments: argparse.Namespace, console: Console) -> None:
    if arguments.command == "events":
        document: dict[str, Any] = ask(socket, "events")
        rows: Any = document["events"]
    else:
        document = ask(socket, "status")
        rows = _tunnels(document) if arguments.command == "tunnels" else document["bindings"]
    if arguments.json:
        shown = {
            "status": document,
            "tunnels": {"tunnels": rows, "drops": document.get("drops", {})},
        }.get(arguments.command, rows)
        console.print_json(json.dumps(shown)) if console.is_terminal else print(json.dumps(shown))  # noqa: T201
    elif arguments.command == "status":
        for key, value in document.items():
            if not isinstance(value, list):
                console.print(f"{key}: {value}", highlight=False)
    elif arguments.command == "events":
        for row in rows:
            moment = datetime.fromtimestamp(row.pop("time"), UTC).strftime("%H:%M:%S.%f")[:-3]
            name = row.pop("event")
            console.print(moment, name, *(f"{k}={v}" for k, v in row.items()), highlight=False)
    elif arguments.command == "tunnels":
        _table(rows, _TUNNEL_COLUMNS, console)
        for column, columns in (("sent_packets", _DEVICE_COLUMNS), ("liveness", _LIVENESS_COLUMNS)):
            if some := [row for row in rows if column in row]:
                console.print()
                _table(some, columns, console)
        console.print()
        drops = [{"dropped": reason, "packets": count} for reason, count in document["drops"].items()]
        _table(drops, ("dropped", "packets"), console)
    else:
        _table(rows, _BINDING_COLUMNS, console)


def _tunnels(document: dict[str, Any]) -> list[dict[str, Any]]:
    """An agent's tunnels; a mobile node's ways of any kind, with what its probes say of each."""
    bindings = {row["interface"]: row for row in document["bindings"] if "liveness" in row}
    rows = []
    for device in document["devices"]:
        known = bindings.pop(device.get("interface"), None) if device.get("state") == "sending" else None
        rows.append(device if known is None else {**device, **_probed(known)})
    for row in bindings.values():
        way = row["tunnel"] or {}
        here = {
            "device": row["interface"] if way else None,
            "alias": f"{row['interface']} bid {row['binding_id']}",
            "interface": row["interface"],
            "encapsulation": way.get("encapsulation"),
            "remote": way.get("gateway", way.get("remote")),
            "state": "sending" if way else row["state"],
        }
        rows.append({**here, **_probed(row)})
    return rows


def _probed(binding: dict[str, Any]) -> dict[str, Any]:
    liveness = dict(binding["liveness"])
    return {"binding_id": binding["binding_id"], "liveness": liveness.pop("state"), **liveness}


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str], console: Console) -> None:
    shown = [column for column in columns if any(column in row for row in rows)]
    table = Table(show_edge=False, pad_edge=False)
    for column in shown:
        # Folded and not cut, an address last: without its end it is none.
        heading = column.replace("_", " ")
        cells = [_text(row.get(column)) for row in rows]
        table.add_column(heading, overflow="fold", no_wrap=not any(" " in text for text in (heading, *cells)))
    for row in rows:
        table.add_row(*(_text(row.get(column)) for column in shown))
    console.print(table)


def _text(cell: object) -> str:
    return "-" if cell is None else f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def main() -> int:
    """The console script."""
    arguments = parser().parse_args()
    if arguments.command == "decode":
        return decode.run(arguments)
    try:
        socket = _socket(arguments)
        if arguments.command in {"status", "bindings", "tunnels", "events"}:
            _show(socket, arguments, Console(markup=False))  # a bracket is a bracket
        else:
            _change(socket, arguments)
    except ControlError as error:
        print(f"mipctl: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    return OK
