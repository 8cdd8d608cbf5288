# SPDX-License-Identifier: GPL-2.0-or-later
"""What tshark, an independent decoder, reads in our messages.

It knows neither the Multiple Tunnel Request (shown as an unknown extension whose end it finds by the
Length octet) nor Type 154, and it does not verify authenticators.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agents.wire import (
    AdvertisementFlags,
    AgentAdvertisement,
    Algorithm,
    AuthenticationType,
    EncapsulatingDeliveryStyle,
    Extension,
    MessageString,
    MobileNodeNai,
    Recognised,
    RequestFlags,
    RevocationSupport,
    RouterSolicitation,
    TunnelData,
    UdpTunnelReply,
    UdpTunnelRequest,
    VendorExtension,
    append,
    encode_extension,
)
from tests.unit.wire.vectors import KEY, SPI, TUNNEL_REQUEST, reply, request

UDP, ICMP = 17, 1
LINKTYPE_RAW = 101
BOOLEANS = {"True": "1", "False": "0"}


def _internet_checksum(octets: bytes) -> int:
    words = struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + b"\0" * (len(octets) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _ip(protocol: int, payload: bytes) -> bytes:
    source, destination = IPv4Address("192.0.2.10").packed, IPv4Address("10.0.0.1").packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    checksum = _internet_checksum(header + source + destination)
    return header[:10] + checksum.to_bytes(2, "big") + source + destination + payload


def _udp(payload: bytes) -> bytes:
    # Checksum 0, "none": the datagram is not what is tested.
    return struct.pack("!HHHH", 434, 434, 8 + len(payload), 0) + payload


@dataclass(frozen=True)
class Case:
    """A message of ours and what tshark must show, field by field, all occurrences."""

    name: str
    protocol: int
    payload: bytes
    fields: dict[str, str]


def _signed(*extensions: Extension) -> bytes:
    return append(request(*extensions).encode(), AuthenticationType.MOBILE_HOME, SPI, Algorithm.HMAC_MD5, KEY)


KEEPALIVE = bytes.fromhex("4500001c00010000400166db0a0000050a0000010800f7fd00010001")
ADVERTISEMENT = AgentAdvertisement(
    router_addresses=((IPv4Address("192.0.2.1"), 5),),
    lifetime=9,
    sequence=7,
    registration_lifetime=600,
    flags=AdvertisementFlags.R | AdvertisementFlags.F | AdvertisementFlags.T | AdvertisementFlags.U,
    care_of_addresses=(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")),
    prefix_lengths=(24,),
    challenge=bytes.fromhex("01020304"),
)

CASES: tuple[Case, ...] = (
    Case(
        "request",
        UDP,
        _signed(),
        {
            "mip.type": "1",
            "mip.s": "0",
            "mip.b": "0",
            "mip.d": "1",
            "mip.m": "0",
            "mip.g": "0",
            "mip.v": "0",
            "mip.t": "1",
            "mip.x": "0",
            "mip.life": "600",
            "mip.homeaddr": "10.0.0.5",
            "mip.haaddr": "10.0.0.1",
            "mip.coa": "192.0.2.10",
            "mip.ext.type": "32",
            "mip.ext.len": "20",
            "mip.auth.spi": "0x00000100",
            "mip.auth.auth": "fe205734bc14d06aefd2d94020227fa4",
        },
    ),
    Case(
        "multiple tunnel request",
        UDP,
        _signed(TUNNEL_REQUEST),
        {
            "mip.ext.type": "127,32",
            "mip.ext.len": "10,20",
            "mip.extension": "0004000100000000186a",
            "mip.auth.auth": "bff9c1d7814302d331cef692edf61c6a",
        },
    ),
    Case(
        "request with what the home agent and the foreign agent read",
        UDP,
        _signed(
            MobileNodeNai(b"mn@example.com"),
            UdpTunnelRequest(force=True, registration_required=False, encapsulation=47),
            RevocationSupport(inform=True, timestamp=0x01020304),
            Recognised(148, bytes.fromhex("00180a050000")),
            VendorExtension(critical=False, vendor=9, vendor_type=3, value=b"\x01\x02"),
            VendorExtension(critical=True, vendor=9, vendor_type=4, value=b"\x05"),
        )
        + encode_extension(EncapsulatingDeliveryStyle()),
        {
            "mip.ext.type": "131,144,137,148,134,38,32,130",
            "mip.nai": "mn@example.com",
            "mip.ext.utrq.subtype": "0",
            "mip.ext.utrq.f": "1",
            "mip.ext.utrq.r": "0",
            "mip.ext.utrq.encaptype": "47",
            "mip.ext.rev.i": "1",
            "mip.ext.rev.tstamp": str(0x01020304),
            "mip.ext.mne.prefix": "10.5.0.0",
            "mip.ext.mne.prefix_length": "24",
            "mip.ext.nvse.vendor_id": "9",
            "mip.ext.nvse.vendor_type": "3",
            "mip.ext.nvse.vendor_value": "0102",
            "mip.ext.cvse.vendor_id": "9",
            "mip.ext.cvse.vendor_type": "0x0004",
            "mip.ext.cvse.vendor_value": "05",
        },
    ),
    Case(
        "reply",
        UDP,
        append(
            reply(
                0, 60, UdpTunnelReply(code=64, force=True, keepalive=110), MessageString(1, "hello")
            ).encode(),
            AuthenticationType.FOREIGN_HOME,
            0xDEADBEEF,
            Algorithm.HMAC_SHA256,
            KEY,
        ),
        {
            "mip.type": "3",
            "mip.code": "0",
            "mip.life": "60",
            "mip.homeaddr": "10.0.0.5",
            "mip.haaddr": "10.0.0.1",
            "mip.ext.type": "44,145,34",
            "mip.ext.utrp.code": "64",
            "mip.ext.utrp.f": "1",
            "mip.ext.utrp.keepalive": "110",
            "mip.ext.msgstr.subtype": "1",
            "mip.ext.msgstr.text": "hello",
            "mip.auth.spi": "0xdeadbeef",
        },
    ),
    Case("denial", UDP, reply(133, 0).encode(), {"mip.type": "3", "mip.code": "133"}),
    Case(
        "tunnel data",
        UDP,
        TunnelData(next_header=4, payload=KEEPALIVE).encode(),
        {"mip.type": "4", "mip.nattt.nexthdr": "4", "ip.src": "192.0.2.10,10.0.0.5", "icmp.type": "8"},
    ),
    Case(
        "agent advertisement",
        ICMP,
        ADVERTISEMENT.encode(),
        {
            "icmp.type": "9",
            "icmp.code": "16",
            "icmp.checksum.status": "1",
            "icmp.mip.type": "16,19,24,0",
            "icmp.mip.seq": "7",
            "icmp.mip.life": "600",
            "icmp.mip.r": "1",
            "icmp.mip.b": "0",
            "icmp.mip.h": "0",
            "icmp.mip.f": "1",
            "icmp.mip.rt": "1",
            "icmp.mip.u": "1",
            "icmp.mip.x": "0",
            "icmp.mip.coa": "192.0.2.1,192.0.2.2",
            "icmp.mip.prefixlength": "24",
            "icmp.mip.challenge": "01020304",
        },
    ),
    Case(
        "solicitation",
        ICMP,
        RouterSolicitation().encode(),
        {"icmp.type": "10", "icmp.code": "0", "icmp.checksum.status": "1"},
    ),
)
FLAG_FIELDS = {
    RequestFlags.S: "mip.s",
    RequestFlags.B: "mip.b",
    RequestFlags.D: "mip.d",
    RequestFlags.M: "mip.m",
    RequestFlags.G: "mip.g",
    RequestFlags.R_IGNORED: "mip.v",
    RequestFlags.T: "mip.t",
    RequestFlags.X_IGNORED: "mip.x",
}
CASES += tuple(
    Case(
        f"flag {flag.name}",
        UDP,
        replace(request(), flags=flag).encode(),
        {field: str(int(other is flag)) for other, field in FLAG_FIELDS.items()},
    )
    for flag in FLAG_FIELDS
)
FIELDS = sorted({field for case in CASES for field in case.fields})


@pytest.fixture(scope="module")
def tshark(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Gives the lines that tshark prints about one packet per case, in their order."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is missing: apt-get install tshark")
    capture: Path = tmp_path_factory.mktemp("capture") / "messages.pcap"
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_RAW)
    for second, case in enumerate(CASES):
        packet = _ip(case.protocol, _udp(case.payload) if case.protocol == UDP else case.payload)
        octets += struct.pack("<IIII", second, 0, len(packet), len(packet)) + packet
    capture.write_bytes(octets)

    def run(*arguments: str) -> list[str]:
        result = subprocess.run(
            [program, "-n", "-r", str(capture), *arguments], capture_output=True, text=True, check=True
        )
        return result.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def shown(tshark: Callable[..., list[str]]) -> list[dict[str, str]]:
    """Field by field what tshark shows of each case."""
    selected = [argument for field in FIELDS for argument in ("-e", field)]
    lines = tshark("-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", *selected)
    # From version 4.2 on a boolean reads True or False.
    return [
        {field: BOOLEANS.get(value, value) for field, value in zip(FIELDS, line.split("\t"), strict=True)}
        for line in lines
    ]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_fields(number: int, shown: list[dict[str, str]]) -> None:
    case = CASES[number]
    assert {field: shown[number][field] for field in case.fields} == case.fields


def test_nothing_is_malformed(tshark: Callable[..., list[str]]) -> None:
    text = tshark("-V")
    assert len([line for line in text if line.startswith("Frame ")]) == len(CASES)
    assert not [line for line in text if "alformed" in line]
