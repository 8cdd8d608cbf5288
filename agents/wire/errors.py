# SPDX-License-Identifier: GPL-2.0-or-later
"""The one family of exceptions that decoders and encoders raise."""

from __future__ import annotations


class WireError(ValueError):
    """Octets that are not a message, or a value that does not fit its field.

    ``reason`` is a fixed word with hyphens, fit to be the name of a counter; ``detail`` is for people.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Truncated(WireError):  # noqa: N818
    """The octets end before the message or one of its extensions does."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("truncated", detail)


class UnknownExtension(WireError):  # noqa: N818
    """A non-skippable extension (0 to 127) that is not recognised.

    The message must be silently discarded (RFC 5944 §1.8).
    """

    def __init__(self, type: int) -> None:
        super().__init__("unknown-extension", f"type {type}")
        self.type = type


class Malformed(WireError):  # noqa: N818
    """Complete octets, or a value to be sent, that break a rule of the format."""
