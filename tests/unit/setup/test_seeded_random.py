# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's random source, against published values of splitmix64."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "setup" / "seeded_random.c"

# The first five outputs for the seed 1234567, from the generator's reference implementation.
REFERENCE = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random") / "libseeded-random.so"
    subprocess.run(
        ["gcc", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-o", path, SOURCE], check=True
    )
    return path


def drawn(library: Path, seed: str | None, *lengths: int) -> subprocess.CompletedProcess[str]:
    """One process that calls getrandom() once per length; prints each result in hexadecimal.

    The library is preloaded, as for the guest, and the C library's name is looked up: so this also
    shows that ours is the one a program gets.
    """
    program = (
        "import ctypes, sys\n"
        "for length in map(int, sys.argv[1:]):\n"
        "    buffer = ctypes.create_string_buffer(length)\n"
        "    assert ctypes.CDLL(None).getrandom(buffer, length, 0) == length\n"
        "    print(buffer.raw.hex())\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GUEST_SEED"}
    # Fixed, or the interpreter itself draws from the sequence when it starts.
    environment |= {"LD_PRELOAD": str(library), "PYTHONHASHSEED": "0"}
    if seed is not None:
        environment["GUEST_SEED"] = seed
    return subprocess.run(
        [sys.executable, "-S", "-c", program, *map(str, lengths)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sequence_is_that_of_the_reference(library: Path) -> None:
    expected = b"".join(word.to_bytes(8, "little") for word in REFERENCE).hex()
    assert drawn(library, "1234567", 40).stdout.split() == [expected]


def test_a_call_begins_with_a_fresh_word(library: Path) -> None:
    words = [word.to_bytes(8, "little").hex() for word in REFERENCE]
    assert drawn(library, "1234567", 3, 8, 12).stdout.split() == [
        words[0][:6],
        words[1],
        words[2] + words[3][:8],
    ]


@pytest.mark.parametrize("seed", ["0", str(2**64 - 1)])
def test_every_64_bit_seed_is_taken(library: Path, seed: str) -> None:
    assert drawn(library, seed, 8).returncode == 0


@pytest.mark.parametrize("seed", [None, "", "-1", "0x10", "12 ", str(2**64)])
def test_a_bad_seed_ends_the_process(library: Path, seed: str | None) -> None:
    done = drawn(library, seed, 8)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "GUEST_SEED" in done.stderr
