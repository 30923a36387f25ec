"""New rows of a query by watermark, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text

from jeyn.errors import Busy, DataInvalid, Invalid, JeynError, NotAllowed, Unreachable, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import NewRows, new_rows, sql
from jeyn.stores.sources.watermark import Watermark


class Orders(DataCatalog):
    at = Feature(Dtypes.INT64)
    name = Feature(Dtypes.STRING, nullable=True)


class Store:
    """A database with the table `t`, and the batches that were read from it so far."""

    def __init__(self, url: str, catalog: type[DataCatalog] = Orders, late: float | None = None) -> None:
        self.url, self.catalog, self.late = url, catalog, late
        self.query = "SELECT * FROM t"
        self.batches: list[NewRows] = []
        self.asked = 0

    def run(self, statement: str, *rows: dict[str, Any]) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text(statement), list(rows) or None)
        engine.dispose()

    def make(self, at: str = "bigint", name: str = "text") -> None:
        self.run(f"CREATE TABLE t (name {name}, at {at})")

    def add(self, *rows: tuple[Any, Any]) -> None:
        self.run("INSERT INTO t (at, name) VALUES (:at, :name)", *({"at": at, "name": name} for at, name in rows))

    def earlier(self) -> Iterator[pa.RecordBatch]:
        self.asked += 1
        for batch in self.batches:
            yield from batch.table.to_batches()

    def next(self, watermark: str = "at") -> list[tuple[Any, ...]] | None:
        start = self.batches[-1].end if self.batches else None
        found = new_rows(
            self.url, self.query, watermark, self.catalog, start=start, late=self.late, earlier=self.earlier
        )
        if found is None:
            return None
        assert found.start == start
        self.batches.append(found)
        return [tuple(row.values()) for row in found.table.to_pylist()]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; a test may choose the kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    path = tmp_path / "some data?.db"
    sqlite3.connect(path).close()
    return f"sqlite:///{path}"


@pytest.fixture
def store(url: str) -> Store:
    store = Store(url)
    store.make()
    return store


def test_rule_13_each_batch_has_the_rows_beyond_the_last(store: Store) -> None:
    assert store.next() is None
    store.add((2, "b"), (1, "a"), (2, "a"))
    assert store.next() == [(1, "a"), (2, "a"), (2, "b")]
    assert store.next() is None
    store.add((1, "too late"), (4, "d"), (3, "c"))
    assert store.next() == [(3, "c"), (4, "d")]
    assert [(batch.start, batch.end) for batch in store.batches] == [(None, "int:2"), ("int:2", "int:4")]
    assert store.batches[0].table.schema.types == [pa.int64(), pa.string()]


def test_rule_13_equal_watermarks_that_arrive_later_are_in_the_next_batch(store: Store) -> None:
    store.add((1, "a"), (2, "b"))
    store.next()
    store.add((2, "c"), (2, "b"))
    assert store.next() == [(2, "b"), (2, "c")]
    assert store.next() is None
    store.add((2, None), (3, "d"))
    assert store.next() == [(2, None), (3, "d")]
    assert store.next() is None


def test_rule_13_batches_of_late_rows_only_have_windows_of_their_own(store: Store) -> None:
    store.add((2, "a"))
    store.next()
    for name in "bc":
        store.add((2, name))
        assert store.next() == [(2, name)]
    store.add((3, "d"))
    assert store.next() == [(3, "d")]
    assert [batch.start for batch in store.batches] == [None, "int:2", "int.1:2", "int.2:2"]
    assert store.batches[-1].end == "int:3"


def test_late_rows_are_found_as_far_back_as_is_said(store: Store) -> None:
    store.late = 2.5
    store.add((10, "a"), (8, "b"))
    store.next()
    store.add((9, "late"), (8, "late"), (7, "too late"), (11, "new"), (8, "b"))
    assert store.next() == [(8, "b"), (8, "late"), (9, "late"), (11, "new")]
    assert store.next() is None


def test_earlier_batches_are_read_only_when_there_is_something_to_compare(store: Store) -> None:
    store.add((1, "a"))
    store.next()
    assert store.asked == 0
    store.run("DELETE FROM t")
    store.add((2, "b"))
    assert store.next() == [(2, "b")]
    assert store.asked == 0
    store.add((2, "c"))
    store.next()
    assert store.asked == 1


AWARE = datetime(2024, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
NAIVE = datetime(2024, 3, 1, 12, 0, 0, 123456)


@pytest.mark.parametrize(
    ("url", "column", "dtype", "first", "second", "end"),
    [
        ("sqlite", "bigint", Dtypes.INT64, 2**60, 2**60 + 1, f"int:{2**60}"),
        ("postgresql", "bigint", Dtypes.INT64, 2**60, 2**60 + 1, f"int:{2**60}"),
        ("sqlite", "double precision", Dtypes.FLOAT64, 0.1, 0.30000000000000004, "float:0.1"),
        ("postgresql", "double precision", Dtypes.FLOAT64, 0.1, 0.30000000000000004, "float:0.1"),
        ("sqlite", "double precision", Dtypes.FLOAT32, 0.1, 0.2, "float:0.1"),
        ("postgresql", "double precision", Dtypes.FLOAT32, 0.1, 0.2, "float:0.1"),
        ("sqlite", "double precision", Dtypes.FLOAT16, 0.1, 0.2, "float:0.1"),
        ("postgresql", "double precision", Dtypes.FLOAT16, 0.1, 0.2, "float:0.1"),
        ("sqlite", "text", Dtypes.STRING, "Z: ü%s", "a", "string:Z: ü%s"),
        ("postgresql", "text", Dtypes.STRING, "Z: ü%s", "a", "string:Z: ü%s"),
        ("sqlite", "text", Dtypes.CATEGORICAL, "Z", "a", "string:Z"),
        ("postgresql", "text", Dtypes.CATEGORICAL, "Z", "a", "string:Z"),
        ("sqlite", "timestamp", Dtypes.TIMESTAMP, "2024-03-01 12:00:00", "2024-03-01 12:00:00.5", None),
        ("sqlite", "date", Dtypes.TIMESTAMP, "2024-03-01", "2024-03-02", "string:2024-03-01"),
        ("sqlite", "text collate nocase", Dtypes.STRING, "Z", "a", "string:Z"),
        ("postgresql", "timestamptz", Dtypes.TIMESTAMP, AWARE, AWARE + timedelta(microseconds=1), None),
        ("postgresql", "timestamp", Dtypes.TIMESTAMP, NAIVE, NAIVE + timedelta(microseconds=1), None),
        ("postgresql", "timestamp", Dtypes.STRING, NAIVE, NAIVE + timedelta(days=1), f"timestamp:{NAIVE.isoformat()}"),
        ("postgresql", "date", Dtypes.TIMESTAMP, date(2024, 3, 1), date(2024, 3, 2), "date:2024-03-01"),
        ("postgresql", "date", Dtypes.STRING, date(2024, 3, 1), date(2024, 3, 2), "date:2024-03-01"),
        ("postgresql", "numeric(20, 2)", Dtypes.FLOAT64, Decimal("1.10"), Decimal("1.11"), "decimal:1.10"),
        ("postgresql", "numeric(20)", Dtypes.INT8, Decimal(5), Decimal(6), "decimal:5"),
        ("postgresql", "smallint", Dtypes.INT16, 1, 2, "int:1"),
        ("postgresql", "real", Dtypes.FLOAT32, 0.5, 0.75, "float:0.5"),
        ("postgresql", "varchar(5)", Dtypes.STRING, "Z", "a", "string:Z"),
    ],
    indirect=["url"],
)
def test_watermarks_of_every_type_come_back_exactly(
    url: str, column: str, dtype: Dtypes, first: Any, second: Any, end: str | None
) -> None:
    catalog = DataCatalog.of("C", {"at": Feature(dtype), "name": Feature(Dtypes.STRING)})
    store = Store(url, catalog)
    store.make(column)
    store.add((first, "a"))
    assert len(store.next() or []) == 1
    assert end in (None, store.batches[0].end)
    assert store.next() is None
    store.add((second, "b"), (first, "c"))
    assert [row[1] for row in store.next() or []] == ["c", "b"]
    assert store.next() is None
    mark = Watermark.parse(store.batches[-1].end)
    assert str(mark) == store.batches[-1].end


@pytest.mark.parametrize(
    ("url", "column", "values", "late"),
    [
        ("sqlite", "text", ["2024-03-10 00:00:00", "2024-03-09 23:59:50", "2024-03-09 23:59:49"], 10.0),
        (
            "sqlite",
            "text",
            ["2024-03-10T00:00:00.5Z", "2024-03-09T23:00:00.5-01:00", "2024-03-09T23:59:50.4Z"],
            10.0,
        ),
        ("sqlite", "text", ["2024-03-10", "2024-03-09", "2024-03-08"], 86400.0),
        ("postgresql", "timestamptz", [AWARE, AWARE - timedelta(seconds=10), AWARE - timedelta(seconds=10.1)], 10.0),
        ("postgresql", "timestamp", [NAIVE, NAIVE - timedelta(seconds=10), NAIVE - timedelta(seconds=10.1)], 10.0),
        ("postgresql", "date", [date(2024, 3, 10), date(2024, 3, 9), date(2024, 3, 8)], 1.5 * 86400),
    ],
    indirect=["url"],
)
def test_late_of_times_is_in_seconds(url: str, column: str, values: list[Any], late: float) -> None:
    catalog = DataCatalog.of("C", {"at": Feature(Dtypes.TIMESTAMP), "name": Feature(Dtypes.STRING)})
    store = Store(url, catalog, late)
    store.make(column)
    store.add((values[0], "first"))
    store.next()
    store.add((values[1], "late"), (values[2], "too late"))
    assert [row[1] for row in store.next() or []] == ["late"]
    assert store.next() is None


@pytest.mark.parametrize(("dtype", "first"), [(Dtypes.UINT8, 3), (Dtypes.INT8, -120)])
def test_late_may_reach_below_what_the_type_holds(url: str, dtype: Dtypes, first: int) -> None:
    store = Store(url, DataCatalog.of("C", {"at": Feature(dtype), "name": Feature(Dtypes.STRING)}), late=20.0)
    store.make()
    store.add((first, "a"))
    store.next()
    store.add((first - 1, "b"))
    assert store.next() == [(first - 1, "b")]


def test_late_has_no_meaning_for_strings(url: str) -> None:
    store = Store(url, DataCatalog.of("C", {"at": Feature(Dtypes.STRING)}), late=1.0)
    store.make("text")
    store.add(("a", ""))
    store.next()
    with pytest.raises(UsageError, match="late"):
        store.next()


@pytest.mark.parametrize("late", [-1.0, float("nan"), float("inf")])
def test_late_is_a_length(store: Store, late: float) -> None:
    store.late = late
    with pytest.raises(UsageError, match="late"):
        store.next()


def test_a_null_watermark_is_refused_whenever_it_comes(store: Store) -> None:
    store.add((1, "a"))
    store.next()
    store.add((None, "b"))
    with pytest.raises(DataInvalid, match="null"):
        store.next()
    store.batches.clear()
    with pytest.raises(DataInvalid, match="null"):
        store.next()


def test_rows_are_in_one_order_whatever_the_order_of_the_table(store: Store) -> None:
    rows = [(at, name) for at in (2, 1) for name in ("b", None, "B", "a", "ä")]
    store.add(*rows)
    first = store.next()
    store.run("DELETE FROM t")
    store.add(*reversed(rows))
    store.batches.clear()
    assert store.next() == first
    assert [row[0] for row in first or []] == [1] * 5 + [2] * 5


def test_many_rows_are_read_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, table = [], sql._table
    monkeypatch.setattr(sql, "_ROWS", 7)
    monkeypatch.setattr(
        sql, "_table", lambda names, rows, catalog: sizes.append(len(rows)) or table(names, rows, catalog)
    )
    store.late = 50.0
    store.add(*((n, f"n{n}") for n in range(100)))
    assert store.next() == [(n, f"n{n}") for n in range(100)]
    assert sizes == [7] * 14 + [2]
    store.add(*((n, f"late {n}") for n in range(40, 120)))
    assert len(store.next() or []) == 51 - 1 + 20 + 1
    assert store.next() is None


def test_the_query_is_the_users_own(store: Store) -> None:
    store.add((1, "a:b"), (2, "50%"), (3, "c"))
    store.query = """
        WITH chosen AS (SELECT at, name FROM t WHERE name LIKE '%:b' OR name LIKE '50\\%' ESCAPE '\\' OR name = ':x')
        SELECT at, name, '12:30:00' AS "clock :x", at AS "a""b" FROM chosen ORDER BY at DESC; -- the end
    """.replace("; --", " --")
    assert store.next() == [(1, "a:b"), (2, "50%")]
    store.add((2, "z:b"))
    assert store.next() == [(2, "z:b")]


def test_a_watermark_may_have_any_name(url: str) -> None:
    name = 'a "time": %(x)s'
    store = Store(url, DataCatalog.of("C", {name: Feature(Dtypes.INT64)}))
    store.make()
    store.query = 'SELECT at AS "a ""time"": %(x)s" FROM t'
    store.add((1, ""))
    assert store.next(name) == [(1,)]
    store.add((1, ""), (2, ""))
    assert store.next(name) == [(1,), (2,)]


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


def test_types_without_an_order_are_sorted_all_the_same(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.make(name="json")
    store.query = "SELECT name AS j, at, name::text AS name FROM t"
    store.add((1, '{"b": 1}'), (1, '{"a": 1}'))
    assert store.next() == [(1, '{"a": 1}'), (1, '{"b": 1}')]


class Everything(DataCatalog):
    at = Feature(Dtypes.INT64)
    b = Feature(Dtypes.BOOL)
    raw = Feature(Dtypes.BYTES)
    f = Feature(Dtypes.FLOAT64, nullable=True)
    list = Feature(Dtypes.INT32, shape=(-1, 2))
    u = Feature(Dtypes.STRING)
    t = Feature(Dtypes.TIMESTAMP)


def test_values_of_every_type(postgres_url: str) -> None:
    store = Store(postgres_url, Everything)
    store.run("CREATE TABLE t (at int, b bool, raw bytea, f numeric, list int[], u uuid, t date)")
    values = {"raw": b"\x00\xff", "u": "00000000-0000-0000-0000-000000000001"}
    store.run("INSERT INTO t VALUES (1, true, :raw, 'NaN', '{1,2}', CAST(:u AS uuid), '2024-01-02')", values)
    found = store.next()
    assert repr(found) == repr(
        [
            (
                1,
                True,
                b"\x00\xff",
                float("nan"),
                [1, 2],
                "00000000-0000-0000-0000-000000000001",
                store.batches[0].table["t"][0].as_py(),
            )
        ]
    )
    assert store.batches[0].table["t"][0].as_py() == datetime(2024, 1, 2, tzinfo=UTC)
    assert store.next() is None, "NaN must equal NaN here"


@pytest.mark.parametrize(
    ("dtype", "value"), [(Dtypes.INT64, "no"), (Dtypes.INT8, 300), (Dtypes.BOOL, 2), (Dtypes.TIMESTAMP, 1700000000)]
)
def test_a_value_that_does_not_fit_is_named(tmp_path: Path, dtype: Dtypes, value: Any) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    store = Store(url, DataCatalog.of("C", {"at": Feature(Dtypes.INT64), "name": Feature(dtype)}))
    store.make(name="")
    store.add((1, value))
    with pytest.raises(DataInvalid, match='"name"') as caught:
        store.next()
    assert str(value) in str(caught.value)


def test_a_watermark_must_be_a_feature_of_the_catalog(store: Store) -> None:
    with pytest.raises(UsageError, match='"when"'):
        store.next("when")


def test_a_column_that_is_not_there_is_named(store: Store) -> None:
    store.query = "SELECT at FROM t"
    with pytest.raises(DataInvalid, match='"name"'):
        store.next()


def test_a_column_that_is_there_twice_is_named(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.make()
    store.query = "SELECT at, name, at FROM t"
    with pytest.raises(UsageError, match='"at"'):
        store.next()


def test_a_changed_type_of_watermark_is_refused(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'x.db'}", DataCatalog.of("C", {"at": Feature(Dtypes.STRING)}))
    store.make("")
    store.add(("b", ""))
    store.next()
    store.batches[0] = NewRows(None, "int:3", store.batches[0].table)
    with pytest.raises(DataInvalid, match="int:3"):
        store.next()


@pytest.mark.parametrize("text", ["", "42", "int:x", "date:2024", "thing:1", "int.x:3"])
def test_what_is_no_watermark_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Watermark.parse(text)


def test_an_optional_feature_may_be_new(url: str) -> None:
    store = Store(url)
    store.make()
    store.add((1, "a"), (2, "b"))
    store.next()
    store.catalog = DataCatalog.of(
        "More", {**Orders.features, "extra": Feature(Dtypes.INT64, optional=True), "more": Feature(Dtypes.STRING)}
    )
    store.query = "SELECT at, name, 5 AS extra, 'm' AS more FROM t"
    assert store.next() is None
    store.add((2, "c"))
    assert store.next() == [(2, "c", 5, "m")]


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
