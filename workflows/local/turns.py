"""Whose turn it is to commit: the items of a mapped operation claim versions and epochs in map order (SEMANTICS 2).

An item that has staged a claim waits, before its commit, until all items before it have ended. Where one of those did
not end well, what it has done is held: the resumed run commits it, after that one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Protocol

from jeyn.workflows.graph import DONE
from jeyn.workflows.local.tasks import Task


class Waiting(Protocol):
    """Who is told whether it may commit."""

    def let_commit(self) -> None: ...
    def let_hold(self) -> None: ...


@dataclass(eq=False)
class Resumed:
    """An item that an earlier run has done and held; `decided` is told what is to become of it."""

    task: Task
    decided: deque[tuple[Task, bool]]

    def let_commit(self) -> None:
        self.decided.append((self.task, True))

    def let_hold(self) -> None:
        self.decided.append((self.task, False))


class Turns:
    """Who waits, and which item of each mapped operation is the first without a good end."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, int], Waiting] = {}
        self._first: dict[str, int] = defaultdict(int)
        self._ended: dict[str, set[int]] = defaultdict(set)
        self._broken: dict[str, int] = {}  # the first item that did not end well

    def is_first(self, task: Task) -> bool:
        return task.item is not None and task.item == self._first[task.operation.name]

    def hold(self, waiting: Waiting, task: Task) -> None:
        """It waits from now on, or is told at once."""
        if task.item is None or self.is_first(task):
            waiting.let_commit()
        elif task.item > self._broken.get(task.operation.name, task.item):
            waiting.let_hold()
        else:
            self.held[task.operation.name, task.item] = waiting

    def drop(self, task: Task) -> None:
        """Its attempt ended without a commit."""
        if task.item is not None:
            self.held.pop((task.operation.name, task.item), None)

    def end(self, name: str, item: int, state: str) -> None:
        """An item has come to its end: the next one that waits may go on, or all that wait know that they may not."""
        self.held.pop((name, item), None)
        if state not in DONE and state != "skipped":
            self._break(name, item)
            return
        ended = self._ended[name]
        ended.add(item)
        while self._first[name] in ended:
            ended.remove(self._first[name])
            self._first[name] += 1
        waiting = self.held.pop((name, self._first[name]), None)
        if waiting is not None:
            waiting.let_commit()

    def _break(self, name: str, item: int) -> None:
        self._broken[name] = min(item, self._broken.get(name, item))
        for of, later in sorted(self.held):
            if of == name and later > item:
                self.held.pop((of, later)).let_hold()
