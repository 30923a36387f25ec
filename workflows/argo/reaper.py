"""Closes runs whose workflow vanished, ended without a word or never started, so that none stays "running" for ever."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jeyn.errors import JeynError, NotFound, OperationFailed
from jeyn.sdk.plan import Plan
from jeyn.workflows.argo.service import ENDED, Argo
from jeyn.workflows.failure import error_of
from jeyn.workflows.settle import close_run, close_vanished, settle_rest

if TYPE_CHECKING:
    from jeyn.stores.catalog.runs import RunRow
    from jeyn.stores.workspace import Workspace

MANY = 100_000  # more runs than can be running at once
GRACE_SECONDS = 60.0  # what ended a moment ago may be about to be closed by its own last pod


Workflow = Mapping[str, Any]


def reap(workspace: Workspace, argo: Argo) -> list[str]:
    """Close what nothing will close any more; gives the ids of those runs. Raises `Unreachable`, `NotAllowed`."""
    running = workspace.runs.list(limit=MANY, state="running")
    return [run.id for run in running if run.engine == "argo" and reap_run(workspace, argo, run)]


def reap_run(workspace: Workspace, argo: Argo, run: RunRow) -> bool:
    """Close one run if nothing will close it any more; says whether."""
    found = _find(argo, run.id)
    return close_vanished(workspace, run) if found is None else _close(workspace, argo, run, found)


def _find(argo: Argo, name: str) -> Workflow | None:
    try:
        return argo.get(name)
    except NotFound:
        return None


def _close(workspace: Workspace, argo: Argo, run: RunRow, found: Workflow) -> bool:
    status = found.get("status") or {}
    if status.get("phase") in ENDED:
        if _age(status.get("finishedAt")) < GRACE_SECONDS:
            return False
        _close_ended(workspace, run, status)
        return True
    late = never_started(found, argo.settings.pod_start)
    if late is None:
        return False
    with suppress(NotFound):
        argo.terminate(run.id)  # its exit handler would need a pod too
    error, operation = late
    close_run(workspace, run, "failed", error_of(error, workspace.settings.root, operation))
    return True


def never_started(found: Workflow, start_seconds: float) -> tuple[JeynError, str] | None:
    """Why a workflow is taken for one that never starts, and which operation: a pod waits too long, and none runs."""
    nodes = [each for each in ((found.get("status") or {}).get("nodes") or {}).values() if each.get("type") == "Pod"]
    if any(each.get("phase") == "Running" for each in nodes):
        return None
    waiting = [each for each in nodes if each.get("phase") == "Pending"]
    oldest = max(waiting, key=lambda each: _age(each.get("startedAt")), default=None)
    since = oldest["startedAt"] if oldest else found["metadata"].get("creationTimestamp")
    if (nodes and not waiting) or _age(since) < start_seconds:
        return None
    operation = _shown(oldest) if oldest else ""
    what = f'the pod of "{operation or "finish"}"' if oldest else "the workflow"
    said = (oldest or {}).get("message") or "nothing says why"
    late = OperationFailed(
        f"{what} did not start within {start_seconds:g} s: {said}",
        hint="jeyn doctor --on argo looks at image, rights and places; resources= may ask for more than there is",
    )
    return late, operation


def _close_ended(workspace: Workspace, run: RunRow, status: Mapping[str, Any]) -> None:
    """The workflow is over, and its last pod could not say so."""
    state, error = settle_rest(workspace, run, Plan.from_json(run.plan), status["phase"])
    said = status.get("message")
    if state == "failed" and error and said and not error.get("operation"):
        error = {**error, "message": f"{error['message']}: {said}"}
    if state == "succeeded" and status["phase"] != "Succeeded":
        lost = OperationFailed(f'the workflow ended as "{status["phase"]}": {said or "nothing says why"}')
        state, error = "failed", error_of(lost, workspace.settings.root)
    workspace.runs.finish(run.key, state, error)


def _shown(node: Mapping[str, Any]) -> str:
    given = {each["name"]: each.get("value", "") for each in (node.get("inputs") or {}).get("parameters") or ()}
    name = given.get("operation", "")
    return f"{name}[{given['item']}]" if given.get("item") else name


def _age(moment: str | None) -> float:
    """Seconds since a time that Kubernetes wrote."""
    if not moment:
        return 0.0
    return time.time() - datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
