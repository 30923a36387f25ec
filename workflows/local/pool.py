"""The workers of one run: started when there is work for them, waited for together, ended together."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jeyn.workflows.local.tasks import Task
from jeyn.workflows.local.workers import GRACE_SECONDS, Worker


class Pool:
    """At most `most` workers; `running` says what each is busy with."""

    def __init__(self, setup: Mapping[str, Any], home: Path, most: int) -> None:
        self.setup, self.home, self.most = setup, home, most
        self.running: dict[Worker, Task] = {}
        self._starting: set[Worker] = set()
        self._idle: list[Worker] = []
        self._leaving: list[Worker] = []
        self.is_reused = not setup.get("isolated", False)
        self._selector = selectors.DefaultSelector()

    def free(self, wanted: int, extra: int = 0) -> Worker | None:
        """A worker without work. If there is none, as many are started as are `wanted` and allowed."""
        room = self.most + extra - len(self.running)
        if room > 0 and self._idle:
            return self._idle.pop()
        for _ in range(min(wanted, room) - len(self._starting)):
            worker = Worker(self.setup, self.home)
            self._starting.add(worker)
            self._selector.register(worker, selectors.EVENT_READ)
        return None

    def is_ready(self, worker: Worker) -> None:
        """It has imported what it needs: from here on its time is its job's."""
        self._starting.discard(worker)
        self._idle.append(worker)

    def could_not_start(self, worker: Worker) -> bool:
        return worker in self._starting

    def give(self, worker: Worker, task: Task) -> None:
        self.running[worker] = task
        worker.give(task.job(), task.operation.options.timeout)

    def release(self, worker: Worker, *, is_spent: bool = False) -> None:
        """Its job is done. One that cannot be what it was when it began is given no other."""
        del self.running[worker]
        if is_spent or not self.is_reused:
            worker.close()
            self._leaving.append(worker)
        else:
            self._idle.append(worker)

    def wait(self, seconds: float) -> Iterator[tuple[Worker, list[dict[str, Any]], bool]]:
        """The answers that come within that time, each with its worker and whether that has ended."""
        for key, _ in self._selector.select(max(seconds, 0)):
            worker = key.fileobj
            if isinstance(worker, Worker):
                yield (worker, *worker.answers())

    def kill(self, worker: Worker) -> None:
        """End a worker and all that it started."""
        self._selector.unregister(worker)
        self.running.pop(worker, None)
        self._starting.discard(worker)
        for others in (self._idle, self._leaving):
            if worker in others:
                others.remove(worker)
        worker.kill()

    def give_time(self, seconds: float) -> None:
        """So much more for the jobs that run."""
        for worker in self.running if seconds > 0 else ():
            if worker.deadline is not None:
                worker.deadline += seconds

    def overdue(self) -> list[Worker]:
        """Those whose job has had its time."""
        now = time.monotonic()
        return [worker for worker in self.running if worker.deadline is not None and now > worker.deadline]

    def dead(self) -> list[Worker]:
        """Those that ended with a job; a process that they forked may keep their pipe open."""
        return [worker for worker in self.running if worker.has_ended()]

    def next_deadline(self) -> float:
        """When the next job has had its time (monotonic seconds)."""
        return min((w.deadline for w in self.running if w.deadline is not None), default=float("inf"))

    def end(self) -> None:
        """Let idle workers go and kill the rest."""
        for worker in (*self.running, *self._starting):
            self.kill(worker)
            worker.forget_spool()
        for worker in self._idle:
            worker.close()
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in (*self._idle, *self._leaving):
            worker.wait(deadline - time.monotonic())
            self.kill(worker)
            worker.forget_spool()
        self._selector.close()
