"""The loop of the local engine: what is ready is taken from the cache or given to a worker, until nothing is left."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jeyn.errors import Interrupted, JeynError, TimedOut, WorkerDied
from jeyn.sdk.plan import Plan, PlannedOperation
from jeyn.stores.catalog.operations import NewOperation, Settled
from jeyn.workflows.cache import key_of, look_up
from jeyn.workflows.failure import Error, error_of, raised
from jeyn.workflows.graph import DONE, HELD, NOT_RUN, Graph, evaluate, map_state
from jeyn.workflows.inputs import Input, Outputs, Produced, Results
from jeyn.workflows.local.pool import Pool
from jeyn.workflows.local.tasks import Task
from jeyn.workflows.local.turns import Resumed, Turns
from jeyn.workflows.local.workers import GRACE_SECONDS, Worker, how_it_ended, what_to_do
from jeyn.workflows.shown import shown
from jeyn.workflows.watch import ItemsKnown, OperationChanged, Printed, Progress, Watch, unwatched

if TYPE_CHECKING:
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace

POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 5.0
SHORT_SECONDS = 0.05
SETTLE_AT_ONCE = 500


class LocalEngine:
    """One run of one plan. `stop()` may be called from a signal handler; the second time it does not wait."""

    handed_over = False

    def __init__(
        self,
        workspace: Workspace,
        run: RunRow,
        plan: Plan,
        setup: Mapping[str, Any],
        *,
        workers: int,
        watch: Watch,
        cache: bool = True,
        explain: bool = False,
    ) -> None:
        self.workspace, self.run_row, self.plan = workspace, run, plan
        self.use_cache, self.watch, self.explain = cache, watch, explain
        self.runs = workspace.runs
        self.graph = Graph(plan)
        self.results = Results(workspace, self.graph, run.pins)
        self.pool = Pool(setup, workspace.settings.home, workers)
        self.rows = {row.name: row for row in self.runs.operations(run.key)}
        self.ready = deque(self.graph.first())
        self.tasks: deque[Task] = deque()
        self.delayed: list[Task] = []
        self.turns = Turns()
        self.decided: deque[tuple[Task, bool]] = deque()  # held by the run before; whether they may commit
        self.settled: list[Settled] = []
        self.left: dict[str, int] = {}  # of a mapped operation: items without an end
        self.item_states: dict[str, Counter[str]] = {}
        self.error: Error | None = None
        self.stops = 0
        self.was_cancelled = False
        self.leaving = False
        self._waited = workspace.database.waited
        self._beaten = self._asked = self._looked = time.monotonic()

    def stop(self) -> None:
        """Start nothing more and end what runs."""
        self.stops += 1

    def run(self) -> str:
        """Walk the plan to its end; gives the run's state. The workers are gone when it returns or raises."""
        try:
            self._work()
            if self.stops or self.was_cancelled:
                self._stop_running()
                self._cancel_rest()
            state = self._state()
            if self.plan.on_exit is not None and not self.stops:
                state = self._leave(self.plan.on_exit, state)
            self._flush()
            return state
        except BaseException:
            self.watch = unwatched  # it may be what failed
            with suppress(JeynError):
                self._abandon()
            raise
        finally:
            self.pool.end()

    def _abandon(self) -> None:
        """The engine itself failed: nothing is left that says it runs, and what was printed is kept."""
        for worker in list(self.pool.running):
            self._cancel(worker)
        self._cancel_rest(NOT_RUN)
        self._flush()

    def _work(self) -> None:
        while not (self.stops or self.was_cancelled):
            while self.ready:
                self._begin(self.ready.popleft())
            while self.decided:
                self._take_up(*self.decided.popleft())
            self._dispatch()
            if not (self.tasks or self.delayed or self.pool.running or self.ready):
                return
            if not self.ready:
                self._wait()

    def _state(self) -> str:
        if self.stops or self.was_cancelled:
            return "cancelled"
        return "failed" if self.error else "succeeded"

    # What an operation comes to.

    def _begin(self, name: str) -> None:
        """Everything that an operation waited for is done."""
        operation = self.graph.operations[name]
        row = self.rows[name]
        if row.state == "adopted" and not operation.mapped:
            self._settle_one(name, "adopted", self._produced_by(row.key))
            return
        try:
            fate = self.graph.fate(operation)
            if fate == "run" and not all(evaluate(each, self.results.value) for each in operation.conditions):
                fate = "skipped"
            if fate != "run":
                self._write(Settled(row.key, fate))
                self._settle_one(name, fate)
            elif operation.mapped:
                self._expand(operation)
            else:
                self._try(self._task(operation, None, row.key, self.results.inputs(operation)))
        except JeynError as exc:
            self._fail(name, error_of(exc, self.workspace.settings.root, name))

    def _expand(self, operation: PlannedOperation) -> None:
        """Each item of a mapped operation gets a row and a task of its own."""
        items = self.results.item_inputs(operation)
        self.watch(ItemsKnown(operation.name, len(items)))
        names = [f"{operation.name}[{index}]" for index in range(len(items))]
        position = self.rows[operation.name].position
        new = [
            NewOperation(name, operation.function, position, index)
            for index, name in enumerate(names)
            if name not in self.rows
        ]
        for row in self.runs.add_operations(self.run_row.key, new) if new else []:
            self.rows[row.name] = row
        self.results.items[operation.name] = [None] * len(items)
        self.left[operation.name] = len(items)
        self.item_states[operation.name] = Counter()
        if not items:
            self._end_map(operation.name)
        for index, (name, inputs) in enumerate(zip(names, items, strict=True)):
            if self.rows[name].state == "adopted":
                self._settle_item(operation.name, index, "adopted", self._produced_by(self.rows[name].key))
            elif inputs is None:
                self._write(Settled(self.rows[name].key, "skipped"))
                self._settle_item(operation.name, index, "skipped")
            elif self.rows[name].state == HELD:
                task = self._task(operation, index, self.rows[name].key, inputs)
                self.turns.hold(Resumed(task, self.decided), task)
            else:
                self._try(self._task(operation, index, self.rows[name].key, inputs))

    def _task(self, operation: PlannedOperation, item: int | None, row: int, inputs: Mapping[str, Input]) -> Task:
        name = operation.name if item is None else f"{operation.name}[{item}]"
        key = key_of(self.plan.code[operation.function], inputs)
        return Task(name, operation, item, row, inputs, key, cache=operation.options.cache)

    def _try(self, task: Task) -> None:
        """Take it from the cache, or leave it to the workers."""
        if not (self.use_cache and task.cache):
            task.reason = "the cache is off for it"
        else:
            function, seen = task.operation.function, self.watch is not unwatched
            found = look_up(self.workspace, function, task.key, explain=self.explain, left_out=seen)
            if found.left_out:
                self.watch(Printed(task.name, found.left_out))
            if found.origin is not None:
                ids = {name: id for name, _, id in found.outputs}
                outputs = {name: self.results.produced(id) for name, id in ids.items()}
                key = task.key.digest[7:]
                inputs = tuple(task.input_ids)
                self._write(Settled(task.row, "cached", origin=found.origin, cache_key=key, inputs=inputs))
                self._settle(task, "cached", outputs)
                return
            task.reason = found.reason
        self.tasks.append(task)

    def _take_up(self, task: Task, may_commit: bool) -> None:
        """What an item has done and held in the run before this one."""
        if not may_commit:
            self._settle(task, HELD)
            return
        task.begin(os.getpid())
        if self.runs.commit_held(task.row, self.rows[task.name].origin or task.row, task.begun):
            self._settle(task, "succeeded", self._produced_by(task.row))
        else:
            task.attempt = 0
            self._try(task)

    def _produced_by(self, row: int) -> Outputs:
        found = self.runs.outputs([row]).get(row, [])
        return {name: self.results.produced(id) for name, _, id in found}

    # Ends.

    def _settle(self, task: Task, state: str, produced: Outputs | None = None, **said: Any) -> None:
        if task.item is None:
            self._settle_one(task.name, state, produced, **said)
        else:
            self._settle_item(task.operation.name, task.item, state, produced, **said)

    def _settle_one(self, name: str, state: str, produced: Outputs | None = None, **said: Any) -> None:
        if produced is not None:
            self.results.single[name] = produced
        if "outputs" not in said and produced and self.watch is not unwatched:
            order = self.graph.operations[name].outputs
            said["outputs"] = tuple(shown(self.workspace, produced[each].id) for each in order if each in produced)
        self.watch(OperationChanged(name, state, **said))
        self.ready.extend(self.graph.settle(name, state))

    def _settle_item(self, name: str, item: int, state: str, produced: Outputs | None = None, **said: Any) -> None:
        self.results.items[name][item] = produced
        self.watch(OperationChanged(f"{name}[{item}]", state, **said))
        self.item_states[name][state] += 1
        self.left[name] -= 1
        self.turns.end(name, item, state)
        if not self.left[name]:
            self._end_map(name)

    def _end_map(self, name: str) -> None:
        state = map_state(self.item_states[name])
        self._write(Settled(self.rows[name].key, state))
        self._settle_one(name, state)

    def _fail(self, name: str, error: Error) -> None:
        """It failed before any attempt: its condition or its inputs are wrong."""
        self.error = self.error or error
        self._write(Settled(self.rows[name].key, "failed", error=error))
        self._settle_one(name, "failed", error=error)

    def _write(self, row: Settled) -> None:
        self.settled.append(row)
        if len(self.settled) >= SETTLE_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self.settled:
            self.runs.settle(self.settled)
            self.settled = []

    # Work in processes.

    def _dispatch(self) -> None:
        now = time.monotonic()
        due = [task for task in self.delayed if task.not_before <= now]
        self.delayed = [task for task in self.delayed if task.not_before > now]
        self.tasks.extendleft(reversed(due))
        while self.tasks and (worker := self.pool.free(len(self.tasks), self._awaited_first())) is not None:
            self._flush()
            task = self.tasks.popleft()
            task.begin(worker.pid)
            self.watch(OperationChanged(task.name, "running", task.attempt, reason=task.reason, attempts=task.attempts))
            self.pool.give(worker, task)

    def _record(self, tasks: list[Task]) -> None:
        """The catalog is told which attempts have begun; of short ones only their end, in the same commit."""
        new = [task for task in tasks if not task.recorded]
        self.runs.record_attempts([task.begun for task in new if task.begun is not None])
        for task in new:
            task.recorded = True

    def _awaited_first(self) -> int:
        """One worker more where all others wait for the turn of an item that is to be tried again: it goes first."""
        if len(self.turns.held) < max(len(self.pool.running), 1):
            return 0
        at = next((at for at, task in enumerate(self.tasks) if self.turns.is_first(task)), None)
        if at is None:
            return 0
        self.tasks.rotate(-at)
        task = self.tasks.popleft()
        self.tasks.rotate(at)
        self.tasks.appendleft(task)
        return 1

    def _wait(self) -> None:
        self._flush()
        now = time.monotonic()
        times = [now + POLL_SECONDS, self.pool.next_deadline(), *(task.not_before for task in self.delayed)]
        until = min(*times, *(w.started + SHORT_SECONDS for w, task in self.pool.running.items() if not task.recorded))
        for worker, answers, closed in list(self.pool.wait(until - now)):
            for answer in answers:
                self._answer(worker, answer)
            if closed:
                self._died(worker)
        now = time.monotonic()
        self._record([task for w, task in self.pool.running.items() if w.started + SHORT_SECONDS <= now])
        if now >= self._looked + POLL_SECONDS or now > self.pool.next_deadline():
            self._looked = now
            self._look_around()

    def _look_around(self) -> None:
        """What is not urgent: printed lines, timeouts, a heartbeat, whether someone cancelled the run."""
        for worker, task in self.pool.running.items():
            self._print(worker, task)
        waited = self.workspace.database.waited
        self.pool.give_time(waited - self._waited)  # whose job is done may be waiting for the catalog as well
        self._waited = waited
        for worker in self.pool.overdue():
            self._time_out(worker)
        for worker in self.pool.dead():
            for answer in worker.answers()[0]:
                self._answer(worker, answer)
            if worker in self.pool.running:
                self._died(worker)
        now = time.monotonic()
        if now - self._beaten > HEARTBEAT_SECONDS:
            self.runs.heartbeat(self.run_row.key)
            self._beaten = now
        if now - self._asked > 1 and not self.leaving:
            self.was_cancelled = self.was_cancelled or self.runs.cancel_requested(self.run_row.key)
            self._asked = now

    def _answer(self, worker: Worker, answer: Mapping[str, Any]) -> None:
        if "ready" in answer:
            self.pool.is_ready(worker)
            return
        task = self.pool.running.get(worker)
        if task is None:
            return
        if "progress" in answer:
            self.watch(Progress(task.name, *answer["progress"]))
            return
        if "claims" in answer:
            worker.deadline = None  # its work is done
            self.turns.hold(worker, task)
            return
        if "lost" in answer:
            self.pool.kill(worker)
            self._lost(worker, task, raised(answer["lost"]), "failed", time.monotonic() - worker.started)
            return
        if answer["printed"]:
            self._print(worker, task, last=True)
        self.pool.release(worker, is_spent=answer.get("spent", False))
        seconds = time.monotonic() - worker.started
        if "done" in answer:
            done = answer["done"]
            outputs = {name: Produced(**each) for name, each in done["outputs"].items()}
            said: dict[str, Any] = {
                "attempt": task.attempt,
                "seconds": seconds,
                "outputs": tuple(done["shown"].values()),
                "reason": task.reason,
            }
            self._settle(task, "succeeded", outputs, **said)
        elif "held" in answer:
            self._settle(task, HELD, attempt=task.attempt, seconds=seconds)
        else:
            if answer.get("stopped"):  # not by this engine: it counts as any other failure
                self._write(Settled(task.row, "failed", error=answer["failed"]))
            self._failed(task, answer["failed"], seconds)

    def _print(self, worker: Worker, task: Task, *, last: bool = False) -> None:
        text = worker.printed(last=last)
        if text:
            self.watch(Printed(task.name, text))

    def _failed(self, task: Task, error: Error, seconds: float) -> None:
        self.turns.drop(task)
        if error["retry"] and not task.last and not self.stops:
            task.not_before = time.monotonic() + task.wait
            self.delayed.append(task)
            self.watch(
                OperationChanged(
                    task.name, "waiting", task.attempt, seconds, retry_in=task.wait, error=error, attempts=task.attempts
                )
            )
            return
        self.error = self.error or error
        self._settle(task, "failed", attempt=task.attempt, seconds=seconds, error=error)

    def _died(self, worker: Worker) -> None:
        """The process ended by itself: killed for its memory, crashed in native code, or told to by the user's code."""
        task = self.pool.running.get(worker)
        seconds = time.monotonic() - worker.started
        could_not_start = self.pool.could_not_start(worker)
        self.pool.kill(worker)
        if could_not_start:
            ended = how_it_ended(worker.process.returncode)
            raise WorkerDied(f"a worker process {ended} before it could begin", hint="see what it printed; jeyn doctor")
        if task is None:
            worker.forget_spool()
            return
        exc = WorkerDied(
            f'the process of "{task.name}" {how_it_ended(worker.process.returncode)}',
            hint=what_to_do(worker.process.returncode),
        )
        self._lost(worker, task, exc, "failed", seconds)

    def _time_out(self, worker: Worker) -> None:
        task = self.pool.running[worker]
        timeout = task.operation.options.timeout
        self.pool.kill(worker)
        exc = TimedOut(
            f'"{task.name}" did not end within {timeout:g} s', hint="give it a longer timeout= or less to do"
        )
        self._lost(worker, task, exc, "timed out", time.monotonic() - worker.started)

    def _lost(self, worker: Worker, task: Task, exc: JeynError, state: str, seconds: float) -> None:
        """An attempt that cannot tell of its own end."""
        self._record([task])
        error = error_of(exc, self.workspace.settings.root, task.name)
        log = worker.left_over(self.runs.logged_bytes(task.attempt_key))
        self._print(worker, task, last=True)
        worker.forget_spool()
        ends = "failed" if task.last or not error["retry"] or self.stops else None
        self.runs.fail_attempt(
            task.attempt_key, state=state, error=error, log=log, operation_state=ends, seconds=task.seconds
        )
        self._failed(task, error, seconds)

    # The end before the end.

    def _stop_running(self) -> None:
        """Ask the workers to stop; whoever does not in time is killed."""
        for worker in self.pool.running:
            worker.ask_to_stop()
        deadline = time.monotonic() + GRACE_SECONDS
        while self.pool.running and time.monotonic() < deadline and self.stops < 2:
            for worker, answers, closed in list(self.pool.wait(POLL_SECONDS)):
                for answer in answers:
                    self._stopped(worker, answer)
                if closed and worker in self.pool.running:
                    self._cancel(worker)
        for worker in list(self.pool.running):
            self._cancel(worker)

    def _stopped(self, worker: Worker, answer: Mapping[str, Any]) -> None:
        """An operation may have come to its end in the meantime; what it saved stands."""
        if "done" in answer or "held" in answer:
            self._answer(worker, answer)
        elif "lost" in answer:
            self._cancel(worker)
        elif "failed" in answer:
            task = self.pool.running[worker]
            self._print(worker, task, last=True)
            self.pool.release(worker)
            self._settle(task, "cancelled", attempt=task.attempt)

    def _cancel(self, worker: Worker) -> None:
        task = self.pool.running[worker]
        self.pool.kill(worker)
        self._record([task])
        error = error_of(Interrupted(f'"{task.name}" was stopped'), self.workspace.settings.root, task.name)
        log = worker.left_over(self.runs.logged_bytes(task.attempt_key))
        worker.forget_spool()
        self.runs.fail_attempt(task.attempt_key, state="cancelled", error=error, log=log, operation_state="cancelled")
        self._settle(task, "cancelled", attempt=task.attempt)

    def _cancel_rest(self, never: str = "cancelled") -> None:
        """What did not begin is not forgotten."""
        for task in (*self.tasks, *self.delayed):
            if task.item is not None:
                self._write(Settled(task.row, never))
                self._settle(task, never)
        self.tasks.clear()
        self.delayed.clear()
        for name, state in self.graph.states.items():
            if state == "waiting":
                self._write(Settled(self.rows[name].key, never))
                self._settle_one(name, never)
        self.ready.clear()

    def _leave(self, operation: PlannedOperation, state: str) -> str:
        """Run the exit handler; when it fails the run failed."""
        self.graph.add(operation)
        task = self._task(operation, None, self.rows[operation.name].key, self.results.inputs(operation))
        task.cache = False
        task.offered = {"state": state, "run": self.run_row.id, "error": self.error["message"] if self.error else None}
        self.tasks.append(task)
        # A run that was cancelled lets its handler end.
        self.was_cancelled, self.leaving = False, True
        self._work()
        self._stop_running()
        self._cancel_rest()
        if self.stops:
            return "cancelled"
        return state if self.graph.states[operation.name] in DONE else "failed"
