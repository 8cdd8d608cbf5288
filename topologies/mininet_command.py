# SPDX-License-Identifier: GPL-2.0-or-later
"""What Mininet's own command, ``mn``, needs to bring up a figure: a network, a prompt, a clean-up."""

from __future__ import annotations

import atexit
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import mininet.net
from mininet.cli import CLI
from mininet.topo import Topo

from agents.effects import Encapsulation
from agents.settings import Policy, Weights
from topologies.encapsulations import BUILT_ENCAPSULATIONS
from topologies.environment import PYTHON
from topologies.figure import Figure
from topologies.figures import load
from topologies.lab.lab import host_problems
from topologies.lab.leftovers import TAG, WORKING_PLACE, RunFolder
from topologies.links import LinkError, parse_links
from topologies.network import LabNet
from topologies.registered import AgentNetwork, addresses
from topologies.signals import end

USAGE = 2


def topology(number: int) -> Callable[..., Figure]:
    """What ``--topo figureN[,NAME=VALUE…]`` makes: the policy, the weights, the encapsulation, or a link."""

    def make(*words: str, **values: str) -> Figure:
        problems = [f"{word}: give NAME=VALUE" for word in words]
        choices: dict[str, list[str]] = {
            "policy": list(Policy),
            "weights": list(Weights),
            "encapsulation": list(BUILT_ENCAPSULATIONS),
        }
        for name, allowed in choices.items():
            if values.get(name, allowed[0]) not in allowed:
                problems.append(f"{name}={values[name]}: allowed is {', '.join(allowed)}")
        try:
            links = parse_links(f"{name}={value}" for name, value in values.items() if name not in choices)
        except LinkError as error:
            problems += error.problems
        if problems:
            _refuse([f"--topo figure{number}: {problem.removeprefix('--link ')}" for problem in problems])
        return load(number)(
            links,
            policy=Policy(values.get("policy", Policy.PER_FLOW)),
            weights=Weights(values.get("weights", Weights.EQUAL)),
            encapsulation=Encapsulation(values.get("encapsulation", Encapsulation.IPIP)),
        )

    make.__name__ = f"figure{number}"  # mn --help shows it
    return make


def _refuse(problems: list[str]) -> NoReturn:
    for line in problems:
        sys.stderr.write(f"topologies: {line}\n")
    sys.exit(USAGE)


class FigureNet(LabNet):
    """A figure's network on this machine's own kernel; it is up when every binding is registered."""

    def __init__(self, topo: Figure) -> None:
        """Build nodes and links; :meth:`start` starts the agents."""
        self._run = RunFolder("host")
        os.environ[TAG] = self._run.path.name  # what `python -m topologies cleanup` knows our programs by
        folder = tempfile.TemporaryDirectory(prefix=f"{self._run.path.name}-", dir=WORKING_PLACE)
        self._folder: tempfile.TemporaryDirectory[str] | None = folder
        super().__init__(topo, working_folder=Path(folder.name))
        self._agents = AgentNetwork(topo, self.working_folder, self)

    def start(self) -> None:
        """Start the agents and wait until every binding is registered.

        :raises AgentNetworkError: saying which node and binding.
        """
        super().start()
        self._agents.await_bindings()
        for node in self.routers:  # for mipctl
            path = f"{PYTHON.parent}:{os.environ.get('PATH', os.defpath)}"
            values = {"PATH": path, "MIPCTL_NODE": node.name, "MIPCTL_FOLDER": self.working_folder}
            node.cmd("export", *(f"{name}={shlex.quote(str(value))}" for name, value in values.items()))

    def stop(self) -> None:
        """Take everything down, once."""
        if self._folder is not None:
            super().stop()
            self._folder.cleanup()
            self._run.close()
            self._folder = None


class FigureCLI(CLI):  # type: ignore[misc]
    """Mininet's prompt, in which a node's name stands for the address it is reached by."""

    def default(self, line: str) -> None:
        """``NODE PROGRAM …``."""
        name, _, rest = line.strip().partition(" ")
        if name not in self.mn or not rest:
            super().default(line)  # says what is wrong
            return
        known = addresses(self.mn)
        if not rest.startswith("mipctl"):  # its --node takes names
            rest = " ".join(known.get(word) or word for word in rest.split(" "))
        self.mn[name].sendCmd(rest)
        self.waitForNode(self.mn[name])


class Runner:
    """Stands for the class ``Mininet`` in ``mn``, and for its clean-up."""

    def __init__(self) -> None:
        """Nothing is up."""
        self._net: FigureNet | None = None

    def network(self, topo: Topo, **given: Any) -> mininet.net.Mininet:
        """The network of a topology: ours for a figure, else Mininet's.

        :param given: Mininet's options. A figure has links and addresses of its own, and no switch.
        """
        if not isinstance(topo, Figure):
            return mininet.net.Mininet(topo=topo, **given)
        problems = host_problems()
        if problems:
            _refuse([line.replace("--kernel host", "mn") for line in problems])
        atexit.register(self.clean_up)
        for number in (signal.SIGTERM, signal.SIGHUP):  # Ctrl-C is the prompt's
            signal.signal(number, end)
        self._net = FigureNet(topo)
        return self._net

    def clean_up(self) -> None:
        """Take down what this call brought up; Mininet's own would end other people's programs."""
        net, self._net = self._net, None
        if net is not None:
            net.stop()
