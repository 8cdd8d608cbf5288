# SPDX-License-Identifier: GPL-2.0-or-later
"""``mipctl decode`` as a user calls it: arguments, exit codes, JSON and text."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents import mipctl
from agents.decode import parse_key, parse_octets
from agents.wire import Algorithm, describe_code
from tests.unit.decode.capture_files import pcap, udp

# FACTS §21, computed with two implementations.
FIXED = "012202580a0000050a000001c000020acf1b2d3e12345678"
MULTIPLE = FIXED + "7f0a0004000100000000186a" + "201400000100bff9c1d7814302d331cef692edf61c6a"
KEYED_MD5 = FIXED + "201400000100" + "794a0649f454bde674b333fbdc3a9390"
DENIED = "03c002580a0000050a000001cf1b2d3e1234567820140000010030e4a6b01fe54a7c8bcef0887189043a"
UDP = "0300003c0a0000050a000001cf1b2d3e123456782c0600008000006e201400000100c4464647d2b69cd4105d646b35e477ad"
KEEPALIVE = "04040000" + "4500001c00010000400166db0a0000050a0000010800f7fd00010001"
ADVERTISEMENT = "0910769601020009c000020100000000100a00070258bde0c000020113011800"
KEY = "256:000102030405060708090a0b0c0d0e0f"

Decode = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Decode:
    """Calls ``mipctl decode``; gives exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mipctl", "decode", *arguments])
        try:
            status = mipctl.main()
        except SystemExit as end:
            status = int(end.code or 0)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call


def decoded(decode: Decode, octets: str, *arguments: str) -> dict[str, Any]:
    """The one message of the JSON document."""
    status, out, err = decode(octets, "--json", *arguments)
    document = json.loads(out)
    assert document.keys() == {"schema", "messages", "error"}
    assert document["schema"] == 1
    (message,) = document["messages"]
    assert status == (0 if message["error"] is None else 1)
    assert document["error"] == message["error"]
    assert not err
    return dict(message)


class TestDocuments:
    def test_request(self, decode: Decode) -> None:
        assert decoded(decode, MULTIPLE, "--key", KEY) == {
            "offset": 0,
            "kind": "registration-request",
            "fields": {
                "lifetime": 600,
                "home_address": "10.0.0.5",
                "home_agent": "10.0.0.1",
                "care_of_address": "192.0.2.10",
                "identification": "cf1b2d3e12345678",
                "flags": {
                    "S": False, "B": False, "D": True, "M": False, "G": False, "r": False,
                    "T": True, "x": False,
                },
            },
            "extensions": [
                {
                    "type": 127,
                    "length": 10,
                    "name": "multiple-tunnel-request",
                    "fields": {
                        "if_type": 4,
                        "binding_id": 1,
                        "bulk": False,
                        "overwrite": False,
                        "bandwidth_kbytes": 6250,
                    },
                }
            ],
            "authentications": [{"type": 32, "spi": 256, "algorithm": "hmac-md5", "valid": True}],
            "order": [127, 32],
            "error": None,
        }  # fmt: skip

    def test_reply(self, decode: Decode) -> None:
        message = decoded(decode, DENIED)
        assert message["kind"] == "registration-reply"
        assert message["fields"]["code"] == 192
        assert message["fields"]["code_text"] == describe_code(192)
        assert message["authentications"] == [{"type": 32, "spi": 256, "algorithm": None, "valid": None}]

    def test_udp_tunnel_reply(self, decode: Decode) -> None:
        message = decoded(decode, UDP, "--key", KEY)
        assert message["extensions"] == [
            {
                "type": 44,
                "length": 6,
                "name": "udp-tunnel-reply",
                "fields": {"code": 0, "force": True, "keepalive": 110, "sub_type": 0},
            }
        ]
        assert message["authentications"][0]["valid"] is True

    def test_tunnel_data(self, decode: Decode) -> None:
        message = decoded(decode, KEEPALIVE)
        assert message["kind"] == "tunnel-data"
        inner = {"source": "10.0.0.5", "destination": "10.0.0.1", "protocol": 1}
        assert message["fields"] == {"next_header": 4, "octets": 28, "inner": inner}

    def test_advertisement(self, decode: Decode) -> None:
        message = decoded(decode, ADVERTISEMENT, "--icmp")
        assert message["kind"] == "agent-advertisement"
        assert message["fields"] == {
            "code": 16,
            "lifetime": 9,
            "router_addresses": [{"address": "192.0.2.1", "preference": 0}],
            "sequence": 7,
            "registration_lifetime": 600,
            "flags": {
                "R": True, "B": False, "H": True, "F": True, "M": True, "G": True, "T": True, "U": True,
                "X": True, "I": True,
            },
            "care_of_addresses": ["192.0.2.1"],
            "prefix_lengths": [24],
            "challenge": None,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("octets", "kind"),
        [
            ("0900f6fd01020708c000020100000000", "router-advertisement"),
            ("0a00f5ff00000000", "router-solicitation"),
        ],
    )
    def test_other_discovery(self, decode: Decode, octets: str, kind: str) -> None:
        octets = octets[:4] + "0000" + octets[8:]
        words = [int(octets[n : n + 4], 16) for n in range(0, len(octets), 4)]
        total = sum(words)
        octets = octets[:4] + f"{0xFFFF - (total % 0xFFFF):04x}" + octets[8:]
        assert decoded(decode, octets, "--icmp")["kind"] == kind

    @pytest.mark.parametrize(
        ("extension", "length", "name", "fields"),
        [
            ("30000004000000ff", 4, "gre-key", {"key": 255}),
            ("9a01000404010100", 4, "multipath", {"data": "04010100", "sub_type": 1}),
            ("8303613a62", 3, "mobile-node-nai", {"nai": "a:b"}),
            ("91030141c3", 3, "message-string", {"sub_type": 1, "text": "A\N{REPLACEMENT CHARACTER}"}),
            ("00", 0, "padding", {}),
            ("c801ff", 1, "skipped", {"data": "ff"}),
            (
                "26000007000000090001ff",
                7,
                "critical-vendor-extension",
                {"critical": True, "vendor": 9, "vendor_type": 1, "value": "ff"},
            ),
        ],
    )
    def test_extensions(
        self, decode: Decode, extension: str, length: int, name: str, fields: dict[str, Any]
    ) -> None:
        (shown,) = decoded(decode, FIXED + extension)["extensions"]
        kind = int(extension[:2], 16)
        assert shown == {"type": kind, "length": length, "name": name, "fields": fields}

    def test_order_shows_what_is_not_protected(self, decode: Decode) -> None:
        unprotected = FIXED + MULTIPLE[72:] + "7f0a0004000100000000186a"
        assert decoded(decode, unprotected)["order"] == [32, 127]


