# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel step of set-up, driven with stand-ins for apt, make and gcc."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.unit.setup.shell import ROOT, STUBBORN, copy_of_checkout, interrupt, run, start, survivors

FRAGMENT = ROOT / "setup" / "guest.config"
PATCH = ROOT / "setup" / "guest.patch"

# What the kernel step calls from outside; the rest of it is the real thing.
STAND_INS = """
shared_cache=${PWD%/*}/shared
user_cache=${PWD%/*}/user
own_cache=$user_cache
choose_source() { source_package=linux-source-6.12; source_version=6.12.9-1; apt_options=(); }
fetch_source() { mkdir -p "$own_cache/sources"; archive=$own_cache/sources/archive; : >"$archive"; }
unpack_source() { mkdir "$tree" && cp configuration "$tree/.config"; }
configure_kernel() { :; }
compile_kernel() { touch "$tree/object-file" "$tree/build.log"; eval "$COMPILE"; }
compile_seeded_random() { echo library >"$1/libseeded-random.so"; }
check_kernel() { :; }
build_space=1
"""
BUILD = STAND_INS + "begin 1; kernel_step"
COMPILE = 'echo kernel >"$tree/linux"; chmod 700 "$tree/linux"'


def build(folder: Path, compile_command: str = COMPILE) -> tuple[int, str, str]:
    return run(folder, BUILD, COMPILE=compile_command)


