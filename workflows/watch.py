"""What an engine tells whoever watches a run: small immutable events, the same for every engine and display."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunStarted:
    """A run was created; `operations` are the plan's names in order, before mapped ones are expanded."""

    run: str
    pipeline: str
    engine: str
    operations: tuple[str, ...]
    resumed_from: str | None = None


@dataclass(frozen=True)
class ItemsKnown:
    """How many items a mapped operation has; they are called `name[0]`, `name[1]`, …"""

    operation: str
    count: int


@dataclass(frozen=True)
class OperationChanged:
    """An operation is in a new state: running, succeeded, cached, adopted, failed, skipped, not run, cancelled or
    waiting.

    `waiting` with `retry_in` (seconds) comes between two attempts. `outputs` are references that people can read,
    `seconds` the time of this attempt, `reason` says why it was not taken from the cache, `error` is JSON:
    code, message, hint, refs, traceback.
    """

    operation: str
    state: str
    attempt: int = 0
    seconds: float | None = None
    outputs: tuple[str, ...] = ()
    reason: str = ""
    retry_in: float | None = None
    error: Mapping[str, Any] | None = None
    attempts: int = 1  # that it may have in all


@dataclass(frozen=True)
class Progress:
    """How far an operation's `jeyn.progress(...)` is; `total` is None where nobody knows."""

    operation: str
    done: int
    total: int | None
    description: str = ""


@dataclass(frozen=True)
class Printed:
    """Whole lines that an operation wrote to stdout, stderr or a logger."""

    operation: str
    text: str


@dataclass(frozen=True)
class RunFinished:
    """The end: succeeded, failed or cancelled."""

    run: str
    state: str
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)  # operations by state; a mapped one is its items
    error: Mapping[str, Any] | None = None


Event = RunStarted | ItemsKnown | OperationChanged | Progress | Printed | RunFinished
Watch = Callable[[Event], None]


def unwatched(event: Event) -> None:
    """For who does not look."""
