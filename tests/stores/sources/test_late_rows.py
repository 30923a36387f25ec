"""Rows below the watermark that no batch holds are counted, whatever else happened to the table meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import late_rows as module
from jeyn.stores.sources import sql
from tests.stores.sources.conftest import Store


def late(store: Store) -> tuple[int, str, str] | None:
    found = store.late_rows
    assert found is None or not found.untold
    return None if found is None else (found.rows, found.below, found.first)


@pytest.fixture(params=[2, 3, module.MOST])
def _portions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All watermarks at once, and a few at a time, as where there are very many."""
    monkeypatch.setattr(module, "MOST", request.param)
    monkeypatch.setattr(sql, "_ROWS", min(request.param, sql._ROWS))


def test_rows_below_the_watermark_are_counted_for_each_new_batch(store: Store) -> None:
    store.add(*((n, "a") for n in range(1, 11)))
    store.next()
    assert late(store) is None
    store.add((3, "late"), (4, "late"), (11, "new"))
    assert store.next() == [(11, "new")]
    assert late(store) == (2, "int:10", "3")
    store.add((12, "new"), (2, "late too"))
    assert store.next() == [(12, "new")]
    assert late(store) == (3, "int:11", "2")
    assert str(store.late_rows) == (
        '3 rows below the watermark "int:11" are in no batch, the first at "2"; '
        "they came late: late= of SqlFormula says how far back to look"
    )


def test_they_are_counted_too_when_there_is_nothing_new(store: Store) -> None:
    store.add((1, "a"), (5, "b"))
    store.next()
    store.add((4, "late"))
    assert store.next() is None
    assert late(store) == (1, "int:5", "4")
    assert '1 row below the watermark "int:5" is in no batch' in str(store.late_rows)


def test_rows_with_the_watermark_itself_are_not_late(store: Store) -> None:
    store.add((1, "a"), (2, "b"))
    store.next()
    store.add((2, "tie"))
    assert store.next() == [(2, "tie")]
    assert late(store) is None
    store.add((3, "c"))
    assert store.next() == [(3, "c")]
    assert late(store) is None


def test_deleted_and_moved_rows_hide_none(store: Store) -> None:
    store.add(*((n, f"n{n}") for n in range(1, 11)))
    store.next()
    store.run("DELETE FROM t WHERE at IN (1, 2)")
    store.run("UPDATE t SET at = 20, name = 'changed' WHERE at = 5")
    assert store.next() == [(20, "changed")]
    assert late(store) is None
    store.add((3, "late"), (6, "late"))
    assert store.next() is None
    assert late(store) == (2, "int:20", "3")


def test_what_late_takes_is_not_late_and_what_is_older_still_is(store: Store) -> None:
    store.late = 3.0
    store.add((5, "a"), (10, "b"))
    store.next()
    store.add((8, "taken"), (7, "taken"), (6, "too late"), (5, "too late"), (11, "new"))
    assert store.next() == [(7, "taken"), (8, "taken"), (11, "new")]
    assert late(store) == (2, "int:7", "5")
    assert store.next() is None
    assert late(store) == (2, "int:8", "5")


def test_a_row_without_a_watermark_is_refused_and_never_left_out_in_silence(store: Store) -> None:
    store.add((1, "a"))
    store.next()
    store.run("INSERT INTO t (at, name) VALUES (NULL, 'x')")
    with pytest.raises(DataInvalid, match="null as its watermark"):
        store.next()


@pytest.mark.usefixtures("_portions")
def test_however_many_rows_there_are_none_hides_behind_a_deleted_one(store: Store) -> None:
    store.add(*((n, "a") for n in range(1, 31)))
    store.next()
    store.run("DELETE FROM t WHERE at BETWEEN 10 AND 19")
    store.run("UPDATE t SET at = at + 100 WHERE at BETWEEN 20 AND 24")
    store.add((3, "late"), (4, "late"), (4, "late"), (29, "late"))
    assert len(store.next() or []) == 5
    assert late(store) == (4, "int:30", "3")
    store.run("DELETE FROM t WHERE at < 124")
    assert store.next() is None
    assert late(store) is None


@pytest.mark.usefixtures("_portions")
def test_many_rows_of_one_watermark_are_counted_once(store: Store) -> None:
    store.add(*((n, f"{k}") for n in (1, 2, 5) for k in range(7)), (9, "a"))
    store.next()
    store.add((2, "late"), (1, "late"))
    assert store.next() is None
    assert late(store) == (2, "int:9", "1")


