"""The schema that most tests begin with is the one that a migration makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

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


def made(url: str, run: QuickSchema) -> list[list[str]]:
    """All that the statements left in an empty catalog."""
    database = Database(url)
    try:
        with database.exclusive() as connection:
            run(connection, migrate.REVISIONS[-1])
        return [sorted(map(repr, execute(database, query))) for query in [*SHAPE[database.dialect], *ROWS]]
    finally:
        database.dispose()


@pytest.fixture
def urls(catalog_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Two empty databases of a kind."""
    if catalog_url.startswith("sqlite"):
        yield [f"sqlite:///{tmp_path}/{name}.db" for name in ("first", "second")]
    else:
        with request.getfixturevalue("postgres_server").new_database() as other:
            yield [catalog_url, other]


def test_it_is_the_schema_of_a_migration(urls: list[str], quick_schema: QuickSchema) -> None:
    migrations: list[str] = []

    def counted(connection: Connection, revision: str) -> None:
        migrations.append(revision)
        quick_schema.migrate(connection, revision)

    quick = QuickSchema(counted)
    migrated, repeated = [made(url, quick) for url in urls]
    assert migrated == repeated
    assert len(migrations) == 1 and migrated[0]
