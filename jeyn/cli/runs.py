"""`jeyn runs`: the runs of this workspace, or all that is known about one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from jeyn.cli.board import counted, duration
from jeyn.cli.output import Result, columns, command, say
from jeyn.cli.workspace import opened
from jeyn.errors import JeynError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from jeyn.stores.runs import OperationRow, RunRow
    from jeyn.stores.workspace import Workspace

LOST = "lost"  # it says running, but its engine is dead
STATES = ("running", "succeeded", "failed", "cancelled", LOST)
HEAD = ("RUN", "PIPELINE", "STATE", "STARTED", "TOOK")
OPERATIONS_HEAD = ("OPERATION", "STATE", "TOOK", "ATTEMPTS", "OUTPUTS")
MANY = 100_000  # more runs than can be running at once
NAMED = 5  # failed items that are named


def run_ids(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell may complete where an argument names a run."""
    from click.shell_completion import CompletionItem

    from jeyn.cli.workspace import need_catalog
    from jeyn.settings import Settings
    from jeyn.stores.workspace import Workspace

    try:
        found = Settings.load(home=context.find_root().params.get("home"))
        need_catalog(found)
        with Workspace(found) as workspace:
            ids = ["last", *(run.id for run in workspace.runs.list(limit=100))]
    except JeynError:
        # A shell that completes has nowhere to show an error; the command itself will.
        return []
    return [CompletionItem(id) for id in ids if id.startswith(incomplete)]


@command()
@click.argument("run", required=False, shell_complete=run_ids)
@click.option("--limit", type=click.IntRange(min=1), help="How many to list; 20 unless told.")
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.")
@click.option("--on", type=click.Choice(["argo"]), help="First close those that nothing runs on the cluster any more.")
def runs(run: str | None, limit: int | None, state: str | None, pipeline: str | None, on: str | None) -> Result:
    """List runs, newest first, or show the one that RUN names: its id, the beginning of it, or last.

    A run is lost when it says running and nothing runs it any more; jeyn run --resume goes on with it.
    """
    if run is not None and (limit or state or pipeline):
        raise UsageError(f'"{run}" is one run already', hint="--limit, --state and --pipeline are for the list")
    with opened(tolerant=True) as workspace:
        if on is not None:
            _close_lost(workspace)
        if run is not None:
            return _one(workspace, workspace.runs.get(run))
        return _listed(workspace, _find(workspace, limit or 20, state, pipeline))


def _close_lost(workspace: Workspace) -> None:
    """Close runs whose workflow vanished, ended without a word or never started."""
    from jeyn.project_file import argo_settings
    from jeyn.workflows.argo.reaper import reap
    from jeyn.workflows.argo.service import Argo

    for id in reap(workspace, Argo(argo_settings(workspace.settings.argo))):
        say(f"{id} is closed: nothing runs it any more")


def state_of(workspace: Workspace, run: RunRow) -> str:
    """A run's state; `lost` when it says running but its engine is dead."""
    if run.state in ("running", "created") and not workspace.runs.is_alive(run):
        return LOST
    return run.state or "unknown"


def run_json(workspace: Workspace, run: RunRow) -> dict[str, Any]:
    """A run as plain data, its operations left out."""
    return {
        "id": run.id,
        "pipeline": run.pipeline,
        "state": state_of(workspace, run),
        "engine": run.engine,
        "parameters": run.parameters,
        "pins": run.pins,
        "code": run.code,
        "actor": run.actor,
        "host": run.host,
        "pid": run.pid,
        "started": _moment(run.started),
        "ended": _moment(run.ended),
        "seconds": seconds_of(run),
        "cancel_requested": run.cancel_requested,
        "error": run.error,
        "damaged": run.damaged or None,
    }


def seconds_of(row: RunRow | OperationRow) -> float | None:
    """How long it took."""
    if row.started is None or row.ended is None:
        return None
    return (row.ended - row.started) / 1e6


def _find(workspace: Workspace, limit: int, state: str | None, pipeline: str | None) -> list[RunRow]:
    if state not in ("running", LOST):
        return list(workspace.runs.list(limit, state, pipeline))
    # Which of those that say running really do is not in the catalog.
    found = workspace.runs.list(MANY, "running", pipeline)
    return [run for run in found if state_of(workspace, run) == state][:limit]


