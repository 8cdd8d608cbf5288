# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers the draft leaves open (its placeholders IANA-1 to IANA-3)."""

from __future__ import annotations

from dataclasses import dataclass

_TAKEN = frozenset({0, 32, 33, 34, 36, 38, *range(40, 51)})
"""Non-skippable numbers that IANA gave to other extensions."""


@dataclass(frozen=True, slots=True)
class WireProfile:
    """Type and code numbers, and the form of the extension as sent (FACTS §9, G1, G4).

    :raises ValueError: if the extension's number belongs to another extension or is skippable, if a
        code is not of the agent that sends it, or if the length is not one that can be sent.
    """

    multiple_tunnel_request: int = 127
    """Extension type, IANA-1; the default is the experimental one of RFC 4064."""
    denied_by_home_agent: int = 192
    """Reply code, IANA-2."""
    denied_by_foreign_agent: int = 127
    """Reply code, IANA-3."""
    request_length: int = 10
    """Length octet of the extension as sent: 10 with, 6 without Interface Bandwidth."""

    def __post_init__(self) -> None:
        if not 0 < self.multiple_tunnel_request < 128 or self.multiple_tunnel_request in _TAKEN:
            raise ValueError(
                f"multiple_tunnel_request {self.multiple_tunnel_request}: choose 127 or one of 51 to 126"
            )
        if not 128 <= self.denied_by_home_agent <= 192:
            raise ValueError(f"denied_by_home_agent {self.denied_by_home_agent}: choose one of 128 to 192")
        if not 64 <= self.denied_by_foreign_agent <= 127:
            raise ValueError(
                f"denied_by_foreign_agent {self.denied_by_foreign_agent}: choose one of 64 to 127"
            )
        if self.request_length not in (6, 10):
            raise ValueError(f"request_length {self.request_length}: choose 10 or 6")


DRAFT_02 = WireProfile()
"""The experimental numbers of RFC 4064, which no later assignment can take."""
