"""Nothing is rounded without a word: numbers that go from one kind to another are exactly the same, or an error."""

from __future__ import annotations

import json
import statistics
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jeyn import DataCatalog, Dtypes, Feature
from jeyn.checks import between, one_of, unique
from jeyn.errors import CatalogMismatch, DataInvalid, UsageError
from jeyn.sdk.compatibility import join
from jeyn.sdk.datasets.arrays import as_table, table_to_matrix, table_to_numpy, table_to_pandas, table_to_torch
from jeyn.sdk.validation import Profiler

BIG = 2**53 + 1
NAN = float("nan")


def one(dtype: Dtypes, **options: Any) -> type[DataCatalog]:
    return DataCatalog.of("One", {"n": Feature(dtype, **options)})


# Integers as floats, and whole floats as integers.


@pytest.mark.parametrize(
    ("dtype", "values", "bad"),
    [
        (Dtypes.FLOAT64, [1, 2**53, -(2**53), 2**60, -(2**63)], None),
        (Dtypes.FLOAT64, [1, BIG], BIG),
        (Dtypes.FLOAT64, [0, 2**63 - 1], 2**63 - 1),
        (Dtypes.FLOAT32, [16777216, 2**40], None),
        (Dtypes.FLOAT32, [1, 16777217], 16777217),
        (Dtypes.FLOAT16, [2048, 4096], None),
        (Dtypes.FLOAT16, [2, 2049], 2049),
        (Dtypes.FLOAT16, [2, 65520], 65520),
    ],
)
def test_integers_are_taken_as_floats_where_each_is_exact(dtype: Dtypes, values: list[int], bad: int | None) -> None:
    table, catalog = pa.table({"n": pa.array(values, pa.int64())}), one(dtype)
    if bad is None:
        assert catalog.validate(table).ok
        assert catalog.conform(table).column("n").to_pylist() == values
        return
    failure = catalog.validate(table).failures[0]
    assert (failure.check, failure.count, failure.rows) == ("exact", 1, (1,))
    assert str(bad) in failure.example
    with pytest.raises(DataInvalid, match=f'feature "n" holds {bad} in row 1, which is no {dtype.value}') as caught:
        catalog.conform(table)
    assert "declare an integer" in str(caught.value.hint)


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 2**63 + 2048])
def test_unsigned_integers_beyond_the_signed_ones(value: int) -> None:
    table = pa.table({"n": pa.array([value], pa.uint64())})
    assert one(Dtypes.FLOAT64).validate(table).ok == (float(value) == value and value < 2**64 - 1)
    assert one(Dtypes.UINT64).conform(table).column("n").to_pylist() == [value]
    assert table_to_numpy(table, one(Dtypes.UINT64))["n"].tolist() == [value]


@pytest.mark.parametrize(
    ("dtype", "values", "bad"),
    [
        (Dtypes.INT64, [1.0, None, NAN, -(2.0**63)], None),
        (Dtypes.INT64, [1.0, 1.5], 1.5),
        (Dtypes.INT64, [1.0, 2.0**63], 2.0**63),
        (Dtypes.INT64, [1.0, float("inf")], float("inf")),
        (Dtypes.INT8, [127.0, 128.0], 128.0),
        (Dtypes.UINT8, [0.0, -1.0], -1.0),
        (Dtypes.UINT64, [0.0, 2.0**63], None),
    ],
)
def test_whole_floats_are_taken_by_nullable_integers(dtype: Dtypes, values: list[Any], bad: float | None) -> None:
    table, catalog = pa.table({"n": pa.array(values, pa.float64())}), one(dtype, nullable=True)
    if bad is None:
        assert catalog.validate(table).ok
        expected = [None if value is None or value != value else int(value) for value in values]
        assert catalog.conform(table).column("n").to_pylist() == expected
        return
    assert catalog.validate(table).failures[0].rows == (1,)
    with pytest.raises(DataInvalid, match="in row 1") as caught:
        catalog.conform(table)
    assert f"holds {bad}" in str(caught.value)


def test_floats_where_integers_may_not_be_null_are_refused_and_the_error_says_how() -> None:
    table = pa.table({"n": [1.0, 2.0]})
    with pytest.raises(DataInvalid) as caught:
        one(Dtypes.INT64).conform(table)
    assert "Feature(Dtypes.INT64, nullable=True)" in str(caught.value.hint)
    assert "Feature(Dtypes.INT64, nullable=True)" in one(Dtypes.INT64).validate(table).failures[0].example


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series], ids=["list", "numpy", "pandas", "polars"])
def test_gaps_are_taken_from_every_kind_of_data(make: Any) -> None:
    catalog, values = one(Dtypes.INT64, nullable=True), make([1.0, NAN, 3.0])
    data = pl.DataFrame({"n": values}) if make is pl.Series else pd.DataFrame({"n": values})
    if make in (list, np.array):
        data = {"n": values}
    assert catalog.validate(data).ok
    assert catalog.conform(as_table(data, catalog)).column("n").to_pylist() == [1, None, 3]


