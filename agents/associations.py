# SPDX-License-Identifier: GPL-2.0-or-later
"""A mobility security association as an agent uses it (RFC 5944 §1.6, §3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from agents.settings import SecurityAssociation
from agents.wire import Authentication, AuthenticationType, append, verify


class Peer:
    """The mobility security association with one node: its contexts by SPI (RFC 5944 §1.6)."""

    def __init__(self, contexts: Iterable[SecurityAssociation]) -> None:
        self._contexts = {context.spi: context for context in contexts}
        self.default = next(iter(self._contexts.values()))
        """Used to answer a request of which no context is right: most likely the node has it."""

    def verify(self, payload: bytes, extension: Authentication) -> SecurityAssociation | None:
        """The context under which the extension is genuine, or None."""
        context = self._contexts.get(extension.spi)
        if context is None or not verify(payload, extension, context.algorithm, context.key):
            return None
        return context


def authenticated(payload: bytes, kind: AuthenticationType, context: SecurityAssociation) -> bytes:
    """The message followed by an authentication extension under one context."""
    return append(payload, kind, context.spi, context.algorithm, context.key)
