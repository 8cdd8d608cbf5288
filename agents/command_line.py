# SPDX-License-Identifier: GPL-2.0-or-later
"""``mip-home-agent`` and ``mip-mobile-node``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from random import Random

from agents.settings import HomeAgentSettings, MobileNodeSettings, SettingsError, load

OK, FAILED, USAGE = 0, 1, 2


def home_agent() -> int:
    """Run a home agent."""
    return _run("mip-home-agent", "Mobile IPv4 home agent with multiple tunnels", HomeAgentSettings)


def mobile_node() -> int:
    """Run a mobile node."""
    return _run("mip-mobile-node", "Mobile IPv4 mobile node with multiple tunnels", MobileNodeSettings)


def _run(program: str, description: str, kind: type[HomeAgentSettings | MobileNodeSettings]) -> int:
    parser = argparse.ArgumentParser(program, description=description)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE.toml", help="settings file")
    parser.add_argument("--check", action="store_true", help="only check the settings")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every event")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config, kind)
    except SettingsError as error:
        for problem in error.problems:
            print(f"{program}: {problem}", file=sys.stderr)  # noqa: T201
        return USAGE
    if arguments.check:
        print(f"{arguments.config}: settings are good")  # noqa: T201
        return OK
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    return _start(program, settings)


def _start(program: str, settings: HomeAgentSettings | MobileNodeSettings) -> int:
    # Imported late: --check needs neither the kernel's libraries nor any right.
    from agents.daemon.control import ControlError
    from agents.daemon.programs import HomeAgentShell, MobileNodeShell
    from agents.daemon.shell import Shell, run
    from agents.linux.kernel import KernelError

    def make() -> Shell:
        if isinstance(settings, HomeAgentSettings):
            return HomeAgentShell(settings, Random())
        return MobileNodeShell(settings, Random())

    try:
        run(make)
    except (ControlError, KernelError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    return OK
