"""Whose turn it is to commit: the items of a mapped operation claim versions and epochs in map order (SEMANTICS 2).

An item that has staged a claim waits, in its worker and before its commit, until all items before it have ended.
"""

from __future__ import annotations

from collections import defaultdict

from jeyn.workflows.local.tasks import Task
from jeyn.workflows.local.workers import Worker


class Turns:
    """Who waits, and which item of each mapped operation is the first without an end."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, int], Worker] = {}
        self._first: dict[str, int] = defaultdict(int)
        self._ended: dict[str, set[int]] = defaultdict(set)

    def is_first(self, task: Task) -> bool:
        return task.item is not None and task.item == self._first[task.operation.name]

    def hold(self, worker: Worker, task: Task) -> None:
        """It waits from now on, or goes on at once where nothing comes before it."""
        worker.deadline = None  # its work is done
        if task.item is None or self.is_first(task):
            worker.let_commit()
        else:
            self.held[task.operation.name, task.item] = worker

    def drop(self, task: Task) -> None:
        """Its attempt ended without a commit."""
        if task.item is not None:
            self.held.pop((task.operation.name, task.item), None)

    def end(self, name: str, item: int) -> None:
        """An item has come to its end: the next one that waits may go on."""
        self.held.pop((name, item), None)
        ended = self._ended[name]
        ended.add(item)
        while self._first[name] in ended:
            ended.remove(self._first[name])
            self._first[name] += 1
        worker = self.held.pop((name, self._first[name]), None)
        if worker is not None:
            worker.let_commit()
