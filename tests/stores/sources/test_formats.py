"""Files of every format give the catalog's features in its types, or an error that names the file and the column."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from jeyn.errors import DataInvalid, NotFound, Unreachable, UsageError
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import SUFFIXES, read_batches


class Cookies(DataCatalog):
    weight = Feature(Dtypes.FLOAT32, nullable=True)
    name = Feature(Dtypes.STRING)
    count = Feature(Dtypes.INT16)
    baked = Feature(Dtypes.TIMESTAMP)
    kind = Feature(Dtypes.CATEGORICAL)
    good = Feature(Dtypes.BOOL)
    rating = Feature(Dtypes.FLOAT16)
    note = Feature(Dtypes.STRING, optional=True)


DAY = datetime(2024, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
ROWS = [
    {
        "weight": 0.5,
        "name": 'a "b",\nc',
        "count": 1,
        "baked": DAY,
        "kind": "x",
        "good": True,
        "rating": 0.5,
        "extra": 1,
    },
    {"weight": None, "name": "", "count": -2, "baked": DAY, "kind": "y", "good": False, "rating": 2.0, "extra": 2},
    {"weight": 1.5, "name": "ü", "count": 3, "baked": DAY, "kind": "x", "good": True, "rating": 1.0, "extra": 3},
]
EXPECTED = [{key: value for key, value in row.items() if key != "extra"} for row in ROWS]


def table(rows: list[dict[str, Any]] = ROWS) -> pa.Table:
    types = {"weight": pa.float32(), "count": pa.int8(), "rating": pa.float16(), "baked": pa.timestamp("us", "UTC")}
    plain = pa.Table.from_pylist(rows)
    return pa.table({name: plain[name].cast(types.get(name, plain[name].type)) for name in plain.column_names})


def plain(rows: list[dict[str, Any]] = ROWS) -> pa.Table:
    return pa.Table.from_pylist([{**row, "baked": row["baked"].isoformat()} for row in rows])


def written(suffix: str, folder: Path) -> Path:
    path = folder / f"cookies{suffix}"
    sink = io.BytesIO()
    if suffix == ".parquet":
        pq.write_table(table(), sink, row_group_size=2)
    elif suffix == ".arrow":
        with pa.ipc.new_stream(sink, table().schema) as stream:
            stream.write_table(table(), max_chunksize=2)
    elif suffix == ".feather":
        feather.write_feather(table(), sink, compression="zstd")
    elif "json" in suffix:
        sink.write("".join(f"{json.dumps(row)}\n" for row in plain().to_pylist()).encode())
    else:
        options = pa_csv.WriteOptions(delimiter="\t" if ".tsv" in suffix else ",")
        pa_csv.write_csv(plain(), sink, options)
    path.write_bytes(gzip.compress(sink.getvalue()) if suffix.endswith(".gz") else sink.getvalue())
    return path


def read(name: str, source: Path | BinaryIO | bytes, catalog: type[DataCatalog] = Cookies, rows: int = 100) -> pa.Table:
    source = io.BytesIO(source) if isinstance(source, bytes) else source
    batches = list(read_batches(name, source, catalog, rows))
    assert all(0 < batch.num_rows <= rows for batch in batches)
    return pa.Table.from_batches(batches, batches[0].schema) if batches else pa.table({})


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")

    tell = seek


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_rows(suffix: str, tmp_path: Path) -> None:
    path = written(suffix, tmp_path)
    for source in (path, io.BytesIO(path.read_bytes()), Unseekable(path.read_bytes())):
        found = read(path.name.upper(), source, rows=2)
        assert found.to_pylist() == EXPECTED
        assert found.schema.types == [
            feature.arrow_type() for name, feature in Cookies.features.items() if name != "note"
        ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_stream_stays_open(suffix: str, tmp_path: Path) -> None:
    source = io.BytesIO(written(suffix, tmp_path).read_bytes())
    read(f"c{suffix}", source)
    assert not source.closed


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_column_is_named(suffix: str, tmp_path: Path) -> None:
    class More(Cookies):
        colour = Feature(Dtypes.STRING)

    path = written(suffix, tmp_path)
    with pytest.raises(DataInvalid) as caught:
        read(f"day/{path.name}", path, More)
    assert f"day/{path.name}" in str(caught.value) and '"colour"' in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_column_of_another_type_is_named(suffix: str, tmp_path: Path) -> None:
    class Other(DataCatalog):
        name = Feature(Dtypes.INT64)

    path = written(suffix, tmp_path)
    with pytest.raises(DataInvalid) as caught:
        read(path.name, path, Other)
    assert path.name in str(caught.value) and '"name"' in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_broken_file_is_named(suffix: str, damage: str, tmp_path: Path) -> None:
    path = written(suffix, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-30] if damage == "cut" else b"\x00\xff" + data[10:])
    with pytest.raises(DataInvalid) as caught:
        read(path.name, path)
    assert path.name in str(caught.value)


def test_an_unknown_suffix_names_the_known_ones() -> None:
    for name in ("a.xlsx", "parquet", "a.parquet.bak", "a.gz"):
        with pytest.raises(UsageError) as caught:
            read(name, b"")
        assert all(suffix in str(caught.value) for suffix in SUFFIXES) and f'"{name}"' in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.csv"):
        read("gone.csv", tmp_path / "gone.csv")


class Numbers(DataCatalog):
    x = Feature(Dtypes.INT64)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("data", [b"x\n", b"x", b"\xef\xbb\xbfx\r\n", b'\n\n"x"\n'])
def test_a_header_without_rows_is_no_rows(name: str, data: bytes) -> None:
    assert read(name, data, Numbers).num_rows == 0


def test_files_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    assert read("a.parquet", tmp_path / "a.parquet", Numbers).num_rows == 0
    for data in (b"", b"\n\n"):
        assert read("a.jsonl", data, Numbers).num_rows == 0
        with pytest.raises(DataInvalid, match='"x"'):
            read("a.csv", data, Numbers)
    pq.write_table(pa.table({"y": pa.array([], pa.int64())}), tmp_path / "b.parquet")
    with pytest.raises(DataInvalid, match='"x"'):
        read("b.parquet", tmp_path / "b.parquet", Numbers)


def test_blocks_are_joined_without_loss() -> None:
    lines = 400_000
    csv = b"y,x\n" + b"".join(b'"some, text\nin two lines",%d\n' % n for n in range(lines))
    jsonl = b"".join(b'{"y": "some text", "x": %d}\n' % n for n in range(lines)).rstrip(b"\n")
    for name, data in (("a.csv", csv), ("a.jsonl", jsonl)):
        assert len(data) > 9 << 20
        assert read(name, data, Numbers, rows=50_000).column("x").to_pylist() == list(range(lines))


class Text(DataCatalog):
    a = Feature(Dtypes.STRING, nullable=True)
    b = Feature(Dtypes.STRING)
    f = Feature(Dtypes.FLOAT64, nullable=True)
    z = Feature(Dtypes.BYTES)


def test_csv_cells_are_what_they_say() -> None:
    found = read("a.csv", b'b,a,f,z\n,,,\n"","",nan,q\nNA,null,-inf,"NULL"\n', Text).to_pylist()
    assert repr(found) == repr(
        [
            {"a": None, "b": None, "f": None, "z": None},
            {"a": "", "b": "", "f": float("nan"), "z": b"q"},
            {"a": "null", "b": "NA", "f": float("-inf"), "z": b"NULL"},
        ]
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"x,y\n1,2\nno,3\n", "no"),
        (b"x\n1.5\n", "1.5"),
        (b"x\n9223372036854775808\n", "9223372036854775808"),
        (b"y,x\n1\n", "2 columns"),
        (b"x,x\n1,2\n", "2 times"),
        (b"x\n\xff\n", ""),
        (b"\xff,x\n1,1\n", "UTF-8"),
    ],
)
def test_bad_csv_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(DataInvalid) as caught:
        read("a.csv", data, Numbers)
    assert "a.csv" in str(caught.value) and told in str(caught.value)


def test_csv_errors_name_the_column() -> None:
    with pytest.raises(DataInvalid, match='"x"'):
        read("a.csv", b"y,x\n1,no\n", Numbers)


@pytest.mark.parametrize(
    "data",
    [
        b'{"x": 1.5}',
        b'{"x": "1"}',
        b'{"x": null}',
        b'{"x": 1',
        b"[1]",
        b'{"x": 1, "x": 2}',
        b'{"x": {"y": 1}}',
        b'{"x": 1, "y": "\xff"}',
        b'{"y": 1}',
    ],
)
def test_bad_json_lines_are_refused(data: bytes) -> None:
    with pytest.raises(DataInvalid, match=r"a\.jsonl"):
        read("a.jsonl", b'{"x": 5}\n' * 3 + data if b"null" not in data and b'{"y": 1}' not in data else data, Numbers)


class Some(DataCatalog):
    x = Feature(Dtypes.INT64)
    extra = Feature(Dtypes.STRING, optional=True)
    maybe = Feature(Dtypes.STRING, nullable=True)


def test_json_keys_may_be_absent_where_the_catalog_says_so() -> None:
    assert read("a.jsonl", b'{"x": 1}\n{"x": 2, "maybe": "m"}', Some).to_pylist() == [
        {"x": 1, "maybe": None},
        {"x": 2, "maybe": "m"},
    ]
    assert read("a.jsonl", b'{"x": 1, "extra": "e"}', Some).to_pylist() == [{"x": 1, "extra": "e", "maybe": None}]
    late = b'{"x": 1, "pad": "' + b"p" * (5 << 20) + b'"}\n{"x": 1, "extra": "e"}'
    with pytest.raises(DataInvalid, match='"extra"'):
        read("a.jsonl", late, Some)


class Times(DataCatalog):
    t = Feature(Dtypes.TIMESTAMP)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2024-01-02", "2024-01-02T00:00:00+00:00"),
        ("2024-01-02 03:04:05", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02T03:04:05.123456+02:00", "2024-01-02T01:04:05.123456+00:00"),
        ("2024-01-02T03:04:05.123456000", "2024-01-02T03:04:05.123456+00:00"),
        ("2024-01-02T03:04:05-0330", "2024-01-02T06:34:05+00:00"),
    ],
)
def test_times_in_text_are_utc_unless_they_say_otherwise(cell: str, expected: str) -> None:
    csv = read("a.csv", f"t\n2000-01-01\n{cell}\n".encode(), Times)
    jsonl = read("a.jsonl", f'{{"t": "{cell}"}}'.encode(), Times)
    assert csv["t"][1].as_py().isoformat() == jsonl["t"][0].as_py().isoformat() == expected


@pytest.mark.parametrize("cell", ["yesterday", "2024-13-01", "1704164645", "2024-01-02 25:00:00"])
def test_what_is_no_time_is_refused(cell: str) -> None:
    with pytest.raises(DataInvalid, match='"t"'):
        read("a.csv", f"t\n{cell}\n".encode(), Times)


class Shapes(DataCatalog):
    pixels = Feature(Dtypes.FLOAT32, shape=(-1, 3))
    words = Feature(Dtypes.STRING, shape=(-1, -1))
    one = Feature(Dtypes.INT8, shape=(-1, 1))
    half = Feature(Dtypes.FLOAT16, shape=(-1, 2))


def test_lists_in_json_lines() -> None:
    row = {"pixels": [0.5, 1.0, 2.0], "words": ["a", "b"], "one": [1], "half": [0.5, 1.0]}
    found = read("a.jsonl", json.dumps(row).encode(), Shapes)
    assert found.to_pylist() == [row]
    assert found.schema.types == [feature.arrow_type() for feature in Shapes.features.values()]
    with pytest.raises(DataInvalid, match='"pixels"'):
        read("a.jsonl", json.dumps({**row, "pixels": [1.0]}).encode(), Shapes)


def test_csv_holds_no_lists_but_of_one() -> None:
    assert read("a.csv", b"one\n5\n", Shapes.only("one")).to_pylist() == [{"one": [5]}]
    with pytest.raises(DataInvalid, match='"words"'):
        read("a.csv", b"words\na\n", Shapes.only("words"))


def test_errors_of_the_source_are_its_own() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise Unreachable("the network is gone")

        readinto = readline = read

    for suffix in SUFFIXES:
        with pytest.raises(Unreachable, match="network"):
            read(f"a{suffix}", Broken(b"x" * 1000))


MEASURE = """
import re, sys
from pathlib import Path
from jeyn.sdk.catalog import DataCatalog
from jeyn.sdk.dtypes import Dtypes
from jeyn.sdk.feature import Feature
from jeyn.stores.sources import read_batches

