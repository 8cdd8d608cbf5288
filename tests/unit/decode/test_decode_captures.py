# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures: formats and link types, damage, and that no octets whatever cause a traceback."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.decode_capture import CapturedMessage, CaptureError, captured_messages
from agents.decode_message import Key, decode_message, walk_extensions
from agents.wire import Algorithm, Authentication, Extension, Unusable, WireError, decode_registration
from tests.unit.decode.capture_files import (
    COOKED,
    COOKED_2,
    ETHERNET,
    LOOPBACK,
    RAW,
    ip,
    link,
    pcap,
    udp,
)
from tests.unit.wire.vectors import KEY, SPI, VECTORS

REQUEST = bytes.fromhex("012202580a0000050a000001c000020acf1b2d3e12345678")
SOLICITATION = bytes.fromhex("0a00f5ff00000000")
PACKETS = [udp(vector.octets, 40000 + number) for number, vector in enumerate(VECTORS)]
NANOSECONDS = 0xA1B23C4D


def read(octets: bytes, icmp: bool = False) -> list[CapturedMessage]:
    return list(captured_messages(io.BytesIO(octets), icmp))


@pytest.mark.parametrize("link_type", [RAW, ETHERNET, COOKED, COOKED_2, LOOPBACK])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, NANOSECONDS])
def test_pcap(link_type: int, order: str, magic: int) -> None:
    octets = pcap([link(link_type, packet) for packet in PACKETS], link_type, order, magic)
    found = read(octets)
    assert [message.payload for message in found] == [vector.octets for vector in VECTORS]
    assert [message.frame for message in found] == list(range(1, len(VECTORS) + 1))
    assert [message.time for message in found] == pytest.approx([n / 2 for n in range(len(VECTORS))])
    for number, message in enumerate(found):
        assert octets[message.offset :].startswith(message.payload)
        ends = (message.source, message.destination)
        assert ends == (f"192.0.2.10:{40000 + number}", "10.0.0.1:434")
        assert message.fault is None


@pytest.mark.parametrize("form", ["pcapng", "nsecpcap", "pcap"])
@pytest.mark.parametrize("link_type", [RAW, ETHERNET])
def test_files_of_editcap(form: str, link_type: int, tmp_path: Path) -> None:
    program = shutil.which("editcap")
    if program is None:
        pytest.skip("editcap is missing: apt-get install wireshark-common")
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(pcap([link(link_type, packet) for packet in PACKETS], link_type))
    subprocess.run([program, "-F", form, str(source), str(target)], check=True)
    found = read(target.read_bytes())
    assert [message.payload for message in found] == [vector.octets for vector in VECTORS]
    assert [message.time for message in found] == pytest.approx([n / 2 for n in range(len(VECTORS))])


def block(kind: int, body: bytes, order: str = ">") -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = ">") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, options: bytes = b"", order: str = ">") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link_type, 0, 0) + options, order)


def enhanced(packet: bytes, number: int = 0, time: int = 0, order: str = ">") -> bytes:
    head = struct.pack(f"{order}IIIII", number, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
    return block(6, head + packet, order)


def test_pcapng_sections_interfaces_and_resolutions() -> None:
    milliseconds = bytes([0, 9, 0, 1, 3, 0, 0, 0]) + bytes(4)
    quarters = bytes([0, 9, 0, 1, 0x82, 0, 0, 0]) + bytes(4)
    octets = section() + interface(RAW, milliseconds) + interface(ETHERNET, quarters)
    octets += enhanced(udp(REQUEST), 0, 1500) + enhanced(link(ETHERNET, udp(REQUEST)), 1, 9)
    octets += block(5, bytes(8))  # statistics
    octets += block(3, struct.pack(">I", len(udp(REQUEST))) + udp(REQUEST))
    octets += section("<") + interface(COOKED, order="<")
    octets += enhanced(link(COOKED, udp(REQUEST)), 0, 2_000_000, "<")
    found = read(octets)
    assert [message.time for message in found] == [1.5, 2.25, 0.0, 2.0]
    assert [message.frame for message in found] == [1, 2, 3, 4]
    assert all(octets[message.offset :].startswith(REQUEST) for message in found)


def test_vlan_tags() -> None:
    tagged = bytes(12) + b"\x88\xa8\0\1\x81\0\0\2\x08\0" + udp(REQUEST)
    assert [message.payload for message in read(pcap([tagged], ETHERNET))] == [REQUEST]


def test_ip_options_and_ethernet_padding() -> None:
    packet = ip(17, udp(REQUEST)[20:], options=bytes(8))
    frame = link(ETHERNET, packet) + bytes(20)
    assert [message.payload for message in read(pcap([frame], ETHERNET))] == [REQUEST]


def test_only_mobile_ip_counts_but_every_frame_is_numbered() -> None:
    other = [
        udp(REQUEST, 1, 2),
        ip(6, udp(REQUEST)[20:]),
        ip(17, udp(REQUEST)[20:], fragment=0x0001),
        b"\x60" + bytes(60),
        b"",
        ip(1, SOLICITATION),
    ]
    (found,) = read(pcap([*other, udp(REQUEST, 434, 5)]))
    assert found.frame == 7


def test_icmp_only_if_asked_for() -> None:
    octets = pcap([ip(1, SOLICITATION), ip(1, b"\x08\0\xf7\xff\0\0\0\0"), ip(1, b"")])
    assert read(octets) == []
    (found,) = read(octets, icmp=True)
    assert (found.payload, found.icmp, found.source) == (SOLICITATION, True, "192.0.2.10")


@pytest.mark.parametrize(
    ("packet", "cut", "fault"),
    [
        (udp(REQUEST), 40, "truncated: 12 of 24 octets were captured"),
        (ip(17, udp(REQUEST)[20:], fragment=0x2000), 99, "fragmented: only the first fragment is read"),
        (
            udp(REQUEST)[:24] + b"\0\7" + udp(REQUEST)[26:],
            99,
            "bad-length: the packet ends inside its headers",
        ),
    ],
)
def test_incomplete_payload(packet: bytes, cut: int, fault: str) -> None:
    (found,) = read(pcap([packet], cut=cut))
    assert found.fault == fault


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not a capture"),
        (b"\xd4", "truncated"),
        (b"text of a page", "not a capture"),
        (pcap([])[:20], "truncated"),
        (pcap([udp(REQUEST)], 147), "link type 147 is not supported"),
        (pcap([])[:24] + struct.pack("<IIII", 0, 0, 1 << 31, 1), "damaged"),
        (section()[:12], "truncated"),
        (struct.pack(">III", 0x0A0D0D0A, 28, 0), "damaged"),
        (section() + struct.pack(">II", 6, 8), "damaged"),
        (section() + block(1, b""), "damaged"),
        (section() + interface(RAW) + block(6, bytes(4)), "damaged"),
        (section() + enhanced(udp(REQUEST)), "damaged"),
    ],
)
def test_damage(octets: bytes, reason: str) -> None:
    with pytest.raises(CaptureError, match=reason):
        read(octets)


