"""New rows of a query by watermark, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jeyn.errors import DataInvalid, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import sql
from tests.stores.sources.conftest import Orders, Store


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


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [(Dtypes.DECIMAL, "1.5", "1.0000000001"), (Dtypes.INT64, 3, "x"), (Dtypes.TIMESTAMP, "2024-01-31", "31.01.2024")],
)
def test_a_value_that_does_not_fit_is_told_with_its_row(dtype: Dtypes, good: Any, bad: str, tmp_path: Path) -> None:
    catalog = DataCatalog.of("C", {"at": Feature(Dtypes.INT64), "name": Feature(dtype)})
    store = Store(f"sqlite:///{tmp_path / 'a.db'}", catalog)
    store.make(name="blob")
    store.add((41, good), (42, bad))
    with pytest.raises(
        DataInvalid, match=f'column "name" holds .*{bad}.*, which is no {dtype.value}.*, where "at" is 42'
    ):
        store.next()


def test_decimals_that_a_database_orders_as_texts_are_no_watermark(tmp_path: Path) -> None:
    """After "9" a row with "10" would be nothing new."""
    store = Store(f"sqlite:///{tmp_path / 'a.db'}", DataCatalog.of("C", {"at": Feature(Dtypes.DECIMAL)}))
    store.make(at="text")
    store.add(("9", None))
    with pytest.raises(DataInvalid, match='the text "9"'):
        store.next()
    store.query = "SELECT CAST(at AS REAL) AS at FROM t"
    assert [int(row[0]) for row in store.next() or []] == [9]
    store.add(("10", None))
    assert [int(row[0]) for row in store.next() or []] == [10]