def test_values_within_lists_are_taken_and_refused_too() -> None:
    catalog = one(Dtypes.FLOAT64, shape=(-1, 2))
    good = pa.array([[1, 2], [3, 2**53]], pa.list_(pa.int64(), 2))
    assert catalog.conform(pa.table({"n": good})).column("n").to_pylist() == [[1.0, 2.0], [3.0, 2.0**53]]
    for kind in (pa.list_(pa.int64(), 2), pa.list_(pa.int64()), pa.large_list(pa.int64())):
        bad = pa.table({"n": pa.array([[1, 2], [3, BIG]], kind)}).slice(1)
        with pytest.raises(DataInvalid, match="in row 0"):
            catalog.conform(bad)
    ragged = one(Dtypes.INT64, shape=(-1, -1), nullable=True)
    lists = pa.table({"n": pa.array([[1.0], None, [], [2.0, None]])}).slice(1)
    assert ragged.conform(lists).column("n").to_pylist() == [None, [], [2, None]]
    fixed = pa.table({"n": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))}).slice(1)
    nullable = one(Dtypes.FLOAT64, shape=(-1, 2), nullable=True)
    assert nullable.conform(fixed).column("n").to_pylist() == [None, [3.0, 4.0]]


def test_rows_are_counted_from_where_the_table_begins() -> None:
    table = pa.concat_tables([pa.table({"n": [1, 2]}), pa.table({"n": [BIG]})])
    with pytest.raises(DataInvalid, match="in row 12,"):
        one(Dtypes.FLOAT64).conform(table, first_row=10)


def test_checks_see_the_numbers_that_are_kept() -> None:
    catalog = one(Dtypes.INT64, nullable=True, checks=(between(0, 5), unique(), one_of(1, 2, 9)))
    found = catalog.validate(pa.table({"n": [1.0, NAN, 9.0, 1.0]}))
    assert {failure.check: failure.rows for failure in found.failures} == {"between(0, 5)": (2,), "unique()": (3,)}


# Out of Arrow.

INTEGERS = pa.table({"n": pa.array([BIG, None, 3], pa.int64())})
NULLABLE = one(Dtypes.INT64, nullable=True)


def test_pandas_holds_integers_with_nulls_exactly() -> None:
    frame = table_to_pandas(INTEGERS, NULLABLE)
    assert str(frame["n"].dtype) == "Int64"
    assert frame["n"][0] == BIG
    assert frame["n"].isna().tolist() == [False, True, False]
    assert NULLABLE.conform(as_table(frame, NULLABLE)).column("n").to_pylist() == [BIG, None, 3]


@pytest.mark.parametrize("dtype", [dtype for dtype in Dtypes if dtype.is_integer])
def test_the_dtype_of_a_frame_follows_from_the_catalog_and_not_from_the_values(dtype: Dtypes) -> None:
    catalog = one(dtype, nullable=True)
    dtypes = {
        str(table_to_pandas(pa.table({"n": pa.array(values, dtype.to_arrow())}), catalog)["n"].dtype)
        for values in ([1], [None], [1, None], [])
    }
    assert dtypes == {dtype.value.replace("int", "Int").replace("uI", "UI")}
    plain = table_to_pandas(pa.table({"n": pa.array([1], dtype.to_arrow())}), one(dtype))
    assert str(plain["n"].dtype) == dtype.value


def test_a_frame_keeps_the_order_of_its_columns_and_its_nullable_bools() -> None:
    catalog = DataCatalog.of(
        "Mixed",
        {
            "z": Feature(Dtypes.INT64, nullable=True),
            "a": Feature(Dtypes.STRING),
            "b": Feature(Dtypes.BOOL, nullable=True),
        },
    )
    frame = table_to_pandas(pa.table({"z": [1, None], "a": ["x", "y"], "b": [None, True]}), catalog)
    assert frame.columns.tolist() == ["z", "a", "b"]
    assert str(frame["b"].dtype) == "boolean"


