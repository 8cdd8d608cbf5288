# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests must not leave behind. Others may run guests on this machine at the same time."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

TOKEN = f"MIP4_TEST={uuid.uuid4()}"
"""In the environment of everything these tests start, the guests' kernels included."""


def survivors() -> list[str]:
    """Command lines of what these tests started and still runs, this process aside."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = TOKEN.encode() in (process / "environ").read_bytes()
            command = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if ours and process.name != str(os.getpid()):
            found.append(command)
    return found


def guest_folders(mark: str) -> list[Path]:
    """Folders of guests whose job speaks of ``mark``; those of others are none of our business."""
    found = []
    for job in Path("/tmp").glob("mip4-guest-*/job.json"):
        try:
            if mark in json.dumps(json.loads(job.read_text()), ensure_ascii=False):
                found.append(job.parent)
        except (OSError, ValueError):
            continue
    return found
