"""Text files give each row and byte that they hold, or an error that names the row, its line and the column."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jeyn.errors import DataInvalid, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.datasets.source_options import PLAIN, SourceOptions
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import read_batches
from jeyn.stores.sources.delimited import read_delimited
from jeyn.stores.sources.json_lines import read_json_lines


def catalog(**dtypes: Dtypes) -> type[DataCatalog]:
    return DataCatalog.of("C", {name: Feature(dtype, nullable=True) for name, dtype in dtypes.items()})


TEXTS = catalog(a=Dtypes.STRING, b=Dtypes.STRING)


def read(
    data: bytes, wanted: type[DataCatalog] = TEXTS, name: str = "a.csv", options: SourceOptions = PLAIN
) -> list[dict[str, Any]]:
    batches = list(read_batches(name, io.BytesIO(data), wanted, 100, None, options))
    return [row for batch in batches for row in batch.to_pylist()]


def refused(data: bytes, *told: str, wanted: type[DataCatalog] = TEXTS, name: str = "day/a.csv", **options: Any) -> str:
    with pytest.raises(DataInvalid) as caught:
        read(data, wanted, name, SourceOptions(**options))
    message = str(caught.value)
    assert all(each in message for each in (f'"{name}"', *told)), message
    return message


class Short(io.BytesIO):
    """Reads end anywhere."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or -1, 3) if size and size > 0 else size)


def by_csv(text: str, columns: int) -> list[dict[str, str]]:
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    names = "abc"[:columns]
    # A blank line is a cell of a file with one column, and nothing elsewhere.
    return [dict(zip(names, row or [""], strict=True)) for row in rows if row or columns == 1]


cells = st.text(st.sampled_from("ab,\"\n\r5 é'"), max_size=6)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, int]:
    """A text as tools write it: quoted where needed or everywhere, with any line end, and none at its end perhaps."""
    columns = draw(st.integers(1, 3))
    rows = draw(st.lists(st.lists(cells, min_size=columns, max_size=columns), max_size=8))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting: Any = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    if quoting == csv.QUOTE_MINIMAL and end != "\r\n":
        # The writer leaves the other of the two unquoted, and a reader takes it for the end of a line.
        other = "\r" if end == "\n" else "\n"
        rows = [[cell.replace(other, "") for cell in row] for row in rows]
    sink = io.StringIO(newline="")
    csv.writer(sink, lineterminator=end, quoting=quoting).writerows([list("abc"[:columns]), *rows])
    text = sink.getvalue()
    return (text.removesuffix(end) if rows and any(rows[-1]) and draw(st.booleans()) else text), columns


@settings(max_examples=300, deadline=None)
@given(files(), st.integers(1, 40))
def test_every_block_size_gives_what_pythons_csv_gives(file: tuple[str, int], size: int) -> None:
    text, columns = file
    wanted = catalog(**dict.fromkeys("abc"[:columns], Dtypes.STRING))
    for stream in (io.BytesIO(text.encode()), Short(text.encode())):
        tables = list(read_delimited(stream, wanted, ",", block=size))
        found = [{k: v or "" for k, v in row.items()} for table in tables for row in table.to_pylist()]
        assert found == by_csv(text, columns)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('a,"\n\r5'), max_size=30), st.integers(1, 12))
def test_any_text_is_read_alike_at_every_block_size_and_as_csv_reads_it_or_refused(body: str, size: int) -> None:
    def rows(block: int) -> list[dict[str, str]] | None:
        try:
            tables = list(read_delimited(io.BytesIO(f"a,b\n{body}".encode()), TEXTS, ",", block=block))
        except DataInvalid:
            return None
        return [{k: v or "" for k, v in row.items()} for table in tables for row in table.to_pylist()]

    found = rows(size)
    assert found == rows(1 << 20)
    try:
        expected: list[dict[str, str]] | None = by_csv(f"a,b\n{body}", 2)
    except (csv.Error, ValueError):
        expected = None
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=5), max_size=10), st.integers(1, 30))
def test_json_lines_of_every_block_size(values: list[str], size: int) -> None:
    data = "".join(json.dumps({"a": value, "b": None}) + "\n" for value in values).encode()
    tables = list(read_json_lines(Short(data), TEXTS, block=size))
    assert [row["a"] for table in tables for row in table.to_pylist()] == values