def test_numpy_has_integers_with_nulls_as_exact_floats_or_an_error() -> None:
    small = table_to_numpy(pa.table({"n": pa.array([2**53, None])}), NULLABLE)["n"]
    assert small[0] == 2**53
    assert np.isnan(small[1])
    with pytest.raises(DataInvalid, match=f'feature "n" holds {BIG} in row 0') as caught:
        table_to_numpy(INTEGERS, NULLABLE)
    assert "to_pandas()" in str(caught.value.hint)
    with pytest.raises(DataInvalid, match="in row 0"):
        table_to_torch(INTEGERS, NULLABLE)
    assert table_to_numpy(pa.table({"n": [BIG]}), NULLABLE)["n"].tolist() == [BIG]
    assert table_to_torch(pa.table({"n": [BIG]}), NULLABLE)["n"].tolist() == [BIG]


def test_numbers_within_lists_are_exact_or_an_error() -> None:
    catalog = one(Dtypes.INT64, shape=(-1, 2), nullable=True)
    table = pa.table({"n": pa.array([[1, 2], [BIG, None]], pa.list_(pa.int64(), 2))})
    for out in (table_to_numpy, table_to_pandas):
        with pytest.raises(DataInvalid, match="in row 1"):
            out(table, catalog)


PAIR = DataCatalog.of("Pair", {"id": Feature(Dtypes.INT64), "x": Feature(Dtypes.FLOAT64)})


def test_one_array_for_a_model_is_exact_or_an_error() -> None:
    assert table_to_matrix(pa.table({"id": [2**53], "x": [0.5]}), PAIR).tolist() == [[2.0**53, 0.5]]
    with pytest.raises(DataInvalid, match=f'feature "id" holds {BIG} in row 1, which float64 does not hold'):
        table_to_matrix(pa.table({"id": [1, BIG], "x": [0.5, 0.5]}), PAIR)


def test_one_array_of_signed_and_unsigned_integers_is_exact_or_an_error() -> None:
    catalog = DataCatalog.of("Two", {"a": Feature(Dtypes.INT64), "b": Feature(Dtypes.UINT64)})
    with pytest.raises(DataInvalid, match='feature "b"'):
        table_to_matrix(pa.table({"a": [1], "b": pa.array([2**64 - 1], pa.uint64())}), catalog)
    same = DataCatalog.of("Same", {"a": Feature(Dtypes.INT64), "b": Feature(Dtypes.INT64)})
    assert table_to_matrix(pa.table({"a": [BIG], "b": [1]}), same).tolist() == [[BIG, 1]]


def test_one_array_with_texts_or_times_keeps_each_value_as_it_is() -> None:
    catalog = DataCatalog.of("Words", {"n": Feature(Dtypes.INT64), "word": Feature(Dtypes.STRING)})
    assert table_to_matrix(pa.table({"n": [BIG], "word": ["a"]}), catalog).tolist() == [[BIG, "a"]]
    times = DataCatalog.of("Times", {"n": Feature(Dtypes.INT64), "at": Feature(Dtypes.DATE)})
    found = table_to_matrix(pa.table({"n": [5], "at": [date(2024, 1, 31)]}), times).tolist()
    assert found == [[5, date(2024, 1, 31)]]


def test_statistics_are_exact() -> None:
    profiler = Profiler(NULLABLE)
    profiler.update(pa.table({"n": pa.array([BIG, BIG + 2, None], pa.int64())}))
    found = profiler.statistics()["n"]
    assert (found["min"], found["max"], found["mean"]) == (BIG, BIG + 2, float(BIG + 1))
    assert found["std"] == pytest.approx(2**0.5)
    one_value = Profiler(NULLABLE)
    one_value.update(pa.table({"n": pa.array([BIG], pa.int64())}))
    assert one_value.statistics()["n"]["mean"] == BIG
    assert json.loads(json.dumps(one_value.statistics()))["n"]["max"] == BIG
    unsigned = Profiler(one(Dtypes.UINT64))
    unsigned.update(pa.table({"n": pa.array([2**64 - 1, 2**64 - 3], pa.uint64())}))
    found = unsigned.statistics()["n"]
    assert (found["min"], found["max"], found["std"]) == (2**64 - 3, 2**64 - 1, pytest.approx(2**0.5))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
@pytest.mark.parametrize("seed", range(3))
def test_statistics_of_large_integers_are_those_of_python(dtype: str, seed: int) -> None:
    info = np.iinfo(dtype)
    values = np.random.default_rng(seed).integers(info.min, info.max, 1000, dtype, endpoint=True)
    values[:2] = info.min, info.max
    profiler = Profiler(one(Dtypes(dtype)))
    for part in np.array_split(values, 3):
        profiler.update({"n": part})
    found, exact = profiler.statistics()["n"], [int(value) for value in values]
    assert (found["min"], found["max"]) == (info.min, info.max)
    assert found["mean"] == sum(exact) / len(exact)
    assert found["std"] == pytest.approx(statistics.stdev(exact))


