"""Times have whole microseconds: what has more digits is refused, whatever the column's unit."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, Dtypes, Feature
from jeyn.checks import between
from jeyn.errors import DataInvalid, UsageError
from jeyn.formulas import StreamingFormula
from jeyn.sdk.datasets.arrays import as_table
from jeyn.stores.sources.formats import read_batches, read_table
from jeyn.stores.sources.sql_values import as_column
from jeyn.stores.sources.watermark import Watermark

NANOS = "2024-01-31 00:00:00.123456789"
WHOLE = datetime(2024, 1, 31, 12, 30, 0, 123456, tzinfo=UTC)
CURE = '.dt.floor("us")'


def one(dtype: Dtypes = Dtypes.TIMESTAMP, shape: tuple[int, ...] = (-1,)) -> type[DataCatalog]:
    return DataCatalog.of("One", {"t": Feature(dtype, shape, nullable=True)})


def column(second: str, zone: str | None = None) -> pa.Array:
    values = np.array(["2024-01-31T12:30:00.123456", second.replace(" ", "T"), "NaT"], "datetime64[ns]")
    return pa.array(values, pa.timestamp("ns", zone), from_pandas=True)


def frames(second: str) -> dict[str, Any]:
    table = pa.table({"t": column(second)})
    series = pd.Series(column(second).to_numpy(zero_copy_only=False))
    return {
        "arrow": table,
        "zone": pa.table({"t": column(second, "Europe/Berlin")}),
        "pandas": pd.DataFrame({"t": series}),
        "objects": pd.DataFrame({"t": series.astype(object)}),
        "polars": pl.from_arrow(table),
        "numpy": {"t": series.to_numpy()},
        "big-endian": {"t": series.to_numpy().astype(">M8[ns]")},
    }


@pytest.mark.parametrize("kind", list(frames(NANOS)))
def test_nanoseconds_are_refused_wherever_they_come_from(kind: str) -> None:
    failure = one().validate(frames(NANOS)[kind]).failures[0]
    assert "2024-01-31" in failure.example and ".123456789" in failure.example and CURE in failure.example
    assert one().validate(frames("2024-01-31 00:00:00.000001")[kind]).ok


@pytest.mark.parametrize("shape", [(-1,), (-1, -1)])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_a_column_in_nanoseconds_is_taken_where_it_holds_whole_microseconds(
    shape: tuple[int, ...], zone: str | None
) -> None:
    def table(second: str) -> pa.Table:
        values = column(second, zone)
        return pa.table({"t": pa.ListArray.from_arrays([0, 1, 2, 3], values) if len(shape) > 1 else values})

    catalog = one(shape=shape)
    found = catalog.conform(table("2024-01-31 00:00:00.5")).column("t")
    assert found.type == catalog.features["t"].arrow_type()
    assert found.to_pylist()[0] == ([WHOLE] if len(shape) > 1 else WHOLE)
    with pytest.raises(DataInvalid, match=r'feature "t" holds 2024-01-31 00:00:00.123456789Z? in row 1, ') as caught:
        catalog.conform(table(NANOS))
    assert CURE in str(caught.value.hint)


def test_times_before_the_epoch_and_dictionaries() -> None:
    old = pa.array(np.array(["1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999999"], "datetime64[ns]"))
    assert one().conform(pa.table({"t": old[:1]})).column("t").to_pylist() == [
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    ]
    for values in (old, old.dictionary_encode()):
        assert one().validate(pa.table({"t": values})).failures[0].rows == (1,)
        with pytest.raises(DataInvalid, match=r"23:59:59\.999999999 in row 1"):
            one().conform(pa.table({"t": values}))


def test_days_of_nanoseconds_are_midnights() -> None:
    midnights = pa.table({"t": pa.array([date(2024, 1, 31)]).cast(pa.timestamp("ns"))})
    assert one(Dtypes.DATE).conform(midnights).column("t").to_pylist() == [date(2024, 1, 31)]
    with pytest.raises(DataInvalid, match="123456789 in row 1"):
        one(Dtypes.DATE).conform(pa.table({"t": column(NANOS).take([2, 1])}))


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        (np.array(["2024-01-01", "300000"], "datetime64[Y]"), "300000 in row 1"),
        (np.array([10**6, 1], "datetime64[ps]"), "1970-01-01T00:00:00.000000000001 in row 1"),
    ],
)
def test_units_that_only_numpy_has_are_told_in_microseconds_where_they_can_be(values: Any, bad: str) -> None:
    assert one().validate({"t": values[:1]}).ok
    assert bad in one().validate({"t": values}).failures[0].example


def test_lists_of_pandas_own_times() -> None:
    frame = pd.DataFrame({"t": [[pd.Timestamp("2024-01-31")], [pd.Timestamp("2024-01-31"), pd.Timestamp(NANOS)]]})
    assert one(shape=(-1, -1)).validate(frame[:1]).ok
    assert "123456789 in row 1" in one(shape=(-1, -1)).validate(frame).failures[0].example


@pytest.mark.parametrize("suffix", ["parquet", "int96.parquet", "feather", "csv", "jsonl"])
def test_files_with_nanoseconds_are_refused(suffix: str, tmp_path: Path) -> None:
    def path(second: str) -> Path:
        path, table = tmp_path / f"a.{suffix}", pa.table({"t": column(second), "n": [1, 2, 3]})
        if suffix == "feather":
            feather.write_feather(table, str(path))
        elif "parquet" in suffix:
            pq.write_table(table, path, use_deprecated_int96_timestamps="int96" in suffix)
        elif suffix == "csv":
            table.to_pandas().to_csv(path, index=False)
        else:
            frame = table.to_pandas()
            frame["t"] = [None if pd.isna(value) else value.isoformat() for value in frame["t"]]
            frame.to_json(path, orient="records", lines=True)
        return path

    good = path("2024-01-31 00:00:00.000001000")
    assert read_table(good.name, good, one()).column("t").to_pylist()[::2] == [WHOLE, None]
    bad = path(NANOS)
    for read in (lambda: read_table(bad.name, bad, one()), lambda: list(read_batches(bad.name, bad, one(), 2))):
        with pytest.raises(DataInvalid) as caught:
            read()
        told = str(caught.value)
        assert f'"{bad.name}"' in told and '"t"' in told and "row 1" in told and "123456789" in told
        assert "whole microseconds" in told and "cut" in told


def test_a_far_time_in_int96_stands_beside_nanoseconds(tmp_path: Path) -> None:
    far = pa.table({"t": pa.array([datetime(9999, 12, 31), WHOLE.replace(tzinfo=None)], pa.timestamp("us"))})
    pq.write_table(far, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    assert read_table("a.parquet", tmp_path / "a.parquet", one()).column("t").to_pylist() == [
        datetime(9999, 12, 31, tzinfo=UTC),
        WHOLE,
    ]


@pytest.mark.parametrize("size", [-1, 2])
def test_times_in_int96_within_lists_are_not_cut(tmp_path: Path, size: int) -> None:
    def path(*times: str) -> Path:
        pairs = [[np.datetime64(time, "ns").astype("int64"), None] for time in times]
        kind = pa.list_(pa.int64(), size)
        # Arrow before 26 cannot read a null among lists of one size back, and says so.
        gap = [] if size > 0 and int(pa.__version__.split(".")[0]) < 26 else [None]
        column = pa.array([pairs[0], *gap, *pairs[1:]], kind).cast(pa.list_(pa.timestamp("ns"), size))
        pq.write_table(pa.table({"t": column}), tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
        return tmp_path / "a.parquet"

    catalog = one(shape=(-1, size))
    good = path("2024-01-31 00:00:00.000001000")
    assert read_table(good.name, good, catalog).column("t").to_pylist()[0] == [
        datetime(2024, 1, 31, 0, 0, 0, 1, tzinfo=UTC),
        None,
    ]
    bad = path("2024-01-31", "2024-01-31T11:30:00.123456789")
    for read in (lambda: read_table(bad.name, bad, catalog), lambda: list(read_batches(bad.name, bad, catalog, 1))):
        with pytest.raises(DataInvalid, match=r'"a\.parquet": .*"t" holds 2024-01-31 11:30:00\.123456789.* in row'):
            read()


FAR = 253_402_300_800  # the year 10000, in seconds


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (pa.timestamp("us", "UTC"), FAR * 10**6),
        (pa.timestamp("us"), -62_135_596_801 * 10**6),
        (pa.timestamp("ms"), FAR * 10**3),
        (pa.timestamp("s", "Europe/Berlin"), FAR),
        (pa.date32(), FAR // 86_400),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [Dtypes.TIMESTAMP, Dtypes.DATE])
def test_times_beyond_the_calendar_are_refused(tmp_path: Path, dtype: Dtypes, kind: pa.DataType, number: int) -> None:
    numbers = pa.array([0, None, number], pa.int32() if pa.types.is_date32(kind) else pa.int64())
    pq.write_table(pa.table({"t": numbers.view(kind)}), tmp_path / "a.parquet")
    catalog = DataCatalog.of("C", {"t": Feature(dtype, nullable=True)})
    formula = StreamingFormula("far", version="1.0.0", output_catalog=catalog, source="*.parquet")
    with jeyn.open(home=tmp_path / "home", data=tmp_path) as workspace:
        with pytest.raises(DataInvalid) as caught:
            workspace.dataset_store.save_batch(formula.get_new_batch())
    told = str(caught.value)
    assert '"a.parquet"' in told and '"t"' in told and "row 2" in told and "the years 1 to 9999" in told
    assert "10000-01-01" in told or "0000-12-31" in told


def test_the_last_moment_of_the_calendar_is_taken() -> None:
    ends = pa.array([FAR * 10**6 - 1, -62_135_596_800 * 10**6], pa.int64()).view(pa.timestamp("us", "UTC"))
    assert one().validate(pa.table({"t": ends})).ok


@pytest.mark.parametrize("text", [NANOS, "2024-01-31T00:00:00.1234560001+01:00"])
def test_texts_of_a_database_are_not_cut(text: str) -> None:
    feature = Feature(Dtypes.TIMESTAMP)
    assert as_column("t", ["2024-01-31 12:30:00.123456000"], feature).to_pylist() == [WHOLE]
    with pytest.raises(DataInvalid, match=r'column "t" holds .*, which is no timestamp exactly') as caught:
        as_column("t", [text], feature)
    assert "in the query" in str(caught.value.hint)
    with pytest.raises(DataInvalid, match=r"which is no timestamp exactly") as caught:
        _ = Watermark.of(text, times=True).key
    assert "in the query" in str(caught.value.hint)


def test_lists_of_times_in_json_are_written_as_times_by_themselves_are() -> None:
    catalog = one(shape=(-1, -1))

    def read(cell: str) -> list[Any]:
        found = read_batches(
            "a.jsonl", io.BytesIO(f'{{"t": []}}\n{{"t": [{cell}, null]}}\n{{}}\n'.encode()), catalog, 9
        )
        return next(found).column("t").to_pylist()

    for cell in ("2024-01-31 12:30:00.123456", "2024-01-31T13:30:00.123456000+01:00"):
        assert read(f'"{cell}"') == [[], [WHOLE, None], None]
    with pytest.raises(DataInvalid, match="row 1"):
        read(f'"{NANOS}"')


def test_a_bound_with_nanoseconds_is_refused() -> None:
    with pytest.raises(UsageError, match="whole microseconds"):
        Feature(Dtypes.TIMESTAMP, checks=(between("2024-01-31", NANOS),))


DAY, MORNING = date(2024, 1, 31), datetime(2024, 1, 31, 3)


@pytest.mark.parametrize("values", [[DAY, MORNING, None], [pd.Timestamp(MORNING), DAY, pd.NaT], [None, MORNING, DAY]])
def test_days_among_times_are_midnights_and_cut_nothing(values: list[Any]) -> None:
    midnight = datetime(2024, 1, 31, tzinfo=UTC)
    expected = {DAY: midnight, MORNING: MORNING.replace(tzinfo=UTC)}
    for data in (pd.DataFrame({"t": pd.Series(values, dtype=object)}), {"t": np.array(values, object)}):
        found = one().conform(as_table(data, one())).column("t").to_pylist()
        assert found == [None if pd.isna(value) else expected[value] for value in values]
        assert one(Dtypes.DATE).validate(data).failures[0].check == "exact"
    lists = pd.DataFrame({"t": [[DAY, MORNING], []]})
    catalog = one(shape=(-1, -1))
    assert catalog.conform(as_table(lists, catalog)).column("t").to_pylist() == [[*expected.values()], []]