def test_an_inch_mark_in_a_header_is_part_of_the_name() -> None:
    wanted = DataCatalog.of("C", {'5" screen': Feature(Dtypes.INT64), "v": Feature(Dtypes.INT64)})
    assert read(b'v,5" screen\n1,2\n3,4\n', wanted) == [{'5" screen': 2, "v": 1}, {'5" screen': 4, "v": 3}]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'a,b\n1,5" x\n2,a"b"c\n', [("1", '5" x'), ("2", 'a"b"c')]),
        (b'a,b\n"x ""y""","""z"""\n', [('x "y"', '"z"')]),
        (b'"a","b"\n"1\r\n2","3\r4"\r\n', [("1\r\n2", "3\r4")]),
        (b"a,b\r1,2\r3,4\r", [("1", "2"), ("3", "4")]),
        (b"a,b\r\n1,2\n3,4\r5,6", [("1", "2"), ("3", "4"), ("5", "6")]),
        (b"a,b\n\n1,2\n\r\n3,4\n\n", [("1", "2"), ("3", "4")]),
        (b'a,b\n1,\n,"2"\n"",x', [("1", None), (None, "2"), ("", "x")]),
        (b'\xef\xbb\xbf"a",b\n1,2\n', [("1", "2")]),
        (b"a,,b,\n1,x,2,y\n", [("1", "2")]),
        (b"a,x,b,x\n1,x,2,y\n", [("1", "2")]),
        (b"a,b\n007, x \n", [("007", " x ")]),
        (b"a,b\n1\x00,\x002\n", [("1\x00", "\x002")]),
        (b"a,b\n#1,2\n", [("#1", "2")]),
        (b'"a\n",a,b\n0,1,2\n', [("1", "2")]),
    ],
)
def test_no_byte_is_lost(data: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(row["a"], row["b"]) for row in read(data)] == expected


ONE = catalog(x=Dtypes.INT64)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_blank_line_of_a_file_with_one_column_is_a_null(end: bytes) -> None:
    assert [row["x"] for row in read(end.join([b"x", b"1", b"", b"2", b"", b""]), ONE)] == [1, None, 2, None]
    sink = io.BytesIO()
    pa_csv.write_csv(pa.table({"x": [None, 1, None, None]}), sink)
    assert [row["x"] for row in read(sink.getvalue(), ONE)] == [None, 1, None, None]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'a,b\n1,"2\n3,4\n5,6\n', ("never ends", "line 2", '"2')),
        (b'a,b\n1,2\n3,"4', ("never ends", "line 3", '"4')),
        (b'a,"b\n1,2\n3,4\n', ("never ends", "line 1")),
        (b'a,b\n1,2\n"5" screen,4\n', ("line 3", '"5" screen', "double a quote")),
        (b'a,b\n1,2\n"3" ,4\n', ("line 3",)),
        (b"a,b\n1,2\n3\n", ("row 1", "line 3", "1 columns", "2 columns")),
        (b"a,b\n1,2\n\n\n3,4,5\n", ("row 1", "line 5", "3 columns", '"3,4,5"')),
        (b'a,b\n"1\n1",2\n3,4,\n', ("row 1", "line 4", "3 columns")),
        (b'a,b\n1, "2, 3"\n', ("row 0", "line 2", "3 columns")),
        (b"a,a,b\n1,2,3\n", ('"a"', "2 times")),
        (b"a,b\n1,2\n3,caf\xe9\n", ('"b"', "row 1", "line 3", "UTF-8", "encoding=")),
        (b"a,caf\xe9\n1,2\n", ("header", "UTF-8", "encoding=")),
        ("a,b\n1,2\n".encode("utf-16"), ("UTF-16", 'encoding="utf-16"')),
        ("a,b\n1,2\n".encode("utf-16-le"), ("zero bytes", "utf-16")),
        (b"a;b\n1;2\n", ('"a"', '"b"')),
    ],
)
def test_what_is_no_table_is_refused(data: bytes, told: tuple[str, ...]) -> None:
    refused(data, *told)


@pytest.mark.parametrize("cut", [1, 9, 20])
def test_a_cut_archive_is_refused(cut: int) -> None:
    refused(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-cut], name="a.csv.gz")
    refused(gzip.compress(b'{"a": "1"}\n' * 1000)[:-cut], name="a.jsonl.gz")


