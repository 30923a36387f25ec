"""A run with operations, for the tests of runs, observations and the cache."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from jeyn import Workspace
from jeyn.sdk.artefact import Edge
from jeyn.sdk.relationship import RelationshipType
from jeyn.sdk.value import Value
from jeyn.stores.attempt import Attempt
from jeyn.stores.catalog.changes import CacheKey, NewArtefact
from jeyn.stores.runs import CacheEntry, NewOperation, OperationRow, RunRow
from jeyn.stores.serializers import encode_value

KEY = "ab" * 32


def a_run(workspace: Workspace, id: str = "r1", names: Sequence[str] = ("train",), **options: Any) -> RunRow:
    operations = options.pop("operations", [NewOperation(name, f"pipe:{name}", i) for i, name in enumerate(names)])
    given: dict[str, Any] = {
        "pipeline": "nightly",
        "plan": '{"version": "plan/1"}',
        "parameters": {"strength": 0.5},
        "pins": {"digits@latest": "sha256:" + "0" * 64},
        "environment": {"python": "3.12"},
        "code": None,
        "engine": "local",
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    return workspace.runs.create(id=id, operations=operations, **given | options)


def an_operation(workspace: Workspace, run: str = "r1", name: str = "train") -> OperationRow:
    return next(row for row in workspace.runs.operations(a_run(workspace, run, [name]).key) if row.name == name)


def a_value(attempt: Workspace, value: Any, name: str = "return", key: str = KEY, parents: Sequence[str] = ()) -> str:
    """The id of a value artefact, staged or saved."""
    encoded = encode_value(value)
    saved = Value(output=name, cache_key=key, format=encoded.format, payload=attempt.keep(encoded.data, name))
    edges = tuple(Edge(RelationshipType.derived_from, parent) for parent in parents)
    attempt.commit([NewArtefact(saved.record(), edges=edges, event="jeyn.value.saved")])
    return saved.record().id


def ran(workspace: Workspace, do: Callable[[Attempt], Any], run: str = "r1") -> CacheEntry | None:
    """The cache entry of an operation that does this, or None where it leaves none."""
    row = an_operation(workspace, run)
    key = workspace.runs.start_attempt(row.key, 1, socket.gethostname(), os.getpid())
    with workspace.attempt(row.key, key) as attempt:
        do(attempt)
        attempt.finish(cache=CacheKey(KEY, {"inputs": {"x": "1"}}))
    return next((entry for entry in workspace.runs.entries(KEY) if entry.operation_key == row.key), None)
