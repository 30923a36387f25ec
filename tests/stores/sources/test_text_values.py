"""Values in text files, and in columns that are cast, are what is written, or an error with file, row and cure."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jeyn.errors import DataInvalid, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources.formats import read_table
from tests.stores.sources.test_text_files import catalog, read, refused

NIGHT, NOON = datetime(2024, 1, 31), datetime(2024, 1, 31, 12)
EVERY_KIND = catalog(
    f=Dtypes.FLOAT64,
    i=Dtypes.INT64,
    b=Dtypes.BOOL,
    d=Dtypes.DATE,
    t=Dtypes.TIMESTAMP,
    m=Dtypes.DECIMAL,
    s=Dtypes.STRING,
)


def test_a_quoted_empty_cell_is_a_null_in_what_is_no_text() -> None:
    """So tools write nulls that quote all cells, and pandas and Python those of a file with one column."""
    frame = pd.DataFrame({name: [None, "1"] for name in ("f", "i", "m", "s")})
    frame[["b", "d", "t"]] = [[None, None, None], ["true", "2024-01-31", "2024-01-31 12:00:00"]]
    text = frame.to_csv(index=False, quoting=csv.QUOTE_ALL)
    first, second = read(text.encode(), EVERY_KIND)
    assert first == dict.fromkeys("fibdtm") | {"s": ""}
    assert None not in second.values() and second["f"] == second["i"] == second["m"] == 1
    for dtype, cell in ((Dtypes.FLOAT64, "1.5"), (Dtypes.TIMESTAMP, "2024-01-31"), (Dtypes.INT64, "7")):
        found = read(pd.DataFrame({"x": [cell, None, cell]}).to_csv(index=False).encode(), catalog(x=dtype))
        assert [row["x"] is None for row in found] == [False, True, False]
    with pytest.raises(DataInvalid, match=r'column "f" in row 1 .*: "x" is no float64'):
        read(b'f,s\n"",""\n"x",""\n', catalog(f=Dtypes.FLOAT64, s=Dtypes.STRING))


@pytest.mark.parametrize(
    ("values", "type", "dtype", "good", "bad"),
    [
        ([16777216.0, 0.5, 1e39], None, Dtypes.FLOAT32, [16777216.0, 0.5], "1e+39"),
        ([float("inf"), 16777217.0], None, Dtypes.FLOAT32, [float("inf")], "16777217.0"),
        ([2048.0, 1e6], None, Dtypes.FLOAT16, [2048.0], "1000000.0"),
        ([2**60, 2**53 + 1], None, Dtypes.FLOAT64, [2.0**60], str(2**53 + 1)),
        ([2**60, 2**53 + 1], pa.decimal128(38, 2), Dtypes.FLOAT64, [2.0**60], f"{2**53 + 1}.00"),
        ([7.0, float("nan"), 1.5], None, Dtypes.INT64, [7, None], "1.5"),
        ([0.1, 0.12345678901], None, Dtypes.DECIMAL, [Decimal("0.1")], "0.12345678901"),
        ([NIGHT, NOON], pa.timestamp("ms"), Dtypes.DATE, [NIGHT.date()], "2024-01-31 12:00:00"),
        (["2024-01-31 00:00:00", "2024-01-31 12:00:00"], None, Dtypes.DATE, [NIGHT.date()], "2024-01-31 12:00:00"),
        ([None, 1706659200], None, Dtypes.TIMESTAMP, [None], "1706659200"),
    ],
)
def test_casts_round_nothing(
    values: list[Any], type: pa.DataType | None, dtype: Dtypes, good: list[Any], bad: str, tmp_path: Path
) -> None:
    def cast(values: list[Any]) -> list[Any]:
        pq.write_table(pa.table({"x": pa.array(values, kind)}), tmp_path / "a.parquet")
        return [row["x"] for row in read((tmp_path / "a.parquet").read_bytes(), catalog(x=dtype), "a.parquet", options)]

    kind, options = type or pa.array(values).type, SourceOptions(casts=["x"])
    assert cast(values[:-1]) == good
    with pytest.raises(DataInvalid, match=f'column "x" in row {len(good)}: "{re.escape(bad)}" is no {dtype.value}'):
        cast(values)


@pytest.mark.parametrize("cell", ["2024-01-31", "2024-01-31 00:00:00", "2024-01-31T00:00:00Z", " 2024-01-31 "])
def test_days_in_text_are_midnights(cell: str) -> None:
    for data, name in ((f"d,x\n{cell},1\n", "a.csv"), (f'{{"d": "{cell}"}}\n', "a.jsonl")):
        assert read(data.encode(), catalog(d=Dtypes.DATE), name) == [{"d": NIGHT.date()}]
    refused(
        b"d,x\n2024-01-31,1\n2024-01-31 12:00:00,2\n", "row 1", "2024-01-31 12:00:00", wanted=catalog(d=Dtypes.DATE)
    )
    later = b"d,x\n31/01/2024 00:00,1\n31/01/2024 12:30,2\n"
    refused(later, "row 1", "31/01/2024 12:30", wanted=catalog(d=Dtypes.DATE), dates=["%d/%m/%Y %H:%M"])


@pytest.mark.parametrize(
    "cell", ["2024-01-31 12:00:00 UTC", "2024-01-31 12:00:00 GMT", "2024-01-31 13:00:00 +0100", " 2024-01-31 12:00 "]
)
def test_times_as_databases_export_them(cell: str) -> None:
    found = read(f"t,x\n2024-01-31,0\n{cell},1\n".encode(), catalog(t=Dtypes.TIMESTAMP))
    assert [row["t"] for row in found] == [NIGHT.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC)]


def test_a_decimal_comma_rounds_nothing() -> None:
    comma = SourceOptions(separator=";", decimal=",")
    assert read(b"x;y\n1,0;2\n;1\n", catalog(x=Dtypes.INT64), options=comma) == [{"x": 1}, {"x": None}]
    data = f"x;y\n1,5;2\n{2**53 + 1},0;3\n".encode()
    refused(data, "row 1", f'"{2**53 + 1},0"', wanted=catalog(x=Dtypes.FLOAT64), separator=";", decimal=",")


@pytest.mark.parametrize(
    ("dtype", "cell", "cure"),
    [
        (Dtypes.TIMESTAMP, "31/01/2024", 'dates=["%d/%m/%Y"]'),
        (Dtypes.DATE, "31/01/2024", 'dates=["%d/%m/%Y"]'),
        (Dtypes.BOOL, "yes", 'true=["yes"]'),
        (Dtypes.INT64, "NA", 'nulls=["NA"]'),
        (Dtypes.DECIMAL, "1.0000000001", "catalog"),
    ],
)
def test_what_cannot_be_read_names_cell_and_cure(dtype: Dtypes, cell: str, cure: str) -> None:
    good = {Dtypes.BOOL: "true", Dtypes.INT64: "1", Dtypes.DECIMAL: "1.5"}.get(dtype, "2024-01-31")
    data = f"x,y\n{good},1\n{cell},2\n".encode()
    refused(data, 'column "x" in row 1 (line 3)', f'"{cell}"', cure, wanted=catalog(x=dtype))


def test_nulls_in_quotes_are_nulls_in_what_is_no_text() -> None:
    wanted = catalog(i=Dtypes.INT64, s=Dtypes.STRING, t=Dtypes.TIMESTAMP)
    found = read(b'i,s,t\n"NA","NA","NA"\n"1","x","2024-01-31"\n', wanted, options=SourceOptions(nulls=["NA"]))
    assert [tuple(row.values())[:2] for row in found] == [(None, "NA"), (1, "x")] and found[0]["t"] is None


def test_lists_of_numbers_are_shown_as_they_are_written() -> None:
    wanted = DataCatalog.of("C", {"x": Feature(Dtypes.FLOAT32, (-1, -1))})
    refused(b'{"x": [1, 1e39]}\n', '"[1, 1e39]" is out of the range', wanted=wanted, name="a.jsonl")


@pytest.mark.parametrize(("separator", "name"), [(";", "a.csv"), ("\t", "a.csv"), (",", "a.tsv"), ("|", "a.csv")])
def test_a_header_with_another_separator_is_told_of(separator: str, name: str) -> None:
    data = f"x{separator}y\n1{separator}2\n".encode()
    refused(data, 'no column "x"', f"separator={separator!r}", wanted=catalog(x=Dtypes.INT64), name=name)
    refused(b"z,y\n1,2\n", "make the feature optional", wanted=catalog(x=Dtypes.INT64))


def test_options_are_told_in_their_order() -> None:
    with pytest.raises(UsageError) as caught:
        SourceOptions.of({"seperator": ";"})
    assert "encoding, separator, decimal, nulls" in str(caught.value.hint)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\n", "\r\r"])
def test_lines_of_json_may_end_as_those_of_a_csv(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(end.join(['{"v": 1}', '{"v": 2.0}', ""]).encode())
    catalog = DataCatalog.of("C", {"v": Feature(Dtypes.INT64, nullable=True)})
    assert read_table("a.jsonl", path, catalog)["v"].to_pylist() == [1, 2]
    path.write_bytes(end.join(['{"v": 1}', '{"v": 1e39}', ""]).encode())
    with pytest.raises(DataInvalid, match='column "v" in row 1: "1e39" is out of the range'):
        read_table("a.jsonl", path, DataCatalog.of("C", {"v": Feature(Dtypes.FLOAT32)}))


@pytest.mark.parametrize("dtype", [Dtypes.INT64, Dtypes.FLOAT32])
def test_several_objects_in_a_line_are_refused(tmp_path: Path, dtype: Dtypes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"v": 1}\n{"v": 2} {"v": 3}\n')
    with pytest.raises(DataInvalid, match=r'"a\.jsonl": row 1 has several objects in one line: ') as refused:
        read_table("a.jsonl", path, DataCatalog.of("C", {"v": Feature(dtype)}))
    assert "a line of its own" in str(refused.value.hint)


def test_a_column_that_a_parquet_file_has_twice_is_told(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["v", "v", "w"])
    pq.write_table(table, tmp_path / "a.parquet")
    both = {"v": Feature(Dtypes.INT64), "w": Feature(Dtypes.INT64)}
    with pytest.raises(DataInvalid, match=r'"a\.parquet": column "v" occurs 2 times'):
        read_table("a.parquet", tmp_path / "a.parquet", DataCatalog.of("C", both))
    one = DataCatalog.of("C", {"w": both["w"]})
    assert read_table("a.parquet", tmp_path / "a.parquet", one)["w"].to_pylist() == [3]


@pytest.mark.parametrize(
    ("shape", "bad", "size"), [((-1, 2), "[1, 2, 3]", 3), ((-1, 2), "[]", 0), ((-1, -1, 2), "[[1, 2], [3]]", 1)]
)
def test_a_list_of_another_size_is_told_with_its_row(
    tmp_path: Path, shape: tuple[int, ...], bad: str, size: int
) -> None:
    good = "[1, 2]" if len(shape) == 2 else "[[1, 2], [3, 4]]"
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"v": {each}}}\n' for each in (good, "null", good, bad)))
    catalog = DataCatalog.of("C", {"v": Feature(Dtypes.INT64, shape=shape, nullable=True)})
    with pytest.raises(
        DataInvalid, match=rf'"a\.jsonl": feature "v" holds a list of {size} in row 3, expected 2 values'
    ):
        read_table("a.jsonl", path, catalog)
