"""A database that rows are read from: one snapshot that nothing can be written through, and its errors translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from jeyn import address
from jeyn.errors import Busy, Corrupt, DataInvalid, JeynError, NotAllowed, Unreachable, UsageError
from jeyn.stores.sources.sql_values import sortable

# The function of SQLite that orders texts as times.
TIME = "jeyn_time"
BUSY_SECONDS = 60
CONNECT_SECONDS = 10
_KNOWN = "use sqlite:///file or postgresql://host/database"
_UNDECODABLE = "could not decode to utf-8"


@contextmanager
def snapshot(place: str) -> Iterator[Connection]:
    """A connection on which every statement sees the same commit; raises `Unreachable` and `UsageError`."""
    url = _parsed(place)
    engine = _engine(url)
    try:
        with _errors(url, connecting=True):
            connection = engine.connect()
        with connection, _errors(url), connection.begin():
            if url.get_backend_name() == "postgresql":
                connection.execute(text("SET LOCAL TimeZone TO 'UTC'"))
            yield connection
    finally:
        engine.dispose()


def shown(url: URL) -> str:
    """The address without what may be secret in it."""
    return address.shown(_whole(url))


def _whole(url: URL) -> str:
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)


def _parsed(place: str) -> URL:
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        # Neither the address nor the error that may repeat it: it holds a password.
        raise UsageError("the address of the database cannot be parsed", hint=_KNOWN) from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(f'rows cannot be read from a "{url.drivername}" database', hint=_KNOWN)
    return url


def _engine(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    try:
        if sqlite:
            engine = create_engine("sqlite://", creator=lambda: _sqlite(url), poolclass=NullPool, hide_parameters=True)
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
            return engine
        patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_engine(
            url, connect_args=patience, poolclass=NullPool, hide_parameters=True, execution_options=options
        )
    except (NoSuchModuleError, ModuleNotFoundError) as exc:
        message = f'the database "{shown(url)}" needs a driver that is not installed ({exc})'
        raise UsageError(message, hint='pip install "jeyn[postgres]" and use postgresql+psycopg://…') from exc


def _sqlite(url: URL) -> sqlite3.Connection:
    """Opened for reading only, so that a file that is not there is not made either."""
    if not url.database or url.database == ":memory:":
        raise UsageError("an SQLite database in memory is empty when it is opened", hint="use sqlite:///file")
    path = quote(str(Path(url.database).absolute()))
    connection = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.create_function(TIME, 1, sortable, deterministic=True)
    connection.execute("PRAGMA query_only=ON")
    return connection


@contextmanager
def _errors(url: URL, *, connecting: bool = False) -> Iterator[None]:
    try:
        yield
    except JeynError:
        raise
    except DBAPIError as exc:
        raise _translated(exc, _said(exc.orig, url), shown(url), connecting) from exc
    except sqlite3.Error as exc:
        raise _unreachable(_said(exc, url), shown(url)) from exc
    except SQLAlchemyError as exc:
        raise UsageError(f'the query on "{shown(url)}" failed: {_said(exc, url)}', hint="correct the query") from exc


def _said(exc: BaseException | None, url: URL) -> str:
    return address.without_secrets(str(exc).strip(), _whole(url))


def _translated(exc: DBAPIError, said: str, where: str, connecting: bool) -> JeynError:
    kind = type(exc.orig).__name__
    low = said.lower()
    if _UNDECODABLE in low or kind in ("DataError", "NumericValueOutOfRange") or _is_a(exc, "DataError"):
        return DataInvalid(
            f'rows of the query on "{where}" cannot be read: {said}', hint="correct the rows, or cast them"
        )
    if "readonly" in low or "read-only" in low or "permission denied" in low:
        return NotAllowed(
            f'the query on "{where}" is not allowed: {said}', hint="a source query only reads what it may"
        )
    if "malformed" in low or "not a database" in low:
        return Corrupt(f'"{where}" is damaged or no database: {said}', hint="restore it, or correct the address")
    if "locked" in low:
        return Busy(f'the database "{where}" was locked for {BUSY_SECONDS} s', hint="try again")
    if connecting or exc.connection_invalidated or "unable to open" in low or _lost(exc):
        return _unreachable(said, where)
    return UsageError(f'the query on "{where}" failed: {said}', hint="correct the query")


def _unreachable(said: str, where: str) -> Unreachable:
    hint = "check JEYN_DATABASE_<NAME> or databases: in jeyn.yaml, and that the database runs"
    return Unreachable(f'the database "{where}" cannot be reached: {said}', hint=hint)


def _is_a(exc: DBAPIError, name: str) -> bool:
    return any(base.__name__ == name for base in type(exc.orig).__mro__)


def _lost(exc: DBAPIError) -> bool:
    """For SQLite a wrong query is an OperationalError too; elsewhere it says that the server has a problem."""
    return not isinstance(exc.orig, sqlite3.Error) and _is_a(exc, "OperationalError")
