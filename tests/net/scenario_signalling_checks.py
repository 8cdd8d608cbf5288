# SPDX-License-Identifier: GPL-2.0-or-later
"""Outside the guest: registrations on their way through a foreign agent, as tshark and openssl read them."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping

from tests.net.figure3_report import Report
from tests.net.scenario_report import HOME_ADDRESS, HOME_AGENT, ROUTERS

_KEY = "000102030405060708090a0b0c0d0e0f"
_FIXED = {1: 24, 3: 20}
_AUTHENTICATION = 22
"""Octets of a Mobile-Home Authentication with HMAC-MD5."""


def _messages(report: Report, capture: str) -> list[tuple[str, str, str, bytes]]:
    """Source, destination, TTL and payload of each message."""
    fields = ("ip.src", "ip.dst", "ip.ttl", "udp.payload")
    return [
        (source, destination, ttl, bytes.fromhex(payload.replace(":", "")))
        for source, destination, ttl, payload in report.tshark(capture, "udp.port == 434", *fields)
    ]


def _check_authenticated(message: bytes) -> None:
    assert message[-_AUTHENTICATION] == 32
    command = ["openssl", "dgst", "-md5", "-mac", "HMAC", "-macopt", f"hexkey:{_KEY}", "-binary"]
    data = message[:-16]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=20)
    assert done.stdout == message[-16:]


def check_hop_by_hop(report: Report, care_of_addresses: Mapping[str, str]) -> None:
    """Captures ``hop-LINK`` and ``hop-internet``: each message well formed, and relayed as it should be.

    :param care_of_addresses: by link behind the foreign agent, the address its requests are relayed from.
    """
    assert report["signalling"]["bindings"] == [1, 2, 3, 4]
    captures = [*(f"hop-{link}" for link in care_of_addresses), "hop-internet"]
    for capture in captures:
        rows = report.tshark(capture, "udp", "frame.protocols", "udp.checksum.status")
        assert rows, capture
        assert {protocols.split(":")[-1] for protocols, _ in rows} == {"mip"}, capture
        assert report.tshark(capture, "_ws.malformed", "frame.number") == [], capture
    beyond = _messages(report, "hop-internet")
    requests = Counter((source, message) for source, _, _, message in beyond if message[0] == 1)
    replies = Counter((destination, message) for _, destination, _, message in beyond if message[0] == 3)
    relayed: Counter[tuple[str, bytes]] = Counter()
    answered: Counter[tuple[str, bytes]] = Counter()
    for link, care_of_address in care_of_addresses.items():
        for source, destination, ttl, message in _messages(report, f"hop-{link}"):
            assert message[0] in _FIXED
            _check_authenticated(message)
            if message[0] == 1:
                assert (source, destination, ttl) == (HOME_ADDRESS, ROUTERS[link], "255")  # RFC 3024 §3.2
                relayed[care_of_address, message] += 1
            else:
                assert (source, destination) == (ROUTERS[link], HOME_ADDRESS)
                assert message[1] == 0
                answered[care_of_address, message] += 1
    assert min(relayed.values()) == max(relayed.values()) == 1
    assert len(relayed) >= 3 * len(care_of_addresses)  # given up, registered, registered again
    # Nothing behind the Mobile-Home Authentication, so all is relayed as it came (RFC 5944 §3.7.2.2).
    assert requests == relayed
    assert replies == answered
    ends = {(source, destination) for source, destination, _, message in beyond if message[0] == 1}
    assert ends == {(address, HOME_AGENT) for address in care_of_addresses.values()}
