# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent keeps over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.daemon.kept import Kept


@pytest.mark.parametrize("enabled", [True, False])
def test_what_was_set_is_there_after_a_restart(tmp_path: Path, enabled: bool) -> None:
    Kept(tmp_path / "state").keep_multiple_tunnel_support(enabled)
    assert Kept(tmp_path / "state").multiple_tunnel_support() is enabled
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_nothing_was_ever_set(tmp_path: Path) -> None:
    assert Kept(tmp_path / "state").multiple_tunnel_support() is None
    assert Kept(None).multiple_tunnel_support() is None
    Kept(None).keep_multiple_tunnel_support(False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2, "enable_multiple_tunnel_support": true}',
        '{"version": 1}',
        '{"version": 1, "enable_multiple_tunnel_support": "yes"}',
    ],
)
def test_an_unusable_file_is_set_aside_and_named(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "state"
    place.write_text(text)
    assert Kept(place).multiple_tunnel_support() is None
    assert not place.exists()
    assert (tmp_path / "state.unusable").read_text() == text
    assert str(place) in caplog.text


def test_a_file_that_is_no_text_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"\xff\x00")
    assert Kept(tmp_path / "state").multiple_tunnel_support() is None
    assert (tmp_path / "state.unusable").exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not kept over a restart"):
        Kept(tmp_path / "missing" / "state").keep_multiple_tunnel_support(True)