class Wide(DataCatalog):
    a = Feature(Dtypes.FLOAT64)
    b = Feature(Dtypes.FLOAT64)
    c = Feature(Dtypes.FLOAT64)

def status(field):
    return int(re.search(field + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

list(read_batches("s.parquet", Path(sys.argv[2]), Wide, 65536))
before, rows = status("VmRSS"), 0
Path("/proc/self/clear_refs").write_text("5")
for batch in read_batches(sys.argv[1], Path(sys.argv[1]), Wide, 65536):
    rows += batch.num_rows
print(rows, status("VmHWM") - before)
"""


@pytest.mark.parametrize("group", [1 << 20, 1 << 30], ids=["row groups", "one row group"])
def test_300_mb_of_parquet_are_read_in_bounded_memory(group: int, tmp_path: Path) -> None:
    import numpy as np

    rows, random = 12_500_000, np.random.default_rng(1)
    small, large = tmp_path / "small.parquet", tmp_path / "large.parquet"
    columns = {name: random.random(rows) for name in "abc"}
    pq.write_table(pa.table(columns).slice(0, 1000), small)
    pq.write_table(pa.table(columns), large, row_group_size=group, compression="none", use_dictionary=False)
    assert large.stat().st_size > 290_000_000
    del columns
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, str(large), str(small)], capture_output=True, text=True, check=True
    )
    read_rows, growth_mb = map(int, told.stdout.split())
    assert read_rows == rows
    assert growth_mb < 128, f"RSS grew by {growth_mb} MB"


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1677-09-21", "2262-04-12", "2024-01-02T03:04:05.000006"])
def test_times_as_spark_writes_them(day: str, tmp_path: Path) -> None:
    import pyarrow.compute as pc

    from jeyn.sdk.datasets.selection import RowFilter
    from jeyn.stores.sources.formats import read_table

    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    path = tmp_path / "a.parquet"
    written = pa.table({"t": pa.array([moment, datetime(2000, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))})
    pq.write_table(written, path, use_deprecated_int96_timestamps=True)
    assert pq.ParquetFile(path).schema.column(0).physical_type == "INT96"
    late = RowFilter.of(pc.field("t") == moment, Times, "")
    for found in (read("a.parquet", path, Times), read_table("a.parquet", path, Times)):
        assert found["t"][0].as_py() == moment
    assert [row["t"] for row in read_table("a.parquet", path, Times, late).to_pylist()] == [moment]
