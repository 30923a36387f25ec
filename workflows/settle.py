"""How a run ends that cannot say so itself: its engine died, or it ran as pods that each knew one operation.

All of it may be done twice: what has an end already keeps it.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

from jeyn.errors import Interrupted, OperationFailed, WorkerDied
from jeyn.stores.catalog.changes import NewAttempt
from jeyn.stores.catalog.operations import Settled
from jeyn.workflows.failure import Error, error_of
from jeyn.workflows.graph import DONE, HELD, NOT_RUN, map_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jeyn.sdk.plan import Plan
    from jeyn.stores.catalog.operations import AttemptRow, OperationRow
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace

OPEN = ("waiting", "running")
UNSEEN_SECONDS = 60  # a run's row is made before its workflow


def close_run(workspace: Workspace, run: RunRow, state: str, error: Error) -> None:
    """End a run that nothing runs any more: what ran is cancelled, and what never began was not run."""
    rows = [each for each in workspace.runs.operations(run.key) if each.state in OPEN]
    for each in rows:
        close_attempts(workspace, each.key, "cancelled", error)
    never = "cancelled" if state == "cancelled" else NOT_RUN
    workspace.runs.settle([Settled(each.key, never if each.state == "waiting" else "cancelled") for each in rows])
    workspace.runs.finish(run.key, state, error)


def close_vanished(workspace: Workspace, run: RunRow) -> bool:
    """Close a run that has no workflow, unless it is so new that its workflow may be about to be made; says whether."""
    is_new = time.time_ns() // 1000 - run.at < UNSEEN_SECONDS * 10**6
    if run.pid is not None or run.state not in OPEN or is_new:
        return False
    close_gone(workspace, run)
    return True


def close_gone(workspace: Workspace, run: RunRow) -> None:
    """Close a run whose workflow is not there any more."""
    kind, state = (Interrupted, "cancelled") if run.cancel_requested else (OperationFailed, "failed")
    gone = kind(
        f'the workflow of "{run.id}" is gone', hint=f"it was deleted or never started: jeyn run --resume {run.id}"
    )
    close_run(workspace, run, state, error_of(gone, workspace.settings.root))


def settle_rest(workspace: Workspace, run: RunRow, plan: Plan, status: str) -> tuple[str, Error | None]:
    """Give every operation but the exit handler an end, now that none will run any more; the run's state and error.

    `status` is what Argo says of the workflow: "Succeeded", "Failed" or "Error".
    """
    for position in (at for at, each in enumerate(plan.operations) if each.mapped):
        commit_held_items(workspace, run, position)
    rows = [each for each in workspace.runs.operations(run.key) if each.position < len(plan.operations)]
    stopped = run.cancel_requested or _was_stopped(rows)
    mapped = {each.position for each in rows if each.item >= 0}
    ends = {
        each.key: _end_of(workspace, each, stopped)
        for each in rows
        if each.state in OPEN and (each.item >= 0 or each.position not in mapped)
    }
    items: dict[int, list[str]] = {position: [] for position in mapped}
    for each in rows:
        if each.item >= 0:
            items[each.position].append(ends[each.key].state if each.key in ends else str(each.state))
    whole = [
        Settled(each.key, map_state(items[each.position]))
        for each in rows
        if each.item < 0 and each.state in OPEN and each.position in mapped
    ]
    workspace.runs.settle([*ends.values(), *whole])
    if stopped:
        return "cancelled", None
    ended = workspace.runs.operations(run.key)
    error = _first_error(ended)
    if error is None and any(each.state in ("failed", "cancelled", NOT_RUN, HELD) for each in ended):
        said = OperationFailed(
            f'the workflow ended as "{status}", and no operation says why',
            hint=f"a pod could not start, or was taken away: argo get {run.id}",
        )
        error = error_of(said, workspace.settings.root)
    return ("failed" if error else "succeeded"), error


def commit_held_items(workspace: Workspace, run: RunRow, position: int) -> None:
    """Commit what items of the mapped operation at `position` hold, in their order, up to the first without an end.

    Several pods may do so at once: one of them commits.
    """
    tried: set[int] = set()
    while (row := _first_open(workspace, run, position)) is not None and row.state == HELD:
        begun = None
        if row.origin is not None:
            host, now = socket.gethostname(), time.time_ns() // 1000
            begun = NewAttempt(secrets.randbits(62), row.key, 1, host, os.getpid(), now)
        if workspace.runs.commit_held(row.key, row.origin or row.key, begun) or row.key not in tried:
            tried.add(row.key)
            continue
        gone = OperationFailed(
            f'what "{row.name}" had done cannot be saved any more',
            hint=f"its bytes were swept, or others were quicker: jeyn run --resume {run.id} runs it again",
        )
        workspace.runs.settle([Settled(row.key, "failed", error=error_of(gone, workspace.settings.root, row.name))])


def _first_open(workspace: Workspace, run: RunRow, position: int) -> OperationRow | None:
    items = (row for row in workspace.runs.operations(run.key, [position]) if row.item >= 0)
    return next((row for row in items if row.state not in (*DONE, "skipped")), None)


def close_attempts(workspace: Workspace, operation_key: int, state: str, error: Error) -> list[AttemptRow]:
    """End the attempts that never did; gives all attempts of the operation, first to last."""
    found = list(workspace.runs.attempts(operation_key))
    for each in found:
        if each.ended is None:
            workspace.runs.fail_attempt(each.key, state=state, error=error)
    return found


def died(workspace: Workspace, operation: str) -> Error:
    """What is said of an attempt that ended without a word."""
    exc = WorkerDied(
        f'the process of "{operation}" was killed',
        hint="too little memory, a crash in native code, or its machine went away; see what it printed",
    )
    return error_of(exc, workspace.settings.root, operation)


def _was_stopped(rows: Sequence[OperationRow]) -> bool:
    """Whether some began and were told to stop, though nothing failed: what only never began was cancelled since."""
    states = {each.state for each in rows}
    return "failed" not in states and any(each.state == "cancelled" and each.started for each in rows)


def _end_of(workspace: Workspace, row: OperationRow, stopped: bool) -> Settled:
    if row.state == "waiting":
        return Settled(row.key, "cancelled" if stopped else NOT_RUN)
    error = died(workspace, row.name)
    if stopped:
        error = error_of(Interrupted(f'"{row.name}" was stopped'), workspace.settings.root, row.name)
    tried = close_attempts(workspace, row.key, "cancelled" if stopped else "failed", error)
    if stopped:
        return Settled(row.key, "cancelled")
    return Settled(row.key, "failed", error=(tried[-1].error if tried else None) or error)


def _first_error(rows: Sequence[OperationRow]) -> Error | None:
    failed = sorted((each for each in rows if each.state == "failed" and each.error), key=lambda each: each.ended or 0)
    return dict(failed[0].error or {}) if failed else None
