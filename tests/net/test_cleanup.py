# SPDX-License-Identifier: GPL-2.0-or-later
"""The starter of a run is killed (SIGKILL): its guest ends by itself, and ``cleanup`` removes the rest."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.net.guests import WALL_LIMIT, start, topologies
from tests.net.leftovers import guest_folders, survivors

pytestmark = pytest.mark.net


def test_a_killed_starter_leaves_nothing_that_cleanup_does_not_remove(tmp_path: Path) -> None:
    process = start(tmp_path, "3", "--exec", "mn", "sh", "-c", "echo up > up; sleep 100000")
    deadline = time.monotonic() + WALL_LIMIT
    while not guest_folders(str(tmp_path)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (folder,) = guest_folders(str(tmp_path))
    process.kill()
    process.communicate()
    while survivors():
        assert time.monotonic() < deadline, survivors()
        time.sleep(0.05)
    assert folder.is_dir(), "there was nothing to clean up"
    ended = topologies(tmp_path, "cleanup", "--json")
    assert ended.code == 0, ended.stderr
    assert str(folder) in [run["folder"] for run in json.loads(ended.stdout)["runs"]]
    assert not folder.exists()
