"""The catalog database: engines for SQLite and PostgreSQL, read and write transactions, and their errors translated.

One writer at a time on both: SQLite by `BEGIN IMMEDIATE`, PostgreSQL because each write transaction first ticks the
catalog's clock, whose row stays locked until it commits. So the order of the clock is the order of commits.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from jeyn.address import shown
from jeyn.errors import (
    Unreachable,
    UsageError,
)
from jeyn.stores.catalog.clock import Clock
from jeyn.stores.catalog.failures import translated
from jeyn.stores.catalog.filesystem import refuse_network
from jeyn.stores.catalog.patience import CROWD, OUTCOME, STORE_PATIENCE, Wait, is_away, is_crowded, patient
from jeyn.stores.catalog.prepared import DriverCursor, Prepared
from jeyn.stores.catalog.read_only import ReadOnlyCatalog, ReadOnlyConnection, is_read_only, refusal
from jeyn.stores.catalog.tolerant import text_of, tolerate
from jeyn.stores.catalog.writer_queue import WriterQueue
from jeyn.stores.reserve import is_full

BUSY_SECONDS = 120
_open: weakref.WeakSet[Database] = weakref.WeakSet()
# Connections that a fork inherited: SQLite must not even close them, so they are never let go.
_of_parent: list[object] = []


@dataclass(frozen=True)
class Transaction:
    """A write transaction: its connection, and the clock's answer: its place in the order and its time (µs, UTC)."""

    connection: Connection
    cursor: DriverCursor
    seq: int
    at: int
    xid: int | None = None  # what a server calls it

    def roll_back(self) -> None:
        """Undo everything, the tick included."""
        _end(self.connection, "rollback")


