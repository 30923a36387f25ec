"""Statements compiled once and then run on the driver's own cursor: the commit's hot path (a save is six of them).

SQLAlchemy still writes the SQL of each database; what is left out is its bookkeeping on every execution, which would
cost several times what SQLite itself needs. Values must be plain: int, str, float, bool, None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.base import Executable


class Prepared:
    """A statement with named parameters, ready for any database."""

    def __init__(self, statement: Executable, *names: str) -> None:
        self._statement = statement
        self._names = list(names) or None
        self._compiled: dict[str, tuple[str, list[str] | None]] = {}
        self._fixed: dict[str, Any] = {}

    def compiled(self, dialect: Dialect) -> tuple[str, list[str] | None]:
        """The SQL, and the order of its parameters where they go by position."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._names)  # type: ignore[attr-defined]
            order = list(compiled.positiontup) if compiled.positional else None
            found = self._compiled[dialect.name] = (str(compiled), order)
            self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        return found

    def arguments(self, order: list[str] | None, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them, with those that the statement itself has."""
        if self._fixed:
            values = {**self._fixed, **values}
        return values if order is None else [values[name] for name in order]

    def rows(self, connection: Any, dialect: Dialect, values: Mapping[str, Any]) -> Sequence[Any]:
        """The rows of a query on a driver's connection."""
        sql, order = self.compiled(dialect)
        cursor = connection.cursor()
        try:
            cursor.execute(sql, self.arguments(order, values))
            found: Sequence[Any] = cursor.fetchall()
        finally:
            cursor.close()
        return found

    def typed(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """The same rows by SQLAlchemy, each column of its own type."""
        found: Sequence[Any] = connection.execute(self._statement, dict(values)).all()
        return found


class DriverCursor:
    """The driver's cursor of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.connection.cursor()
        self._dialect = connection.dialect

    def all(self, statement: Prepared, **values: Any) -> Sequence[Any]:
        """The rows of a query, or of RETURNING."""
        sql, order = statement.compiled(self._dialect)
        self._cursor.execute(sql, statement.arguments(order, values))
        rows: Sequence[Any] = self._cursor.fetchall()
        return rows

    def run(self, statement: Prepared, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write these rows."""
        sql, order = statement.compiled(self._dialect)
        ready = [statement.arguments(order, row) for row in rows]
        if len(ready) == 1:
            self._cursor.execute(sql, ready[0])
        else:
            self._cursor.executemany(sql, ready)

    def close(self) -> None:
        self._cursor.close()
