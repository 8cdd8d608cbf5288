# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for all tests; after a whole run, which demands of the conformance matrix were not proved."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.conformance.matrix import load, unproved

# Machines are shared and slow at times: an example's wall-clock time says nothing.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

RAN: pytest.StashKey[set[str]] = pytest.StashKey()
MISSING: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing has run yet."""
    config.stash[RAN] = set()
    config.pluginmanager.register(Proofs(config.stash[RAN]))
    config.stash[MISSING] = []


class Proofs:
    """Which tests were carried out; the reports of pytest-xdist's workers come here too."""

    def __init__(self, ran: set[str]) -> None:
        self._ran = ran

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test whose body was carried out; one that was skipped proves nothing."""
        if report.when == "call" and not report.skipped:
            self._ran.add(report.nodeid.partition("[")[0])


def is_whole_run(config: pytest.Config) -> bool:
    """Whether all tests were asked for, and none left out on the way."""
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist has a part of them
        return False
    option = config.option
    failed_only = getattr(option, "lf", False)  # not there without pytest's cache
    narrowed = failed_only or option.keyword or option.markexpr or option.collectonly or option.deselect
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not narrowed


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A whole run that is otherwise good fails if a named test did not run."""
    if is_whole_run(session.config) and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        ran = session.config.stash[RAN]
        missing = unproved(load(), ran)
        session.config.stash[MISSING] = missing
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the demands whose test did not run."""
    if config.stash[MISSING]:
        terminalreporter.section("conformance: named tests that did not run")
        for line in config.stash[MISSING]:
            terminalreporter.line(line)