class TestMalformed:
    @pytest.mark.parametrize(
        ("octets", "error"),
        [
            ("01", "truncated"),
            (FIXED[:-2], "truncated"),
            (FIXED + "7f", "truncated"),
            (FIXED + "7f0a0004", "truncated"),
            (FIXED + "330a0004000100000000186a", "unknown-extension"),
            (FIXED + "7f06000400010000" + "0000186a", "unknown-extension"),
            (FIXED + "7f0700040001000000", "bad-length"),
            (FIXED + "7f0a0104000100000000186a", "bad-sub-type"),
            ("07" + "00" * 23, "unexpected-message-type"),
            ("ff", "unexpected-message-type"),
            ("0404", "truncated"),
        ],
    )
    def test_error(self, decode: Decode, octets: str, error: str) -> None:
        assert decoded(decode, octets)["error"].startswith(error)

    def test_readable_part_is_shown(self, decode: Decode) -> None:
        message = decoded(decode, MULTIPLE + "3300")
        assert message["error"] == "unknown-extension: type 51"
        assert message["fields"]["home_address"] == "10.0.0.5"
        assert message["order"] == [127, 32]

    def test_bad_extension_has_its_name(self, decode: Decode) -> None:
        (extension,) = decoded(decode, FIXED + "7f0700040001000000")["extensions"]
        assert extension["name"] == "multiple-tunnel-request"
        assert extension["fields"] == {"data": "00040001000000", "reason": "bad-length", "sub_type": None}

    def test_icmp_checksum(self, decode: Decode) -> None:
        assert decoded(decode, ADVERTISEMENT[:-2] + "01", "--icmp")["error"] == "bad-checksum"


class TestKeys:
    def test_wrong_key(self, decode: Decode) -> None:
        shown = decoded(decode, MULTIPLE, "--key", "256:ffff")["authentications"]
        assert shown == [{"type": 32, "spi": 256, "algorithm": "hmac-md5", "valid": False}]

    def test_other_spi(self, decode: Decode) -> None:
        shown = decoded(decode, MULTIPLE, "--key", "257:" + KEY[4:])["authentications"]
        assert shown[0]["valid"] is None

    def test_algorithm(self, decode: Decode) -> None:
        assert decoded(decode, KEYED_MD5, "--key", KEY)["authentications"][0]["valid"] is False
        shown = decoded(decode, KEYED_MD5, "--key", KEY + ":keyed-md5")["authentications"]
        assert shown == [{"type": 32, "spi": 256, "algorithm": "keyed-md5", "valid": True}]

    def test_several_of_one_spi(self, decode: Decode) -> None:
        shown = decoded(decode, KEYED_MD5, "--key", KEY, "--key", KEY + ":keyed-md5")["authentications"]
        assert shown[0]["algorithm"] == "keyed-md5"
        assert shown[0]["valid"] is True

    def test_spi_in_hexadecimal(self) -> None:
        assert parse_key("0x100:0xFF:hmac-sha256") == parse_key("256:ff:hmac-sha256")
        assert parse_key("256:ff").algorithm is Algorithm.HMAC_MD5

    @pytest.mark.parametrize(
        "text",
        ["", "256", "256:", "x:ff", "256:f", "256:ff:md5", "-1:ff", "4294967296:ff", "256:ff:hmac-md5:"],
    )
    def test_bad(self, decode: Decode, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError):
            parse_key(text)
        status, out, err = decode(MULTIPLE, f"--key={text}")
        assert (status, out) == (2, "")
        assert "--key" in err