# Days and decimals.

MONEY = one(Dtypes.DECIMAL, precision=12, scale=2, nullable=True)


def test_an_arrow_schema_with_days_and_decimals_is_a_catalog() -> None:
    schema = pa.schema({"d": pa.date32(), "m": pa.decimal128(12, 2), "b": pa.decimal256(50, 3)})
    catalog = DataCatalog.from_arrow(schema)
    assert catalog.features["d"].dtype is Dtypes.DATE
    assert catalog.features["m"] == Feature(Dtypes.DECIMAL, precision=12, scale=2, nullable=True)
    assert catalog.features["b"].value_type() == pa.decimal256(50, 3)
    assert DataCatalog.from_arrow(catalog.to_arrow()) == catalog
    assert DataCatalog.from_json(catalog.to_json()) == catalog


@pytest.mark.parametrize("digits", [(0, 0), (77, 2), (2, 3), (12, None), (None, 2), (12.0, 2), (5, -1)])
def test_digits_that_make_no_sense_are_refused(digits: tuple[Any, Any]) -> None:
    with pytest.raises(UsageError, match="a decimal cannot have"):
        Feature(Dtypes.DECIMAL, precision=digits[0], scale=digits[1])


def test_only_decimals_have_digits() -> None:
    with pytest.raises(UsageError, match="int64 has no precision"):
        Feature(Dtypes.INT64, precision=3, scale=0)
    assert "precision" not in Feature(Dtypes.INT64).to_json()
    assert str(Feature(Dtypes.DECIMAL, precision=3, scale=1)) == "decimal(3, 1) (-1,)"


def _money(precision: int, scale: int) -> type[DataCatalog]:
    return one(Dtypes.DECIMAL, precision=precision, scale=scale)


@pytest.mark.parametrize(
    ("narrow", "wide", "fits"),
    [
        (_money(12, 2), _money(12, 2), True),
        (_money(12, 2), _money(14, 4), True),
        (_money(12, 2), _money(14, 5), False),
        (_money(12, 2), _money(38, 1), False),
        (one(Dtypes.INT32), _money(12, 2), True),
        (one(Dtypes.INT64), _money(12, 2), False),
        (one(Dtypes.UINT64), _money(20, 0), True),
        (_money(3, 0), one(Dtypes.FLOAT64), False),
        (_money(3, 0), one(Dtypes.INT64), False),
        (one(Dtypes.FLOAT32), _money(38, 9), False),
        (one(Dtypes.DATE), one(Dtypes.TIMESTAMP), True),
        (one(Dtypes.TIMESTAMP), one(Dtypes.DATE), False),
    ],
)
def test_what_widens_to_days_and_decimals(narrow: type[DataCatalog], wide: type[DataCatalog], fits: bool) -> None:
    assert bool(narrow.satisfies(wide)) is fits


def test_a_union_of_decimals_has_room_for_all() -> None:
    found = join([_money(12, 2), _money(10, 4)]).features["n"]
    assert found.digits == (14, 4)
    with pytest.raises(CatalogMismatch):
        join([_money(76, 0), _money(76, 76)])
    assert join([one(Dtypes.DATE), one(Dtypes.DATE)]).features["n"].dtype is Dtypes.DATE
    assert join([one(Dtypes.DATE), one(Dtypes.TIMESTAMP)]).features["n"].dtype is Dtypes.TIMESTAMP


def test_more_digits_change_a_catalog() -> None:
    change = _money(12, 2).diff(_money(14, 2))
    assert change.bump("input") != "none"
    assert "precision 12 → 14" in str(change)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([Decimal("1.5"), None], pa.decimal128(38, 18)), [Decimal("1.50"), None]),
        (pa.array([Decimal("1.5")], pa.decimal256(60, 1)), [Decimal("1.50")]),
        (pa.array([7], pa.int64()), [Decimal("7.00")]),
        (pa.array([7], pa.uint8()), [Decimal("7.00")]),
    ],
)
def test_decimals_are_taken_where_each_is_exact(column: pa.Array, expected: list[Any]) -> None:
    table = pa.table({"n": column})
    assert MONEY.validate(table).ok
    assert MONEY.conform(table).column("n").to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        (pa.array([Decimal("1.5"), Decimal("1.555")], pa.decimal128(38, 18)), "1.555"),
        (pa.array([7, 10**10], pa.int64()), "10000000000"),
    ],
)
def test_decimals_that_would_be_rounded_are_refused(column: pa.Array, bad: str) -> None:
    table = pa.table({"n": column})
    assert MONEY.validate(table).failures[0].rows == (1,)
    with pytest.raises(DataInvalid, match="in row 1") as caught:
        MONEY.conform(table)
    assert bad in str(caught.value)


