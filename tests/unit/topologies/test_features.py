# SPDX-License-Identifier: GPL-2.0-or-later
"""A feature whose module the kernel does not load by itself is tried again with it."""

from __future__ import annotations

import subprocess

import pytest

from topologies import features
from topologies.features import Feature, Outcome

FIRST = features.FEATURES[0]
FOU = Feature("udp-tunnel", "tunnels", lambda: None, "CONFIG_NET_FOU", "fou")
BUILT_IN = Feature("mark-rule", "marks", lambda: None, "CONFIG_IP_MULTIPLE_TABLES")


class Kernel:
    """Which modules there are, and which are loaded."""

    def __init__(self, available: set[str]) -> None:
        self.available = available
        self.loaded: set[str] = set()
        self.calls: list[list[str]] = []

    def attempt(self, feature: Feature) -> Outcome:
        works = feature is FIRST or feature.module in self.loaded
        return Outcome(feature.name, feature.purpose, None if works else "No such file", feature.mend)

    def run(self, words: list[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        self.calls.append(words)
        there = words[-1] in self.available
        self.loaded |= {words[-1]} if there else set()
        return subprocess.CompletedProcess(words, 0 if there else 1)


@pytest.mark.parametrize("available", [{"fou"}, set()])
def test_the_module_is_loaded_and_the_feature_tried_again(
    available: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(available)
    monkeypatch.setattr(features, "attempt", kernel.attempt)
    monkeypatch.setattr("topologies.features.subprocess.run", kernel.run)
    monkeypatch.setattr("topologies.features.shutil.which", lambda name: f"/sbin/{name}")
    outcomes = features.attempt_all([FOU, BUILT_IN])
    assert [outcome.reason is None for outcome in outcomes] == [True, bool(available), False]
    assert kernel.calls == [["modprobe", "--quiet", "fou"]]
