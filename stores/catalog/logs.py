"""What attempts logged: pieces of text, in the order in which they were committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, or_, select, text

from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.patience import patient
from jeyn.stores.catalog.prepared import DriverCursor, Prepared
from jeyn.stores.catalog.tables import attempt, log_chunk, operation

_INSERT = Prepared(insert(log_chunk), "attempt", "at", "text")
_OF_RUN = (
    select(log_chunk.c.key, operation.c.name, attempt.c.number, log_chunk.c.attempt, log_chunk.c.at, log_chunk.c.text)
    .join(attempt, attempt.c.key == log_chunk.c.attempt)
    .join(operation, operation.c.key == attempt.c.operation)
    .where(operation.c.run == bindparam("run"), log_chunk.c.key > bindparam("after"))
    .order_by(log_chunk.c.key)
    .limit(bindparam("at_most"))
)
# Keys are given before a commit, so writers go one by one: who follows a log by key must miss nothing.
_IN_TURN = text("SELECT seq FROM catalog_clock WHERE id = 1 FOR UPDATE")
READ_AT_ONCE = 10_000


@dataclass(frozen=True)
class LogChunk:
    """A piece of what one attempt of an operation wrote; `at` is microseconds, UTC."""

    key: int
    operation: str
    attempt: int  # its number
    attempt_key: int
    at: int
    text: str


def insert_chunk(cursor: DriverCursor, attempt_key: int, written: str, at: int) -> None:
    cursor.run(_INSERT, [{"attempt": attempt_key, "at": at, "text": storable(written)}])


@patient
def append_log(database: Database, attempt_key: int, written: str) -> None:
    """Add to an attempt's log; a power cut may undo it."""
    with database.write_soft() as connection:
        if not database.is_sqlite:
            connection.execute(_IN_TURN)
        insert_chunk(DriverCursor(connection), attempt_key, written, time.time_ns() // 1000)


@patient
def read_log(database: Database, run_key: int, name: str | None, after: int) -> list[LogChunk]:
    """What a run's operations wrote beyond the key `after`, or one of them with its items; 10,000 pieces at most."""
    query = _OF_RUN
    if name is not None:
        item = f"{name}["
        query = query.where(or_(operation.c.name == name, func.substr(operation.c.name, 1, len(item)) == item))
    with database.read() as connection:
        found: Sequence[Any] = connection.execute(
            query, {"run": run_key, "after": after, "at_most": READ_AT_ONCE}
        ).all()
    return [LogChunk(*row) for row in found]


@patient
def logged_bytes(database: Database, attempt_key: int) -> int:
    """How many bytes of an attempt's output are kept, as UTF-8."""
    with database.read() as connection:
        texts = connection.execute(select(log_chunk.c.text).where(log_chunk.c.attempt == attempt_key)).scalars()
        return sum(len(written.encode()) for written in texts)


def storable(written: str) -> str:
    """Text that every database takes: PostgreSQL has no NUL, and UTF-8 no half of a surrogate pair."""
    return written.replace("\0", "?").encode("utf-8", "replace").decode()