class Database:
    """One catalog database by URL. Thread-safe; connections are opened lazily and dropped when a process forks.

    A server that was there and goes away is waited for, `patience` seconds; with `waits` also the first time.
    A `tolerant` one reads whatever stands there, for those who list and check.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: float = STORE_PATIENCE,
        waits: bool = False,
        clock_is_right: bool = False,
        tolerant: bool = False,
    ) -> None:
        self.url = _parse(url)
        self.tolerant = tolerant
        self.patience, self.waited = patience, 0.0
        self.has_met = waits
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.path:
            refuse_network(self.path.parent)
        self.clock = Clock(self.dialect, clock_is_right)
        self.is_read_only = self.path is not None and is_read_only(self.path)
        self._queue = WriterQueue(self.path, BUSY_SECONDS) if self.path else None
        self._engine = self._create(synchronous="FULL")
        # The same connections, with what is different for reading: an option set on each costs more than BEGIN.
        self._reading = self._engine.execution_options(
            **({"jeyn_read": True} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"})
        )
        # Leases need not survive a power cut: the process that held them does not either. PostgreSQL is told so in
        # each transaction, so that one connection does for both.
        self._soft = self._create(synchronous="NORMAL") if self.is_sqlite else self._engine
        # The last connection that wrote: taking one from the pool costs as much as all statements of a small save.
        self._kept: list[Connection] = []
        self._kept_soft: list[Connection] = []
        self._last = self._kept
        # Driver connections for single questions, which need no transaction.
        self._asking: list[Any] = []
        _open.add(self)
        # Whoever forgets to close a workspace leaves no connection behind.
        weakref.finalize(self, _dispose, self._held, self._engine, self._soft, queue=self._queue)

    @property
    def path(self) -> Path | None:
        """The SQLite file."""
        found = self.url.database
        return Path(found) if self.is_sqlite and found else None

    @property
    def busy_seconds(self) -> float:
        """How long a lock is waited for."""
        return BUSY_SECONDS

    @property
    def shown(self) -> str:
        """Its address as people may see it."""
        return shown(self.address)

    @property
    def address(self) -> str:
        """What opens it, password included: never to be printed."""
        return self.url.render_as_string(hide_password=False)

    @property
    def dialect(self) -> str:
        return self.url.get_backend_name()

    @property
    def driver_error(self) -> type[Exception]:
        """The root of what the database's driver raises."""
        error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: everything in it sees the same commit."""
        with translated(self), self._connected(self._reading) as connection, connection.begin():
            yield connection

    @patient
    def ask(self, question: Prepared, **values: Any) -> Sequence[Any]:
        """The rows of one query by itself: what an engine asks for every operation costs little more than SQLite."""
        if self.tolerant:
            with self.read() as connection:
                return question.typed(connection, values)
        if not self.is_sqlite:
            with self.read() as connection:
                return DriverCursor(connection).all(question, **values)
        with translated(self):
            # Rather on the connection that wrote last: what it has read of the file need not be read again.
            kept: list[Any] = self._last if self._last else self._asking
            asked: Any = kept.pop() if kept else self._engine.raw_connection()
            try:
                driver = asked.connection if isinstance(asked, Connection) else asked
                found = question.rows(driver, self._engine.dialect, values)
            except BaseException:
                asked.close()
                raise
            if self.is_read_only:
                asked.close()
            else:
                kept.append(asked)
            return found

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A durable write transaction with a tick of the clock; rolled back when the block raises.

        Raises `Invalid` where this machine's clock cannot be right.
        """
        with translated(self), self._in_turn(), self._writer(self._engine, self._kept) as (connection, ends):
            cursor = DriverCursor(connection)
            try:
                now = self.clock.read(cursor)
                (ticked,) = cursor.all(_TICK[self.dialect], now=now.at)
                tx = Transaction(connection, cursor, *ticked)
                self.clock.check(now, tx.at)
                ends.append(tx)
                yield tx
            finally:
                cursor.close()

    @contextmanager
    def write_soft(self) -> Iterator[Connection]:
        """A write transaction without a tick, that a power cut may undo where the catalog is a file.

        A server may crash while its clients go on, and they count on what they wrote.
        """
        with translated(self), self._in_turn(), self._writer(self._soft, self._kept_soft) as (connection, ends):
            if not self.is_sqlite:
                xid = connection.execute(_XID).scalar_one()
                ends.append(Transaction(connection, DriverCursor(connection), 0, 0, xid))
            yield connection

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A plain connection in a write transaction, for migrations."""
        with translated(self), self._in_turn(), self._connected(self._engine) as connection, connection.begin():
            yield connection

    def dispose(self, close: bool = True) -> None:
        """Drop all connections; the next use opens new ones. After a fork they belong to the parent: don't close."""
        if close:
            _dispose(self._held, self._engine, self._soft, queue=self._queue)
            return
        if self._queue:
            self._queue.forget()
        for kept in self._held:
            _of_parent.extend(kept)
            kept.clear()
        _of_parent.extend((self._engine.pool, self._soft.pool))
        for engine in (self._engine, self._soft):
            engine.dispose(close=False)

    @property
    def _held(self) -> tuple[list[Any], ...]:
        return (self._kept, self._kept_soft, self._asking)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if self.is_read_only and self.path:
            raise refusal(self.path)
        place = self._queue.take() if self._queue else None
        try:
            yield
        finally:
            if self._queue:
                self._queue.give_back(place)

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        connection = self._connect(engine)
        try:
            yield connection
        finally:
            _let_go(connection)

    def _connect(self, engine: Engine) -> Connection:
        """A connection; a server that is away, or has no room, is waited for."""
        if self.is_sqlite:
            return engine.connect()
        wait = Wait(self)
        while True:
            try:
                connection = engine.connect()
            except DBAPIError as exc:
                is_waited_for = is_away(exc) if self.has_met else is_crowded(exc)
                if not is_waited_for or not wait.again():
                    raise
            else:
                self.has_met = True
                return connection

    def _commit(self, connection: Connection, ends: list[Transaction]) -> None:
        try:
            _end(connection, "commit")
        except Exception as exc:
            if self.is_sqlite or not ends or not is_away(exc):
                raise
            connection.invalidate()
            if not self._was_committed(ends[0]):
                raise

    def _was_committed(self, tx: Transaction) -> bool:
        """Whether a commit took place whose answer was lost; in doubt it is an error that nobody tries again."""
        wait = Wait(self)
        while True:
            try:
                with self._connected(self._engine) as connection, connection.begin():
                    status, is_own = connection.execute(OUTCOME, {"xid": tx.xid, "seq": tx.seq, "at": tx.at}).one()
            except DBAPIError as exc:
                if not is_away(exc):  # a server that lost the transaction with its memory does not know its number
                    return False
                if wait.again():
                    continue
                raise Unreachable(
                    f'the catalog "{self.shown}" went away within a commit: nobody knows whether that took place',
                    hint="see whether it is there before doing it again",
                ) from None
            if status != "in progress" or not wait.again():
                return bool(status == "committed" and is_own)

    @contextmanager
    def _writer(self, engine: Engine, kept: list[Connection]) -> Iterator[tuple[Connection, list[Transaction]]]:
        """A connection in a write transaction, which is committed at the end; what is to be known of it then."""
        ends: list[Transaction] = []
        try:
            connection = kept.pop()
        except IndexError:
            connection = self._connect(engine)
        try:
            if self.is_sqlite:
                # The driver's own: what SQLAlchemy notes about a transaction costs as much as a small commit.
                _driver(connection).execute("BEGIN IMMEDIATE")
            else:
                connection.begin()
            yield connection, ends
            self._commit(connection, ends)
        except BaseException as exc:
            try:
                if not self.is_sqlite and is_away(exc):
                    connection.invalidate()
                else:
                    _end(connection, "rollback")
            finally:
                _let_go(connection)
            raise
        if self.is_sqlite and not kept:
            kept.append(connection)
            self._last = kept
        else:
            _let_go(connection)

    def _create(self, synchronous: str) -> Engine:
        options: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
            # Every use of a connection is one transaction that ends by itself: there is nothing to roll back.
            options["pool_reset_on_return"] = None
            if self.is_read_only and self.path:
                options |= {"creator": ReadOnlyCatalog(self.path).connect, "poolclass": NullPool}
            elif self.path and is_full(self.path.parent):
                options["creator"] = partial(_open_on_full_disk, self.path)
        elif self.url.drivername == "postgresql+psycopg":
            options["use_native_hstore"] = False  # no column is one, and each new connection would ask for its type
        try:
            engine = create_engine(self.url, **options)
        except (NoSuchModuleError, ModuleNotFoundError) as exc:
            raise UsageError(
                f'the catalog "{self.shown}" needs a driver that is not installed ({exc})',
                hint='pip install "jeyn[postgres]" and use postgresql+psycopg://…',
            ) from exc
        if self.is_sqlite:
            _tune_sqlite(engine, synchronous, self.is_read_only, self.tolerant)
            if self.tolerant:
                tolerate(engine)
        else:
            event.listen(engine, "connect", _look_at_crowd)
        return engine


