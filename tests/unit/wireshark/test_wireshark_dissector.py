# SPDX-License-Identifier: GPL-2.0-or-later
"""Two readings of the draft: the Lua dissector's, run by tshark, and ours, on the same octets.

The dissector was written from the draft's text and figure alone, so what both say alike is unlikely
to be one and the same mistake. The octets are made with ``struct``.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from agents.wire import (
    Authentication,
    AuthenticationType,
    MultipleTunnelRequest,
    RegistrationReply,
    Unusable,
    WireError,
    WireProfile,
    decode_registration,
)
from tests.unit.decode.capture_files import pcap, udp

SCRIPT = Path(__file__).parents[3] / "tools" / "wireshark" / "mip4-multiple-tunnel.lua"
FIELDS = ("type", "length", "subtype", "if_type", "bid", "bulk", "overwrite", "reserved", "bandwidth", "code")
EXPERTS = (
    "both_flags", "bad_subtype", "bad_length", "unprotected", "repeated", "in_reply",
    "overwrite_deregistration", "reserved_set", "truncated",
)  # fmt: skip
MESSAGES = 1500
REQUEST = bytes.fromhex("012202580a0000050a000001c000020acf1b2d3e12345678")
REPLY = bytes.fromhex("030002580a0000050a000001cf1b2d3e12345678")
AUTHENTICATION = bytes.fromhex("201400000100") + bytes(16)
MULTIPLE = bytes.fromhex("7f0a0004000100000000186a")

Shown = dict[str, list[str]]
Dissect = Callable[..., list[Shown]]


@pytest.fixture(scope="module")
def dissect(tmp_path_factory: pytest.TempPathFactory) -> Dissect:
    """What tshark with the script shows of each UDP payload, field by field."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is missing: apt-get install tshark")
    capture = tmp_path_factory.mktemp("capture") / "messages.pcap"
    names = [f"mip.mtr.{name}" for name in (*FIELDS, "code_text", *EXPERTS)]

    def run(messages: list[bytes], *options: str) -> list[Shown]:
        capture.write_bytes(pcap([udp(message) for message in messages]))
        command = [program, "-n", "-X", f"lua_script:{SCRIPT}", "-r", str(capture), *options, "-T", "fields"]
        command += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
        for name in names:
            command += ["-e", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Lua" not in done.stderr, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == len(messages)
        return [
            {
                name.removeprefix("mip.mtr."): [text for text in column.split(";") if text]
                for name, column in zip(names, line.split("\t"), strict=True)
            }
            for line in lines
        ]

    return run


def number(text: str) -> int:
    """Older versions show a boolean as 1, newer ones as True."""
    return {"True": 1, "False": 0}[text] if text in ("True", "False") else int(text, 0)


def extension(random: Random, kind: int) -> bytes:
    """A Multiple Tunnel Request with any content and mostly a good Length."""
    length = random.choice([10, 10, 10, 8, 6, random.randrange(16)])
    sub_type = random.choice([0, 0, 0, 1, 255])
    flags = random.choice([0, 0x8000, 0x4000, 0xC000, random.getrandbits(16)])
    fields = struct.pack("!BBHHI", sub_type, random.randrange(256), random.getrandbits(16), flags, 0)
    fields = fields[:6] + random.randbytes(4)
    return bytes([kind, length]) + (fields + random.randbytes(6))[:length]


def messages(seed: int, kind: int) -> list[bytes]:
    """Requests and replies with such extensions at all places, among others, some cut short."""
    random = Random(seed)
    others = [
        AUTHENTICATION,
        AUTHENTICATION,
        b"\0",
        bytes.fromhex("9006000080000000"),
        bytes.fromhex("30000004000000ff"),
        bytes.fromhex("260000060000000900 01"),
        bytes.fromhex("9a01000404010100"),
        bytes.fromhex("8b010004c0000201"),
        bytes.fromhex("c803010203"),
        bytes.fromhex("2400001400000100") + bytes(16),
    ]
    made = []
    for _ in range(MESSAGES):
        fixed = (
            REQUEST
            if random.random() < 0.8
            else REPLY[:1] + random.choice([b"\0", b"\x7f", b"\xc0"]) + REPLY[2:]
        )
        if random.random() < 0.2:
            fixed = fixed[:2] + b"\0\0" + fixed[4:]
        parts = [extension(random, kind)] if random.random() < 0.9 else []
        parts += [random.choice([*others, extension(random, kind)]) for _ in range(random.randrange(4))]
        random.shuffle(parts)
        message = fixed + b"".join(parts)
        made.append(message[: random.randrange(20, len(message) + 1)] if random.random() < 0.1 else message)
    return made


@dataclass
class Reading:
    """What we read in one message, in the dissector's terms."""

    requests: list[MultipleTunnelRequest | Unusable]
    protected: list[bool]
    lifetime: int
    reply: bool


def read(message: bytes, profile: WireProfile) -> Reading | None:
    """Our reading; None: the agents would discard the message."""
    try:
        decoded = decode_registration(message, profile)
    except WireError:
        return None
    reading = Reading([], [], decoded.lifetime, isinstance(decoded, RegistrationReply))
    authenticated = False
    for item in decoded.extensions:
        if isinstance(item, Authentication | Unusable) and item.type == AuthenticationType.MOBILE_HOME:
            authenticated = True
        ours = isinstance(item, Unusable) and item.type == profile.multiple_tunnel_request
        if isinstance(item, MultipleTunnelRequest) or ours:
            assert isinstance(item, MultipleTunnelRequest | Unusable)
            reading.requests.append(item)
            reading.protected.append(not authenticated)
    return reading


def expected(reading: Reading) -> dict[str, list[int]]:
    """The dissector's fields, as our reading has them; what we do not keep is left out."""
    good = [item for item in reading.requests if isinstance(item, MultipleTunnelRequest)]
    return {
        "if_type": [item.access_technology for item in good],
        "bid": [item.binding_id for item in good],
        "bulk": [int(item.bulk) for item in good],
        "overwrite": [int(item.overwrite) for item in good],
        "bandwidth": [item.bandwidth_kbytes for item in good if item.bandwidth_kbytes is not None],
    }


@pytest.mark.parametrize("kind", [127, 51])
def test_both_readings_agree(kind: int, dissect: Dissect) -> None:
    profile = WireProfile(multiple_tunnel_request=kind)
    octets = messages(kind, kind)
    shown = dissect(octets, "-o", f"mip_mtr.type_number:{kind}")
    compared = refused = 0
    for message, theirs in zip(octets, shown, strict=True):
        ours = read(message, profile)
        if ours is None:
            refused += 1
            continue
        compared += 1
        reasons = [item.reason if isinstance(item, Unusable) else None for item in ours.requests]
        count = len(ours.requests)
        assert [number(text) for text in theirs["type"]] == [kind] * count, message.hex()
        assert len(theirs["bad_length"]) == reasons.count("bad-length"), message.hex()
        assert len(theirs["bad_subtype"]) == reasons.count("bad-sub-type"), message.hex()
        assert len(theirs["unprotected"]) == ours.protected.count(False), message.hex()
        assert len(theirs["repeated"]) == max(0, count - 1), message.hex()
        assert len(theirs["in_reply"]) == (count if ours.reply else 0), message.hex()
        assert not theirs["truncated"], message.hex()
        if not any(reasons):
            # The dissector also shows the fields of one with a bad Sub-Type, which we do not read.
            assert {name: [number(text) for text in theirs[name]] for name in expected(ours)} == expected(
                ours
            )
            both = sum(map(int.__and__, expected(ours)["bulk"], expected(ours)["overwrite"]))
            assert len(theirs["both_flags"]) == both, message.hex()
            late = 0 if ours.lifetime or ours.reply else sum(expected(ours)["overwrite"])
            assert len(theirs["overwrite_deregistration"]) == late, message.hex()
    assert compared > MESSAGES / 2
    assert refused > MESSAGES / 50


class TestByHand:
    """Fields of one message each, worked out from the draft's Figure 2."""

    def test_vector(self, dissect: Dissect) -> None:
        (shown,) = dissect([REQUEST + MULTIPLE + AUTHENTICATION])
        values = {name: [number(text) for text in shown[name]] for name in FIELDS}
        assert values == {
            "type": [127], "length": [10], "subtype": [0], "if_type": [4], "bid": [1], "bulk": [0],
            "overwrite": [0], "reserved": [0], "bandwidth": [6250], "code": [],
        }  # fmt: skip
        assert not any(shown[name] for name in EXPERTS)

    def test_every_bit_has_its_place(self, dissect: Dissect) -> None:
        bits = [1 << place for place in range(72)]
        sent = [REQUEST + b"\x7f\x0a\0" + bit.to_bytes(9, "big") for bit in bits]
        for bit, shown in zip(bits, dissect(sent), strict=True):
            values = {name: [number(text) for text in shown[name]] for name in FIELDS}
            whole = values["if_type"][0] << 64 | values["bid"][0] << 48 | values["reserved"][0] << 32
            whole |= values["bulk"][0] << 47 | values["overwrite"][0] << 46 | values["bandwidth"][0]
            assert whole == bit

    @pytest.mark.parametrize(
        ("message", "expert"),
        [
            (REQUEST + bytes.fromhex("7f0a00040001c0000000186a"), "both_flags"),
            (REQUEST + bytes.fromhex("7f0a0104000100000000186a"), "bad_subtype"),
            (REQUEST + bytes.fromhex("7f0700040001000000"), "bad_length"),
            (REQUEST + AUTHENTICATION + MULTIPLE, "unprotected"),
            (REQUEST + MULTIPLE + MULTIPLE, "repeated"),
            (REPLY + MULTIPLE, "in_reply"),
            (
                REQUEST[:2] + b"\0\0" + REQUEST[4:] + bytes.fromhex("7f0600040001" + "4000"),
                "overwrite_deregistration",
            ),
            (REQUEST + bytes.fromhex("7f06000400013fff"), "reserved_set"),
            (REQUEST + MULTIPLE[:-1], "truncated"),
            (REQUEST + b"\x7f", "truncated"),
        ],
    )
    def test_expert_information(self, message: bytes, expert: str, dissect: Dissect) -> None:
        (shown,) = dissect([message])
        assert [name for name in EXPERTS if shown[name]] == [expert]

    def test_texts_of_the_codes(self, dissect: Dissect) -> None:
        codes = [0, 127, 192, 134]
        shown = dissect([REPLY[:1] + bytes([code]) + REPLY[2:] for code in codes])
        texts = [row["code_text"] for row in shown]
        assert texts == [
            [],
            ["Multiple tunnel support request rejected by FA"],
            ["Multiple tunnel support request rejected by HA"],
            [],
        ]

    def test_other_numbers(self, dissect: Dissect) -> None:
        options = [("type_number", 51), ("denied_by_ha", 154), ("denied_by_fa", 117)]
        arguments = [word for name, value in options for word in ("-o", f"mip_mtr.{name}:{value}")]
        sent = [REQUEST + b"\x33" + MULTIPLE[1:], REQUEST + MULTIPLE]
        sent += [REPLY[:1] + bytes([code]) + REPLY[2:] for code in (154, 117, 192)]
        shown = dissect(sent, *arguments)
        assert [row["bid"] for row in shown] == [["1"], [], [], [], []]
        assert [bool(row["code_text"]) for row in shown] == [False, False, True, True, False]

    def test_other_ports_and_messages_are_left_alone(self, dissect: Dissect) -> None:
        shown = dissect([b"\x04\x04\0\0" + bytes(60), b"", REQUEST[:10], b"\x07" + bytes(60)])
        assert not any(any(row.values()) for row in shown)
