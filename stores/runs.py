"""`workspace.runs`: what ran, how it went, what it logged and which results can be taken over (SEMANTICS 7 and 17).

The engine writes here as it goes; the command line reads. Rows are plain data; their `key` is how they refer to each
other, and times are microseconds since the epoch, UTC.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from jeyn.errors import Ambiguous, Busy, JeynError, NotFound
from jeyn.stores.catalog import cache, logs, operations, runs
from jeyn.stores.catalog.cache import CacheEntry
from jeyn.stores.catalog.changes import NewAttempt
from jeyn.stores.catalog.commit import MembersTaken, PayloadsCondemned, commit
from jeyn.stores.catalog.leases import Leases
from jeyn.stores.catalog.logs import LogChunk
from jeyn.stores.catalog.operations import AttemptRow, NewOperation, OperationRow, Settled
from jeyn.stores.catalog.runs import RunRow

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace

__all__ = [
    "AttemptRow",
    "CacheEntry",
    "LogChunk",
    "NewAttempt",
    "NewOperation",
    "OperationRow",
    "RunRow",
    "Runs",
    "Settled",
]

ALIVE_SECONDS = 30
FINISHED = ("succeeded", "failed", "cancelled")


class Runs:
    """The runs of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.database = workspace.database
        self.actor = workspace.settings.actor

    # Writing, in the order in which a run goes.

    def create(
        self,
        *,
        id: str,
        pipeline: str,
        plan: str,
        parameters: Mapping[str, Any],
        pins: Mapping[str, str],
        environment: Mapping[str, Any],
        code: str | None,
        engine: str,
        host: str,
        pid: int | None,
        operations: Sequence[NewOperation],
        resumed_from: int | None = None,
    ) -> RunRow:
        """A run that begins now; durable when this returns. What is adopted has the outputs of its origin.

        `pid` is None where no process is the run's own.
        """
        values = {
            "id": id,
            "pipeline": pipeline,
            "plan": plan,
            "parameters": json.dumps(parameters),
            "pins": json.dumps(pins),
            "environment": json.dumps(environment),
            "engine": engine,
            "host": host,
            "pid": pid,
            "state": "running",
            "resumed_from": resumed_from,
        }
        runs.create_run(self.database, values, code, operations, self.actor)
        return runs.runs(self.database, id=id)[0]

    def add_operations(self, run_key: int, new: Sequence[NewOperation]) -> list[OperationRow]:
        """The items of a mapped operation, in their order."""
        return operations.add_operations(self.database, run_key, new)

    def start_attempt(self, operation_key: int, number: int, host: str, pid: int) -> int:
        """The key of an attempt that begins now; its operation is running."""
        return operations.start_attempt(self.database, operation_key, number, host, pid)

    def record_attempts(self, begun: Sequence[NewAttempt]) -> None:
        """See to it that attempts which began under a drawn key are in the catalog, if their end was not quicker."""
        operations.record_attempts(self.database, begun)

    def fail_attempt(
        self,
        attempt_key: int,
        *,
        state: str = "failed",
        error: Mapping[str, Any],
        log: str = "",
        operation_state: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """End an attempt that did not commit; durable. `operation_state` is None when it will be tried again.

        `seconds` is how long it took, by a monotonic clock.
        """
        operations.fail_attempt(
            self.database,
            attempt_key,
            state=state,
            error=error,
            log=log,
            operation_state=operation_state,
            seconds=seconds,
        )

    def commit_held(self, operation_key: int, holder: int, begun: NewAttempt | None = None) -> bool:
        """Commit for an operation what `holder` holds, itself or with `begun` the one that it resumes.

        False where that cannot be any more, as when its bytes were swept: it has to run again.
        """
        from jeyn.stores.catalog.held_work import held_by

        work = held_by(self.database, holder)
        if work is None:
            return False
        leases = Leases(self.database)
        try:
            leases.take(work.payloads)
            if not all(self.workspace.payloads.exists(digest) for digest in work.payloads):
                return False
            commit(self.database, work.ended(operation_key, begun), self.actor)
        except (Busy, MembersTaken, PayloadsCondemned):
            return False
        except JeynError as exc:
            if exc.retry_helps:  # a store is away, which says nothing about the work
                raise
            return False
        finally:
            leases.release()
        return True

    def settle(self, rows: Sequence[Settled]) -> None:
        """End operations that need no attempt: cached, skipped, cancelled, or failed before they began."""
        operations.settle(self.database, rows)

    def heartbeat(self, run_key: int) -> None:
        """Say that the run's engine is alive."""
        runs.beat(self.database, run_key)

    def request_cancel(self, run_id: str) -> RunRow:
        """Ask the engine of a run to stop it; it looks about once a second."""
        found = self.get(run_id)
        runs.ask_to_cancel(self.database, found.key)
        return found

    def cancel_requested(self, run_key: int) -> bool:
        return runs.cancel_requested(self.database, run_key)

    def finish(
        self, run_key: int, state: str, error: Mapping[str, Any] | None = None, seconds: float | None = None
    ) -> None:
        """The run has succeeded, failed or been cancelled; durable when this returns.

        `seconds` is how long it took, by a monotonic clock, where one process saw all of it.
        """
        runs.finish_run(self.database, run_key, state, error, self.actor, seconds)

    # Reading.

    def get(self, which: str) -> RunRow:
        """A run by its id, by a unique beginning of it, or the newest by "last". Raises `NotFound`, `Ambiguous`."""
        found = runs.runs(self.database) if which == "last" else runs.runs(self.database, id=which)
        return found[0] if found else self._by_prefix(which)

    def find(self, id: str) -> RunRow | None:
        """The run with exactly this id."""
        found = runs.runs(self.database, id=id)
        return found[0] if found else None

    def _by_prefix(self, prefix: str) -> RunRow:
        ids = runs.run_ids(self.database, prefix) if prefix and prefix != "last" else []
        if len(ids) > 1:
            raise Ambiguous(f'"{prefix}" begins {len(ids)} runs: {", ".join(ids[:5])}', hint="give more of the id")
        if not ids:
            raise self._not_found(prefix)
        return runs.runs(self.database, id=ids[0])[0]

    def _not_found(self, which: str) -> NotFound:
        known = runs.run_ids(self.database, limit=1000)
        if not known:
            return NotFound(f'there is no run "{which}"', hint="nothing has run yet: jeyn run pipeline.py")
        close = get_close_matches(which, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"the last run is {known[0]}; jeyn runs lists them"
        return NotFound(f'there is no run "{which}"', hint=hint)

    def list(self, limit: int = 20, state: str | None = None, pipeline: str | None = None) -> Sequence[RunRow]:
        """The newest runs first."""
        return runs.runs(self.database, state=state, pipeline=pipeline, limit=limit)

    def operations(
        self, run_key: int, positions: Sequence[int] | None = None, names: Sequence[str] = ()
    ) -> Sequence[OperationRow]:
        """The operations of a run in the order of its plan, each mapped one before its items.

        With `positions` only those at these places of the plan, items included, and those with these `names`.
        """
        return operations.operations_of(self.database, run_key, positions, names)

    def open_items(self, run_key: int, position: int, before: int) -> dict[str, int]:
        """How many items of the mapped operation at `position` are in each state, of those before one item.

        Those that ended well are left out.
        """
        return operations.open_items(self.database, run_key, position, before)

    def outputs(self, operation_keys: Sequence[int]) -> dict[int, Sequence[tuple[str, int, str]]]:
        """(name, position, artefact id) of what came out, by operation."""
        return dict(operations.ends_of(self.database, operation_keys, "out"))

    def inputs(self, operation_keys: Sequence[int]) -> dict[int, Sequence[tuple[str, int, str]]]:
        """(name, position, artefact id) of what went in, by operation."""
        return dict(operations.ends_of(self.database, operation_keys, "in"))

    def attempts(self, *operation_keys: int) -> Sequence[AttemptRow]:
        """The tries of an operation, first to last; of several, one operation after the other."""
        return operations.attempts_of(self.database, operation_keys)

    def durations(self, pipeline: str) -> dict[str, float]:
        """Seconds that the newest success of each operation took."""
        return runs.durations(self.database, pipeline)

    def run_of(self, artefact_id: str) -> tuple[str, str] | None:
        """The run and the name of the operation that produced an artefact; None when no operation did."""
        return operations.produced_by(self.database, artefact_id)

    def is_alive(self, run: RunRow, now: int | None = None) -> bool:
        """Whether the engine of a run is at work: its heartbeat is young and, on this host, its process exists.

        A run without a process of its own, as on a cluster, is taken for alive until it is closed.
        """
        if run.pid is None and run.heartbeat is not None:
            return run.state not in FINISHED
        now = time.time_ns() // 1000 if now is None else now
        if run.state in FINISHED or run.heartbeat is None or abs(now - run.heartbeat) > ALIVE_SECONDS * 10**6:
            return False
        return run.host != socket.gethostname() or run.pid is None or _is_process(run.pid)

    # Logs.

    def append_log(self, attempt_key: int, text: str) -> None:
        """Add to what an attempt wrote."""
        logs.append_log(self.database, attempt_key, text)

    def log(self, run_key: int, operation: str | None = None, after: int = 0) -> Sequence[LogChunk]:
        """What the operations of a run wrote beyond the chunk `after`, or one of them and its items."""
        return logs.read_log(self.database, run_key, operation, after)

    def logged_bytes(self, attempt_key: int) -> int:
        """How many bytes of what an attempt wrote are kept."""
        return logs.logged_bytes(self.database, attempt_key)

    # The cache.

    def entries(self, cache_key: str) -> Sequence[CacheEntry]:
        """The results under a cache key, newest first; whether they hold is `observation.holds` to say."""
        return cache.entries(self.database, cache_key)

    def last_entry(self, function: str, before: int | None = None) -> CacheEntry | None:
        """The newest result of a function, to explain a miss by; with `before` (an operation's key) as it was then."""
        return cache.last_entry(self.database, function, before)

    def last_effects(self, function: str) -> tuple[str, ...]:
        """What the newest success of a function did besides giving a result: such is never taken from the cache."""
        return operations.last_effects(self.database, function)

    def has_payloads(self, ids: Sequence[str]) -> bool:
        """Whether all of these artefacts are there with every byte, also those that they consist of."""
        from jeyn.stores.contents import is_complete

        return is_complete(self.workspace, ids)


def _is_process(pid: int) -> bool:
    if not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
