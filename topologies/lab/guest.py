# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one command in a throw-away guest: a Linux kernel that is an ordinary process.

The guest's root is the host's root, read-only. Virtual time stands still while code runs and
jumps while everything waits; with a seed, the same command gives the same octets every time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from topologies.lab import leftovers
from topologies.lab.guest_kernel import ROOT, GuestKernel
from topologies.lab.leftovers import RunFolder

VIRTUAL_EPOCH = 1_767_225_600
"""Unix time at which every virtual clock starts: 2026-01-01 00:00:00 UTC."""
MEMORY_MIB = 1024
_POLL = 0.02
_INTERRUPT, _END_OF_INPUT = b"\x03", b"\x04"
_INIT = Path(__file__).with_name("init.py")


class Clock(StrEnum):
    """What time means inside the lab kernel."""

    VIRTUAL = "virtual"
    REAL = "real"


class GuestError(RuntimeError):
    """The guest could not start or died; the message ends with what its kernel said."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A host folder as the job sees it."""

    source: Path
    target: Path
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One command for a guest."""

    argv: Sequence[str]
    cwd: Path = ROOT
    folders: Sequence[Folder] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    live: bool = True
    """Copy stdout and stderr to ours as they come. False: keep the consoles silent, because
    console output ties the run to the host's timing; it is then found in ``Guest.output``."""
    input: bool = False
    """Give it an input, filled with ``feed``; SIGINT is then blocked until its program unblocks it.
    False: it has none."""


def _memory_folder() -> Path:
    """Where the guest's memory lives: a folder that may be executed from and has room.

    :raises GuestError: naming the folders tried.
    """
    tried = []
    for name in dict.fromkeys(("/dev/shm", tempfile.gettempdir(), "/var/tmp")):
        try:
            facts = os.statvfs(name)
        except OSError as error:
            tried.append(f"{name}: {error.strerror}")
            continue
        free = facts.f_bavail * facts.f_frsize >> 20
        if facts.f_flag & os.ST_NOEXEC:
            tried.append(f"{name}: is mounted noexec")
        elif free < MEMORY_MIB or not os.access(name, os.W_OK):
            tried.append(f"{name}: {free} MiB free, {MEMORY_MIB} needed, and write permission")
        else:
            return Path(name)
    raise GuestError("no place for the guest's memory; set TMPDIR to one:\n  " + "\n  ".join(tried))


