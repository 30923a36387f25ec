"""Migrations: an old catalog comes along with its data, a newer one is refused, and history stays protected."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

import jeyn
from jeyn import Workspace
from jeyn.errors import Corrupt, Immutable, NewerSchema
from jeyn.stores.catalog.database import Database
from jeyn.stores.catalog.migrate import REVISIONS, check_triggers, current_revision, upgrade
from jeyn.stores.catalog.tables import APPEND_ONLY, metadata
from jeyn.stores.payloads import FilePayloads
from tests.quick_schema import QuickSchema
from tests.stores.conftest import Sql, execute
from tests.stores.digits import READER, a_batch
from tests.stores.old_catalog import BATCH, DIGEST, FORMULA, OLD_ROWS, fill


@pytest.fixture(autouse=True)
def every_step(quick_schema: QuickSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here each catalog is migrated."""
    monkeypatch.setattr("jeyn.stores.catalog.migrate._run", quick_schema.migrate)


@pytest.fixture
def database(catalog_url: str) -> Iterator[Database]:
    opened = Database(catalog_url)
    if opened.path:
        opened.path.parent.mkdir(parents=True)
    yield opened
    opened.dispose()


@pytest.fixture
def old(database: Database) -> Database:
    """A catalog at the first revision, with a row in every table that is append-only."""
    upgrade(database, "0001")
    fill(database)
    return database


def content(database: Database) -> dict[str, list[Any]]:
    tables = (*APPEND_ONLY, "catalog_clock")
    return {table: sorted(map(tuple, execute(database, f"SELECT * FROM {table}"))) for table in tables}


def test_an_old_catalog_is_upgraded_with_its_data(old: Database, catalog_url: str, home: Path) -> None:
    before = content(old)
    assert all(before.values())
    FilePayloads(home / "payloads").put(DIGEST, b"old bytes")
    with jeyn.open(home=home, catalog=catalog_url) as workspace:
        batch = workspace.dataset_store.get_batch("digits@good/latest")
        assert (batch.id, batch.epoch, workspace.tags(batch)) == (BATCH.id, 1, {"gold"})
        assert content(workspace.database) == before
        with workspace.database.read() as connection:
            assert current_revision(connection) == REVISIONS[-1]
        assert a_batch(workspace).epoch == 2


def test_runs_of_an_old_catalog_are_still_there(old: Database, catalog_url: str, home: Path) -> None:
    upgrade(old, "0002")
    execute(old, "INSERT INTO run (key, id, pipeline, code, actor, at) VALUES (1, 'r1', 'nightly', 1, 'ada', 5)")
    execute(old, "INSERT INTO operation (key, run, name, committed_by) VALUES (7, 1, 'train', 3)")
    execute(old, "INSERT INTO attempt (key, operation, number, host, at) VALUES (3, 7, 1, 'here', 6)")
    execute(old, "INSERT INTO operation_artefact VALUES (7, 'out', 'return', 0, 2)")
    with jeyn.open(home=home, catalog=catalog_url) as workspace:
        run = workspace.runs.get("last")
        assert (run.id, run.code, run.at, run.state, run.plan, run.parameters) == ("r1", FORMULA.id, 5, None, "", {})
        assert not workspace.runs.is_alive(run)
        (row,) = workspace.runs.operations(1)
        assert (row.name, row.item, row.position, row.state, row.function) == ("train", -1, 0, None, None)
        assert [(a.host, a.state) for a in workspace.runs.attempts(7)] == [("here", None)]
        assert workspace.runs.outputs([7]) == {7: [("return", 0, BATCH.id)]}
        assert workspace.runs.run_of(BATCH.id) == ("r1", "train")


def test_sqlite_makes_a_copy_beside_itself(home: Path) -> None:
    url = f"sqlite:///{home}/catalog.db"
    database = Database(url)
    home.mkdir()
    upgrade(database, "0001")
    execute(database, OLD_ROWS[-1])
    with jeyn.open(home=home, catalog=url) as workspace:
        assert workspace.reader.row("sha256:" + "0" * 64) is None
    copy = home / "catalog.db.before-0001"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert connection.execute("SELECT seq, at FROM catalog_clock").fetchall() == [(4, 40)]
    assert sorted(path.name for path in home.glob("*.partial")) == []
    database.dispose()


