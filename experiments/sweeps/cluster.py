# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster that runs a sweep: one of this machine's own for as long as it takes, or one that is there."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster, Nanny

from experiments.runner import NotRunError
from experiments.sweeps.task import Task, fitting_lab
from topologies.lab import leftovers
from topologies.lab.lab import LabError
from topologies.lab.leftovers import RunFolder

ANSWER_LIMIT = 10.0
"""Seconds within which a scheduler must answer."""
LOCAL_HOST = "127.0.0.1"
_CLOSE_LIMIT = 5.0
_NO_PAGES: Mapping[str, list[str]] = {
    f"distributed.{kind}.http.routes": [] for kind in ("scheduler", "worker", "nanny")
}
"""Dask's own web pages: nobody else on this machine need look in."""


@contextlib.contextmanager
def local(workers: int) -> Iterator[Client]:
    """A cluster of processes on this machine, which none but this command can use.

    It listens on 127.0.0.1 only and speaks TLS with a certificate made for this run: whoever could
    talk to a worker could run programs as its user. Leaving it, however that comes, ends all workers
    and what they have started.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    folder = RunFolder("sweep")
    waiting = [signal.SIGINT, signal.SIGHUP]
    # Ctrl-C reaches every process of a terminal. Workers inherit that it waits; here it waits for a moment.
    # multiprocessing starts its tracker with the first worker, and lets signals through again after that.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        with (
            dask.config.set(_NO_PAGES),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host=LOCAL_HOST,
                protocol="tls",
                security=True,
                dashboard_address=f"{LOCAL_HOST}:0",
                local_directory=str(folder.path),
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            try:
                yield client
            except BaseException:
                _kill(cluster)
                raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        folder.close()
        leftovers.remove()  # of the workers that were killed


def _kill(cluster: LocalCluster) -> None:
    """End every worker at once, in the middle of what it does."""
    for nanny in cluster.workers.values():
        assert isinstance(nanny, Nanny)
        nanny.auto_restart = False  # type: ignore[attr-defined]
        if nanny.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


@contextlib.contextmanager
def existing(address: str, example: Task) -> Iterator[Client]:
    """The cluster of a scheduler, if all its workers fit.

    :param example: a task that each worker must be able to do.
    :raises NotRunError: with every problem.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=ANSWER_LIMIT)
    except (OSError, ValueError, TypeError, ImportError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise NotRunError([f"--scheduler {address}: no scheduler answers there: {said}"]) from None
    with client:
        workers = client.scheduler_info()["workers"]
        if not workers:
            start = f"in a checkout that is set up: .venv/bin/dask worker {address} --nthreads 1"
            raise NotRunError([f"--scheduler {address}: it has no worker; start one with, {start}"])
        found: Mapping[str, Any] = client.run(_problems, example, on_error="return")
        problems = [
            f"--scheduler {address}: worker {worker}: {problem}"
            for worker, said in found.items()
            for problem in (said if isinstance(said, list) else [f"cannot run this program: {said}"])
        ]
        if problems:
            raise NotRunError(problems)
        yield client


def _problems(task: Task) -> list[str]:
    """Why this worker cannot do a task."""
    try:
        fitting_lab(task)
    except LabError as error:
        return error.problems
    except RuntimeError as error:
        return [str(error)]
    return []