def job_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The job's whole environment: nothing of the caller's leaks into a run."""
    return {
        "PATH": f"{ROOT / '.venv/bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",  # none is there; each agent would look for one
        **extra,
    }


class Guest:
    """A running guest. Use as a context manager: leaving it kills whatever still runs."""

    def __init__(
        self,
        kernel: GuestKernel,
        job: Job,
        *,
        clock: Clock = Clock.VIRTUAL,
        seed: int | None = None,
        wall_limit: float | None = None,
    ) -> None:
        """Start the guest.

        :param seed: of the guest kernel's random numbers; None takes the host's.
        :param wall_limit: seconds of wall-clock time after which :meth:`wait` kills it.
        """
        leftovers.remove()
        self._run = RunFolder("guest")
        self._folder = self._run.path
        self._limit = wall_limit
        self._copies: list[threading.Thread] = []
        self._input: int | None = None
        self._unfinished = False
        try:
            self._process = self._start(kernel, job, clock, seed)
        except BaseException:
            self._run.close()
            raise

    def _start(
        self, kernel: GuestKernel, job: Job, clock: Clock, seed: int | None
    ) -> subprocess.Popen[bytes]:
        environment_folder = (ROOT / ".venv").resolve()  # a link may lead out of the checkout
        folders = [Folder(ROOT, ROOT), Folder(environment_folder, environment_folder), *job.folders]
        (self._folder / "job.json").write_text(
            json.dumps(
                {
                    "argv": list(job.argv),
                    "cwd": str(job.cwd),
                    "environment": job_environment(job.environment),
                    "folders": [(str(f.source), str(f.target), f.writable) for f in folders],
                    "live": job.live,
                    "input": job.input,
                }
            )
        )
        shutil.copyfile(_INIT, self._folder / "init.py")  # the checkout's path may hold blanks
        arguments = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            str(kernel.binary),
            f"mem={MEMORY_MIB}M",
            "umid=lab",
            "uml_dir=uml",  # relative: what stands here is mixed into the kernel's random pool
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "quiet",
            "noreboot",
            "panic=1",
            "con=null",
            "ssl=null",
        ]
        environment = dict(os.environ, TMPDIR=str(_memory_folder()))
        if clock is Clock.VIRTUAL:
            arguments += ["time-travel=inf-cpu", f"time-travel-start={VIRTUAL_EPOCH}000000000"]
        if seed is not None:
            environment |= {"LD_PRELOAD": str(kernel.seeded_random), "GUEST_SEED": str(seed)}
        writers: list[int] = []
        if job.live:
            for number in (1, 2):
                reader, writer = os.pipe()
                arguments.append(f"con{number}=null,fd:{writer}")
                writers.append(writer)
                copy = threading.Thread(target=_copy, args=(reader, number), daemon=True)
                self._copies.append(copy)
        readers: list[int] = []
        if job.input:
            reader, self._input = os.pipe()
            arguments.append(f"con3=fd:{reader},null")
            readers.append(reader)
        # Until the guest mounts its own /proc, this one is the host's: the kernel process's folder.
        arguments += ["init=/usr/bin/python3", "--", "-I", "-S", "/proc/self/cwd/init.py"]
        with open(self._folder / "kernel.log", "wb") as log:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._folder,
                pass_fds=writers + readers,
                start_new_session=True,
            )
        for descriptor in writers + readers:
            os.close(descriptor)
        for copy in self._copies:
            copy.start()
        return process

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._run.close()

    def kill(self) -> None:
        """End the guest at once, with everything in it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for copy in self._copies:
            copy.join()
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def feed(self, octets: bytes) -> None:
        """Give the job's input some octets, once it is open; it gets them line by line.

        The two that a terminal takes for commands are left out.
        """
        octets = octets.translate(None, _INTERRUPT + _END_OF_INPUT)
        if octets:
            self._unfinished = not octets.endswith(b"\n")
            self._put(octets)

    def end_input(self) -> None:
        """The job's input is over; its last line is finished first.

        A terminal takes the character for it as the end at the start of a line only.
        """
        self._put((b"\n" if self._unfinished else b"") + _END_OF_INPUT)

    def interrupt(self) -> bool:
        """SIGINT for the job, by way of the terminal of its input; False if it is not open yet."""
        if not self._input_open():
            return False
        self._put(_INTERRUPT)
        return True

    def _input_open(self) -> bool:
        return (self._folder / "input-open").exists()

    def _put(self, octets: bytes) -> None:
        while not self._input_open() and not self.poll():
            time.sleep(_POLL)
        with contextlib.suppress(OSError):  # the guest has ended
            while octets and self._input is not None:
                octets = octets[os.write(self._input, octets) :]

    def poll(self) -> bool:
        """True once the guest has powered off."""
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait for the job; its exit code.

        :raises GuestError: if the guest died without one.
        :raises TimeoutError: if the wall-clock limit ran out.
        """
        try:
            self._process.wait(self._limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"the guest was ended after {self._limit:.0f} s of wall-clock time") from None
        for copy in self._copies:
            copy.join()
        return self.exit_code()

    def exit_code(self) -> int:
        """The job's exit code after the end, as a shell gives it.

        :raises GuestError: if the guest died without one.
        """
        try:
            return int((self._folder / "exit-code").read_text())
        except (OSError, ValueError):
            raise GuestError("the guest died:\n" + self._log()) from None

    def _log(self) -> str:
        log = (self._folder / "kernel.log").read_text(errors="replace")
        return "\n".join(log.splitlines()[-30:])

    def output(self, stream: str) -> str:
        """What a job that is not live wrote to ``stdout`` or ``stderr``."""
        try:
            return (self._folder / stream).read_text(errors="replace")
        except OSError:
            return ""


def _copy(source: int, target: int) -> None:
    """Copy a console to one of our own streams until it closes."""
    with open(source, "rb", buffering=0) as stream:
        while octets := stream.read(65536):
            with contextlib.suppress(BrokenPipeError):
                while octets:
                    octets = octets[os.write(target, octets) :]
