# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent of “write your own”, and the figures of its policy; what needs a network is in tests/net."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments.store import write_json
from tests.documented.pages import copy_of_the_checkout, run
from tests.unit.disturbed.test_disturbed_summary import summary as disturbed_summary
from tests.unit.experiments.experiment_lab import distributions_of, summary_of
from tests.unit.home_agent.home_agent_lab import START, WIFI, Lab, multiple, settings

EXAMPLE = Path(__file__).parents[3] / "docs/examples/legacy_home_agent.py"


def legacy_lab() -> Lab:
    """The lab of the home agent's tests, with the example in its place."""
    spec = importlib.util.spec_from_file_location("legacy_home_agent", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lab = Lab()
    lab.agent = module.LegacyHomeAgent(settings(), Random(1))
    lab.apply(lab.agent.start(START))
    return lab


def test_a_legacy_home_agent_is_silent_about_the_extension_and_answers_the_rest() -> None:
    lab = legacy_lab()
    assert lab.send(lab.request(multiple(1), care_of_address=WIFI)) is None
    assert lab.reports("message-discarded") == [{"reason": "unknown-extension"}]
    assert lab.rows() == {}
    assert lab.register(None, WIFI).code == 0
    assert list(lab.rows()) == [None]


@pytest.mark.parametrize("summary", [summary_of, disturbed_summary], ids=["aggregate", "failover"])
def test_a_policy_of_ones_own_is_drawn(tmp_path: Path, summary: Any) -> None:
    """Whoever adds a policy as docs/write-your-own.md says gets its figures too."""
    copy = copy_of_the_checkout(tmp_path)
    result = copy / "result"
    result.mkdir()
    for name, document in (("summary", summary()), ("distributions", distributions_of())):
        text = json.dumps(document).replace('"per-packet"', '"best-only"')
        write_json(result / f"{name}.json", json.loads(text))
    command = "git apply docs/examples/best-only.patch && python experiments/plot.py result"
    done = run(command, copy, limit=120)
    assert done.returncode == 0, done.stderr
    assert list((result / "figures").glob("*.png"))
