# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures at both ends of a measurement, inside the lab kernel. They are read outside.

Headers only, on all interfaces of a node.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

from topologies.network import LabNode

SNAP_LENGTH = 96
"""Octets kept: 20 of the link header, then IP and TCP with its timestamps, or UDP and iperf's number."""
_BUFFER_KIB = 16_384
_BLOCK_TIME = 1.1
"""Seconds after which the kernel hands over a block of packets that is not full (tcpdump asks for 1)."""
_START_LIMIT = 10.0
_END_LIMIT = 30.0


class CaptureFailedError(RuntimeError):
    """tcpdump did not run as it must; says where and what it said."""


class Capture:
    """tcpdump on one node. Leaving the context ends it without a word."""

    def __init__(self, node: LabNode, wanted: str, file: Path) -> None:
        """Start to capture what matches ``wanted``, an expression of pcap-filter(7).

        :raises CaptureFailedError: if it does not start.
        """
        self._node = node
        self._log = file.with_suffix(".log")
        command = ["tcpdump", "-i", "any", "-y", "LINUX_SLL2", "--time-stamp-precision=nano", "-n"]
        # By its output: a file of its own it would give to root, which an ordinary user's guest cannot.
        command += ["-Z", "root", "-s", str(SNAP_LENGTH), "-B", str(_BUFFER_KIB), "-w", "-", wanted]
        with open(self._log, "wb") as log, open(file, "wb") as packets:
            self._process = node.popen(command, stdin=subprocess.DEVNULL, stdout=packets, stderr=log)
        deadline = time.monotonic() + _START_LIMIT
        while "listening on" not in self._log.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.abandon()
                raise CaptureFailedError(f"{node.name}: tcpdump did not start: {self._said()}")
            time.sleep(0.01)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-500:].strip()

    def abandon(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def finish(self) -> None:
        """Write the rest and end.

        :raises CaptureFailedError: if it ended badly or packets are missing from the file.
        """
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_LIMIT)
        except subprocess.TimeoutExpired:
            raise CaptureFailedError(f"{self._node.name}: tcpdump did not end: {self._said()}") from None
        if self._process.returncode:
            raise CaptureFailedError(f"{self._node.name}: tcpdump ended with an error: {self._said()}")
        missed = re.search(r"(\d+) packets? dropped by kernel", self._said())
        if missed is None or int(missed[1]):
            raise CaptureFailedError(f"{self._node.name}: the capture is not complete: {self._said()}")


def await_last_packets() -> None:
    """Wait until the kernel has handed over what it holds: tcpdump does not ask for it when it ends."""
    time.sleep(_BLOCK_TIME)
