"""Whose turn it is to write to a SQLite catalog: writers stand in a line beside it and are served in order.

SQLite lets waiters ask again and again, and of many on a slow disk some are never lucky. Here one holds the turn, one
is next, and the kernel keeps the order of the rest. It is about fairness only: SQLite's own lock still keeps writers
apart, so a line that cannot be made, as on a full disk, is done without, and an older Jeyn may write beside it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from jeyn.errors import Busy
from jeyn.stores.access import create

NEXT, TURN = ".next", ".turn"  # behind the catalog's name: whoever is next holds the first until the second is free
Place = tuple[int, int]  # descriptors of both


class WriterQueue:
    """The line of one catalog. Threads stand in it like processes; what a fork inherits is let go in the child."""

    def __init__(self, catalog: Path, patience: float) -> None:
        self.catalog, self.patience = catalog, patience
        self._kept: list[Place] = []
        self._open: set[int] = set()

    def take(self) -> Place | None:
        """Wait for the turn; None where there is no line. Raises `Busy` when nobody commits for `patience` seconds."""
        try:
            place = self._kept.pop()
        except IndexError:
            try:
                place = self._opened()
            except OSError:
                return None
        if not _at_once(place):
            self._wait(place)
        return place

    def give_back(self, place: Place | None) -> None:
        """The turn is over."""
        if place is None or place[1] not in self._open:  # the latter: in a fork's child, which holds nothing
            return
        fcntl.flock(place[1], fcntl.LOCK_UN)
        self._kept.append(place)

    def close(self) -> None:
        """Close what is not in use."""
        while self._kept:
            self._close(self._kept.pop())

    def forget(self) -> None:
        """In a fork's child: the parent goes on holding what it held."""
        self._kept.clear()
        self._close(tuple(self._open))

    def _opened(self) -> Place:
        found = []
        for end in (NEXT, TURN):
            descriptor = create(self.catalog.with_name(f"{self.catalog.name}{end}"), 0)
            self._open.add(descriptor)
            found.append(descriptor)
        return found[0], found[1]

    def _close(self, descriptors: tuple[int, ...]) -> None:
        for descriptor in descriptors:
            self._open.discard(descriptor)
            with suppress(OSError):
                os.close(descriptor)

    def _wait(self, place: Place) -> None:
        """In a thread of its own: a lock that is waited for in order cannot be waited for in time."""
        waiter, seen = _Waiter(self, place), self._written()
        try:
            waiter.start()
            while not waiter.has_turn.wait(self.patience):
                now = self._written()
                if now == seen:
                    raise Busy(
                        f'the catalog "{self.catalog}" was locked for {self.patience:g} s, and nobody committed',
                        hint="try again when whoever holds it is done",
                    )
                seen = now
        except BaseException:  # Ctrl-C too
            waiter.leave()
            raise

    def _written(self) -> tuple[int, int]:
        """Something that every commit changes."""
        try:
            found = self.catalog.with_name(f"{self.catalog.name}-wal").stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size


class _Waiter(threading.Thread):
    """Stands in the line until it is its turn; a turn that nobody wants any more goes to the next."""

    def __init__(self, queue: WriterQueue, place: Place) -> None:
        super().__init__(daemon=True, name="jeyn-writer-queue")
        self.queue, self.place = queue, place
        self.has_turn = threading.Event()
        self._is_settled = threading.Lock()

    def run(self) -> None:
        waiting, turn = self.place
        fcntl.flock(waiting, fcntl.LOCK_EX)
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(waiting, fcntl.LOCK_UN)
        if self._is_settled.acquire(blocking=False):
            self.has_turn.set()
        else:
            self.queue.give_back(self.place)

    def leave(self) -> None:
        """Whoever waited for the turn does so no more."""
        if not self._is_settled.acquire(blocking=False):
            self.queue.give_back(self.place)


def _at_once(place: Place) -> bool:
    """Whether nobody waits and nobody writes, so that it is this one's turn; who is next but waits stays next."""
    waiting, turn = place
    if not (_locked(waiting) and _locked(turn)):
        return False
    fcntl.flock(waiting, fcntl.LOCK_UN)
    return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