def test_floats_are_no_decimals() -> None:
    assert MONEY.validate(pa.table({"n": [0.5]})).failures[0].check == "dtype"


def test_days_from_every_kind_of_data() -> None:
    catalog, day = one(Dtypes.DATE, nullable=True, checks=(between("2020-01-01"),)), date(2024, 1, 31)
    midnight = datetime(2024, 1, 31)
    for data in (
        pa.table({"n": [day]}),
        pa.table({"n": pa.array([midnight], pa.timestamp("ns"))}),
        pd.DataFrame({"n": [day]}),
        pd.DataFrame({"n": [pd.Timestamp(midnight)]}),
        pl.DataFrame({"n": [day]}),
        {"n": np.array(["2024-01-31"], "datetime64[D]")},
        {"n": np.array([day], object)},
    ):
        assert catalog.validate(data).ok, data
        assert catalog.conform(as_table(data, catalog)).column("n").to_pylist() == [day]
    late = pa.table({"n": pa.array([midnight, datetime(2024, 1, 31, 12)], pa.timestamp("us", "UTC"))})
    assert catalog.validate(late).failures[0].rows == (1,)
    with pytest.raises(DataInvalid, match="in row 1"):
        catalog.conform(late)


def test_days_and_decimals_come_out_as_they_are() -> None:
    catalog = DataCatalog.of("Both", {"d": Feature(Dtypes.DATE, nullable=True), "m": MONEY.features["n"]})
    table = pa.table({"d": [date(2024, 1, 31), None], "m": pa.array([Decimal("1.50"), None], pa.decimal128(12, 2))})
    arrays = table_to_numpy(table, catalog)
    assert arrays["d"].dtype == np.dtype("datetime64[D]")
    assert np.isnat(arrays["d"][1])
    assert arrays["m"].tolist() == [Decimal("1.50"), None]
    assert table_to_pandas(table, catalog).to_dict("list") == {
        "d": [date(2024, 1, 31), None],
        "m": [Decimal("1.50"), None],
    }
    assert table_to_torch(table, catalog) == {}
    profiler = Profiler(catalog)
    profiler.update(table)
    found = profiler.statistics()
    assert (found["d"]["min"], found["d"]["nulls"]) == ("2024-01-31", 1)
    assert (found["m"]["min"], found["m"]["max"], found["m"]["mean"]) == ("1.50", "1.50", 1.5)


def test_checks_of_decimals_compare_exactly() -> None:
    catalog = one(Dtypes.DECIMAL, precision=20, scale=2, checks=(between(0.1, 10**15), unique()))
    values = [Decimal("0.10"), Decimal("0.09"), Decimal("1000000000000000.01"), Decimal("0.10")]
    found = catalog.validate(pa.table({"n": pa.array(values, pa.decimal128(20, 2))}))
    assert [(failure.rows, failure.example) for failure in found.failures] == [
        ((1, 2), "0.09"),
        ((3,), "0.10"),
    ]
    fixed = one(Dtypes.DECIMAL, precision=4, scale=2, checks=(one_of(0.1, 2),))
    assert fixed.validate(pa.table({"n": pa.array([Decimal("0.1"), Decimal(2)], pa.decimal128(4, 2))})).ok
    assert not fixed.validate(pa.table({"n": pa.array([Decimal("0.2")], pa.decimal128(4, 2))})).ok


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((-1, 2), [[2**53 + 1, 7], None, [1, 2]]), ((-1, 2, 1), [None, [[2**53 + 1], [7]]]), ((-1, 2), [None, [3, 4]])],
)
def test_a_null_beside_lists_of_one_size_makes_no_floats_of_them(shape: tuple[int, ...], rows: list[Any]) -> None:
    feature = Feature(Dtypes.INT64, shape, nullable=True)
    catalog = DataCatalog.of("One", {"n": feature})
    table = pa.table({"n": pa.array(rows, feature.arrow_type())})
    pieces = pa.concat_tables([table.slice(1), table])
    for found in (table_to_numpy(table, catalog)["n"], table_to_pandas(table, catalog)["n"].to_numpy()):
        assert [_plain(row) for row in found] == rows
    assert [_plain(row) for row in table_to_pandas(pieces, catalog)["n"]] == [*rows[1:], *rows]


def _plain(row: Any) -> Any:
    if isinstance(row, np.ndarray):
        return [_plain(each) for each in row]
    assert not isinstance(row, float)
    return row