NUMBERS = catalog(h=Dtypes.FLOAT16, f=Dtypes.FLOAT32, d=Dtypes.FLOAT64, i=Dtypes.INT8, u=Dtypes.UINT64, t=Dtypes.BOOL)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("f", "1e39"),
        ("f", "-3.5e38"),
        ("d", "1e309"),
        ("d", "-1e999"),
        ("d", "9007199254740993"),
        ("h", "70000"),
        ("d", "0x10"),
        ("d", "1_0"),
        ("d", "1,0"),
        ("d", "one"),
        ("i", "128"),
        ("i", "0xFF"),
        ("i", "1.5"),
        ("i", "1e2"),
        ("i", "1_0"),
        ("i", "NULL"),
        ("u", "-1"),
        ("u", "18446744073709551616"),
        ("u", "0x10"),
        ("t", "yes"),
        ("t", "2"),
    ],
)
def test_a_number_that_its_feature_cannot_hold_is_refused(name: str, cell: str) -> None:
    wanted = NUMBERS.only(name)
    written = f'"{cell}"' if "," in cell else cell
    text = f"k,{name}\n" + "0,1\n" * 3 + f"0,{written}\n"
    told = refused(text.encode(), f'column "{name}"', "row 3", "line 5", f'"{cell}"', wanted=wanted)
    assert told.count("a.csv") == 1


@pytest.mark.parametrize(
    "line", ['{"f": 1e39}', '{"d": 1e309}', '{"h": 70000}', '{"i": 128}', '{"u": -1}', '{"i": 1.5}']
)
def test_a_number_in_json_that_its_feature_cannot_hold_is_refused(line: str) -> None:
    [(name, value)] = json.loads(line, parse_float=str, parse_int=str).items()
    data = f'{{"{name}": 1}}\n' * 2 + line
    refused(data.encode(), f'column "{name}"', "row 2", f'"{value}"', wanted=NUMBERS.only(name), name="a.jsonl")


def test_numbers_that_are_what_they_say() -> None:
    data = b"d,f,i\ninf,-Infinity,-128\nnan,3.4e38,007\n1e-300,+1, 5\n1e308,16777216,0\n9007199254740994,1,1\n"
    found = read(data, NUMBERS.only("d", "f", "i"))
    assert repr([row["d"] for row in found]) == "[inf, nan, 1e-300, 1e+308, 9007199254740994.0]"
    assert [row["i"] for row in found] == [-128, 7, 5, 0, 1]
    assert found[0]["f"] == float("-inf") and found[2]["f"] == 1
    lines = b'{"d": Infinity, "f": -Infinity}\n{"d": NaN, "f": 1.5}\n'
    assert repr(read(lines, NUMBERS.only("d", "f"), "a.jsonl")[0]) == "{'d': inf, 'f': -inf}"


def test_rows_are_counted_over_all_blocks_and_named_where_they_stand() -> None:
    data = b"x,y\n" + b'"1\n",a\n'.replace(b'"1\n"', b"1") * 10 + b'2,"b\nb"\n\n' + b"no,c\n"
    with pytest.raises(DataInvalid, match=r'column "x" in row 11 \(line 15\): "no" is no int64'):
        list(read_delimited(io.BytesIO(data), ONE, ",", block=8))


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b" null ",
        b"[1]",
        b"1",
        b'{"x": 1',
        b"{x: 1}",
        b'{"x": "1"}',
        b'{"x": [1]}',
        b'{"x": true}',
        b'{"x": 01}',
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_object_names_its_row(line: bytes, first: bool) -> None:
    data = line + b"\n" if first else b'{"x": 1}\n\n{"x": 2}\n' + line
    refused(data, "row 0" if first else "row 2", wanted=ONE, name="a.jsonl")


def test_a_byte_of_no_text_names_its_row() -> None:
    refused(b'{"a": "x"}\n{"a": "caf\xe9"}\n', "row 1", "UTF-8", "encoding=", name="a.jsonl")


