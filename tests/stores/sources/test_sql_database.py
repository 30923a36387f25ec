"""The databases behind a query: read only, away, locked, or written meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jeyn.errors import Busy, Invalid, JeynError, NotAllowed, Unreachable, UsageError
from jeyn.stores.sources import sql
from tests.stores.sources.conftest import Store


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t) AS x; DELETE FROM t; SELECT * FROM (SELECT * FROM t",
        "SELECT * FROM t) AS x; COMMIT; DELETE FROM t; SELECT * FROM (SELECT * FROM t",
        "DELETE FROM t RETURNING *",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "INSERT INTO t VALUES ('x', 9) RETURNING *",
        "DROP TABLE t",
    ],
)
def test_nothing_can_be_written_through_a_query(store: Store, query: str) -> None:
    store.add((1, "a"), (2, "b"))
    good, store.query = store.query, query
    with pytest.raises((UsageError, NotAllowed)):
        store.next()
    store.query = good
    assert store.next() == [(1, "a"), (2, "b")]


def test_a_function_cannot_write_either(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.make()
    store.run(
        "CREATE FUNCTION sneak() RETURNS text AS $$ BEGIN DELETE FROM t; RETURN 'x'; END $$ LANGUAGE plpgsql VOLATILE"
    )
    store.add((1, "a"))
    store.query = "SELECT at, sneak() AS name FROM t"
    with pytest.raises(NotAllowed, match="read-only"):
        store.next()
    store.query = "SELECT at, set_config('transaction_read_only', 'off', false) AS name FROM t"
    with pytest.raises(JeynError):
        store.next()
    store.query = "SELECT * FROM t"
    assert store.next() == [(1, "a")]


def test_bad_sql_gives_the_databases_message(store: Store) -> None:
    for query, told in (("SELECT * FROM nowhere", "nowhere"), ("SELEC 1", "syntax")):
        store.query = query
        with pytest.raises(UsageError, match=told):
            store.next()


def test_a_database_that_is_not_there_is_unreachable_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"gone\.db"):
        Store(f"sqlite:///{tmp_path / 'gone.db'}").next()
    assert not (tmp_path / "gone.db").exists()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9") as caught:
        Store("postgresql://someone:s3cret@127.0.0.1:9/db?application_name=t0ken").next()
    assert "s3cret" not in str(caught.value) and "t0ken" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://u:s3cret@h/d", "s3cret", "postgresql+nothing://u:s3cret@h/d", "sqlite://"])
def test_other_databases_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Store(url).next()
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "s3cret" not in str(shown)
        shown = shown.__cause__


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database at all, only some text that is long enough")
    with pytest.raises(Invalid, match=r"x\.db"):
        Store(f"sqlite:///{tmp_path / 'x.db'}").next()


def test_a_locked_database_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeyn.stores.sources.source_database.BUSY_SECONDS", 0.1)
    store = Store(f"sqlite:///{tmp_path / 'x.db'}")
    store.make()
    holder = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy):
        store.next()
    holder.close()
    assert store.next() is None


def test_a_database_that_is_being_written_is_read_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(url)
    store.make()
    if url.startswith("sqlite"):
        store.run("PRAGMA journal_mode=WAL")
    monkeypatch.setattr(sql, "_ROWS", 10)
    store.add(*((n, "a") for n in range(100)))
    table = sql._table

    def meanwhile(*args: Any) -> pa.Table:
        monkeypatch.setattr(sql, "_table", table)
        store.add(*((n, "b") for n in range(200)))
        return table(*args)

    monkeypatch.setattr(sql, "_table", meanwhile)
    assert store.next() == [(n, "a") for n in range(100)]
    assert len(store.next() or []) == 101
