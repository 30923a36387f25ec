"""The schema of an empty catalog, made by the statements that the session's first migration on that database ran.

A migration takes most of its time to find out which statements to run, and a thousand tests begin with one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event

from jeyn.stores.catalog.migrate import REVISIONS, current_revision

Migrate = Callable[[Connection, str], None]


class QuickSchema:
    """In place of `migrate._run`; whatever is no empty catalog, or goes to an older revision, is migrated."""

    def __init__(self, migrate: Migrate) -> None:
        self.migrate = migrate
        self._statements: dict[str, list[str]] = {}

    def __call__(self, connection: Connection, revision: str) -> None:
        known = self._statements.get(connection.dialect.name)
        if revision != REVISIONS[-1] or current_revision(connection) is not None:
            self.migrate(connection, revision)
        elif known is None:
            self._statements[connection.dialect.name] = self._recorded(connection, revision)
        else:
            for statement in [";".join(known)] if connection.dialect.name == "postgresql" else known:
                connection.exec_driver_sql(statement)

    def _recorded(self, connection: Connection, revision: str) -> list[str]:
        found: list[str] = []

        def seen(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
            if not statement.lstrip().startswith(("SELECT", "PRAGMA")):
                assert not parameters, statement
                found.append(statement)

        event.listen(connection, "before_cursor_execute", seen)
        try:
            self.migrate(connection, revision)
        finally:
            event.remove(connection, "before_cursor_execute", seen)
        return found
