# SPDX-License-Identifier: GPL-2.0-or-later
"""``mip-home-agent``, ``mip-foreign-agent`` and ``mip-mobile-node``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from random import Random

from agents.settings import ForeignAgentSettings, HomeAgentSettings, MobileNodeSettings
from agents.settings_file import SettingsError, load

OK, FAILED, USAGE = 0, 1, 2
DESCRIPTIONS = {
    "mip-home-agent": "Mobile IPv4 home agent with multiple tunnels",
    "mip-foreign-agent": "Mobile IPv4 foreign agent with multiple tunnels",
    "mip-mobile-node": "Mobile IPv4 mobile node with multiple tunnels",
}
Settings = HomeAgentSettings | ForeignAgentSettings | MobileNodeSettings


def home_agent() -> int:
    """Run a home agent."""
    return _run("mip-home-agent", HomeAgentSettings)


def foreign_agent() -> int:
    """Run a foreign agent."""
    return _run("mip-foreign-agent", ForeignAgentSettings)


def mobile_node() -> int:
    """Run a mobile node."""
    return _run("mip-mobile-node", MobileNodeSettings)


def parser(program: str) -> argparse.ArgumentParser:
    """The options, the same for each of the three programs."""
    made = argparse.ArgumentParser(program, description=DESCRIPTIONS[program])
    made.add_argument("--config", type=Path, required=True, metavar="FILE.toml", help="settings file")
    made.add_argument("--check", action="store_true", help="only check the settings")
    made.add_argument("-v", "--verbose", action="store_true", help="log every event")
    return made


def _run(program: str, kind: type[Settings]) -> int:
    arguments = parser(program).parse_args()
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


def _start(program: str, settings: Settings) -> int:
    # Imported late: --check needs neither the kernel's libraries nor any right.
    from agents.daemon.control import ControlError, ensure_free
    from agents.daemon.programs import ForeignAgentShell, HomeAgentShell, MobileNodeShell
    from agents.daemon.shell import Shell, run
    from agents.daemon.state_file import StateFileError
    from agents.linux.kernel import KernelError
    from agents.linux.privileges import drop_privileges

    def new_shell() -> Shell:
        if isinstance(settings, HomeAgentSettings):
            return HomeAgentShell(settings, Random())
        if isinstance(settings, ForeignAgentSettings):
            return ForeignAgentShell(settings, Random())
        return MobileNodeShell(settings, Random())

    def make() -> Shell:
        shell = new_shell()
        drop_privileges()  # nothing is imported from here on, and nothing but the network is touched
        return shell

    try:
        if settings.control_socket is not None:
            ensure_free(settings.control_socket)  # first of all: a shell takes the node's tables over
        run(make)
    except (ControlError, KernelError, StateFileError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    return OK
