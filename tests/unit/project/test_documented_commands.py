# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of README and docs, run; those that need the lab kernel are in tests/net."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from distributed.cli import dask_scheduler, dask_worker

from tests.documented.pages import ROOT, Documented, commands, copy_of_the_checkout, run
from tests.documented.rules import RULES, Way, chosen, rule_for
from topologies.figures import available

Outcomes = dict[Documented, Future[subprocess.CompletedProcess[str]]]
RUN = chosen(Way.AS_IT_STANDS, Way.IN_PLACE, Way.DRY_RUN)
REQUEST = "01220258c633640ac6336401c0000262cf1b2d3e12345678"
"""The fixed part of a Registration Request (RFC 5944 §3.3), for ``HEX``."""
WALL_LIMIT = 120.0


def _carry_out(documented: Documented, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a copy of its own; ``FOLDER`` and ``DIR`` are results there."""
    folder.mkdir()
    copy = copy_of_the_checkout(folder)
    for name in ("FOLDER", "DIR"):
        (copy / name).mkdir()
        stored = json.loads((ROOT / "results/reference/signalling.json").read_text())
        (copy / name / "summary.json").write_text(json.dumps(stored["summary"]))
    command = documented.command.replace(" HEX", f" {REQUEST}")
    command = command.replace("~/", f"{copy}/home/")
    (copy / "home/.local/share/bash-completion/completions").mkdir(parents=True)
    rule = rule_for(documented)
    assert rule is not None
    if rule.way is Way.DRY_RUN:
        command += " --dry-run"
    try:
        return run(command, ROOT if rule.way is Way.IN_PLACE else copy, WALL_LIMIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """All of them under way, as many at once as there are cores."""
    folder = tmp_path_factory.mktemp("documented")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            documented: pool.submit(_carry_out, documented, folder / str(number))
            for number, documented in enumerate(RUN)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("documented", RUN, ids=str)
def test_a_documented_command(outcomes: Outcomes, documented: Documented) -> None:
    done = outcomes[documented].result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_has_a_rule_and_every_rule_a_command() -> None:
    found = list(commands())
    assert len(found) > 100
    rules = [rule_for(documented) for documented in found]
    unknown = [str(documented) for documented, rule in zip(found, rules, strict=True) if rule is None]
    assert not unknown, f"say in tests/documented/rules.py how these are run: {unknown}"
    unused = [rule.pattern for rule in RULES if rule not in rules]
    assert not unused, f"no page has these any more; take them out of tests/documented/rules.py: {unused}"


def test_no_shell_block_is_hidden_from_these_tests() -> None:
    """Indented blocks and blocks of no language are drawings, output or octets."""
    hidden = [
        f"{page}: {line.strip()}"
        for page in {ROOT / documented.page for documented in commands()}
        for language, block, indented in re.findall(
            r"^```(\w*)\n(.*?)^```$|((?:^    .*\n)+)",
            page.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        for line in (block + indented).splitlines()
        if language != "sh" and re.match(r"\s*(sudo|python3?|make|vagrant|mipctl|tshark|git) [\w./-]", line)
    ]
    assert hidden == []


@pytest.mark.parametrize(
    "named", sorted({rule.by for rule in RULES if rule.way in (Way.TEST, Way.DRY_RUN)}), ids=str
)
def test_the_test_that_a_rule_names_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {name or 'test_'}", text, re.MULTILINE)


def test_the_words_for_programs_of_others_are_theirs() -> None:
    """Dask's options, and the topologies that Mininet finds in our file."""
    wrong = []
    for documented in commands():
        words = documented.command.removeprefix("sudo ").split()
        match words:
            case [".venv/bin/dask", ("scheduler" | "worker") as name, *rest]:
                known = {"scheduler": dask_scheduler, "worker": dask_worker}[name].main.params
                options = [word for parameter in known for word in parameter.opts]
                wrong += [word for word in rest if word.startswith("--") and word not in options]
            case ["mn", "--custom", script, "--topo", topology, *_]:
                figures = {f"figure{number}" for number in available()}
                wrong += [] if topology.partition(",")[0] in figures else [topology]
                wrong += [] if (ROOT / script).is_file() else [script]
    assert wrong == []
