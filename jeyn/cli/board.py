"""What a run looks like so far, put together from an engine's events; the displays draw it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jeyn.workflows.watch import Event, ItemsKnown, OperationChanged, Printed, Progress, RunFinished, RunStarted

FINISHED = frozenset({"succeeded", "cached", "adopted", "failed", "skipped", "not run", "held", "cancelled"})
# How a state is counted in a sentence, in the order in which people want to read it.
COUNTED = {
    "succeeded": "ran",
    "cached": "cached",
    "adopted": "adopted",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
    "not run": "not run",
    "held": "held",
    "running": "running",
    "waiting": "not started",
}
TAIL = 20_000  # characters of an operation's output that are looked through for its traceback
Error = Mapping[str, Any]


@dataclass
class Items:
    """The items of a mapped operation: how many there are and in which states."""

    count: int
    states: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    errors: dict[str, Error] = field(default_factory=dict)

    def change(self, event: OperationChanged) -> None:
        before = self.states.get(event.operation)
        if before is not None:
            self.counts[before] -= 1
        self.states[event.operation] = event.state
        self.counts[event.state] += 1
        if event.state == "failed":
            self.errors[event.operation] = event.error or {}

    @property
    def finished(self) -> int:
        return sum(self.counts[state] for state in FINISHED)

    @property
    def state(self) -> str:
        """Of all items together."""
        if self.finished < self.count:
            return "running" if self.states else "waiting"
        worst = ("failed", "cancelled", "not run", "held", "succeeded", "adopted", "cached", "skipped")
        return next((state for state in worst if self.counts[state]), "succeeded")


@dataclass
class Line:
    """One operation of the plan."""

    name: str
    state: str = "waiting"
    attempt: int = 0
    attempts: int = 1
    started: float | None = None
    seconds: float | None = None
    outputs: tuple[str, ...] = ()
    reason: str = ""
    retry_at: float | None = None
    progress: Progress | None = None
    error: Error | None = None
    items: Items | None = None

    @property
    def open(self) -> bool:
        """Whether somebody should look at it: it runs, waits for its next attempt, or has failed."""
        return self.state in ("running", "failed") or self.retry_at is not None

    def errors(self) -> Iterator[tuple[str, Error]]:
        """(operation or item, its error) of everything in this line that failed."""
        if self.items is not None and self.items.errors:
            yield from self.items.errors.items()
        elif self.state == "failed":
            yield self.name, self.error or {}


class Board:
    """The lines of a run in plan order. `clock` gives seconds that only differences are taken of."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.RLock()  # events come from the engine's threads, drawings from the display's
        self.started: RunStarted | None = None
        self.finished: RunFinished | None = None
        self.lines: dict[str, Line] = {}
        self.printed_traceback: set[str] = set()  # operations whose own output ended with it
        self._tails: dict[str, str] = {}

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.started = event
                self.lines = {name: Line(name) for name in event.operations}
            case ItemsKnown(operation=name, count=count):
                self.line(name).items = Items(count)
            case OperationChanged():
                self._change(event)
                self._forget_tail(event)
            case Printed(operation=name, text=text):
                self._tails[name] = (self._tails.get(name, "") + text)[-TAIL:]
            case Progress(operation=name) if self.mapped(name) is None:
                self.line(name).progress = event
            case RunFinished():
                self.finished = event

    def line(self, name: str) -> Line:
        """An operation's line; one that no plan announced, such as an exit handler, comes last."""
        return self.lines.setdefault(name, Line(name))

    def mapped(self, name: str) -> Line | None:
        """The mapped operation's line when `name` is one of its items."""
        if not name.endswith("]"):
            return None
        line = self.lines.get(name.rpartition("[")[0])
        return line if line is not None and line.items is not None else None

    def seconds(self, line: Line) -> float | None:
        """How long an operation has been running, or took."""
        if line.seconds is None and line.state == "running" and line.started is not None:
            return self.clock() - line.started
        return line.seconds

    def counts(self) -> Counter[str]:
        """Operations by state, a mapped one as its items."""
        found: Counter[str] = Counter()
        for line in self.lines.values():
            found.update(+line.items.counts if line.items is not None and line.items.count else [line.state])
        return found

    def errors(self) -> list[tuple[str, Error]]:
        return [found for line in self.lines.values() for found in line.errors()]

    def _change(self, event: OperationChanged) -> None:
        mapped = self.mapped(event.operation)
        if mapped is None or mapped.items is None:
            self._follow(self.line(event.operation), event)
            return
        mapped.items.change(event)
        if mapped.state not in FINISHED:
            self._move(mapped, mapped.items.state)

    def _forget_tail(self, event: OperationChanged) -> None:
        if event.state not in FINISHED:
            return
        traceback = str((event.error or {}).get("traceback") or "").strip()
        tail = self._tails.pop(event.operation, "")
        if traceback and traceback in tail:
            self.printed_traceback.add(event.operation)

    def _follow(self, line: Line, event: OperationChanged) -> None:
        if event.state == "running":
            line.progress = None
        self._move(line, event.state)
        line.attempt = event.attempt or line.attempt
        line.attempts = max(event.attempts, line.attempts)
        line.seconds = event.seconds if event.seconds is not None else line.seconds
        line.outputs = event.outputs or line.outputs
        line.reason = event.reason or line.reason
        line.error = event.error
        line.retry_at = None if event.retry_in is None else self.clock() + event.retry_in

    def _move(self, line: Line, state: str) -> None:
        if state == "running" and line.state != "running":
            line.started, line.seconds = self.clock(), None
        elif state in FINISHED and line.started is not None and line.seconds is None:
            line.seconds = self.clock() - line.started
        line.state = state


def counted(counts: Mapping[str, int]) -> str:
    """`3 ran, 2 cached`."""
    return ", ".join(f"{counts[state]:,} {word}" for state, word in COUNTED.items() if counts.get(state))


def duration(seconds: float | None) -> str:
    """`0.03 s`, `1.2 s`, `2 min 03 s`, `1 h 02 min`; nothing for nothing."""
    if seconds is None:
        return ""
    if seconds < 0.1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
