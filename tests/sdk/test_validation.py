"""Validation of Arrow data: each check, where it fails, streams, and `conform`."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeyn.checks import between, matches, not_null, one_of, unique
from jeyn.errors import DataInvalid, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation import Failure, validate
from jeyn.sdk.validation.bounds import in_dtype, iso


def one(dtype: Dtypes, shape: tuple[int, ...] = (-1,), **rest: Any) -> type[DataCatalog]:
    return DataCatalog.of("One", {"x": Feature(dtype, shape, **rest)})


def failures(catalog: type[DataCatalog], values: Any, arrow_type: pa.DataType | None = None) -> list[Failure]:
    array = (
        values if isinstance(values, pa.Array) else pa.array(values, arrow_type or catalog.features["x"].arrow_type())
    )
    report = catalog.validate(pa.table({"x": array, "extra": pa.nulls(len(array))}))
    assert report.rows == len(array) and report.ok is (not report.failures)
    return list(report.failures)


def summary(found: list[Failure]) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(failure.check, failure.count, failure.rows) for failure in found]


def test_a_missing_feature_fails_unless_it_is_optional() -> None:
    table = pa.table({"y": [1]})
    assert one(Dtypes.INT64).validate(table).failures[0].check == "present"
    assert one(Dtypes.INT64, optional=True).validate(table).ok


@pytest.mark.parametrize("dtype", list(Dtypes))
def test_data_of_the_very_type_is_valid_also_when_empty_or_null(dtype: Dtypes) -> None:
    for shape in ((-1,), (-1, 2), (-1, -1), (-1, -1, 2)):
        catalog = one(dtype, shape, nullable=True, checks=(unique(),))
        assert failures(catalog, []) == []
        assert failures(catalog, [None, None]) == []
        assert failures(catalog, pa.nulls(2)) == []
        assert summary(failures(one(dtype, shape), pa.nulls(2))) == [("not_null", 2, (0, 1))]


@pytest.mark.parametrize(
    ("dtype", "arrow_type", "fits"),
    [
        (Dtypes.INT64, pa.int32(), True),
        (Dtypes.INT32, pa.int64(), False),
        (Dtypes.FLOAT32, pa.float16(), True),
        (Dtypes.STRING, pa.large_string(), True),
        (Dtypes.STRING, pa.string_view(), True),
        (Dtypes.STRING, pa.dictionary(pa.int8(), pa.string()), True),
        (Dtypes.CATEGORICAL, pa.string(), True),
        (Dtypes.CATEGORICAL, pa.dictionary(pa.uint32(), pa.large_string()), True),
        (Dtypes.CATEGORICAL, pa.dictionary(pa.int8(), pa.int64()), False),
        (Dtypes.BYTES, pa.binary(3), True),
        (Dtypes.BYTES, pa.string(), False),
        (Dtypes.TIMESTAMP, pa.timestamp("ns"), True),
        (Dtypes.TIMESTAMP, pa.timestamp("s", "Europe/Brussels"), True),
        (Dtypes.TIMESTAMP, pa.date32(), True),
        (Dtypes.BOOL, pa.int8(), False),
        (Dtypes.FLOAT64, pa.decimal128(5), False),
        (Dtypes.FLOAT64, pa.struct({"a": pa.int8()}), False),
        (Dtypes.FLOAT64, pa.list_(pa.float64()), None),
    ],
)
def test_dtypes(dtype: Dtypes, arrow_type: pa.DataType, fits: bool | None) -> None:
    found = failures(one(dtype, nullable=True), pa.nulls(7, arrow_type))
    assert summary(found) == ([] if fits else [("shape" if fits is None else "dtype", 7, (0, 1, 2, 3, 4))])
    if not fits:
        assert found[0].example == f"expected {dtype.value} (-1,), got {arrow_type}"


def test_nulls() -> None:
    assert summary(failures(one(Dtypes.INT8), [1, None, 3, None])) == [("not_null", 2, (1, 3))]
    assert failures(one(Dtypes.INT8, nullable=True), [1, None]) == []
    assert summary(failures(one(Dtypes.INT8, nullable=True, checks=(not_null(),)), [None])) == [("not_null", 1, (0,))]


def test_between() -> None:
    catalog = one(Dtypes.FLOAT64, nullable=True, checks=(between(0, 1),))
    assert failures(catalog, [0.0, None, 1.0]) == []
    found = failures(catalog, [0.5, float("nan"), None, 1.5, float("-inf"), 1.0])
    assert summary(found) == [("between(0, 1)", 3, (1, 3, 4))]
    assert found[0].example == "nan"
    assert failures(one(Dtypes.FLOAT64, checks=(between(low=0),)), [float("inf")]) == []
    assert summary(failures(one(Dtypes.FLOAT64, checks=(between(low=0),)), [float("nan")]))[0][1] == 1


def test_bounds_are_taken_in_the_dtype_of_the_feature() -> None:
    assert failures(one(Dtypes.FLOAT32, checks=(between(0.1, 0.2),)), [0.1, 0.2]) == []
    assert failures(one(Dtypes.FLOAT16, checks=(between(0.1, 1e9),)), np.array([0.1], np.float16).tolist()) == []
    half = pa.array(np.array([0.1], np.float16))
    assert summary(failures(one(Dtypes.FLOAT64, checks=(between(low=0.1),)), half))[0][1:] == (1, (0,))
    assert failures(one(Dtypes.INT8, checks=(between(0.5, 2.5),)), [1, 2]) == []
    assert summary(failures(one(Dtypes.INT8, checks=(between(0.5, 2.5),)), [0, 3]))[0][1:] == (2, (0, 1))
    assert summary(failures(one(Dtypes.INT8, checks=(between(1000),)), [0]))[0][1:] == (1, (0,))
    exact = one(Dtypes.INT64, checks=(between(high=2**53),))
    assert summary(failures(exact, [2**53, 2**53 + 1]))[0][1:] == (1, (1,))
    assert failures(one(Dtypes.UINT64, checks=(between(2**64 - 1),)), [2**64 - 1]) == []


def test_texts_times_and_bools() -> None:
    letters = one(Dtypes.STRING, checks=(between("b", "d"),))
    assert summary(failures(letters, ["b", "a", "d", "da"])) == [("between('b', 'd')", 2, (1, 3))]
    assert summary(failures(one(Dtypes.CATEGORICAL, checks=(between(high="b"),)), ["c", "a"]))[0][1:] == (1, (0,))
    times = one(Dtypes.TIMESTAMP, checks=(between("2026-01-01", "2026-12-31T00:00:00+02:00"),))
    found = failures(times, [datetime(2026, 6, 1), datetime(2027, 1, 1)], pa.timestamp("ms"))
    assert [(failure.rows, failure.example) for failure in found] == [((1,), "'2027-01-01T00:00:00+00:00'")]
    far = pa.array([2**62], pa.int64()).view(pa.timestamp("s"))
    assert summary(failures(times, far))[0][1:] == (1, (0,))
    assert summary(failures(one(Dtypes.BOOL, checks=(one_of(True),)), [True, False]))[0][1:] == (1, (1,))


def test_one_of() -> None:
    assert summary(failures(one(Dtypes.INT8, checks=(one_of(1, 2, 300, 0.5),)), [1, 2, 3, 0]))[0][1:] == (2, (2, 3))
    assert failures(one(Dtypes.FLOAT32, checks=(one_of(0.1, 2),)), [0.1, 2.0]) == []
    assert failures(one(Dtypes.FLOAT16, checks=(one_of(0.1),)), np.array([0.1], np.float16).tolist()) == []
    assert summary(failures(one(Dtypes.FLOAT64, checks=(one_of(1),)), [float("nan"), 1.0]))[0][1:] == (1, (0,))
    assert failures(one(Dtypes.STRING, nullable=True, checks=(one_of("a"),)), ["a", None], pa.string_view()) == []
    assert summary(failures(one(Dtypes.CATEGORICAL, checks=(one_of("a"),)), ["a", "b"]))[0][1:] == (1, (1,))


def test_matches_is_of_the_whole_text() -> None:
    catalog = one(Dtypes.STRING, nullable=True, checks=(matches("a|bc"),))
    assert summary(failures(catalog, ["a", "bc", "abc", None, "a\n"])) == [("matches('a|bc')", 2, (2, 4))]


def test_unique_counts_every_value_after_the_first_over_all_batches() -> None:
    catalog = one(Dtypes.INT64, nullable=True, checks=(unique(),))
    chunked = pa.table({"x": pa.chunked_array([[1, None, 2], [2, None, 3, 1]])})
    assert summary(list(catalog.validate(chunked).failures)) == [("unique()", 2, (3, 6))]
    assert summary(failures(one(Dtypes.STRING, checks=(unique(),)), ["a", "b", "a"])) == [("unique()", 1, (2,))]
    lists = one(Dtypes.INT8, (-1, -1), checks=(unique(),))
    assert summary(failures(lists, [[1, 2], [], [3, 1]])) == [("unique()", 1, (2,))]


def test_checks_apply_to_the_values_within_lists() -> None:
    catalog = one(Dtypes.INT64, (-1, -1), nullable=True, checks=(between(0, 9),))
    assert summary(failures(catalog, [[1], None, [], [2, 10, 11], [None, -1]])) == [("between(0, 9)", 3, (3, 4))]
    deep = one(Dtypes.INT64, (-1, -1, 2), checks=(between(0, 9),))
    assert summary(failures(deep, [[[1, 2]], [], [[3, 4], [5, 60]]])) == [("between(0, 9)", 1, (2,))]
    assert summary(failures(one(Dtypes.INT8, (-1, 2)), [[1, None], None, [1, 2]])) == [("not_null", 2, (0, 1))]
    fixed = one(Dtypes.INT64, (-1, 2), nullable=True, checks=(between(0, 9),))
    assert summary(failures(fixed, [None, [1, 2], None, [3, 10]])) == [("between(0, 9)", 1, (3,))]


def test_shapes() -> None:
    catalog = one(Dtypes.INT8, (-1, 2))
    assert failures(catalog, [[1, 2]], pa.list_(pa.int8())) == []
    assert failures(one(Dtypes.INT8, (-1, -1)), [[1, 2]], pa.list_(pa.int8(), 2)) == []
    ragged = failures(catalog, [[1, 2], [], [3]], pa.large_list(pa.int8()))
    assert summary(ragged) == [("shape", 2, (1, 2))] and ragged[0].example == "expected 2 values, got 0"
    assert failures(catalog, [[1, 2, 3]], pa.list_(pa.int8(), 3))[0].check == "shape"
    assert failures(catalog, [1], pa.int8())[0].check == "shape"
    assert failures(one(Dtypes.INT8, (-1, 1)), [1, 2], pa.int8()) == []


def test_slices_are_read_as_slices() -> None:
    column = pa.array([[9, 9], [1, 2], None, [3, 40]], pa.list_(pa.int64()))[1:]
    catalog = one(Dtypes.INT64, (-1, 2), nullable=True, checks=(between(0, 5),))
    assert summary(failures(catalog, column)) == [("between(0, 5)", 1, (2,))]


def test_rows_are_counted_from_the_start_of_the_data_and_at_most_five_are_named() -> None:
    catalog = one(Dtypes.INT64, checks=(between(0, 9),))
    table = pa.table({"x": pa.chunked_array([[1, 10], [2], [11] * 9])})
    assert summary(list(catalog.validate(table).failures)) == [("between(0, 9)", 10, (1, 3, 4, 5, 6))]
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    assert catalog.validate(reader) == catalog.validate(table)
    assert catalog.validate(table.to_batches()[0]).failures[0].rows == (1,)


def test_an_empty_table_without_batches_still_has_a_schema() -> None:
    empty = pa.table({"x": pa.chunked_array([], pa.string())})
    assert one(Dtypes.INT64).validate(empty).failures[0].check == "dtype"
    assert one(Dtypes.INT64).validate(pa.table({"y": pa.chunked_array([], pa.string())})).failures[0].check == "present"


def test_a_column_that_is_there_twice_fails() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    assert "several columns" in one(Dtypes.INT64).validate(table).failures[0].example


def test_check_raises_with_the_report() -> None:
    catalog = one(Dtypes.INT64, checks=(between(0, 9),))
    with pytest.raises(DataInvalid) as caught:
        catalog.check(pa.table({"x": [1, 10]}), what="batch digits@1/3")
    assert caught.value.exit_code == 5 and caught.value.hint
    assert caught.value.message == (
        'batch digits@1/3 does not match "One": feature "x" fails between(0, 9): 1 value, first in row 1, value 10'
    )
    catalog.check(pa.table({"x": [1]}))


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(UsageError, match='"int" cannot be validated'):
        validate(one(Dtypes.INT8), 3)


def test_a_report_is_json_able_and_readable() -> None:
    report = one(Dtypes.INT64).validate(pa.table({"x": [None, 1]}))
    assert not report
    failure = {"feature": "x", "check": "not_null", "count": 1, "rows": [0], "example": ""}
    assert report.to_json() == {"ok": False, "rows": 2, "failures": [failure]}
    assert str(report) == 'feature "x" fails not_null: 1 value, first in row 0'
    assert str(one(Dtypes.INT64).validate(pa.table({"x": [1]}))) == "valid, 1 rows"


VALUES = st.lists(st.none() | st.integers(-20, 20), max_size=30)


@settings(deadline=None)
@given(VALUES, st.integers(-10, 0), st.integers(0, 10), st.integers(0, 30))
def test_the_checks_agree_with_plain_python(values: list[int | None], low: int, high: int, cut: int) -> None:
    checks = (between(low, high), one_of(*range(-15, 15)), unique())
    column = pa.chunked_array([values[:cut], values[cut:]], pa.int16())
    found = {f.check: f for f in one(Dtypes.INT32, checks=checks).validate(pa.table({"x": column})).failures}
    expected = {
        "not_null": [row for row, value in enumerate(values) if value is None],
        str(checks[0]): [row for row, value in enumerate(values) if value is not None and not low <= value <= high],
        str(checks[1]): [row for row, value in enumerate(values) if value is not None and not -15 <= value < 15],
        "unique()": [row for row, value in enumerate(values) if value is not None and value in values[:row]],
    }
    assert {check: (f.count, f.rows) for check, f in found.items()} == {
        check: (len(rows), tuple(rows[:5])) for check, rows in expected.items() if rows
    }


class Wide(DataCatalog):
    b = Feature(Dtypes.FLOAT32, (-1, 2))
    a = Feature(Dtypes.INT64)
    when = Feature(Dtypes.TIMESTAMP)
    kind = Feature(Dtypes.CATEGORICAL)
    one = Feature(Dtypes.INT16, (-1, 1))
    tags = Feature(Dtypes.CATEGORICAL, (-1, -1), optional=True)


def narrow_table() -> pa.Table:
    return pa.table(
        {
            "a": pa.array([1, 2], pa.int8()),
            "b": pa.array([[1, 2], [3, 4]], pa.list_(pa.int16())),
            "when": pa.array([1_000, 2_000], pa.timestamp("ns")),
            "kind": pa.array(["x", "y"]),
            "one": pa.array([7, 8], pa.int8()),
            "extra": pa.array([0, 0]),
        }
    )


def test_conform_casts_to_the_types_of_the_catalog() -> None:
    table = Wide.conform(narrow_table())
    assert table.schema.equals(
        pa.schema([(n, Wide.features[n].arrow_type()) for n in ["b", "a", "when", "kind", "one"]])
    )
    assert table.column("b").to_pylist() == [[1, 2], [3, 4]]
    assert table.column("when").to_pylist()[0] == datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)
    assert table.column("one").to_pylist() == [[7], [8]]
    assert Wide.validate(table).ok and Wide.conform(table).equals(table)
    tags = Wide.only("tags").conform(pa.table({"tags": [["a", "b"], None]}))
    assert tags.column("tags").to_pylist() == [["a", "b"], None]


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("a", pa.array([1.0, 2.0]), 'feature "a" has another dtype: expected int64, got double'),
        ("a", pa.array([[1], [2]]), 'feature "a" has another shape'),
        ("b", pa.array([[1.0], [2.0]], pa.list_(pa.float32())), 'feature "b" holds a list of 1 in row 0, expected 2'),
        ("when", pa.array([2**62] * 2, pa.int64()).view(pa.timestamp("s")), 'feature "when" cannot be timestamp'),
        ("a", None, 'feature "a" is required and not there'),
    ],
)
def test_conform_refuses_what_would_lose_something(name: str, values: pa.Array | None, words: str) -> None:
    table = narrow_table().drop_columns([name])
    with pytest.raises(DataInvalid, match=words) as caught:
        Wide.conform(table if values is None else table.append_column(name, values))
    assert caught.value.hint


def test_literals_in_a_dtype() -> None:
    assert in_dtype(1e39, Dtypes.FLOAT32) == float("inf")
    assert iso(0) == "1970-01-01T00:00:00+00:00"
    assert iso(2**62).endswith("+00:00") and iso(2**62).startswith("148")
