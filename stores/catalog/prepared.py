"""Statements compiled once and then run on the driver's own cursor: the commit's hot path (a save is six of them).

SQLAlchemy still writes the SQL of each database; what is left out is its bookkeeping on every execution, which would
cost several times what SQLite itself needs. Values must be plain: int, str, float, bool, None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql.base import Executable


class Prepared:
    """A statement with named parameters, ready for any connection."""

    def __init__(self, statement: Executable, *names: str) -> None:
        self._statement = statement
        self._names = names or None
        self._compiled: dict[str, tuple[str, list[str] | None]] = {}

    def all(self, connection: Connection, **values: Any) -> Sequence[Any]:
        """The rows of a query, or of RETURNING."""
        cursor = self._cursor(connection)
        try:
            self._execute(cursor, connection, values)
            rows: Sequence[Any] = cursor.fetchall()
            return rows
        finally:
            cursor.close()

    def run(self, connection: Connection, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Write one row, or several."""
        cursor = self._cursor(connection)
        try:
            if isinstance(values, Mapping):
                self._execute(cursor, connection, values)
            elif len(values) == 1:
                self._execute(cursor, connection, values[0])
            else:
                sql, order = self._for(connection)
                cursor.executemany(sql, [_ordered(row, order) for row in values])
        finally:
            cursor.close()

    def _execute(self, cursor: Any, connection: Connection, values: Mapping[str, Any]) -> None:
        sql, order = self._for(connection)
        cursor.execute(sql, _ordered(values, order))

    def _cursor(self, connection: Connection) -> Any:
        return connection.connection.cursor()

    def _for(self, connection: Connection) -> tuple[str, list[str] | None]:
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            names = list(self._names) if self._names else None
            compiled = self._statement.compile(dialect=connection.dialect, column_keys=names)  # type: ignore[attr-defined]
            order = list(compiled.positiontup) if compiled.positional else None
            found = self._compiled[connection.dialect.name] = (str(compiled), order)
        return found


def _ordered(values: Mapping[str, Any], order: list[str] | None) -> Any:
    return values if order is None else [values[name] for name in order]
