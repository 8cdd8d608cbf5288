# SPDX-License-Identifier: GPL-2.0-or-later
"""A defence switched off in the code, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defence switched off."""

    defence: str
    file: str
    before: str
    """Stands once in the file."""
    after: str
    tests: tuple[str, ...]
    """Each must fail."""

    @property
    def needs_guest(self) -> bool:
        """Whether the defence is the kernel's: its tests play a scene, and take minutes."""
        return any(test.startswith("tests/net/") for test in self.tests)


def mutant(defence: str, file: str, before: str, after: str, *tests: str) -> Mutant:
    """A defence that attack tests guard; ``tests`` are ``FILE::TEST`` without the files' common beginning."""
    return Mutant(defence, file, before, after, tuple(f"tests/attacks/test_attack_{test}" for test in tests))


def kernel_mutant(defence: str, file: str, before: str, after: str, *tests: str) -> Mutant:
    """A defence of the kernel, which network tests guard."""
    return Mutant(defence, file, before, after, tuple(f"tests/net/test_scenarios_{test}" for test in tests))