def test_a_new_catalog_makes_no_copy(home: Path) -> None:
    with jeyn.open(home=home) as workspace:
        a_batch(workspace)
    assert list(home.glob("*.before-*")) == []


def test_a_newer_catalog_is_refused(workspace: Workspace, sql: Sql, catalog_url: str, home: Path) -> None:
    a_batch(workspace)
    sql("UPDATE alembic_version SET version_num = '9999'")
    with jeyn.open(home=home, catalog=catalog_url) as later, pytest.raises(NewerSchema, match="9999") as refused:
        later.get("digits@1.0.0")
    assert refused.value.exit_code == 6
    assert "upgrade Jeyn" in refused.value.hint
    # Nothing was touched: whoever has the newer Jeyn goes on.
    assert sql("SELECT version_num FROM alembic_version") == [("9999",)]


def test_upgrading_twice_does_nothing(old: Database) -> None:
    for _ in range(2):
        upgrade(old, REVISIONS[-1])
    with old.read() as connection:
        assert current_revision(connection) == REVISIONS[-1]


def test_a_failed_upgrade_leaves_the_old_catalog(old: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the power went out")

    before = content(old)
    monkeypatch.setattr("jeyn.stores.catalog.migrate.check_triggers", broken)
    with pytest.raises(RuntimeError, match="power"):
        upgrade(old, REVISIONS[-1])
    with old.read() as connection:
        assert current_revision(connection) == "0001"
    assert content(old) == before


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_rule_12_history_is_protected_after_every_migration(old: Database, table: str) -> None:
    column = APPEND_ONLY[table][0][0]
    changes = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"]
    changes.append(
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}" if old.is_sqlite else f"TRUNCATE {table} CASCADE"
    )
    for revision in REVISIONS:
        upgrade(old, revision)
        before = content(old)[table]
        for statement in changes:
            with pytest.raises(Immutable):
                execute(old, statement)
        assert content(old)[table] == before


def test_lost_triggers_are_noticed(old: Database) -> None:
    on = "" if old.is_sqlite else " ON mark"
    execute(old, f"DROP TRIGGER mark_no_{'delete' if old.is_sqlite else 'change'}{on}")
    with old.read() as connection, pytest.raises(Corrupt, match="mark_no_") as refused:
        check_triggers(connection, old.dialect)
    assert refused.value.exit_code == 5


def test_migrations_make_what_the_tables_say(database: Database) -> None:
    upgrade(database, REVISIONS[-1])
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_sqlite_tables_are_stored_as_the_tables_say(home: Path) -> None:
    """What `compare_metadata` does not look at: WITHOUT ROWID, and the columns' order."""
    home.mkdir()
    database, declared = Database(f"sqlite:///{home}/catalog.db"), create_engine("sqlite://")
    upgrade(database, REVISIONS[-1])
    query = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL ORDER BY name"
    with declared.begin() as connection:
        metadata.create_all(connection)
        expected = [(name, _words(sql)) for name, sql in connection.execute(text(query))]
    declared.dispose()
    made = [(name, _words(sql)) for name, sql in execute(database, query) if name != "alembic_version"]
    database.dispose()
    assert made == expected


def _words(sql: str) -> list[str]:
    """The parts of a CREATE statement, in order where the order matters."""
    return sorted(part.strip() for part in re.split(r",(?![^(]*\))|\n", sql) if part.strip())


def _open_new_home(home: Path, url: str, barrier: Any, done: Any) -> None:
    barrier.wait(timeout=60)
    try:
        with jeyn.open(home=home, catalog=url) as workspace:
            done.put(workspace.model_store.save_use_case(READER).id)
    except Exception as exc:
        done.put(f"{type(exc).__name__}: {exc}")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_eight_processes_open_one_new_home(catalog_url: str, home: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, done = context.Barrier(8), context.Queue()
    children = [
        context.Process(target=_open_new_home, args=(home, catalog_url, barrier, done), daemon=True) for _ in range(8)
    ]
    for child in children:
        child.start()
    assert {done.get(timeout=120) for _ in children} == {READER.record().id}
    for child in children:
        child.join(timeout=60)
    with jeyn.open(home=home, catalog=catalog_url) as workspace:
        assert [e.kind for e in workspace.events()] == ["jeyn.usecase.saved", "jeyn.artefact.marked"]
        check = "SELECT count(*) FROM alembic_version"
        assert execute(workspace.database, check) == [(1,)]
