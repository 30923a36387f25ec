"""The end of a run whose operations ran one by one: the rest is settled, its exit handler runs, its row is closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jeyn.stores.catalog.operations import Settled
from jeyn.stores.runs import FINISHED
from jeyn.workflows.local.tasks import LONGEST_WAIT
from jeyn.workflows.settle import settle_rest
from jeyn.workflows.step import Ended, Step

if TYPE_CHECKING:
    from jeyn.sdk.plan import Plan, PlannedOperation
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace
    from jeyn.workflows.failure import Error
    from jeyn.workflows.heart import Heart


def leave(
    workspace: Workspace,
    run: RunRow,
    plan: Plan,
    status: str,
    heart: Heart,
    overdue: Callable[[Ended], None] | None = None,
) -> Ended:
    """Close a run; `status` is Argo's word for its workflow. A run that is closed stays as it is."""
    if run.state in FINISHED:
        return Ended(str(run.state), error=dict(run.error) if run.error else None)
    state, error = settle_rest(workspace, run, plan, status)

    def close(handler: Ended) -> Ended:
        closed = Ended(state, error=error) if handler.state in ("succeeded", "") else _failed(error or handler.error)
        workspace.runs.finish(run.key, closed.state, closed.error)
        return closed

    def too_late(handler: Ended) -> None:
        assert plan.on_exit is not None and overdue is not None  # noqa: S101 - it is what was late
        row = Step(workspace, run, plan, plan.on_exit).row
        workspace.runs.settle([Settled(row.key, handler.state, error=handler.error)])
        overdue(close(handler))

    if plan.on_exit is None:
        return close(Ended(""))
    offered = {"state": state, "run": run.id, "error": error["message"] if error else None}
    return close(_handled(workspace, run, plan, plan.on_exit, heart, offered, too_late if overdue else None))


def _failed(error: Error | None) -> Ended:
    return Ended("failed", error=error)


def _handled(
    workspace: Workspace,
    run: RunRow,
    plan: Plan,
    handler: PlannedOperation,
    heart: Heart,
    offered: dict[str, Any],
    overdue: Callable[[Ended], None] | None,
) -> Ended:
    """The exit handler, tried as often as it says: nothing comes after it that could try it again."""
    options = handler.options
    for tried in range(options.retries + 1):
        ended = Step(workspace, run, plan, handler, tried=tried, overdue=overdue).carry_out(heart, offered=offered)
        if ended.exit_code != 1:
            break
        if tried < options.retries:
            time.sleep(min(options.backoff * 2**tried, LONGEST_WAIT))
    return ended
