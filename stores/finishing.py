"""Saving what was rescued, and with it the operation that had made it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from jeyn.errors import Conflict
from jeyn.sdk.value import Value
from jeyn.stores import rescue
from jeyn.stores.catalog.changes import NewArtefact
from jeyn.stores.serializers.values import encode_value

if TYPE_CHECKING:
    from jeyn.stores.workspace import Workspace


def kept(workspace: Workspace, found: rescue.Rescued, batch: str | None = None) -> tuple[str, str]:
    """(reference, id) of the rescued object, saved as what it was to be."""
    obj = rescue.load(workspace, found, batch=batch)
    if found.about["kind"] == "checkpoint":
        saved = workspace.model_store.save_checkpoint(obj)
        return (saved.id if workspace.is_attempt else saved.ref), saved.id
    encoded = encode_value(obj, workspace.serializers)
    payload = workspace.keep(encoded.data, found.about["name"])
    value = Value(
        output=found.about["output"], cache_key=found.about["cache_key"], format=encoded.format, payload=payload
    )
    facts = {"unsafe": True} if encoded.unsafe else {}
    id = workspace.commit([NewArtefact(value.record(), facts, event="jeyn.value.saved")])[0].id
    return id, id


def finished(workspace: Workspace, found: rescue.Rescued, batch: str | None = None) -> tuple[str, str]:
    """The same as the only result of the operation, which counts as done then. `Conflict` where it has others."""
    key = found.operation
    outputs = found.about.get("outputs", ["return"])
    if key is None or len(outputs) != 1:
        raise Conflict(
            f'"{found.place}" is not all that its operation gives',
            hint="leave out --finish, and run the operation again",
        )
    number = len(workspace.runs.attempts(key)) + 1
    row = workspace.runs.start_attempt(key, number, socket.gethostname(), os.getpid())
    try:
        with workspace.attempt(key, row) as attempt:
            _, id = kept(attempt, found, batch)
            attempt.finish([(outputs[0], 0, id)])
    except BaseException as exc:
        said = {"type": type(exc).__name__, "message": str(exc)}
        workspace.runs.fail_attempt(row, error=said, operation_state="failed")
        raise
    return workspace.bound(id).ref, id
