# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the guest kernel that ``make setup`` built and cached outside the checkout."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
RECIPE = {
    "fragment_sha256": ROOT / "setup" / "guest.config",
    "patch_sha256": ROOT / "setup" / "guest.patch",
}
"""What a kernel is made from besides its source, by the field of its manifest with the digest."""
CACHE_NAME = "mip4-multiple-tunnels"


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A cached User-Mode Linux kernel."""

    binary: Path
    seeded_random: Path
    """Shared object that feeds the kernel's ``getrandom`` from a seed."""
    key: str
    """Names source version, configuration fragment, patch and compiler; part of every result."""
    source_version: str


def cache_folders() -> list[Path]:
    """Where kernels are looked for: this user's cache, then the machine's."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [user / CACHE_NAME, Path("/var/cache") / CACHE_NAME]


def _version_order(version: str) -> list[tuple[int, str]]:
    return [(int(number or 0), word) for number, word in re.findall(r"(\d*)(\D*)", version)]


def find() -> GuestKernel | None:
    """The newest cached kernel built by this checkout's recipe, or None."""
    wanted = {field: hashlib.sha256(path.read_bytes()).hexdigest() for field, path in RECIPE.items()}
    found: list[GuestKernel] = []
    for manifest in (path for folder in cache_folders() for path in folder.glob("guest-*/manifest.json")):
        try:
            facts = json.loads(manifest.read_text())
            kernel = GuestKernel(
                binary=manifest.parent / "linux",
                seeded_random=manifest.parent / "libseeded-random.so",
                key=str(facts["key"]),
                source_version=str(facts["source_version"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue  # an unreadable entry is no kernel; set-up will build one
        complete = os.access(kernel.binary, os.X_OK) and kernel.seeded_random.exists()
        if complete and wanted.items() <= facts.items():
            found.append(kernel)
    return max(found, key=lambda kernel: _version_order(kernel.source_version), default=None)
