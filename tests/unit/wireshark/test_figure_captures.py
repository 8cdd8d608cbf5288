# SPDX-License-Identifier: GPL-2.0-or-later
"""What tshark and mipctl make of the captures in the documentation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DISSECTOR = ROOT / "tools/wireshark/mip4-multiple-tunnel.lua"
CAPTURES = sorted((ROOT / "docs/captures").glob("*.pcapng"))
FIELDS = ("type", "length", "subtype", "if_type", "bid", "bulk", "overwrite", "reserved", "bandwidth")
KEY = "256:000102030405060708090a0b0c0d0e0f"
BUILT_IN = {"Extension: Unknown Extension 127", "Extension Type: Unknown (127)"}
"""What tshark's own dissector goes on saying: no registry has the number."""


def tshark(*words: str) -> str:
    """What tshark says, with the project's dissector."""
    return subprocess.run(
        ["tshark", "-X", f"lua_script:{DISSECTOR}", *words], capture_output=True, text=True, check=True
    ).stdout


def test_there_is_a_capture_of_each_figure() -> None:
    assert {path.stem for path in CAPTURES} >= {"figure3", "figure4", "figure5", "figure6"}


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_nothing_is_malformed_or_unknown(capture: Path) -> None:
    text = tshark("-r", str(capture), "-V")
    assert "Malformed" not in text
    assert {line.strip() for line in text.splitlines() if "Unknown" in line} <= BUILT_IN
    assert tshark("-r", str(capture), "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000") == ""


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_every_field_of_every_extension_is_named(capture: Path) -> None:
    options = [word for field in FIELDS for word in ("-e", f"mip.mtr.{field}")]
    lines = tshark("-r", str(capture), "-Y", "mip_mtr", "-T", "fields", *options).splitlines()
    raw = tshark("-r", str(capture), "-Y", "mip.ext.type == 127").splitlines()
    assert len(lines) == len(raw) >= 8
    rows = [line.split("\t") for line in lines]
    assert all(all(row) for row in rows)
    assert {row[4] for row in rows} == {"1", "2", "3", "4"}


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_our_decoder_finds_the_same_messages_and_every_authenticator_good(capture: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mipctl")), "decode", str(capture), "--key", KEY, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    messages = json.loads(done.stdout)["messages"]
    assert all(message["error"] is None for message in messages)
    judged = [a["valid"] for message in messages for a in message["authentications"]]
    assert judged
    assert all(judged)
    assert len(judged) == len(tshark("-r", str(capture), "-Y", "mip.type == 1 || mip.type == 3").splitlines())


def test_the_page_speaks_of_packets_that_are_there() -> None:
    page = (ROOT / "docs/captures.md").read_text()
    section = page.partition("## Figure 3")[2].partition("## Figure 4")[0]
    numbers = {
        int(n) for row in re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE) for n in row.split(", ")
    }
    frames = tshark("-r", str(ROOT / "docs/captures/figure3.pcapng"), "-T", "fields", "-e", "frame.number")
    assert numbers == {int(n) for n in frames.split()}