@pytest.mark.usefixtures("_portions")
def test_the_same_moment_in_several_forms_is_one_watermark(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.db", Times)
    store.make(at="text")
    forms = ["2024-01-01T10:00:00", "2024-01-01 10:00:00", "2024-01-01T11:00:00+01:00", "2024-01-01 10:00:00Z"]
    store.add(*((form, "a") for form in forms), ("2024-01-02", "b"), ("2024-01-03", "c"))
    store.next()
    assert store.next() is None
    assert late(store) is None
    store.run("DELETE FROM t WHERE at = '2024-01-01T10:00:00'")
    store.add(("2024-01-01T12:00:00+02:00", "moved form"), ("2024-01-01T13:00:00+03:00", "late"))
    assert store.next() is None
    assert late(store) == (1, "string:2024-01-03", "2024-01-01T10:00:00+00:00")


@pytest.mark.usefixtures("_portions")
def test_a_late_row_that_could_not_be_read_is_counted_all_the_same(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.db")
    store.make(at="numeric")
    store.add((1, "a"), (5, "b"))
    store.next()
    store.add((2.5, "no integer"), (6, "c"), (3, "late"))
    store.run("DELETE FROM t WHERE at = 1")
    assert store.next() == [(6, "c")]
    assert late(store) is not None
    assert store.late_rows is not None
    assert store.late_rows.rows == 2


class Times(DataCatalog):
    at = Feature(Dtypes.TIMESTAMP)
    name = Feature(Dtypes.STRING)


def test_times_as_the_database_holds_them(url: str) -> None:
    store = Store(url, Times)
    kind, value = (
        ("timestamptz", "2024-01-0{}T00:00:00+00:00") if "postgresql" in url else ("text", "2024-01-0{}T10:00")
    )
    store.make(at=kind)
    store.add((value.format(1), "a"), (value.format(5), "b"))
    store.next()
    store.add((value.format(3), "late"), (value.format(6), "c"))
    found = store.next()
    assert [row[1] for row in found or []] == ["c"]
    assert late(store) is not None
    assert store.late_rows is not None
    hour = 0 if "postgresql" in url else 10
    assert (store.late_rows.rows, store.late_rows.first) == (1, datetime(2024, 1, 3, hour, tzinfo=UTC).isoformat())


class Words(DataCatalog):
    at = Feature(Dtypes.CATEGORICAL)
    name = Feature(Dtypes.STRING)


def test_texts(url: str) -> None:
    store = Store(url, Words)
    store.make(at="text")
    store.add(("a", "1"), ("m", "2"))
    store.next()
    store.add(("c", "late"), ("a", "1"), ("z", "3"))
    assert store.next() == [("z", "3")]
    assert late(store) == (2, "string:m", "a")


class Days(DataCatalog):
    at = Feature(Dtypes.DATE)
    name = Feature(Dtypes.STRING)


@pytest.mark.parametrize("late_by", [None, 3600.0, 36 * 3600.0])
@pytest.mark.parametrize("catalog", [Times, Days])
def test_each_row_is_taken_or_counted_as_late(
    tmp_path: Path, catalog: type[DataCatalog], late_by: float | None
) -> None:
    """Whatever `late=` is, no row is in neither."""
    store = Store(f"sqlite:///{tmp_path}/a.db", catalog, late_by)
    store.make(at="text")
    form = "2024-03-{:02}T{:02}:00:00" if catalog is Times else "2024-03-{:02}"
    hours = range(0, 24, 5) if catalog is Times else [0]
    store.add((form.format(10, 0), "first"))
    store.next()
    behind = [form.format(day, hour) for day in (7, 8, 9) for hour in hours]
    store.add(*((at, "behind") for at in behind))
    taken = store.next() or []
    found = store.late_rows
    assert len(taken) + (found.rows if found else 0) == len(behind)
    wanted = [
        at
        for at in behind
        if late_by and datetime(2024, 3, 10) - datetime.fromisoformat(at) <= timedelta(seconds=late_by)
    ]
    assert len(taken) == len(wanted)


def test_days_are_compared_as_days_whatever_their_form(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/a.db", Days)
    store.make(at="text")
    for number, form in enumerate(["2024-01-02", "2024-01-03 00:00:00", "20240104", "2024-01-05T00:00:00Z"]):
        store.add((form, str(number)))
        assert [row[1] for row in store.next() or []] == [str(number)], form
        assert store.next() is None
        assert late(store) is None
    store.add(("20240103", "late"))
    assert store.next() is None
    assert late(store) == (1, "string:2024-01-05T00:00:00Z", "2024-01-03")
    store.add(("20240105", "same day"))
    assert [row[1] for row in store.next() or []] == ["same day"]


@pytest.mark.parametrize(
    ("feature", "column", "values"),
    [
        (Feature(Dtypes.FLOAT32), "real", (0.5, 0.4, 0.1)),
        (
            Feature(Dtypes.DECIMAL, precision=12, scale=2),
            "numeric(12, 2)",
            (Decimal("0.50"), Decimal("0.45"), Decimal("0.10")),
        ),
    ],
)
def test_late_needs_no_value_that_the_type_holds(
    postgres_url: str, feature: Feature, column: str, values: tuple[object, object, object]
) -> None:
    store = Store(postgres_url, DataCatalog.of("C", {"at": feature, "name": Feature(Dtypes.STRING)}), late=0.123)
    store.make(column)
    store.add((values[0], "first"))
    store.next()
    store.add((values[1], "late"), (values[2], "too late"))
    assert [row[1] for row in store.next() or []] == ["late"]
    assert late(store) is not None
    assert store.late_rows is not None
    assert store.late_rows.rows == 1
