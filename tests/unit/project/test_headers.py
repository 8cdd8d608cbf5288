# SPDX-License-Identifier: GPL-2.0-or-later
"""Every source file says under which licence it stands."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
IDENTIFIER = "SPDX-License-Identifier: GPL-2.0-or-later"
WITHOUT = {
    ".gitignore",
    "LICENSE",
    "setup/guest.config",  # its content names the kernel's build
    "setup/requirements.lock",  # made by a program
    "setup/ipmininet.lock",
}
PROSE_AND_DATA = {
    ".md",
    ".png",
    ".svg",
    ".pdf",
    ".json",
    ".jsonl",
    ".csv",
    ".pcap",
    ".pcapng",
    ".patch",
    ".gz",
    ".txt",
}


def tracked() -> list[str]:
    """Files git knows, or would know with the next commit."""
    listed = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_every_source_file_names_the_licence() -> None:
    sources = [name for name in tracked() if Path(name).suffix not in PROSE_AND_DATA and name not in WITHOUT]
    assert len(sources) > 200
    missing = [name for name in sources if IDENTIFIER not in (ROOT / name).read_text(errors="replace")[:400]]
    assert missing == []


def test_the_licence_itself_is_there() -> None:
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text()[:200]
