"""The schema that most tests begin with is the one that a migration makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jeyn.stores.catalog import migrate
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.tables import metadata
from tests.quick_schema import QuickSchema
from tests.stores.conftest import execute

SHAPE = {
    "sqlite": ["SELECT type, name, tbl_name, sql FROM sqlite_master"],
    "postgresql": [
        "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default, is_identity "
        "FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint",
        "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    ],
}
ROWS = [f"SELECT * FROM {name}" for name in ("alembic_version", *metadata.tables)]


def made(url: str, run: migrate.Migrate) -> list[list[str]]:
    """All that the statements left in an empty catalog."""
    database = Database(url)
    try:
        with database.exclusive() as connection:
            run(connection, migrate.REVISIONS[-1])
        return [sorted(map(repr, execute(database, query))) for query in [*SHAPE[database.dialect], *ROWS]]
    finally:
        database.dispose()


@pytest.mark.parametrize("dialect", list(SHAPE))
def test_it_is_the_schema_of_a_migration(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    quick = QuickSchema(request.getfixturevalue("quick_schema").migrate)

    def new() -> Any:
        new.count += 1
