"""Rows below the watermark that no batch holds are counted, whatever else happened to the table meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import late_rows as module
from tests.stores.sources.conftest import Store


def late(store: Store) -> tuple[int, str, str, bool] | None:
    found = store.late_rows
    return None if found is None else (found.rows, found.below, found.first, found.is_exact)


def test_rows_below_the_watermark_are_counted_for_each_new_batch(store: Store) -> None:
    store.add(*((n, "a") for n in range(1, 11)))
    store.next()
    assert late(store) is None
    store.add((3, "late"), (4, "late"), (11, "new"))
    assert store.next() == [(11, "new")]
    assert late(store) == (2, "int:10", "3", True)
    store.add((12, "new"), (2, "late too"))
    assert store.next() == [(12, "new")]
    assert late(store) == (3, "int:11", "2", True)
    assert str(store.late_rows) == (
        '3 rows below the watermark "int:11" are in no batch, the first at "2"; '
        "they came late: late= of SqlFormula says how far back to look"
    )


def test_they_are_counted_too_when_there_is_nothing_new(store: Store) -> None:
    store.add((1, "a"), (5, "b"))
    store.next()
    store.add((4, "late"))
    assert store.next() is None
    assert late(store) == (1, "int:5", "4", True)
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
    assert late(store) == (2, "int:20", "3", True)


def test_what_late_takes_is_not_late_and_what_is_older_still_is(store: Store) -> None:
    store.late = 3.0
    store.add((5, "a"), (10, "b"))
    store.next()
    store.add((8, "taken"), (7, "taken"), (6, "too late"), (5, "too late"), (11, "new"))
    assert store.next() == [(7, "taken"), (8, "taken"), (11, "new")]
    assert late(store) == (2, "int:7", "5", True)
    assert store.next() is None
    assert late(store) == (2, "int:8", "5", True)


def test_a_row_without_a_watermark_is_refused_and_never_left_out_in_silence(store: Store) -> None:
    store.add((1, "a"))
    store.next()
    store.run("INSERT INTO t (at, name) VALUES (NULL, 'x')")
    with pytest.raises(DataInvalid, match="null as its watermark"):
        store.next()


def test_of_very_many_rows_the_totals_are_compared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    store.add(*((n, "a") for n in range(1, 11)))
    store.next()
    store.add((3, "late"), (4, "late"), (11, "new"))
    store.next()
    assert late(store) == (2, "int:10", "", False)
    assert str(store.late_rows).startswith('at least 2 rows below the watermark "int:10" are in no batch;')
    store.run("DELETE FROM t WHERE at < 10")
    assert store.next() is None
    assert late(store) is None


@pytest.mark.parametrize("most", [3, 1000])
def test_a_late_row_that_could_not_be_read_is_counted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "MOST", most)
    store = Store(f"sqlite:///{tmp_path}/a.db")
    store.make(at="numeric")
    store.add((1, "a"), (5, "b"))
    store.next()
    store.add((2.5, "no integer"), (6, "c"))
    assert store.next() == [(6, "c")]
    assert late(store) is not None


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
    assert late(store) == (2, "string:m", "a", True)
