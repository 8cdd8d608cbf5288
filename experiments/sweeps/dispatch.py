# SPDX-License-Identifier: GPL-2.0-or-later
"""Gives tasks to a cluster and collects what comes of them. A worker that is lost is no task that failed."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distributed import Client, Future

from experiments.runner import Finished, NotRunError, Progress, failed
from experiments.sweeps.task import Done, Task, perform
from experiments.work import Batch

RETRIES = 2
"""Times that a task is tried again, on another worker if there is one, when its worker could not do it.
A guest that fails is a result: it would fail again."""
NO_WORKER_LIMIT = 60.0
"""Seconds for which a cluster may be without any worker, or out of reach."""
_LOOK = 1.0
_FETCH_LIMIT = 60.0


def dispatch(
    client: Client,
    tasks: Sequence[Task],
    make_folder: Callable[[Batch], Path],
    report: Callable[[Progress], None],
    keep: Callable[[Finished], None],
    work: Callable[[Task], Done] = perform,
) -> list[Finished]:
    """Have all tasks done; what each left, in their order.

    :param keep: told of each batch as soon as it has ended.
    :raises NotRunError: if the cluster is lost; what was kept until then is whole.
    """
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    (topic,) = {task.topic for task in tasks}
    waiting: dict[Any, Batch] = {f"{topic}/{task.batch.name}": task.batch for task in tasks}
    by_name = {task.batch.name: task.batch for task in tasks}
    finished: dict[str, Finished] = {}
    client.subscribe_topic(topic, lambda event: told.put(event[1]))
    futures = [
        client.submit(work, task, key=f"{topic}/{task.batch.name}", retries=RETRIES, pure=False)
        for task in tasks
    ]
    for future in futures:
        future.add_done_callback(told.put)
    watch = _Watch(client)
    try:
        while waiting:
            try:
                item = told.get(timeout=_LOOK)
            except queue.Empty:
                watch.look()
                continue
            if not isinstance(item, Future):
                batch = by_name[item["batch"]]
                if batch.name not in finished:
                    report(Progress(batch, item["done"], item["of"], item["what"], mbps=item["mbps"]))
                continue
            batch = waiting[item.key]
            try:
                one = _finish(item, batch, make_folder)
            except TimeoutError:  # its worker was lost with the result: it is made again
                watch.look()
                item.add_done_callback(told.put)
                continue
            del waiting[item.key]
            finished[batch.name] = one
            keep(one)
            report(Progress(batch, batch.steps, batch.steps, "done", ended=True))
            item.release()
    finally:
        client.unsubscribe_topic(topic)
        if waiting and client.status == "running":
            client.cancel(futures)
    return [finished[task.batch.name] for task in tasks]


def _finish(future: Future[Done], batch: Batch, make_folder: Callable[[Batch], Path]) -> Finished:
    """Store what a task has left."""
    folder = make_folder(batch)
    if future.status == "error":
        error = future.exception(timeout=_FETCH_LIMIT)
        return Finished(batch, failed(f"{type(error).__name__}: {error}"), 0.0)
    if future.status in ("cancelled", "lost"):
        raise NotRunError([f"the scheduler has dropped {batch.name}: it was stopped or started again"])
    done = future.result(timeout=_FETCH_LIMIT)
    for name, octets in done.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
    return Finished(batch, done.outcome, done.wall_seconds)


class _Watch:
    """Notes since when nobody is there to work."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._since: float | None = None

    def look(self) -> None:
        """Look whether somebody is there.

        :raises NotRunError: if that has not been so for too long.
        """
        if self._somebody():
            self._since = None
            return
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > NO_WORKER_LIMIT:
            raise NotRunError([f"the cluster has had no worker for {NO_WORKER_LIMIT:.0f} s"])

    def _somebody(self) -> bool:
        if self._client.status != "running":
            return False
        try:
            return bool(self._client.scheduler_info()["workers"])
        except OSError:  # the scheduler has gone this moment
            return False
