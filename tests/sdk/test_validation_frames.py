"""Validation of pandas and polars frames and of dicts of numpy arrays."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jeyn.checks import between, one_of
from jeyn.errors import DataInvalid
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature


class People(DataCatalog):
    name = Feature(Dtypes.STRING)
    age = Feature(Dtypes.INT64, checks=(between(0, 150),))
    size = Feature(Dtypes.FLOAT64, nullable=True)
    group = Feature(Dtypes.CATEGORICAL, checks=(one_of("a", "b"),))
    born = Feature(Dtypes.TIMESTAMP, optional=True)


ROWS: dict[str, list[Any]] = {
    "name": ["Ann", "Bob", "Eve"],
    "age": [30, 40, 50],
    "size": [1.5, None, 1.7],
    "group": ["a", "b", "a"],
}


def one(dtype: Dtypes, shape: tuple[int, ...] = (-1,), **rest: Any) -> type[DataCatalog]:
    return DataCatalog.of("One", {"x": Feature(dtype, shape, **rest)})


def checks(catalog: type[DataCatalog], data: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(failure.feature, failure.check, failure.rows) for failure in catalog.validate(data).failures]


def frames(rows: dict[str, list[Any]]) -> list[Any]:
    pandas = pd.DataFrame(rows, index=range(7, 10)).astype({"group": "category"})
    return [pandas, pandas.convert_dtypes(), pl.DataFrame(rows), pl.DataFrame(rows).cast({"group": pl.Categorical})]


def test_frames_are_valid() -> None:
    for frame in frames(ROWS):
        report = People.validate(frame)
        assert report.ok and report.rows == 3, report


def test_what_fails_in_a_frame_is_found_by_row_not_by_index() -> None:
    for frame in frames({**ROWS, "age": [30, 400, 50], "group": ["a", "b", "c"], "name": ["Ann", None, "Eve"]}):
        assert checks(People, frame) == [
            ("name", "not_null", (1,)),
            ("age", "between(0, 150)", (1,)),
            ("group", "one_of('a', 'b')", (2,)),
        ]


def test_pandas_times_and_nan() -> None:
    frame = pd.DataFrame({"born": pd.Series(["2026-01-01", None], dtype="datetime64[us]")})
    assert checks(People.only("born"), frame) == [("born", "not_null", (1,))]
    assert checks(People.only("size"), pd.DataFrame({"size": [float("nan"), 1.0]})) == []


def test_a_pandas_column_of_mixed_types_fails_and_is_told() -> None:
    report = one(Dtypes.STRING).validate(pd.DataFrame({"x": pd.Series(["a", 1], dtype=object)}))
    assert [(failure.check, failure.count) for failure in report.failures] == [("dtype", 2)]
    assert report.failures[0].example.startswith("expected string (-1,): ")


def test_a_pandas_column_that_is_there_twice_fails() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    assert checks(one(Dtypes.INT64), frame) == [("x", "dtype", (0,))]


def test_a_pandas_column_of_lists() -> None:
    frame = pd.DataFrame({"x": [[1.0, 2.0], [3.0, 4.0]]})
    assert checks(one(Dtypes.FLOAT64, (-1, 2)), frame) == []
    assert checks(one(Dtypes.FLOAT64, (-1, 3)), frame) == [("x", "shape", (0, 1))]


@pytest.mark.parametrize(
    ("array", "catalog"),
    [
        (np.zeros((3, 2, 4), np.float32), one(Dtypes.FLOAT32, (-1, 2, 4))),
        (np.zeros((3, 4), np.float32).T, one(Dtypes.FLOAT32, (-1, 3))),
        (np.arange(6)[::-2], one(Dtypes.INT64)),
        (np.arange(3, dtype=">i4"), one(Dtypes.INT32)),
        (np.array(["a", "bc"]), one(Dtypes.STRING)),
        (np.array(["a", None], object), one(Dtypes.STRING, nullable=True)),
        (np.array([b"a"]), one(Dtypes.BYTES)),
        (np.array([True]), one(Dtypes.BOOL)),
        (np.array([0.1], np.float16), one(Dtypes.FLOAT16)),
        (np.array(["2026-01-01"], "datetime64[D]"), one(Dtypes.TIMESTAMP)),
        (np.array(["2026-01-01"], "datetime64[ns]"), one(Dtypes.TIMESTAMP)),
        (np.ma.array([1, 2], mask=[False, True]), one(Dtypes.INT64, nullable=True)),
        ([[1], [2, 3]], one(Dtypes.INT64, (-1, -1))),
        (np.array([]), one(Dtypes.FLOAT64)),
        (np.zeros((0, 3)), one(Dtypes.FLOAT64, (-1, 3))),
        (np.array([1, 2]), one(Dtypes.INT64, (-1, 1))),
    ],
    ids=str,
)
def test_numpy_arrays(array: Any, catalog: type[DataCatalog]) -> None:
    report = catalog.validate({"x": array, "extra": 3})
    assert report.ok and report.rows == len(array), report


def test_what_fails_in_numpy_arrays() -> None:
    assert checks(one(Dtypes.FLOAT32), {"x": np.zeros(2)}) == [("x", "dtype", (0, 1))]
    assert checks(one(Dtypes.FLOAT64, (-1, 2)), {"x": np.zeros((2, 3))}) == [("x", "shape", (0, 1))]
    assert checks(one(Dtypes.INT64), {"x": np.array(3)}) == [("x", "dtype", ())]
    assert checks(one(Dtypes.INT64), {"x": np.zeros(2, complex)}) == [("x", "dtype", ())]
    assert checks(one(Dtypes.INT64), {}) == [("x", "present", ())]
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert checks(one(Dtypes.INT64), {"x": masked}) == [("x", "not_null", (1,))]
    pixels = one(Dtypes.FLOAT64, (-1, 2), checks=(between(0, 1),))
    assert checks(pixels, {"x": np.array([[0, 1], [0, 2.0], [np.nan, 0]])}) == [("x", "between(0, 1)", (1, 2))]


def test_numpy_arrays_with_different_rows_are_refused() -> None:
    with pytest.raises(DataInvalid, match='"age" has 2, "size" has 3'):
        People.only("age", "size").validate({"age": np.zeros(2), "size": np.zeros(3)})


def test_other_tables_come_in_through_the_arrow_interface() -> None:
    class Stream:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table({"x": [1, 200]}).__arrow_c_stream__(requested_schema)

    assert checks(one(Dtypes.INT64, checks=(between(0, 9),)), Stream()) == [("x", "between(0, 9)", (1,))]
