# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding the guest kernel in the cache."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from topologies.lab import guest_kernel


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This user's cache, empty; the machine's is out of sight."""
    folder = tmp_path / guest_kernel.CACHE_NAME
    folder.mkdir()
    monkeypatch.setattr(guest_kernel, "cache_folders", lambda: [folder])
    return folder


def put(cache: Path, key: str, version: str = "6.12.1", **changes: object) -> Path:
    """A cached kernel that fits this checkout, but for the changes."""
    folder = cache / f"guest-{key}"
    folder.mkdir()
    recipe = {
        name: hashlib.sha256((guest_kernel.ROOT / "setup" / file).read_bytes()).hexdigest()
        for name, file in (("fragment_sha256", "guest.config"), ("patch_sha256", "guest.patch"))
    }
    facts = {"key": key, "source_version": version, **recipe, **changes}
    (folder / "manifest.json").write_text(json.dumps(facts))
    (folder / "linux").write_text("")
    (folder / "linux").chmod(0o755)
    (folder / "libseeded-random.so").write_text("")
    return folder


def found_key() -> str | None:
    found = guest_kernel.find()
    return None if found is None else found.key


def test_an_empty_cache_has_none(cache: Path) -> None:
    assert cache.is_dir()
    assert guest_kernel.find() is None


def test_a_kernel_is_found_with_all_its_parts(cache: Path) -> None:
    folder = put(cache, "a1", "6.12.117-1~deb12u1")
    assert guest_kernel.find() == guest_kernel.GuestKernel(
        folder / "linux", folder / "libseeded-random.so", "a1", "6.12.117-1~deb12u1"
    )


@pytest.mark.parametrize(
    ("older", "newer"), [("6.1.140-1", "6.12.3-1"), ("6.12.9-1", "6.12.10-1"), ("6.12.9", "7.2.1")]
)
def test_the_newest_source_wins(cache: Path, older: str, newer: str) -> None:
    put(cache, "new", newer)
    put(cache, "old", older)
    assert found_key() == "new"


@pytest.mark.parametrize("field", ["fragment_sha256", "patch_sha256"])
def test_a_kernel_of_another_recipe_is_none(cache: Path, field: str) -> None:
    put(cache, "other", **{field: "0" * 64})
    assert found_key() is None


@pytest.mark.parametrize("part", ["linux", "libseeded-random.so"])
def test_an_incomplete_kernel_is_none(cache: Path, part: str) -> None:
    (put(cache, "half") / part).unlink()
    assert found_key() is None


def test_a_kernel_that_may_not_be_executed_is_none(cache: Path) -> None:
    (put(cache, "plain") / "linux").chmod(0o644)
    assert found_key() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "null", "{}", '{"key": "x"}', "\udc80"])
def test_an_unreadable_entry_does_not_hide_a_good_one(cache: Path, text: str) -> None:
    put(cache, "good")
    bad = put(cache, "bad", "9.9")
    (bad / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    assert found_key() == "good"


def test_the_users_cache_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    name = "mip4-multiple-tunnels"
    assert guest_kernel.cache_folders() == [Path("/somewhere/cache", name), Path("/var/cache", name)]
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert guest_kernel.cache_folders()[0] == Path("/home/somebody/.cache", name)