@pytest.mark.parametrize("size", [9 << 20, 12_345_678])
def test_a_cell_of_many_megabytes_is_read(size: int) -> None:
    cell = ('5" and, more\r\n' * (size // 14)).replace('"', '""')
    found = read(f'a,b\nx,y\n1,"{cell}"\n3,4\n'.encode())
    assert [row["a"] for row in found] == ["x", "1", "3"] and found[1]["b"] == cell.replace('""', '"')


def test_a_quote_that_never_ends_is_told_before_all_memory_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jeyn.stores.sources.records.MAX_RECORD", 1 << 16)
    data = b'a,b\n1,"2\n' + b"3,4\n" * (1 << 16)
    with pytest.raises(DataInvalid, match="line 2 never ends"):
        list(read_delimited(io.BytesIO(data), TEXTS, ",", block=1 << 12))
    with pytest.raises(DataInvalid, match="line 2 is longer"):
        list(read_delimited(io.BytesIO(b"a,b\n" + b"x" * (1 << 18)), TEXTS, ",", block=1 << 12))


class Strict(DataCatalog):
    name = Feature(Dtypes.STRING)


def test_times_are_told_as_the_file_writes_them() -> None:
    wanted = catalog(t=Dtypes.TIMESTAMP)
    for cell in (
        "2024-02-30",
        "02/01/2024",
        "2024-01-02 25:00",
        "0000-01-01",
        "10000-01-01",
        "2024-01-01T23:59:60",
        "1e9",
    ):
        told = refused(f"t\n2024-01-01\n{cell}\n".encode(), '"t"', "row 1", "line 3", f'"{cell}"', wanted=wanted)
        assert f'"{cell}Z"' not in told and "T00:00:00" not in told
        refused(json.dumps({"t": cell}).encode(), '"t"', "row 0", f'"{cell}"', wanted=wanted, name="a.jsonl")


def test_forms_and_zones_of_times_are_options() -> None:
    wanted = catalog(t=Dtypes.TIMESTAMP)

    def times(*cells: str, **options: Any) -> list[str]:
        data = "t\n" + "".join(f"{cell}\n" for cell in cells)
        return [row["t"].isoformat()[:19] for row in read(data.encode(), wanted, options=SourceOptions(**options))]

    assert times("02/01/2024", "3.2.2024 10:00", dates=["%d/%m/%Y", "%d.%m.%Y %H:%M"]) == [
        "2024-01-02T00:00:00",
        "2024-02-03T10:00:00",
    ]
    assert times("2024-07-01 12:00", "2024-07-01 12:00:00Z", "2024-07-01", zone="Europe/Berlin") == [
        "2024-07-01T10:00:00",
        "2024-07-01T12:00:00",
        "2024-06-30T22:00:00",
    ]
    form = "%Y-%m-%d %H:%M %z"
    assert times("2024-07-01 12:00 +0300", dates=[form], zone="Europe/Berlin") == ["2024-07-01T09:00:00"]
    for local in ("2024-10-27 02:30", "2024-03-31 02:30"):
        for options in ({}, {"dates": ["%Y-%m-%d %H:%M"]}):
            data = f"t\n2024-01-01 00:00\n{local}\n".encode()
            refused(data, "row 1", f'"{local}"', wanted=wanted, zone="Europe/Berlin", **options)
    refused(b"t\n2024-01-01\n", '"2024-01-01"', wanted=wanted, dates=["%d/%m/%Y"])


def test_days_and_decimals_have_forms_too() -> None:
    wanted = DataCatalog.of("C", {"d": Feature(Dtypes.DATE), "p": Feature(Dtypes.DECIMAL)})
    options = SourceOptions(separator=";", decimal=",", dates="%d.%m.%Y")
    [row] = read(b"d;p\n03.02.2024;1,50\n", wanted, options=options)
    assert (row["d"].isoformat(), float(row["p"])) == ("2024-02-03", 1.5)


def test_encodings_separators_and_words_are_options() -> None:
    wanted = catalog(a=Dtypes.STRING, n=Dtypes.FLOAT64, t=Dtypes.BOOL)
    options = {"separator": ";", "decimal": ",", "nulls": ["NA", "-"], "true": "ja", "false": ["nein"]}
    text = "a;n;t\ncafé;1,5;ja\nNA;-;nein\n"
    for encoding in ("cp1252", "utf-16", "utf-16-le", "utf-8-sig", "utf-8", "utf-32"):
        found = read(text.encode(encoding), wanted, options=SourceOptions(encoding=encoding, **options))  # type: ignore[arg-type]
        assert [tuple(row.values()) for row in found] == [("café", 1.5, True), (None, None, False)]
    lines = '{"a": "café"}\n'.encode("cp1252")
    assert read(lines, wanted.only("a"), "a.jsonl", SourceOptions(encoding="cp1252")) == [{"a": "café"}]
    refused("a\ncafé\n".encode("cp1252"), '"utf-16"', wanted=wanted.only("a"), encoding="utf-16")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
def test_casts_keep_each_value_or_refuse_it(suffix: str, tmp_path: Path) -> None:
    wanted = catalog(i=Dtypes.INT64, s=Dtypes.STRING, f=Dtypes.FLOAT64, b=Dtypes.BOOL)
    options = SourceOptions(casts=["i", "s", "f", "b"])

    def rows(i: list[Any], s: list[Any], f: list[Any], b: list[Any]) -> list[tuple[Any, ...]]:
        table, sink = pa.table({"i": i, "s": s, "f": f, "b": b}), io.BytesIO()
        if suffix == "csv":
            pa_csv.write_csv(table, sink)
        elif suffix == "jsonl":
            sink.write("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()).encode())
        elif suffix == "parquet":
            pq.write_table(table, sink)
        else:
            with pa.ipc.new_file(sink, table.schema) as file:
                file.write_table(table)
        return [tuple(row[k] for k in "isfb") for row in read(sink.getvalue(), wanted, f"a.{suffix}", options)]

    big = 2**53 + 1
    assert rows(["1.0", str(big), None], [1, 2, None], ["1e3", " 2 ", None], ["true", "0", None]) == [
        (1, "1", 1000.0, True),
        (big, "2", 2.0, False),
        (None, None, None, None),
    ]
    assert rows([1.0], ["x"], [2], [1]) == [(1, "x", 2.0, True)]
    for bad in (
        ([1.5], ["x"], [1.0], [1]),
        (["a"], ["x"], [1.0], [1]),
        ([1], ["x"], ["1e999"], [1]),
        ([1], ["x"], [1.0], [2]),
    ):
        with pytest.raises(DataInvalid, match="row 0"):
            rows(*bad)


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "klingon"},
        {"separator": ";;"},
        {"separator": '"'},
        {"decimal": ""},
        {"zone": "Mars/Olympus"},
        {"nulls": [""]},
        {"nulls": [1]},
    ],
)
def test_what_is_no_option_is_a_usage_error(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        SourceOptions(**options)
    assert next(iter(options)) in str(caught.value) or str(next(iter(options.values()))) in str(caught.value)
    with pytest.raises(UsageError, match='"sep" is no option'):
        SourceOptions.of({"sep": ";"})
    assert SourceOptions.of({"casts": "x"}).to_json() == {"casts": ["x"]} and PLAIN.to_json() == {}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_folders_are_features_where_the_catalog_asks_for_them(suffix: str) -> None:
    wanted = catalog(x=Dtypes.INT64, year=Dtypes.INT16, day=Dtypes.TIMESTAMP, city=Dtypes.STRING)
    data: dict[str, bytes] = {"csv": b"x\n1\n2\n", "jsonl": b'{"x": 1}\n{"x": 2}\n'}
    if suffix == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.table({"x": [1, 2]}), sink)
        data["parquet"] = sink.getvalue()
    folders = "data/year=2024/day=2024-01-02 03%3A04%3A05/city=__HIVE_DEFAULT_PARTITION__/other=1"
    found = read(data[suffix], wanted, f"{folders}/a.{suffix}")
    assert [row["x"] for row in found] == [1, 2]
    assert {(row["year"], row["day"].isoformat(), row["city"]) for row in found} == {
        (2024, "2024-01-02T03:04:05+00:00", None)
    }
    assert read(data[suffix], wanted.only("city"), f"city=S%C3%A3o Paulo/a.{suffix}") == [{"city": "São Paulo"}] * 2
    with pytest.raises(DataInvalid, match=r'"year=soon".*"soon" is no int16'):
        read(data[suffix], wanted.only("x", "year"), f"year=soon/a.{suffix}")


def test_a_column_of_the_file_counts_before_its_folder() -> None:
    assert read(b"x\n1\n", ONE, "x=2/a.csv") == [{"x": 1}]