_TICK = {
    "sqlite": Prepared(
        text("UPDATE catalog_clock SET seq = seq + 1, at = max(:now, at + 1) WHERE id = 1 RETURNING seq, at")
    ),
    "postgresql": Prepared(
        text(
            "UPDATE catalog_clock SET seq = seq + 1, at = greatest(:now, at + 1) WHERE id = 1"
            " RETURNING seq, at, txid_current()"
        )
    ),
}
_XID = text("SELECT txid_current()")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Without the cause, which repeats the address.
        raise UsageError(f'"{shown(url)}" is no database address', hint="sqlite:///path or postgresql://…") from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(f'a catalog cannot be kept in "{parsed.drivername}"', hint="use sqlite:// or postgresql://")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UsageError(
            f'"{shown(url)}" names no file, and a catalog outlives its process', hint="sqlite:////path/catalog.db"
        )
    return parsed


def _open_on_full_disk(path: Path) -> sqlite3.Connection:
    """To read, where there is no room for the files that SQLite wants beside the catalog."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        return ReadOnlyCatalog(path).connect()
    return connection


def _tune_sqlite(engine: Engine, synchronous: str, is_read_only: bool, tolerant: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy emits BEGIN itself; the driver's own guessing would start transactions late.
        connection.isolation_level = None
        if tolerant:
            connection.text_factory = text_of
        if isinstance(connection, ReadOnlyConnection):
            return
        # A save touches a dozen pages, and each goes to the log whole: smaller ones make a commit a sixth quicker.
        connection.execute("PRAGMA page_size=2048")
        _use_wal(connection)
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA mmap_size=268435456")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        driver = _driver(connection)
        if driver.in_transaction:  # of `write`, which began it without SQLAlchemy
            return
        is_reading = is_read_only or connection.get_execution_options().get("jeyn_read")
        driver.execute("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _look_at_crowd(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(CROWD)
    record.info["is_crowded"] = bool(cursor.fetchone()[0])
    cursor.close()
    connection.rollback()


def _let_go(connection: Connection) -> None:
    """Back to the pool; where there is little room on the server, others have it."""
    if not connection.invalidated and connection.connection.info.get("is_crowded"):
        connection.detach()
    connection.close()


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _end(connection: Connection, how: Literal["commit", "rollback"]) -> None:
    """Commit or roll back, whether SQLAlchemy took part in the transaction or not."""
    if connection.in_transaction():
        getattr(connection, how)()
    elif not connection.invalidated:
        getattr(_driver(connection), how)()


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait here: of several processes that open a new file at once, all but one are told "locked"."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _dispose(held: tuple[list[Any], ...], *engines: Engine, queue: WriterQueue | None) -> None:
    if queue:
        queue.close()
    for kept in held:
        while kept:
            kept.pop().close()
    for engine in engines:
        engine.dispose()


def _after_fork() -> None:
    for database in _open:
        database.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
