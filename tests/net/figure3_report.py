# SPDX-License-Identifier: GPL-2.0-or-later
"""Outside the guest: plays a scene of Figure 3 and gives its report and captures to the tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.net.guests import in_guest
from topologies.lab.lab import Lab


class Report:
    """What a scene left in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._steps: dict[str, dict[str, Any]] = json.loads((folder / "report.json").read_text())

    def __getitem__(self, step: str) -> Any:
        """What a step returned; fails the test if the step failed."""
        found = self._steps[step]
        if "error" in found:
            pytest.fail(f"{step} failed inside the guest:\n{found['error']}")
        return found["result"]

    def tshark(self, capture: str, display_filter: str, *fields: str) -> list[list[str]]:
        """Rows of fields of the packets of a capture, as tshark decodes them."""
        command = ["tshark", "-r", str(self.folder / f"{capture}.pcap"), "-Y", display_filter, "-T", "fields"]
        for field in fields:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def tcpdump(self, capture: str, expression: str) -> list[str]:
        """The packets of a capture that match a filter on their outer header."""
        command = ["tcpdump", "-n", "-r", str(self.folder / f"{capture}.pcap"), expression]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.splitlines()


def play(lab: Lab, folder: Path, scene: str) -> Report:
    """Play ``tests.net.SCENE`` in a guest."""
    ended = in_guest(lab, folder, "python", "-P", "-m", f"tests.net.{scene}", str(folder))
    if not (folder / "report.json").exists():
        pytest.fail(f"{scene} ended with {ended.code}:\n{ended.stdout}\n{ended.stderr}")
    return Report(folder)