def test_what_stands_before_the_damage_is_read() -> None:
    messages = captured_messages(io.BytesIO(pcap(PACKETS)[:-1]), False)
    assert [next(messages).payload for _ in VECTORS[:-1]] == [vector.octets for vector in VECTORS[:-1]]
    with pytest.raises(CaptureError, match="truncated"):
        next(messages)


SEEDS = [
    pcap([link(ETHERNET, packet) for packet in PACKETS[:2]], ETHERNET),
    section() + interface(RAW) + enhanced(PACKETS[0]) + enhanced(ip(1, SOLICITATION)),
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=6))
@settings(max_examples=300, deadline=None)
def test_no_damage_is_a_traceback(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    octets = seed
    for place, new in changes:
        octets = octets[:place] + new + octets[place + len(new) :]
    try:
        found = read(octets, icmp=True)
    except CaptureError:
        return
    for message in found:
        decode_message(message.payload, message.offset, [], message.icmp)


def walked(octets: bytes, fixed_part: int) -> tuple[list[Extension], str | None]:
    """What the walk yields, and the reason why it ends."""
    extensions = []
    try:
        for _, extension in walk_extensions(octets, fixed_part):
            extensions.append(extension)
    except WireError as error:
        return extensions, error.reason
    return extensions, None


def refusal(octets: bytes) -> str | None:
    """Why the agents refuse a message."""
    try:
        decode_registration(octets)
    except WireError as error:
        return error.reason
    return None


def covered(extension: Extension) -> int | None:
    return extension.covered if isinstance(extension, Authentication) else None


KINDS = st.sampled_from(
    [0, 32, 33, 34, 36, 38, 44, 45, 48, 51, 127, 130, 131, 134, 139, 144, 145, 148, 154, 200]
)
SOUP = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.tuples(KINDS, st.binary(max_size=30)).map(lambda x: bytes([x[0], len(x[1])]) + x[1]),
        st.tuples(KINDS, st.integers(0, 2), st.binary(max_size=9)).map(
            lambda x: bytes([x[0], x[1], 0, len(x[2])]) + x[2]
        ),
    ),
    max_size=5,
).map(b"".join)


@given(SOUP)
@settings(max_examples=600, deadline=None)
def test_extensions_are_read_as_the_agents_read_them(soup: bytes) -> None:
    octets = REQUEST + soup
    extensions, reason = walked(octets, len(REQUEST))
    assert reason == refusal(octets)
    if reason is None:
        expected = decode_registration(octets).extensions
        assert tuple(extensions) == expected
        assert [covered(one) for one in extensions] == [covered(other) for other in expected]
    message = decode_message(octets, 0, [Key(SPI, KEY, Algorithm.HMAC_MD5)], False)
    unusable = any(isinstance(extension, Unusable) for extension in extensions)
    assert (message.error is None) == (reason is None and not unusable)
    assert len(message.parts) == len(extensions)


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_octets_give_a_document(octets: bytes, icmp: bool) -> None:
    assert decode_message(octets, 7, [], icmp).document()["offset"] == 7


@pytest.mark.parametrize("extension", ["c800", "9a03c80000"])
def test_a_large_hostile_message_is_read_in_time(extension: str) -> None:
    """Also one whose octets could each time be read as a very long extension."""
    octets = REQUEST + bytes.fromhex(extension) * (64_000 * 2 // len(extension))
    began = time.process_time()
    assert len(decode_message(octets, 0, [], False).parts) > 10_000
    assert time.process_time() - began < 5.0
