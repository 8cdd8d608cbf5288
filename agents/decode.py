# SPDX-License-Identifier: GPL-2.0-or-later
"""``mipctl decode``: Mobile IP messages in octets or a capture file, as text or JSON."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from agents.decode_capture import CaptureError, captured_messages
from agents.decode_message import Fields, Key, Message, decode_message
from agents.wire import Algorithm, unix_time

DECODED, MALFORMED, USAGE = 0, 1, 2

_ACCESS_TECHNOLOGIES = (
    "reserved", "virtual", "PPP", "IEEE 802.3", "IEEE 802.11a/b/g", "IEEE 802.16e", "3GPP GERAN",
    "3GPP UTRAN", "3GPP E-UTRAN", "3GPP2 eHRPD", "3GPP2 HRPD", "3GPP2 1xRTT", "3GPP2 UMB", "3GPP NB-IoT",
)  # fmt: skip
"""RFC 5213's registry, by number (FACTS §18)."""


def parse_key(text: str) -> Key:
    """``SPI:HEX[:ALGORITHM]``.

    :raises ArgumentTypeError: saying what is wrong.
    """
    spi, _, rest = text.partition(":")
    secret, _, algorithm = rest.partition(":")
    try:
        number, octets = int(spi, 0), bytes.fromhex(secret.removeprefix("0x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give SPI:HEX[:ALGORITHM], as in 256:00ff") from None
    if not 0 <= number < 1 << 32 or not octets:
        raise argparse.ArgumentTypeError(f"{text!r}: an SPI has 32 bits, a key at least one octet")
    if algorithm and algorithm not in list(Algorithm):
        raise argparse.ArgumentTypeError(f"{text!r}: the algorithm is one of {', '.join(Algorithm)}")
    return Key(number, octets, Algorithm(algorithm or Algorithm.HMAC_MD5))


def parse_octets(text: str) -> bytes | None:
    """Hexadecimal octets with blanks, colons and 0x between them; None if it is something else."""
    digits = re.sub(r"[\s:]+", "", re.sub(r"(?:(?<=[\s:])|^)0[xX]", "", text))
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", digits):
        return None
    return bytes.fromhex(digits)


def render(message: Message) -> str:
    """One readable block."""
    place = ", ".join(f"{name} {value}" for name, value in message.where.items())
    lines = [f"{message.kind} at octet {message.offset}" + (f" ({place})" if place else "")]
    lines += _lines(message.fields, "  ")
    for part in message.parts:
        lines.append(f"  extension {part.type}, {part.name}, length {part.length}")
        lines += _lines(part.fields, "    ")
    if message.error is not None:
        lines.append(f"  ERROR {message.error}")
    return "\n".join(lines) + "\n"


def _lines(values: Fields, indent: str) -> list[str]:
    return [f"{indent}{name.replace('_', ' ')}: {_words(name, value)}" for name, value in values.items()]


def _words(name: str, value: Any) -> str:
    if name == "identification":
        moment = datetime.fromtimestamp(unix_time(int(value, 16)), UTC)
        return f"{value} (as a timestamp: {moment:%Y-%m-%d %H:%M:%S} UTC)"
    if name == "flags":
        return " ".join(letter for letter, is_set in value.items() if is_set) or "none"
    if name == "if_type" and value < len(_ACCESS_TECHNOLOGIES):
        return f"{value} ({_ACCESS_TECHNOLOGIES[value]})"
    if name == "valid":
        return {True: "yes", False: "NO", None: "not checked: no key for this SPI"}[value]
    if isinstance(value, list):
        return ", ".join(_words("", item) for item in value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else _printable(str(value))


def _printable(text: str) -> str:
    """Without anything a terminal might obey."""
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``mipctl decode``."""
    parser.add_argument(
        "input", nargs="+", metavar="HEX|FILE.pcap", help="octets of one message, or a capture file"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        type=parse_key,
        metavar="SPI:HEX[:ALG]",
        help=f"check authenticators of this SPI; ALG is {', '.join(Algorithm)}",
    )
    parser.add_argument("--icmp", action="store_true", help="agent discovery: the octets are ICMP")
    parser.add_argument("--json", action="store_true", help="print JSON only")


def run(arguments: argparse.Namespace) -> int:
    """Print what is in the input; 0 decoded, 1 malformed, 2 neither octets nor a file."""
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as ``head`` does; nothing more is written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DECODED
    return status


def _run(arguments: argparse.Namespace) -> int:
    text = " ".join(arguments.input)
    octets = parse_octets(text)
    if octets is not None:
        return _show([decode_message(octets, 0, arguments.key, arguments.icmp)], arguments.json)
    try:
        file = Path(text).open("rb")  # noqa: SIM115 — only what opening it raises is meant here
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"mipctl: {_printable(text[:200])}: not hexadecimal octets, and no file: {reason}\n")
        return USAGE
    with file:
        return _show(_captured(file, arguments.key, arguments.icmp), arguments.json)


def _captured(file: BinaryIO, keys: Sequence[Key], icmp: bool) -> Iterator[Message | str]:
    """The messages of a capture, and last what is wrong with the file if something is."""
    try:
        for found in captured_messages(file, icmp):
            message = decode_message(found.payload, found.offset, keys, found.icmp)
            message.where = {
                "frame": found.frame,
                "time": found.time,
                "source": found.source,
                "destination": found.destination,
            }
            message.error = found.fault or message.error
            yield message
    except CaptureError as error:
        yield str(error)


def _show(found: Iterable[Message | str], as_json: bool) -> int:
    documents, fault = [], None
    for item in found:
        fault = fault or (item if isinstance(item, str) else item.error)
        if as_json:
            documents += [] if isinstance(item, str) else [item.document()]
        else:
            _write(f"ERROR {_printable(item)}\n" if isinstance(item, str) else render(item))
    if as_json:
        whole = json.dumps({"schema": 1, "messages": documents, "error": fault}, indent=2)
        _write(whole.replace("\x7f", "\\u007f") + "\n")  # the one control character JSON lets through
    return MALFORMED if fault else DECODED


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
