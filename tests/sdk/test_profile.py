"""The profiler: statistics and failures of parts merge to those of the whole."""

import itertools
import json
import math
import statistics
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeyn.checks import between, unique
from jeyn.errors import UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.sdk.validation import Profiler


def profile(catalog: type[DataCatalog], table: pa.Table, cuts: list[int] | None = None) -> Profiler:
    profiler = Profiler(catalog)
    edges = [0, *sorted(cuts or []), table.num_rows]
    for start, end in itertools.pairwise(edges):
        for batch in table.slice(start, max(end - start, 0)).to_batches():
            profiler.update(batch)
    return profiler


def of(values: Any, dtype: Dtypes, arrow_type: pa.DataType | None = None, shape: tuple[int, ...] = (-1,)) -> Any:
    feature = Feature(dtype, shape, nullable=True)
    table = pa.table({"x": pa.array(values, arrow_type or feature.arrow_type())})
    found = profile(DataCatalog.of("One", {"x": feature}), table).statistics()["x"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


EMPTY = {"min": None, "max": None, "mean": None, "std": None}


def test_numbers() -> None:
    expected = {"count": 3, "nulls": 1, "min": 1, "max": 6, "mean": 3.0, "std": statistics.stdev([1, 2, 6])}
    assert of([1, 2, None, 6], Dtypes.INT8) == expected
    halves = of([1.0, 2.0, None, 6.0], Dtypes.FLOAT16, pa.float16())
    assert halves == expected and isinstance(halves["min"], float)
    assert of([5], Dtypes.INT64) == {"count": 1, "nulls": 0, "min": 5, "max": 5, "mean": 5.0, "std": None}
    assert of([], Dtypes.FLOAT64) == {"count": 0, "nulls": 0, **EMPTY}
    assert of([2**64 - 1], Dtypes.UINT64)["max"] == 2**64 - 1
    assert of([[1, 2], None, [3]], Dtypes.INT8, shape=(-1, -1))["count"] == 3


def test_nan_and_infinities_are_left_out_and_counted() -> None:
    found = of([1.0, math.nan, 3.0, math.inf, -math.inf, math.inf, None], Dtypes.FLOAT64)
    expected = {"count": 6, "nulls": 1, "min": 1.0, "max": 3.0, "mean": 2.0, "std": math.sqrt(2)}
    assert found == {**expected, "nan": 1, "infinite": 3}
    assert of([math.nan], Dtypes.FLOAT32) == {"count": 1, "nulls": 0, **EMPTY, "nan": 1}
    assert of([1e308, -1e308], Dtypes.FLOAT64)["std"] is None  # its square is beyond a float


def test_other_dtypes() -> None:
    assert of(["b", None, "a"], Dtypes.STRING) == {"count": 2, "nulls": 1, **EMPTY, "min": "a", "max": "b"}
    assert of(["b", "a"], Dtypes.CATEGORICAL)["max"] == "b"
    assert len(of(["x" * 999], Dtypes.STRING)["max"]) == 201
    assert of([b"b", None], Dtypes.BYTES) == {"count": 1, "nulls": 1, **EMPTY}
    found = of([True, True, False, None], Dtypes.BOOL)
    assert (found["min"], found["max"], found["mean"]) == (False, True, pytest.approx(2 / 3))
    times = of([datetime(2026, 1, 2), datetime(2026, 1, 1)], Dtypes.TIMESTAMP, pa.timestamp("s"))
    assert times == {
        "count": 2,
        "nulls": 0,
        **EMPTY,
        "min": "2026-01-01T00:00:00+00:00",
        "max": "2026-01-02T00:00:00+00:00",
    }


def test_a_large_mean_does_not_swallow_the_deviation() -> None:
    values = 1e9 + np.random.default_rng(0).random(200_000)
    found = of(values, Dtypes.FLOAT64)
    assert found["std"] == pytest.approx(float(values.std(ddof=1)), rel=1e-9)
    assert found["mean"] == pytest.approx(float(values.mean()), rel=1e-15)


def test_features_that_are_not_there_have_no_statistics() -> None:
    catalog = DataCatalog.of("Two", {"x": Feature(Dtypes.INT64), "y": Feature(Dtypes.INT64, optional=True)})
    profiler = profile(catalog, pa.table({"x": [1], "z": [1]}))
    assert list(profiler.statistics()) == ["x"] and profiler.report().ok


def test_a_profiler_without_statistics_says_so() -> None:
    with pytest.raises(UsageError, match="only validates"):
        Profiler(DataCatalog, statistics=False).statistics()


def test_a_table_is_taken_as_its_batches() -> None:
    catalog = DataCatalog.of("One", {"x": Feature(Dtypes.INT64)})
    table = pa.table({"x": pa.chunked_array([[1, 2], [3]])})
    profiler = Profiler(catalog)
    profiler.update(table)
    assert profiler.statistics() == profile(catalog, table).statistics()
    assert profiler.report().rows == 3


def test_a_report_in_between_does_not_disturb() -> None:
    catalog = DataCatalog.of("One", {"x": Feature(Dtypes.INT64, checks=(unique(),))})
    profiler = Profiler(catalog)
    for values, expected in (([1, 2], 0), ([2], 1), ([1, 1], 3)):
        profiler.update(pa.record_batch({"x": pa.array(values)}))
        assert sum(failure.count for failure in profiler.report().failures) == expected


FLOATS = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
ROWS = st.fixed_dictionaries(
    {
        "number": FLOATS,
        "whole": st.none() | st.integers(-(2**40), 2**40),
        "text": st.none() | st.text(max_size=3),
        "flag": st.none() | st.booleans(),
        "time": st.none() | st.datetimes(timezones=st.just(UTC)),
        "many": st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=3),
    }
)


