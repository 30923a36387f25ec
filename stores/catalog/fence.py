"""The end of an operation, written inside the commit of its results: states, what went in and out, cache entry, log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, case, delete, func, insert, literal_column, null, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from jeyn.stores.catalog.cache import insert_entry
from jeyn.stores.catalog.changes import Fence
from jeyn.stores.catalog.database import Transaction
from jeyn.stores.catalog.logs import insert_chunk
from jeyn.stores.catalog.prepared import Prepared
from jeyn.stores.catalog.tables import attempt, held_work, lease, operation, operation_artefact, run

SAME_SECONDS = 0.05
_TIME = operation.c.started.type


def measured(recorded: ColumnElement[int]) -> ColumnElement[int]:
    """When something began: as `recorded`, unless a monotonic clock says otherwise (the parameter "measured")."""
    found: ColumnElement[int] = bindparam("measured", type_=_TIME)
    differs = func.abs(recorded - found) > literal_column(str(int(SAME_SECONDS * 10**6)))
    return func.coalesce(case((differs, found), else_=recorded), found)


_SUCCEEDED: ColumnElement[str] = literal_column("'succeeded'")
_CLOSE_OPERATION = Prepared(
    update(operation)
    .where(operation.c.key == bindparam("which"), operation.c.committed_by.is_(None))
    .values(
        committed_by=bindparam("by"),
        state=_SUCCEEDED,
        started=measured(func.coalesce(operation.c.started, bindparam("begun", type_=operation.c.started.type))),
        ended=bindparam("now"),
        cache_key=bindparam("digest"),
        effects=bindparam("effects_json"),
        error=null(),
    )
    .returning(operation.c.name, select(run.c.id).where(run.c.key == operation.c.run).scalar_subquery())
)
_ENDED_ATTEMPT = Prepared(
    text(
        'INSERT INTO attempt ("key", operation, number, host, pid, at, state, ended)'
        " VALUES (:key, :operation, :number, :host, :pid, :at, 'succeeded', :now)"
        ' ON CONFLICT ("key") DO UPDATE SET state = excluded.state, ended = excluded.ended'
    )
)
_CLOSE_ATTEMPT = Prepared(
    update(attempt).where(attempt.c.key == bindparam("which")).values(state=_SUCCEEDED, ended=bindparam("now"))
)
INSERT_ENDS = Prepared(insert(operation_artefact), *operation_artefact.c.keys())
_END_LEASES = Prepared(delete(lease).where(lease.c.holder == bindparam("whose")))


def began(ended: int, seconds: float | None) -> int | None:
    """When what took so long began, by the clock that dates its end (µs): both may be set in between."""
    return None if seconds is None else ended - int(seconds * 10**6)


@dataclass(frozen=True)
class Closed:
    """The operation that ended: its run's id and its name."""

    run: str
    name: str


def close_operation(tx: Transaction, fence: Fence, keys: Mapping[str, int]) -> Closed | None:
    """Write the end of an operation; None when another attempt of it was first. `keys` are those of its artefacts."""
    if fence.begun is not None:
        tx.cursor.run(_ENDED_ATTEMPT, [{**vars(fence.begun), "now": tx.at}])
    found = tx.cursor.all(
        _CLOSE_OPERATION,
        which=fence.operation,
        by=fence.attempt,
        begun=fence.begun.at if fence.begun else None,
        now=tx.at,
        measured=began(tx.at, fence.seconds),
        digest=fence.cache.digest if fence.cache else None,
        effects_json=json.dumps(fence.effects) if fence.effects else None,
    )
    if not found:
        return None
    if fence.begun is None:
        tx.cursor.run(_CLOSE_ATTEMPT, [{"which": fence.attempt, "now": tx.at}])
    ends = [
        {"operation": fence.operation, "direction": direction, "name": name, "position": position, "artefact": keys[id]}
        for direction, some in (("out", fence.outputs), ("in", fence.inputs))
        for name, position, id in some
    ]
    if ends:
        tx.cursor.run(INSERT_ENDS, ends)
    if fence.cache and fence.observations is not None and not fence.effects:
        insert_entry(tx, fence.operation, fence.cache, fence.observations)
    if fence.log:
        insert_chunk(tx.cursor, fence.attempt, fence.log, tx.at)
    if fence.holder:
        tx.cursor.run(_END_LEASES, [{"whose": fence.holder}])
    if fence.held is not None:
        tx.connection.execute(delete(held_work).where(held_work.c.operation == fence.held))
    return Closed(*reversed(found[0]))
