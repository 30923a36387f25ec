"""Watermarks of every type, and how far back of one late rows are found."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jeyn.errors import DataInvalid, Invalid, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.watermark import Watermark
from tests.stores.sources.conftest import Kept, Store

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


def test_a_watermark_may_have_any_name(url: str) -> None:
    name = 'a "time": %(x)s'
    store = Store(url, DataCatalog.of("C", {name: Feature(Dtypes.INT64)}))
    store.make()
    store.query = 'SELECT at AS "a ""time"": %(x)s" FROM t'
    store.add((1, ""))
    assert store.next(name) == [(1,)]
    store.add((1, ""), (2, ""))
    assert store.next(name) == [(1,), (2,)]


def test_a_watermark_must_be_a_feature_of_the_catalog(store: Store) -> None:
    with pytest.raises(UsageError, match='"when"'):
        store.next("when")


def test_a_changed_type_of_watermark_is_refused(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'x.db'}", DataCatalog.of("C", {"at": Feature(Dtypes.STRING)}))
    store.make("")
    store.add(("b", ""))
    store.next()
    store.batches[0] = Kept(None, "int:3", store.batches[0].table)
    with pytest.raises(DataInvalid, match="int:3"):
        store.next()


@pytest.mark.parametrize("text", ["", "42", "int:x", "date:2024", "thing:1", "int.x:3"])
def test_what_is_no_watermark_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Watermark.parse(text)


TIMED = DataCatalog.of("T", {"at": Feature(Dtypes.TIMESTAMP), "name": Feature(Dtypes.STRING)})


def test_texts_of_times_are_compared_as_times_whatever_their_form(url: str) -> None:
    store = Store(url, TIMED)
    store.make("text")
    forms = [
        "2024-01-02T10:00:00",
        "2024-01-02 12:00:00",
        "2024-01-02T12:00:00.5",
        "2024-01-02 15:00:01+02:00",
        "2024-01-02T13:30:00Z",
        "2024-01-03",
        "2024-01-02 23:00:00-02:00",
    ]
    for number, form in enumerate(forms):
        store.add((form, str(number)))
        assert [row[1] for row in store.next() or []] == [str(number)], form
        assert store.batches[-1].end == f"string:{form}"
        assert store.next() is None
    store.add(("2024-01-02T09:59:59", "late"))
    assert store.next() is None
    store.add(("2024-01-03T01:00:00Z", "same moment"))
    assert [row[1] for row in store.next() or []] == ["same moment"]
    assert store.next() is None


def test_rows_of_many_forms_come_in_the_order_of_their_times(url: str) -> None:
    store = Store(url, TIMED)
    store.make("text")
    store.add(("2024-01-02 12:00:00", "b"), ("2024-01-02T10:00:00", "a"), ("2024-01-02T15:00:00+02:00", "c"))
    assert [row[1] for row in store.next() or []] == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["02/01/2024", "tomorrow", "1704164645", "2024-13-01"])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_text_that_is_no_time_is_refused_as_it_stands(url: str, text: str) -> None:
    store = Store(url, TIMED)
    store.make("text")
    store.add(("2024-01-02T10:00:00", "a"))
    assert store.next()
    store.add((text, "b"))
    with pytest.raises(DataInvalid) as caught:
        store.next()
    assert f'"{text}"' in str(caught.value) or repr(text) in str(caught.value)


@pytest.mark.parametrize("dtype", [Dtypes.TIMESTAMP, Dtypes.STRING])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_number_among_texts_is_refused_and_not_passed_over(url: str, dtype: Dtypes) -> None:
    store = Store(url, DataCatalog.of("T", {"at": Feature(dtype), "name": Feature(Dtypes.STRING)}))
    store.make("blob")
    store.add(("2024-01-02", "a"))
    assert store.next()
    store.add((1704164645, "b"))
    with pytest.raises(DataInvalid):
        store.next()