def _listed(workspace: Workspace, found: Sequence[RunRow]) -> Result:
    data = [run_json(workspace, run) for run in found]
    rows = [
        (
            run.id,
            run.pipeline,
            each["state"] + (" (damaged)" if run.damaged else ""),
            _age(run.started or run.at),
            duration(each["seconds"]),
        )
        for run, each in zip(found, data, strict=True)
    ]
    return Result({"runs": data}, columns(rows, HEAD) if rows else "no run fits; begin with: jeyn run pipeline.py")


def _one(workspace: Workspace, run: RunRow) -> Result:
    from jeyn.workflows.shown import shown

    rows = workspace.runs.operations(run.key)
    ends = workspace.runs.outputs([row.key for row in rows])
    operations = []
    for row in rows:
        ids = {name: id for name, _, id in ends.get(row.key, ())}
        attempts = len(workspace.runs.attempts(row.key)) if row.started is not None else 0
        operations.append(operation_json(row) | {"attempts": attempts, "outputs": ids})
    data = run_json(workspace, run) | {"environment": run.environment, "operations": operations}
    outputs = {
        row.name: [shown(workspace, id) for id in each["outputs"].values()] for row, each in _of_plan(rows, operations)
    }
    pinned = {id: shown(workspace, id) for id in run.pins.values()}
    return Result(data, "\n\n".join((_facts(data, pinned), _table(rows, operations, outputs), *_errors(rows))))


def operation_json(row: OperationRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "function": row.function,
        "item": None if row.item < 0 else row.item,
        "state": row.state,
        "started": _moment(row.started),
        "ended": _moment(row.ended),
        "seconds": seconds_of(row),
        "effects": row.effects,
        "error": row.error,
    }


def _of_plan(
    rows: Sequence[OperationRow], operations: Sequence[dict[str, Any]]
) -> Iterator[tuple[OperationRow, dict[str, Any]]]:
    """Items left out: their mapped operation stands for them."""
    return ((row, each) for row, each in zip(rows, operations, strict=True) if row.item < 0)


def _facts(data: dict[str, Any], pinned: Mapping[str, str]) -> str:
    rows = [
        ("run", data["id"]),
        ("pipeline", f"{data['pipeline']}({', '.join(f'{k}={v!r}' for k, v in data['parameters'].items())})"),
        ("state", f"{data['state']}, asked to stop" if data["cancel_requested"] else data["state"]),
        ("started", data["started"] or ""),
        ("took", duration(data["seconds"])),
        ("by", f"{data['actor']} on {data['host']}, engine {data['engine']}"),
        ("code", data["code"] or ""),
        *(("with", f"{reference} = {pinned[id]}") for reference, id in data["pins"].items()),
    ]
    return columns([row for row in rows if row[1]])


def _table(rows: Sequence[OperationRow], operations: Sequence[dict[str, Any]], outputs: dict[str, list[str]]) -> str:
    items: dict[int, Counter[str]] = {}
    for row in rows:
        if row.item >= 0:
            items.setdefault(row.position, Counter())[row.state or "waiting"] += 1
    lines = [
        (
            row.name,
            row.state or "",
            duration(each["seconds"]),
            str(each["attempts"] or ""),
            counted(items[row.position]) if row.position in items else ", ".join(outputs[row.name]),
        )
        for row, each in _of_plan(rows, operations)
    ]
    return columns(lines, OPERATIONS_HEAD) if lines else "no operations"


def _errors(rows: Sequence[OperationRow]) -> Iterator[str]:
    failed = [row for row in rows if row.error]
    for row in failed[:NAMED]:
        error = row.error or {}
        yield f"{row.name}: {error.get('message', '')}" + (f"\n  → {error['hint']}" if error.get("hint") else "")
    if len(failed) > NAMED:
        yield f"and {len(failed) - NAMED:,} more failed"


def _moment(at: int | None) -> str | None:
    from jeyn.cli.ls import moment

    return None if at is None else moment(at)


def _age(at: int) -> str:
    from jeyn.cli.ls import age

    return age(min(at, time.time_ns() // 1000))
