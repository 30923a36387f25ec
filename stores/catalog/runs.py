"""Rows of runs: that one began and how it ended is durable, its heartbeats are not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from jeyn.stores.catalog.database import Database, Transaction
from jeyn.stores.catalog.fence import began
from jeyn.stores.catalog.operations import NewOperation, insert_operations, keys_of
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.tables import artefact, event, operation, run
from jeyn.stores.catalog.tolerant import json_object, json_value


@dataclass(frozen=True)
class RunRow:
    """One execution of a plan. `code` is an artefact's id, `resumed_from` a run's; times are microseconds, UTC."""

    key: int
    id: str
    pipeline: str
    code: str | None
    actor: str
    at: int
    plan: str
    parameters: Mapping[str, Any]
    pins: Mapping[str, str]
    environment: Mapping[str, Any]
    engine: str | None
    state: str | None
    host: str | None
    pid: int | None
    heartbeat: int | None
    started: int | None
    ended: int | None
    error: Mapping[str, Any] | None
    cancel_requested: bool
    resumed_from: str | None
    damaged: str = ""  # the columns that hold what cannot be read


_OBJECTS = ("parameters", "pins", "environment")
_RESUMED = run.alias()
_RUN = select(
    run.c.key,
    run.c.id,
    run.c.pipeline,
    artefact.c.id.label("code"),
    run.c.actor,
    run.c.at,
    run.c.plan,
    run.c.parameters,
    run.c.pins,
    run.c.environment,
    run.c.engine,
    run.c.state,
    run.c.host,
    run.c.pid,
    run.c.heartbeat,
    run.c.started,
    run.c.ended,
    run.c.error,
    run.c.cancel_requested,
    select(_RESUMED.c.id).where(_RESUMED.c.key == run.c.resumed_from).scalar_subquery().label("resumed_from"),
).outerjoin(artefact, artefact.c.key == run.c.code)
_EVENTS = {"succeeded": "jeyn.run.finished", "failed": "jeyn.run.failed", "cancelled": "jeyn.run.cancelled"}
# How long an operation took is asked of this many runs back: older ones say little, and there may be thousands.
RECENT_RUNS = 20


@patient
def create_run(
    database: Database,
    values: Mapping[str, Any],
    code: str | None,
    operations: Sequence[NewOperation],
    actor: str,
) -> int:
    """Write a run that begins now, with its operations. Gives its key."""
    with database.write() as tx:
        code_key = keys_of(tx.connection, [code])[code] if code else None
        times = {"at": tx.at, "started": tx.at, "heartbeat": tx.at}
        row = {**values, **times, "code": code_key, "actor": actor}
        key: int = tx.connection.execute(insert(run).returning(run.c.key), row).scalar_one()
        insert_operations(tx.connection, tx.cursor, key, operations)
        _emit(tx, "jeyn.run.started", values["id"], values["pipeline"], actor)
    return key


@patient
def finish_run(
    database: Database,
    key: int,
    state: str,
    error: Mapping[str, Any] | None,
    actor: str,
    seconds: float | None = None,
) -> None:
    """Write how a run ended."""
    with database.write() as tx:
        ended = (
            update(run)
            .where(run.c.key == key)
            .values(
                state=state,
                ended=tx.at,
                heartbeat=tx.at,
                started=func.coalesce(began(tx.at, seconds), run.c.started),
                error=None if error is None else json.dumps(error),
            )
            .returning(run.c.id, run.c.pipeline)
        )
        id, pipeline = tx.connection.execute(ended).one()
        _emit(tx, _EVENTS[state], id, pipeline, actor)


def beat(database: Database, key: int) -> None:
    """Say that the engine of a run is alive."""
    _set(database, key, heartbeat=time.time_ns() // 1000)


def ask_to_cancel(database: Database, key: int) -> None:
    _set(database, key, cancel_requested=True)


@patient
def _set(database: Database, key: int, **values: Any) -> None:
    with database.write_soft() as connection:
        connection.execute(update(run).where(run.c.key == key).values(**values))


@patient
def cancel_requested(database: Database, key: int) -> bool:
    with database.read() as connection:
        return bool(connection.execute(select(run.c.cancel_requested).where(run.c.key == key)).scalar_one())


@patient
def run_ids(database: Database, prefix: str = "", limit: int = 10) -> list[str]:
    """The ids that begin so, newest first."""
    begins = func.substr(run.c.id, 1, len(prefix)) == prefix
    with database.read() as connection:
        return list(
            connection.execute(select(run.c.id).where(begins).order_by(run.c.key.desc()).limit(limit)).scalars()
        )


def runs(
    database: Database, *, id: str | None = None, state: str | None = None, pipeline: str | None = None, limit: int = 1
) -> list[RunRow]:
    """The newest runs of which all that is given holds."""
    wanted = {"id": id, "state": state, "pipeline": pipeline}
    conditions = [run.c[name] == value for name, value in wanted.items() if value is not None]
    return _read(database, _RUN.where(*conditions).order_by(run.c.key.desc()).limit(limit))


@patient
def durations(database: Database, pipeline: str) -> dict[str, float]:
    """Seconds that the newest success of each operation took, over the last runs of a pipeline."""
    recent = select(run.c.key).where(run.c.pipeline == pipeline).order_by(run.c.key.desc()).limit(RECENT_RUNS)
    newest = (
        select(func.max(operation.c.key))
        .where(operation.c.run.in_(recent), operation.c.state == "succeeded", operation.c.started.is_not(None))
        .group_by(operation.c.name)
    )
    query = select(operation.c.name, operation.c.started, operation.c.ended).where(operation.c.key.in_(newest))
    with database.read() as connection:
        return {name: (ended - started) / 1e6 for name, started, ended in connection.execute(query)}


def _emit(tx: Transaction, kind: str, id: str, pipeline: str, actor: str) -> None:
    row = {"seq": tx.seq, "position": 0, "kind": kind, "subject": id, "actor": actor, "at": tx.at}
    tx.connection.execute(insert(event), row | {"data": json.dumps({"pipeline": pipeline})})


def _is_object(text: str | None) -> bool:
    return not text or isinstance(json_value(text), dict)


@patient
def _read(database: Database, query: Select[Any]) -> list[RunRow]:
    with database.read() as connection:
        found = connection.execute(query).mappings().all()
    return [
        RunRow(
            **dict(row)
            | {name: json_object(row[name]) for name in _OBJECTS}
            | {"error": json_object(row["error"]) if row["error"] else None, "plan": row["plan"] or ""}
            | {"damaged": ", ".join(name for name in (*_OBJECTS, "error") if not _is_object(row[name]))}
            | {"code": f"sha256:{row['code']}" if row["code"] else None}
        )
        for row in found
    ]
