# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent of “write your own”; the other examples need a network and are in tests/net."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random

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