class TestInput:
    @pytest.mark.parametrize(
        "text", ["0a0bff", "0A 0b  FF", "0a:0b:ff", "0x0a0bff", "0X0A 0x0B 0xff", " 0a\n0bff ", "0a: 0x0b ff"]
    )
    def test_octets(self, text: str) -> None:
        assert parse_octets(text) == b"\x0a\x0b\xff"

    @pytest.mark.parametrize(
        "text", ["", " ", "0x", "a", "0a0", "0g", "0a,0b", "0x0x0a", "a0x0b", "\u0661\u0661"]
    )
    def test_no_octets(self, text: str) -> None:
        assert parse_octets(text) is None

    def test_several_arguments(self, decode: Decode) -> None:
        words = [FIXED[n : n + 2] for n in range(0, len(FIXED), 2)]
        assert decode(*words)[0] == 0

    @pytest.mark.parametrize("text", ["missing.pcap", "0a0", "", ".", "a\0b", "\x1b[31m", "x" * 5000])
    def test_neither(
        self, decode: Decode, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        status, out, err = decode(text, "--json")
        assert (status, out) == (2, "")
        assert err.startswith("mipctl: ")
        assert "\x1b" not in err

    def test_octets_win_over_a_file_of_that_name(
        self, decode: Decode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("abcd").write_bytes(pcap([]))
        assert decode("abcd")[0] == 1
        assert decode("./abcd")[0] == 0

    def test_no_agent_is_needed(self, decode: Decode, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIPCTL_FOLDER", "/nonexistent")
        assert decode(MULTIPLE)[0] == 0


class TestText:
    def test_block(self, decode: Decode) -> None:
        status, out, _ = decode(MULTIPLE, "--key", KEY)
        assert status == 0
        assert out.splitlines() == [
            "registration-request at octet 0",
            "  lifetime: 600",
            "  home address: 10.0.0.5",
            "  home agent: 10.0.0.1",
            "  identification: cf1b2d3e12345678 (as a timestamp: 2010-02-09 00:39:26 UTC)",
            "  care of address: 192.0.2.10",
            "  flags: D T",
            "  extension 127, multiple-tunnel-request, length 10",
            "    if type: 4 (IEEE 802.11a/b/g)",
            "    binding id: 1",
            "    bulk: no",
            "    overwrite: no",
            "    bandwidth kbytes: 6250",
            "  extension 32, mobile-home-authentication, length 20",
            "    spi: 256",
            "    algorithm: hmac-md5",
            "    valid: yes",
        ]

    @pytest.mark.parametrize("word", ["valid: NO", "algorithm: hmac-md5"])
    def test_wrong_key(self, decode: Decode, word: str) -> None:
        assert f"    {word}\n" in decode(MULTIPLE, "--key", "256:00")[1]

    def test_lists(self, decode: Decode) -> None:
        out = decode(ADVERTISEMENT, "--icmp")[1]
        assert "  router addresses: address 192.0.2.1 preference 0\n" in out
        assert "  care of addresses: 192.0.2.1\n" in out
        assert "  flags: R H F M G T U X I\n" in out

    def test_unknown_access_technology(self, decode: Decode) -> None:
        assert "    if type: 200\n" in decode(FIXED + "7f0a00c8000100000000186a")[1]

    def test_error(self, decode: Decode) -> None:
        assert decode(FIXED + "3300")[1].endswith("  ERROR unknown-extension: type 51\n")

    @pytest.mark.parametrize("arguments", [(), ("--json",)])
    @pytest.mark.parametrize("kind", ["91", "83"])
    def test_control_characters_are_escaped(
        self, decode: Decode, arguments: tuple[str, ...], kind: str
    ) -> None:
        text = "\x00\a\x1b[2J\n\x7f\x9b\u2028\u202e\\"
        data = b"\x01" + text.encode()
        out = decode(FIXED + kind + f"{len(data):02x}" + data.hex(), *arguments)[1]
        assert all(c.isprintable() or c == "\n" for c in out)
        if arguments:
            fields = json.loads(out)["messages"][0]["extensions"][0]["fields"]
            assert fields.get("text", fields.get("nai", "")[1:]) == text
        else:
            assert r"\x00\x07\x1b[2J\n\x7f\x9b\u2028\u202e" in out

    def test_output_that_takes_only_ascii(self, monkeypatch: pytest.MonkeyPatch) -> None:
        octets = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(octets, encoding="ascii"))
        monkeypatch.setattr(sys, "argv", ["mipctl", "decode", FIXED + "910401c3a921"])
        assert mipctl.main() == 0
        assert b"text: \\xe9!\n" in octets.getvalue()

    def test_reader_that_has_seen_enough(self, tmp_path: Path) -> None:
        capture = tmp_path / "many.pcap"
        capture.write_bytes(pcap([udp(bytes.fromhex(MULTIPLE))] * 500))
        reading, writing = os.pipe()
        os.close(reading)
        program = "import sys; from agents.mipctl import main; sys.exit(main())"
        command = [sys.executable, "-c", program, "decode", str(capture)]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, "")