def cached(folder: Path) -> list[str]:
    """What the cache holds besides the downloads, leaving no temporary folder unseen."""
    assert not list(folder.glob("tmp.*"))
    return sorted(path.name for path in (folder.parent / "user").iterdir() if path.name != "sources")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout, and a kernel configuration that has all the fragment asks for."""
    checkout = copy_of_checkout(tmp_path)
    (checkout / "configuration").write_text(FRAGMENT.read_text())
    return checkout


def test_the_fragment_is_well_formed() -> None:
    lines = [line for line in FRAGMENT.read_text().splitlines() if "CONFIG_" in line]
    options = [re.fullmatch(r"(?:CONFIG_(\w+)=(?:y|\d+)|# CONFIG_(\w+) is not set)", line) for line in lines]
    assert None not in options
    names = [match[1] or match[2] for match in options if match]
    assert len(names) == len(set(names)) > 100


@pytest.mark.parametrize(
    ("configuration", "unmet"),
    [
        ("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=7\n", ""),
        ("CONFIG_A=y\nCONFIG_C=7\n", ""),
        ("# CONFIG_A is not set\nCONFIG_C=7\n", "CONFIG_A=y\n"),
        ("CONFIG_AA=y\nCONFIG_C=7\n", "CONFIG_A=y\n"),
        ("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=77\n", "# CONFIG_B is not set\nCONFIG_C=7\n"),
        ("CONFIG_A=y\nCONFIG_BB=y\nCONFIG_C=7\n", ""),
    ],
)
def test_lines_without_effect_are_found(place: Path, configuration: str, unmet: str) -> None:
    (place / "fragment").write_text("# words\nCONFIG_A=y\n# CONFIG_B is not set\n\nCONFIG_C=7\n")
    (place / "configuration").write_text(configuration)
    assert run(place, "unmet_lines fragment configuration") == (0, unmet, "")


def test_a_build_fills_the_cache(place: Path) -> None:
    status, _, err = build(place)
    assert status == 0, err
    (name,) = cached(place)
    folder = place.parent / "user" / name
    assert sorted(path.name for path in folder.iterdir()) == ["libseeded-random.so", "linux", "manifest.json"]
    assert (folder / "linux").stat().st_mode & 0o777 == 0o755
    manifest = json.loads((folder / "manifest.json").read_text())
    compiler = subprocess.run(
        ["gcc", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    material = f"6.12.9-1\n{compiler}\n".encode() + FRAGMENT.read_bytes() + PATCH.read_bytes()
    assert manifest == {
        "schema": 1,
        "key": hashlib.sha256(material).hexdigest()[:16],
        "source_package": "linux-source-6.12",
        "source_version": "6.12.9-1",
        "fragment_sha256": hashlib.sha256(FRAGMENT.read_bytes()).hexdigest(),
        "patch_sha256": hashlib.sha256(PATCH.read_bytes()).hexdigest(),
        "seeded_random_sha256": hashlib.sha256((ROOT / "setup" / "seeded_random.c").read_bytes()).hexdigest(),
        "compiler": compiler,
    }
    assert name == f"guest-{manifest['key']}"


def test_a_second_call_builds_nothing(place: Path) -> None:
    assert build(place)[0] == 0
    assert build(place, "false")[0] == 0


def test_a_kernel_in_the_shared_cache_is_enough(place: Path) -> None:
    assert build(place)[0] == 0
    (place.parent / "user").rename(place.parent / "shared")
    assert build(place, "false")[0] == 0
    assert not (place.parent / "user").exists()


def test_the_newest_source_version_is_taken(place: Path) -> None:
    assert build(place)[0] == 0
    (first,) = (place.parent / "user").glob("guest-*")
    for version in ("6.12.10-1", "6.1.200-1"):
        other = place.parent / "shared" / f"guest-{version}"
        other.mkdir(parents=True)
        for part in ("linux", "libseeded-random.so"):
            (other / part).write_bytes(b"")
            (other / part).chmod(0o755)
        (other / "manifest.json").write_text(
            (first / "manifest.json").read_text().replace("6.12.9-1", version)
        )
    assert run(place, STAND_INS + 'find_kernel; echo "$kernel_version"')[1] == "6.12.10-1\n"


@pytest.mark.parametrize("part", ["linux", "libseeded-random.so", "manifest.json"])
def test_an_incomplete_kernel_is_built_again(place: Path, part: str) -> None:
    assert build(place)[0] == 0
    (folder,) = (place.parent / "user").glob("guest-*")
    (folder / part).unlink()
    assert build(place)[0] == 0
    assert (folder / part).exists()
    assert len(cached(place)) == 1


@pytest.mark.parametrize("part", ["seeded_random", "patch"])
def test_another_ingredient_is_another_kernel(place: Path, part: str) -> None:
    assert build(place)[0] == 0
    (manifest,) = (place.parent / "user").glob("guest-*/manifest.json")
    text = manifest.read_text()
    manifest.write_text(re.sub(rf'("{part}_sha256": ")\w+', r"\g<1>0", text))
    assert build(place)[0] == 0
    assert manifest.read_text() == text


def test_a_fragment_without_effect_ends_the_build(place: Path) -> None:
    text = FRAGMENT.read_text().replace("CONFIG_NET_SCH_NETEM=y", "# CONFIG_NET_SCH_NETEM is not set")
    (place / "configuration").write_text(text)
    status, _, err = build(place)
    assert status == 1
    assert "CONFIG_NET_SCH_NETEM=y" in err
    assert not list((place.parent / "user").glob("guest-*"))


def test_a_failed_compilation_shows_its_end_and_leaves_no_kernel(place: Path) -> None:
    status, _, err = build(place, 'echo "fatal error: no more ink" >>"$tree/build.log"; false')
    assert status == 1
    assert "no more ink" in err
    assert not list((place.parent / "user").glob("guest-*"))


@pytest.mark.parametrize("whole_group", [True, False], ids=["keyboard", "one-process"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_goes_on_later(place: Path, number: signal.Signals, whole_group: bool) -> None:
    process = start(place, BUILD, COMPILE=STUBBORN)
    err = interrupt(process, place / "started", number, whole_group)
    assert err.rstrip().endswith("call it again to go on")
    assert process.returncode == 130
    assert survivors(process.pid) == []
    (tree,) = cached(place)
    assert tree.startswith("build-")
    assert (place.parent / "user" / tree / "object-file").exists()

    assert build(place)[0] == 0
    (kernel,) = cached(place)
    assert kernel.startswith("guest-")


def test_an_interrupted_unpacking_leaves_no_tree(place: Path) -> None:
    # The real unpack_source; the archive tool alone stands in.
    text = (
        STAND_INS.replace("unpack_source()", "unused()")
        + f"dpkg-deb() {{ {STUBBORN}; }}\nbegin 1; kernel_step"
    )
    process = start(place, text, COMPILE=COMPILE)
    interrupt(process, place / "started", signal.SIGINT, whole_group=True)
    assert process.returncode == 130
    assert survivors(process.pid) == []
    assert cached(place) == []


def test_two_builds_at_once_make_one_kernel(place: Path) -> None:
    both = [start(place, BUILD, COMPILE=f"echo x >>count; sleep 1; {COMPILE}") for _ in range(2)]
    assert [(process.communicate(timeout=30), process.returncode)[1] for process in both] == [0, 0]
    assert (place / "count").read_text() == "x\n"


def test_a_kernel_is_usable_however_much_the_tools_say(place: Path) -> None:
    """One whose check had read enough before ldd had said all was refused, after ten minutes of building."""
    (place / "linux").write_text("#!/bin/sh\necho 6.12.9\n")
    (place / "linux").chmod(0o755)
    tools = """
source_package=linux-source-6.12
ldd() { echo libc.so.6; for ((i = 0; i < 20000; i++)); do echo "other $i"; done; }
nm() { echo U getrandom; echo T getrandom; for ((i = 0; i < 20000; i++)); do echo "other $i"; done; }
check_kernel .
"""
    assert run(place, tools)[0] == 0
