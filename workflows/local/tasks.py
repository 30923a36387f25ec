"""What the local engine still has to do: one task for each operation, or for each item of a mapped one."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jeyn.sdk.plan import PlannedOperation
from jeyn.stores.runs import NewAttempt
from jeyn.workflows.cache import Key
from jeyn.workflows.inputs import Input
from jeyn.workflows.runner import Job

LONGEST_WAIT = 60.0  # seconds between two attempts


@dataclass
class Task:
    """An operation with its inputs resolved, and how often it was tried. `item` is None unless it is one of many."""

    name: str
    operation: PlannedOperation
    item: int | None
    row: int
    inputs: Mapping[str, Input]
    key: Key
    cache: bool
    offered: dict[str, Any] = field(default_factory=dict)
    attempt: int = 0
    begun: NewAttempt | None = None
    attempt_key: int = 0
    recorded: bool = True
    not_before: float = 0.0
    reason: str = ""
    first_begun: float | None = None  # of its attempts, by a monotonic clock

    @property
    def attempts(self) -> int:
        """How many it may have in all."""
        return self.operation.options.retries + 1

    @property
    def last(self) -> bool:
        """Whether nothing is tried after the present attempt."""
        return self.attempt >= self.attempts

    @property
    def seconds(self) -> float | None:
        """Since the first of them began."""
        return None if self.first_begun is None else time.monotonic() - self.first_begun

    @property
    def wait(self) -> float:
        """Seconds until the next attempt."""
        backoff: float = self.operation.options.backoff * 2 ** (self.attempt - 1)
        return min(backoff, LONGEST_WAIT)

    @property
    def input_ids(self) -> list[tuple[str, int, str]]:
        """The artefacts that went in: (parameter, position, id)."""
        return [(name, at, id) for name, given in self.inputs.items() for at, id in enumerate(given.ids)]

    def begin(self, pid: int) -> None:
        """The next attempt, in that process; whoever needs it in the catalog records it there."""
        self.attempt += 1
        if self.attempt == 1:
            self.first_begun = time.monotonic()
        # Drawn by the system: the user's seed of `random` would give every run the same.
        self.attempt_key = secrets.randbits(62)
        now = time.time_ns() // 1000
        self.begun = NewAttempt(self.attempt_key, self.row, self.attempt, os.uname().nodename, pid, now)
        self.recorded = False

    def job(self) -> Job:
        return Job(
            operation=self.name,
            operation_key=self.row,
            attempt_key=self.attempt_key,
            function=self.operation.function,
            inputs={name: given.wire for name, given in self.inputs.items()},
            input_ids=self.input_ids,
            outputs=list(self.operation.outputs),
            key=self.key.digest,
            seed=self.key.seed,
            components=dict(self.key.components),
            cache=self.cache,
            last=self.last,
            offered=self.offered,
            since=self.first_begun,
            in_turn=self.item is not None,
            mapped=list(self.operation.mapped) if self.item is not None else [],
            begun=None if self.begun is None else vars(self.begun),
        )
