# SPDX-License-Identifier: GPL-2.0-or-later
"""Chooses the kernel a run uses and starts jobs in it: the guest, or this machine's own kernel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol

from topologies.lab import bytecode, leftovers
from topologies.lab.guest import Clock, Guest, Job, job_environment
from topologies.lab.guest_kernel import ROOT, GuestKernel, find
from topologies.lab.leftovers import RunFolder

END_LIMIT = 15.0
"""Seconds a job on the host's kernel may take to undo what it made after it was told to end."""


class KernelChoice(StrEnum):
    """``--kernel``."""

    AUTO = "auto"
    GUEST = "guest"
    HOST = "host"


class LabError(RuntimeError):
    """There is no kernel to run in; one line per problem, each with what mends it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Running(Protocol):
    """A job under way. Leaving its context ends it, with everything in it."""

    def __enter__(self) -> Running: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def poll(self) -> bool:
        """True once it has ended."""

    def feed(self, octets: bytes) -> None:
        """Give its input some octets; only if the job was to have one."""

    def end_input(self) -> None:
        """Its input is over."""

    def interrupt(self) -> bool:
        """SIGINT for the job; False if there is none yet."""

    def wait(self) -> int:
        """Wait for the end; the exit code as a shell gives it."""

    def exit_code(self) -> int:
        """The exit code after the end."""

    def kill(self) -> None:
        """End it now."""

    def output(self, stream: str) -> str:
        """What a job that is not live wrote to ``stdout`` or ``stderr``."""


def _block_interrupts() -> None:
    """SIGINT waits until the job's program is ready for it and unblocks it, as in the guest."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


class HostRun:
    """A job on this machine's own kernel."""

    def __init__(self, job: Job, wall_limit: float | None = None) -> None:
        self._limit = wall_limit
        leftovers.remove()
        self._run = RunFolder("host")
        self._folder = self._run.path
        self._streams = {} if job.live else {name: self._folder / name for name in ("stdout", "stderr")}
        with contextlib.ExitStack() as stack:
            output, errors = (
                stack.enter_context(self._streams[name].open("wb")) if name in self._streams else None
                for name in ("stdout", "stderr")
            )
            self._process = subprocess.Popen(
                list(job.argv),
                cwd=job.cwd,
                env=job_environment({**job.environment, leftovers.TAG: self._folder.name}),
                stdin=subprocess.PIPE if job.input else subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                preexec_fn=_block_interrupts if job.input else None,
            )

    def __enter__(self) -> HostRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._run.close()

    def feed(self, octets: bytes) -> None:
        """Give the job's input some octets."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended
                self._process.stdin.write(octets)
                self._process.stdin.flush()

    def end_input(self) -> None:
        """The job's input is over."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def interrupt(self) -> bool:
        """SIGINT for the job."""
        self._process.send_signal(signal.SIGINT)
        return True

    def poll(self) -> bool:
        """True once it has ended."""
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait for the end; the exit code as a shell gives it.

        :raises TimeoutError: if the wall-clock limit ran out.
        """
        try:
            self._process.wait(self._limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"the job was ended after {self._limit:.0f} s") from None
        return self.exit_code()

    def exit_code(self) -> int:
        """The exit code after the end."""
        code = self._process.returncode
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """Ask it to undo what it made and end; insist after a while."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_LIMIT)

    def output(self, stream: str) -> str:
        """What a job that is not live wrote to ``stdout`` or ``stderr``."""
        try:
            return self._streams[stream].read_text(errors="replace")
        except (OSError, KeyError):
            return ""


@dataclass(frozen=True, slots=True)
class Lab:
    """The kernel of a run and the clock in it."""

    clock: Clock
    guest_kernel: GuestKernel | None
    """None: this machine's own kernel."""

    @property
    def kernel(self) -> str:
        """``guest`` or ``host``."""
        return "host" if self.guest_kernel is None else "guest"

    @property
    def kernel_key(self) -> str:
        """Names the kernel's build: results are byte for byte equal only under one key."""
        return f"host-{os.uname().release}" if self.guest_kernel is None else self.guest_kernel.key

    def start(self, job: Job, *, seed: int | None = None, wall_limit: float | None = None) -> Running:
        """Start a job; end it by leaving the context of what is returned.

        :raises GuestError: if the guest cannot start.
        """
        if self.guest_kernel is None:
            return HostRun(job, wall_limit)
        return Guest(self.guest_kernel, job, clock=self.clock, seed=seed, wall_limit=wall_limit)


def host_problems() -> list[str]:
    """Why this machine's own kernel cannot be used, one line each; empty if it can."""
    if os.geteuid() != 0:
        return ["--kernel host: needs root; mend it with: sudo"]
    probe = subprocess.run(
        [sys.executable, "-P", "-m", "topologies.features", "--lines"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode not in (0, 1):
        return [f"--kernel host: the features could not be tried: {probe.stderr.strip()[-500:]}"]
    return [f"--kernel host: {line}" for line in probe.stdout.splitlines()]


def choose(kernel: KernelChoice, clock: Clock | None) -> Lab:
    """The lab for ``--kernel`` and ``--clock``.

    :param clock: None takes the kernel's default: virtual in the guest, real on the host.
    :raises LabError: with everything that is missing and what mends it.
    """
    guest = None if kernel is KernelChoice.HOST else find()
    if guest is not None:
        bytecode.refresh()
        return Lab(clock or Clock.VIRTUAL, guest)
    missing = ["--kernel guest: the guest kernel is not built; mend it with: make setup"]
    if kernel is KernelChoice.GUEST:
        raise LabError(missing)
    problems = host_problems()
    if clock is Clock.VIRTUAL:
        problems.insert(0, "--clock virtual: only the guest kernel has one; choose --clock real")
    if problems:
        raise LabError(problems if kernel is KernelChoice.HOST else [*missing, *problems])
    return Lab(Clock.REAL, None)
