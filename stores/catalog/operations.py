"""Rows of operations and attempts: what the engine writes as it goes, and what went in and came out.

The steps of an operation may be lost with the power, and then run again; its end is durable (`fence.py`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, literal_column, or_, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from jeyn.errors import NotFound
from jeyn.stores.catalog.changes import Ends, NewAttempt
from jeyn.stores.catalog.closure import chunks
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.fence import INSERT_ENDS, began, measured
from jeyn.stores.catalog.logs import insert_chunk
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import DriverCursor, Prepared
from jeyn.stores.catalog.tables import artefact, attempt, operation, operation_artefact, run
from jeyn.stores.catalog.tolerant import json_object, json_value

ENDED_WELL = ("succeeded", "cached", "adopted", "skipped")


@dataclass(frozen=True)
class NewOperation:
    """An operation of a run that begins, or an item of a mapped one. `origin` is the operation it is adopted from."""

    name: str
    function: str
    position: int
    item: int = -1
    state: str = "waiting"
    origin: int | None = None
    cache_key: str | None = None


@dataclass(frozen=True)
class Settled:
    """How an operation ended without an attempt. Without `outputs` of its own it has those of its `origin`."""

    operation_key: int
    state: str
    origin: int | None = None
    cache_key: str | None = None
    outputs: Ends = ()
    inputs: Ends = ()
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class OperationRow:
    """An operation of a run; `item` is -1 for what is no item of a mapped one; times are microseconds, UTC."""

    key: int
    run_key: int
    name: str
    function: str | None
    position: int
    item: int
    state: str | None
    cache_key: str | None
    origin: int | None
    started: int | None
    ended: int | None
    error: Mapping[str, Any] | None
    effects: tuple[str, ...]


@dataclass(frozen=True)
class AttemptRow:
    """One try of an operation; times are microseconds, UTC."""

    key: int
    operation_key: int
    number: int
    host: str
    pid: int | None
    at: int
    state: str | None
    ended: int | None
    error: Mapping[str, Any] | None


_OPERATION = select(
    operation.c.key,
    operation.c.run.label("run_key"),
    operation.c.name,
    operation.c.function,
    operation.c.position,
    operation.c.item,
    operation.c.state,
    operation.c.cache_key,
    operation.c.origin,
    operation.c.started,
    operation.c.ended,
    operation.c.error,
    operation.c.effects,
)
_OF_RUN = (
    _OPERATION.where(operation.c.run == bindparam("run"), operation.c.key > bindparam("after"))
    .order_by(operation.c.position, operation.c.item, operation.c.key)
)  # fmt: skip
_OPEN_ITEMS = Prepared(
    select(operation.c.state, func.count())
    .where(
        operation.c.run == bindparam("of"),
        operation.c.position == bindparam("place"),
        operation.c.item >= literal_column("0"),
        operation.c.item < bindparam("before"),
        operation.c.state.not_in([literal_column(f"'{state}'") for state in ENDED_WELL]),
    )
    .group_by(operation.c.state)
)
_ATTEMPTS = (
    select(
        attempt.c.key,
        attempt.c.operation.label("operation_key"),
        attempt.c.number,
        attempt.c.host,
        attempt.c.pid,
        attempt.c.at,
        attempt.c.state,
        attempt.c.ended,
        attempt.c.error,
    )
    .where(attempt.c.operation.in_(bindparam("operations", expanding=True)))
    .order_by(attempt.c.operation, attempt.c.number)
)
_ENDS = (
    select(operation_artefact.c.operation, operation_artefact.c.name, operation_artefact.c.position, artefact.c.id)
    .join(artefact, artefact.c.key == operation_artefact.c.artefact)
    .where(
        operation_artefact.c.direction == bindparam("direction"),
        operation_artefact.c.operation.in_(bindparam("keys", expanding=True)),
    )
    .order_by(operation_artefact.c.operation, operation_artefact.c.position, operation_artefact.c.name)
)
_ENDS_OF_ONE = Prepared(
    select(operation_artefact.c.operation, operation_artefact.c.name, operation_artefact.c.position, artefact.c.id)
    .join(artefact, artefact.c.key == operation_artefact.c.artefact)
    .where(operation_artefact.c.operation == bindparam("which"), operation_artefact.c.direction == bindparam("way"))
    .order_by(operation_artefact.c.position, operation_artefact.c.name)
)
_PRODUCED_BY = (
    select(run.c.id, operation.c.name)
    .join(operation, operation.c.run == run.c.key)
    .join(operation_artefact, operation_artefact.c.operation == operation.c.key)
    .join(artefact, artefact.c.key == operation_artefact.c.artefact)
    .where(artefact.c.id == bindparam("id"), operation_artefact.c.direction == "out", operation.c.origin.is_(None))
    .order_by(operation.c.key)
    .limit(1)
)
_LAST_EFFECTS = Prepared(
    select(operation.c.effects)
    .where(operation.c.function == bindparam("called"), operation.c.state == literal_column("'succeeded'"))
    .order_by(operation.c.key.desc())
    .limit(1)
)
_KEYS = select(artefact.c.id, artefact.c.key).where(artefact.c.id.in_(bindparam("ids", expanding=True)))
_INSERT = Prepared(
    insert(operation).inline(), "run", "name", "function", "position", "item", "state", "origin", "cache_key"
)
_INSERT_ATTEMPT = Prepared(
    insert(attempt).returning(attempt.c.key), "operation", "number", "host", "pid", "at", "state"
)
_RECORD_ATTEMPT = Prepared(
    text(
        'INSERT INTO attempt ("key", operation, number, host, pid, at, state)'
        " VALUES (:key, :operation, :number, :host, :pid, :at, 'running') ON CONFLICT DO NOTHING"
    )
)
_UNCOMMITTED: tuple[ColumnElement[bool], ...] = (
    operation.c.key == bindparam("which"),
    operation.c.committed_by.is_(None),
)
_START = Prepared(
    update(operation)
    .where(*_UNCOMMITTED)
    .values(state=literal_column("'running'"), started=func.coalesce(operation.c.started, bindparam("now")))
)
_HAS_BEGUN = Prepared(
    update(operation)
    .where(*_UNCOMMITTED, operation.c.ended.is_(None))
    .values(state=literal_column("'running'"), started=func.coalesce(operation.c.started, bindparam("now")))
)
_END: dict[str, Any] = {"state": bindparam("how"), "ended": bindparam("now"), "error": bindparam("why")}
_SETTLE = Prepared(
    update(operation)
    .where(*_UNCOMMITTED)
    .values(**_END, origin=bindparam("taken_from"), cache_key=bindparam("digest"))
)  # fmt: skip
_FAIL = (
    update(operation)
    .where(*_UNCOMMITTED)
    .values(
        **_END,
        started=measured(operation.c.started),
    )
)
_FAIL_ATTEMPT = (
    update(attempt)
    .where(attempt.c.key == bindparam("which"), attempt.c.ended.is_(None))
    .values(**_END)
    .returning(attempt.c.operation)
)


def _copy(*directions: str) -> Prepared:
    rows = operation_artefact.c
    which = bindparam("which", type_=operation.c.key.type)
    taken = select(which, rows.direction, rows.name, rows.position, rows.artefact).where(
        rows.operation == bindparam("taken_from"),
        rows.direction.in_([literal_column(f"'{direction}'") for direction in directions]),
    )
    return Prepared(insert(operation_artefact).from_select(operation_artefact.c.keys(), taken))


_COPY_OUTPUTS, COPY_ENDS = _copy("out"), _copy("in", "out")


def insert_operations(
    connection: Connection, cursor: DriverCursor, run_key: int, new: Sequence[NewOperation]
) -> list[OperationRow]:
    """The rows of new operations, in their order; what is adopted gets the inputs and outputs of its origin."""
    if not new:
        return []
    after = connection.execute(select(func.coalesce(func.max(operation.c.key), 0))).scalar_one()
    cursor.run(_INSERT, [{"run": run_key, **_values(each)} for each in new])
    made = {
        row.name: row for row in _rows(connection.execute(_OF_RUN, {"run": run_key, "after": after}).mappings().all())
    }
    adopted = [{"which": made[each.name].key, "taken_from": each.origin} for each in new if each.origin is not None]
    if adopted:
        cursor.run(COPY_ENDS, adopted)
    return [made[each.name] for each in new]


def _values(new: NewOperation) -> dict[str, Any]:
    names = ("name", "function", "position", "item", "state", "origin", "cache_key")
    return {name: getattr(new, name) for name in names}


@patient
def add_operations(database: Database, run_key: int, new: Sequence[NewOperation]) -> list[OperationRow]:
    """The items of a mapped operation."""
    with database.write_soft() as connection:
        return insert_operations(connection, DriverCursor(connection), run_key, new)


@patient
def start_attempt(database: Database, operation_key: int, number: int, host: str, pid: int) -> int:
    """The key of an attempt that begins now; its operation is running."""
    now = time.time_ns() // 1000
    with database.write_soft() as connection:
        cursor = DriverCursor(connection)
        ((key,),) = cursor.all(
            _INSERT_ATTEMPT, operation=operation_key, number=number, host=host, pid=pid, at=now, state="running"
        )
        cursor.run(_START, [{"which": operation_key, "now": now}])
    return int(key)


@patient
def record_attempts(database: Database, begun: Sequence[NewAttempt]) -> None:
    """See to it that attempts which began are in the catalog; those that are, or that have ended, stay as they are."""
    if begun:
        with database.write_soft() as connection:
            insert_begun(DriverCursor(connection), begun)


def insert_begun(cursor: DriverCursor, begun: Sequence[NewAttempt]) -> None:
    """`record_attempts` within a transaction."""
    cursor.run(_RECORD_ATTEMPT, [vars(each) for each in begun])
    cursor.run(_HAS_BEGUN, [{"which": each.operation, "now": each.at} for each in begun])


@patient
def fail_attempt(
    database: Database,
    attempt_key: int,
    *,
    state: str,
    error: Mapping[str, Any],
    log: str,
    operation_state: str | None,
    seconds: float | None = None,
) -> None:
    """End an attempt that did not commit, and with `operation_state` its operation; durable when this returns."""
    with database.write() as tx:
        end = {"which": attempt_key, "how": state, "now": tx.at, "why": json.dumps(error)}
        of = tx.connection.execute(_FAIL_ATTEMPT, end).scalar_one_or_none()
        if operation_state is not None and of is not None:
            tx.connection.execute(
                _FAIL, {**end, "which": of, "how": operation_state, "measured": began(tx.at, seconds)}
            )
        if log:
            insert_chunk(tx.cursor, attempt_key, log, tx.at)


@patient
def settle(database: Database, rows: Sequence[Settled]) -> None:
    """End operations without an attempt, all in one transaction. Raises `NotFound` for an output that is not there."""
    if not rows:
        return
    now = time.time_ns() // 1000
    with database.write_soft() as connection:
        cursor = DriverCursor(connection)
        keys = keys_of(connection, {id for row in rows for _, _, id in (*row.outputs, *row.inputs)})
        ends = [end for row in rows for end in _ends(row, keys)]
        copied = [
            {"which": row.operation_key, "taken_from": row.origin}
            for row in rows
            if row.origin is not None and not row.outputs
        ]
        cursor.run(_SETTLE, [_ended(row, now) for row in rows])
        if ends:
            cursor.run(INSERT_ENDS, ends)
        if copied:
            cursor.run(_COPY_OUTPUTS, copied)


def _ended(row: Settled, now: int) -> dict[str, Any]:
    why = None if row.error is None else json.dumps(row.error)
    return {
        "which": row.operation_key,
        "how": row.state,
        "now": now,
        "why": why,
        "taken_from": row.origin,
        "digest": row.cache_key,
    }


def _ends(row: Settled, keys: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for direction, some in (("out", row.outputs), ("in", row.inputs)):
        for name, position, id in some:
            yield {
                "operation": row.operation_key,
                "direction": direction,
                "name": name,
                "position": position,
                "artefact": keys[id],
            }


def keys_of(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """The row keys of artefacts by id. Raises `NotFound`."""
    wanted = sorted(ids)
    found: dict[str, int] = {}
    for some in chunks(wanted):
        rows = connection.execute(_KEYS, {"ids": [id[7:] for id in some]})
        found |= {f"sha256:{id}": key for id, key in rows}
    missing = [id for id in wanted if id not in found]
    if missing:
        raise NotFound(f'no artefact "{missing[0]}" in this catalog', hint="save it first, or import it", refs=missing)
    return found


def last_effects(database: Database, function: str) -> tuple[str, ...]:
    found = database.ask(_LAST_EFFECTS, called=function)
    return _effects(found[0][0]) if found else ()


@patient
def operations_of(
    database: Database, run_key: int, positions: Sequence[int] | None = None, names: Sequence[str] = ()
) -> list[OperationRow]:
    """The operations of a run in the order of its plan, each mapped one before its items."""
    query = _OF_RUN
    if positions is not None:
        query = query.where(or_(operation.c.position.in_(positions), operation.c.name.in_(names)))
    with database.read() as connection:
        return _rows(connection.execute(query, {"run": run_key, "after": 0}).mappings().all())


def open_items(database: Database, run_key: int, position: int, before: int) -> dict[str, int]:
    """How many items of a mapped operation are in each state, of those before one that have not ended well."""
    return dict(database.ask(_OPEN_ITEMS, of=run_key, place=position, before=before))


@patient
def attempts_of(database: Database, operation_keys: Sequence[int]) -> list[AttemptRow]:
    """The tries of operations, first to last, one operation after the other."""
    found: list[AttemptRow] = []
    with database.read() as connection:
        for some in chunks(operation_keys):
            rows = connection.execute(_ATTEMPTS, {"operations": list(some)}).mappings()
            found += [AttemptRow(**{**row, "error": _error(row)}) for row in rows]
    return found


@patient
def ends_of(database: Database, operation_keys: Sequence[int], direction: str) -> dict[int, list[tuple[str, int, str]]]:
    """What went into operations ("in") or came out ("out"): (name, position, id) by operation."""
    found: dict[int, list[tuple[str, int, str]]] = {key: [] for key in operation_keys}
    for key, name, position, id in _end_rows(database, list(found), direction):
        found[key].append((name, position, f"sha256:{id}"))
    return found


def _end_rows(database: Database, keys: Sequence[int], direction: str) -> Iterator[Sequence[Any]]:
    if len(keys) == 1:
        yield from database.ask(_ENDS_OF_ONE, which=keys[0], way=direction)
        return
    with database.read() as connection:
        for some in chunks(keys):
            yield from connection.execute(_ENDS, {"direction": direction, "keys": list(some)})


@patient
def produced_by(database: Database, id: str) -> tuple[str, str] | None:
    """The run and the operation that an artefact first came out of."""
    with database.read() as connection:
        row = connection.execute(_PRODUCED_BY, {"id": id.removeprefix("sha256:")}).one_or_none()
    return (row.id, row.name) if row else None


def _rows(found: Sequence[RowMapping]) -> list[OperationRow]:
    return [OperationRow(**{**row, "error": _error(row), "effects": _effects(row["effects"])}) for row in found]


def _error(row: RowMapping) -> Mapping[str, Any] | None:
    return json_object(row["error"]) if row["error"] else None


def _effects(text: str | None) -> tuple[str, ...]:
    found = json_value(text)
    # What cannot be read was something: it is not taken from the cache then.
    return tuple(map(str, found)) if isinstance(found, list) else (str(text),) if text else ()
