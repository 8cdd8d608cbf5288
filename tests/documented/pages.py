# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that stand in README and docs, and a copy of the checkout to run them in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "tools/README.md",
    ROOT / "results/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
_SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ANY_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(
    r"`((?:sudo|MIP4_\w+=\S+|rm -r|vagrant|python3?|\.venv/bin/[^\s`]+|make|mipctl|mip-[\w-]+|tests/\w+/run)"
    r" [^`\n]*)`"
)
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a reader's shell looks for programs; the environment's own folder is not among these."""


@dataclass(frozen=True, slots=True)
class Documented:
    """A command as it stands on a page."""

    page: str
    command: str
    block: int | None
    """Which of the page's shell blocks it stands in; None: within a sentence or a table."""

    def __str__(self) -> str:
        return f"{self.page}: {self.command}"


def commands() -> Iterator[Documented]:
    """Every line of the shell blocks, and what stands in a sentence as ``program words``."""
    for path in PAGES:
        page, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        for number, block in enumerate(_SHELL_BLOCK.findall(text)):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"(^|\s)#\s.*$", "", line).strip()
                if command:
                    yield Documented(page, command, number)
        for command in _INLINE.findall(_ANY_BLOCK.sub("", text)):
            if "…" not in command:  # what is cut short is no command
                yield Documented(page, command.strip(), None)


def copy_of_the_checkout(folder: Path) -> Path:
    """A copy that a command may change; the environment is the checkout's own."""
    copy = folder / "checkout"
    for name in subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


def run(command: str, folder: Path, limit: float, said: str = "") -> subprocess.CompletedProcess[str]:
    """Carry a command out in a shell, as a reader would.

    :param limit: seconds of wall-clock time.
    :param said: what comes by its stdin.
    """
    if os.geteuid() != 0:
        command = command.removeprefix("sudo ")  # nobody is there to type a password
    variables = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env={**variables, "PATH": SEARCH_PATH},
        input=said,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