class Mixed(DataCatalog):
    number = Feature(Dtypes.FLOAT64, nullable=True, checks=(between(-1000, 1000), unique()))
    whole = Feature(Dtypes.INT64, checks=(between(low=0),))
    text = Feature(Dtypes.STRING, nullable=True, checks=(between("a", "z"), unique()))
    flag = Feature(Dtypes.BOOL)
    time = Feature(Dtypes.TIMESTAMP, nullable=True, checks=(between("1990-01-01"),))
    many = Feature(Dtypes.INT64, (-1, -1), nullable=True, checks=(between(0, 5), unique()))


def without_rounding(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    close = ("mean", "std")
    return {
        name: {
            key: pytest.approx(value, rel=1e-9, abs=1e-6) if key in close and value is not None else value
            for key, value in one.items()
        }
        for name, one in found.items()
    }


@settings(deadline=None)
@given(st.lists(ROWS, max_size=25), st.lists(st.integers(0, 25), max_size=4))
def test_parts_merge_to_the_whole(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    schema = pa.schema([(name, feature.arrow_type()) for name, feature in Mixed.features.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    parts = profile(Mixed, table, [min(cut, len(rows)) for cut in cuts])
    assert parts.report() == Mixed.validate(table)
    if rows:
        assert parts.statistics() == without_rounding(profile(Mixed, table).statistics())
        _check_against_plain_python(parts.statistics()["number"], [row["number"] for row in rows])


def _check_against_plain_python(found: dict[str, Any], values: list[float | None]) -> None:
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    assert found["nulls"] == values.count(None) and found["count"] == len(values) - found["nulls"]
    assert found.get("nan", 0) == sum(value is not None and math.isnan(value) for value in values)
    assert found["min"] == min(numbers, default=None) and found["max"] == max(numbers, default=None)
    if len(numbers) > 1:
        assert found["mean"] == pytest.approx(statistics.fmean(numbers), rel=1e-9, abs=1e-6)
        assert found["std"] == pytest.approx(statistics.stdev(numbers), rel=1e-9, abs=1e-6)
