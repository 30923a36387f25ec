"""One operation of a run by itself, decided from the catalog alone: what a pod does between its start and its end.

The rules are those of the local engine, which has the whole run before it: graph, conditions, cache and runner are the
same code. What has been done already is not done again, so that a step may be repeated at any point.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError, NotFound, TimedOut
from jeyn.sdk.plan import needs
from jeyn.stores.catalog.operations import NewOperation, Settled
from jeyn.workflows.cache import key_of, look_up
from jeyn.workflows.failure import Error, error_of
from jeyn.workflows.graph import DONE, HELD, SETTLED, Fate, evaluate
from jeyn.workflows.heart import Heart
from jeyn.workflows.local.tasks import Task
from jeyn.workflows.results import results_of
from jeyn.workflows.runner import Job, Report, execute
from jeyn.workflows.settle import OPEN, close_attempts, commit_held_items, died
from jeyn.workflows.shown import shown
from jeyn.workflows.sidecar import await_sidecar

if TYPE_CHECKING:
    from jeyn.sdk.plan import Plan, PlannedOperation
    from jeyn.stores.catalog.operations import OperationRow
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.inputs import Input

NEVER_AGAIN = 64  # the exit code of what no retry helps (SEMANTICS 21)
TURN_SECONDS = 120.0  # a retry comes within a minute, and then its pod has to start
LONGEST_TURN = 3600.0
SETTLE_AT_ONCE = 500


@dataclass(frozen=True)
class Ended:
    """What a step came to: a state, references that people can read by output, `items` that are still to be run."""

    state: str
    refs: Mapping[str, str] = field(default_factory=dict)
    error: Error | None = None
    items: list[int] | None = None

    @property
    def exit_code(self) -> int:
        """0 where what comes next may start, 1 where another attempt may help, else 64."""
        if self.state in DONE or self.state in ("skipped", HELD) or self.items is not None:
            return 0
        return 1 if self.error and self.error["retry"] else NEVER_AGAIN


class Step:
    """An operation of a run, or one `item` of a mapped one.

    `tried` is how often it was tried before, where someone counts. `overdue` is called when an attempt was given up
    for its timeout, from a thread of its own: nothing else can end a function that does not return.
    """

    def __init__(
        self,
        workspace: Workspace,
        run: RunRow,
        plan: Plan,
        operation: PlannedOperation,
        item: int | None = None,
        *,
        cache: bool = True,
        tried: int | None = None,
        overdue: Callable[[Ended], None] | None = None,
    ) -> None:
        self.workspace, self.run, self.plan = workspace, run, plan
        self.operation, self.item = operation, item
        self.use_cache, self.tried, self.overdue = cache, tried, overdue
        self.begun = time.monotonic()
        self.name = operation.name if item is None else f"{operation.name}[{item}]"
        self.positions = {each.name: position for position, each in enumerate(plan.all_operations)}
        rows = workspace.runs.operations(run.key, [self.positions[name] for name in needs(operation)], [self.name])
        self.row = next((row for row in rows if row.name == self.name), None) or _missing(run, self.name)
        self.results = results_of(workspace, run, plan, [row for row in rows if row is not self.row])
        states = self.results.graph.states
        for name in needs(operation):
            # Its pod is gone, or this one would not be here, and it could not say how it ended.
            states[name] = states[name] if states[name] in SETTLED else "failed"

    # What it comes to.

    def carry_out(self, heart: Heart, report: Report | None = None, offered: Mapping[str, Any] | None = None) -> Ended:
        """Skip it, take it from the cache, or run one attempt of it."""
        found = self.decide(offered)
        return found if isinstance(found, Ended) else self.attempt(found, heart, report)

    def decide(self, offered: Mapping[str, Any] | None = None) -> Ended | Task:
        """What can be said without running it, else what there is to run. Raises where a store cannot be reached."""
        if self.row.state in DONE or self.row.state in ("skipped", HELD):
            return self._as_it_is(self._let_follow())
        try:
            if (fate := self._fate()) != "run":
                return self._settled(fate)
            task = self._task(self.item, self.row.key, self._inputs())
        except JeynError as exc:
            if exc.retry_helps:  # it says nothing about the operation
                raise
            return self._failed(exc)
        if offered is not None:
            task.offered, task.cache = dict(offered), False
        end = self._found(task)
        if end is None:
            return task
        self.workspace.runs.settle([end])
        return replace(self._as_it_is(self.row), state="cached")

    def expand(self) -> Ended:
        """Give each item of a mapped operation a row; `items` of the answer are those that have to be run."""
        if self.row.state in DONE or self.row.state == "skipped":
            return replace(self._as_it_is(self.row), items=[])
        try:
            if (fate := self._fate()) != "run":
                return replace(self._settled(fate), items=[] if fate == "skipped" else None)
            items = self.results.item_inputs(self.operation)
        except JeynError as exc:
            if exc.retry_helps:
                raise
            return self._failed(exc)
        rows = self._item_rows(len(items))
        left, settled = [], list[Settled]()
        for index, (row, inputs) in enumerate(zip(rows, items, strict=True)):
            if row.state in DONE or row.state == "skipped":
                continue
            end = Settled(row.key, "skipped") if inputs is None else self._found(self._task(index, row.key, inputs))
            if end is None:
                left.append(index)
            else:
                settled.append(end)
        for start in range(0, len(settled), SETTLE_AT_ONCE):
            self.workspace.runs.settle(settled[start : start + SETTLE_AT_ONCE])
        if not items:
            self._settled("succeeded")
        return Ended("expanded", items=left)

    def _fate(self) -> Fate:
        if self.run.cancel_requested and self.operation is not self.plan.on_exit:
            return "cancelled"
        if self.item is not None:
            return "run"  # its expansion has decided
        fate = self.results.graph.fate(self.operation)
        if fate == "run" and not all(evaluate(each, self.results.value) for each in self.operation.conditions):
            return "skipped"
        return fate

    def _inputs(self) -> Mapping[str, Input]:
        if self.item is None:
            return self.results.inputs(self.operation)
        found = self.results.item_inputs(self.operation)[self.item]
        assert found is not None  # noqa: S101 - an item that is skipped has no pod
        return found

    def _item_rows(self, count: int) -> list[OperationRow]:
        position = self.positions[self.operation.name]
        runs = self.workspace.runs
        there = {row.item: row for row in runs.operations(self.run.key, [position]) if row.item >= 0}
        new = [
            NewOperation(f"{self.operation.name}[{index}]", self.operation.function, position, index)
            for index in range(count)
            if index not in there
        ]
        made = runs.add_operations(self.run.key, new) if new else []
        there |= {row.item: row for row in made}
        return [there[index] for index in range(count)]

    # Ends without an attempt.

    def _as_it_is(self, row: OperationRow) -> Ended:
        found = self.workspace.runs.outputs([row.key]).get(row.key, ())
        return Ended(str(row.state), {name: shown(self.workspace, id) for name, _, id in found})

    def _settled(self, state: str) -> Ended:
        self.workspace.runs.settle([Settled(self.row.key, state)])
        return Ended(state)

    def _failed(self, exc: JeynError) -> Ended:
        error = error_of(exc, self.workspace.settings.root, self.name)
        self.workspace.runs.settle([Settled(self.row.key, "failed", error=error)])
        return Ended("failed", error=error)

    def _task(self, item: int | None, row: int, inputs: Mapping[str, Input]) -> Task:
        name = self.operation.name if item is None else f"{self.operation.name}[{item}]"
        key = key_of(self.plan.code[self.operation.function], inputs)
        return Task(name, self.operation, item, row, inputs, key, cache=self.operation.options.cache)

    def _found(self, task: Task) -> Settled | None:
        if not (self.use_cache and task.cache):
            return None
        found = look_up(self.workspace, self.operation.function, task.key, explain=False)
        if found.origin is None:
            return None
        inputs = tuple(task.input_ids)
        return Settled(task.row, "cached", origin=found.origin, cache_key=task.key.digest[7:], inputs=inputs)

    # An attempt.

    def attempt(self, task: Task, heart: Heart, report: Report | None = None) -> Ended:
        """Run it once; the earlier attempts of its operation are over."""
        runs = self.workspace.runs
        before = close_attempts(self.workspace, task.row, "failed", died(self.workspace, self.name))
        task.attempt = max([each.number for each in before], default=0) + 1
        try:
            if self.operation.options.sidecar:
                await_sidecar()
        except JeynError as exc:
            return self._failed(exc)
        task.attempt_key = runs.start_attempt(task.row, task.attempt, socket.gethostname(), os.getpid())
        tried = task.attempt - 1 if self.tried is None else self.tried
        since = time.monotonic() if task.attempt == 1 else None  # earlier ones were in other pods
        job = replace(task.job(), last=tried >= self.operation.options.retries, since=since)
        with self._timed(job, heart) as timer:

            def in_turn() -> bool:
                timer.cancel()  # its work is done
                return self.await_turn()

            answer = execute(self.workspace, job, heart, report, in_turn)
        if "failed" in answer:
            return self._not_done(answer["failed"])
        row = self._let_follow()
        return Ended("succeeded", answer["done"]["shown"]) if "done" in answer else self._as_it_is(row)

    def _let_follow(self) -> OperationRow:
        """Commit what items hold whose turn has come, which this one may be itself; its row after that."""
        if self.item is not None:
            commit_held_items(self.workspace, self.run, self.positions[self.operation.name])
        (row,) = self.workspace.runs.operations(self.run.key, [], [self.name])
        return row

    def _not_done(self, error: Error) -> Ended:
        """Another attempt may have been quicker, and then the operation is done."""
        (row,) = self.workspace.runs.operations(self.run.key, [], [self.name])
        return self._as_it_is(row) if row.state in DONE else Ended("failed", error=error)

    def await_turn(self, seconds: float = TURN_SECONDS, longest: float = LONGEST_TURN) -> bool:
        """Items claim numbers in map order (SEMANTICS 2): wait for those before while one of them runs.

        While none runs, `seconds` have to do: this one may hold the very place that a retry of theirs needs. One that
        was killed looks as if it ran, so `longest` is the end of it. False where the work is to be held instead: those
        before have not ended by then, or one of them not well.
        """
        if self.item is None:
            return True
        position, timeout = self.positions[self.operation.name], self.operation.options.timeout
        # Argo ends a pod that takes much longer than that, and its work would be lost.
        end = self.begun + timeout + seconds if timeout is not None else math.inf
        left, moved, pause = -1, self.begun, 0.05
        while still := self.workspace.runs.open_items(self.run.key, position, self.item):
            now, waiting = time.monotonic(), sum(still.get(state, 0) for state in (*OPEN, HELD))
            if waiting < sum(still.values()):
                print(f"{self.name}: is done, and held: an item before it did not end well", flush=True)
                return False
            left, moved = waiting, moved if waiting == left else now
            waited = now - moved
            if now > end or waited > longest or (waited > seconds and not self._earlier_one_runs(position)):
                print(f"{self.name}: is done, and held until {waiting} items before it have ended", flush=True)
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0 if waited < seconds else 10.0)
        return True

    def _earlier_one_runs(self, position: int) -> bool:
        rows = self.workspace.runs.operations(self.run.key, [position])
        begun = [row.key for row in rows if 0 <= row.item < (self.item or 0) and row.state == "running"]
        return any(each.ended is None for each in self.workspace.runs.attempts(*begun))

    @contextmanager
    def _timed(self, job: Job, heart: Heart) -> Iterator[threading.Timer]:
        timeout = self.operation.options.timeout
        timer = threading.Timer(timeout or 0, self._give_up, (job, heart))
        timer.daemon = True
        if timeout is not None and self.overdue is not None:
            timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    def _give_up(self, job: Job, heart: Heart) -> None:
        timeout = self.operation.options.timeout
        exc = TimedOut(
            f'"{self.name}" did not end within {timeout:g} s', hint="give it a longer timeout= or less to do"
        )
        error = error_of(exc, self.workspace.settings.root, self.name)
        heart.rest()
        self.workspace.runs.fail_attempt(
            job.attempt_key,
            state="timed out",
            error=error,
            log=heart.spool.take(last=True) if heart.spool else "",
            operation_state="failed" if job.last else None,
        )
        if self.overdue is not None:
            self.overdue(self._not_done(error))


def _missing(run: RunRow, name: str) -> OperationRow:
    raise NotFound(f'the run "{run.id}" has no operation "{name}"', hint="an item is known once it was expanded")
