# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the parts of the mobile node put their effects, in the order in which they must happen."""

from __future__ import annotations

from collections import Counter

from agents.effects import Effect, Report

Fields = dict[str, str | int | float | bool | None]


class Outbox:
    """Collects the effects of one input and counts the reports of all."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self.counters: Counter[str] = Counter()
        """Reports by event; those with a reason also as ``event/reason``."""

    def emit(self, *effects: Effect) -> None:
        """Add effects."""
        self._effects += effects

    def report(self, event: str, fields: Fields | None = None, warning: bool = False) -> None:
        """Add a report and count it."""
        fields = fields or {}
        self.counters[event] += 1
        if "reason" in fields:
            self.counters[f"{event}/{fields['reason']}"] += 1
        self._effects.append(Report(event, fields, warning))

    def flush(self) -> list[Effect]:
        """Hand over what was collected."""
        effects, self._effects = self._effects, []
        return effects
