"""Every reader has bounds that its errors name: files that expand, numbers and nesting without end."""

from __future__ import annotations

import gzip
import io
import json
import resource
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jeyn import DataCatalog, Dtypes, Feature, project_file
from jeyn.errors import DataInvalid, Invalid, InvalidFilter, JeynError, UsageError
from jeyn.json_text import MOST_DIGITS, parse
from jeyn.sdk.datasets.source_options import SourceOptions
from jeyn.sdk.plan import Plan
from jeyn.sdk.reference import Reference
from jeyn.sdk.setting import parse_setting
from jeyn.sdk.signature import Parameter
from jeyn.sdk.version import Version
from jeyn.settings import Settings
from jeyn.stores.search.grammar import parse as parse_filter
from jeyn.stores.sources import formats
from tests.cli.conftest import call
from tests.workflows.projects import ROOT

DIGITS = "9" * 5000
MANY = "9" * 4000
CAST = SourceOptions(casts=["n"])
DEEP = 100_000

# jeyn.yaml.

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS + "name: *a9\n", r"line \d+: its anchors make more than 100,000 values"),
        (MERGES, r"line \d+: its anchors make more than 100,000 values"),
        ("a: &a [*a]\n", "line 1: an anchor is used inside itself"),
        ("a: &a {b: *a}\n", "line 1: an anchor is used inside itself"),
        ("name: x\nhome: " + "[" * DEEP, "line 2: it is nested in more than 50 levels"),
        ("name: " + "{a: " * DEEP, "line 1: it is nested in more than 50 levels"),
        ("- " * DEEP, "line 1: it is nested in more than 50 levels"),
        ("a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 99)), "anchors nest it"),
        (f"name: x\noperations: {{a: {{retries: {DIGITS}}}}}\n", "line 2: a number has 5,000 digits, and 100"),
        (f"name: 0x{'f' * 5000}\n", "line 1: a number has 5,002 digits"),
        (f"name: 1{':1' * 5000}\n", "line 1: a number has"),
        (f"name: 1.{DIGITS}\n", "line 1: a number has 5,002 digits"),
        (f"name: [{', '.join(['x'] * 30_000)}]\n", r'"name" is \[.{1,250}…'),
        ("# " + "x" * (2 << 20), "more than 1,048,576 bytes"),
    ],
    ids=lambda each: each[:20] if len(each) > 60 else each,
)
@pytest.mark.parametrize("is_checked", [False, True])
def test_a_project_file_is_read_within_bounds(tmp_path: Path, text: str, said: str, is_checked: bool) -> None:
    (tmp_path / "jeyn.yaml").write_text(text)
    begun = time.monotonic()
    if not is_checked:
        with pytest.raises(UsageError, match=said) as told:
            Settings.load(tmp_path)
        assert len(told.value.message) < 1000 and "jeyn.yaml" in told.value.message
    else:  # as a pod reads what was packed: it may take what it does not look at, and nothing expands
        try:
            Settings.load(tmp_path, is_checked=True)
        except Exception as exc:
            assert not isinstance(exc, RecursionError | MemoryError)
    assert time.monotonic() - begun < 20


def test_anchors_that_people_write_are_fine(tmp_path: Path) -> None:
    (tmp_path / "jeyn.yaml").write_text(
        "operations:\n  train: &usual {retries: 2, resources: {memory: 2Gi}}\n  score: *usual\n"
        "  other: {<<: *usual, retries: 3}\n"
    )
    found = project_file.read(tmp_path / "jeyn.yaml").operations
    assert found["score"] == found["train"] and (found["other"].retries, found["other"].resources) == (
        3,
        {"memory": "2Gi"},
    )


def test_no_command_hangs_on_half_a_kilobyte_of_anchors(tmp_path: Path) -> None:
    (tmp_path / "jeyn.yaml").write_text(LAUGHS)
    assert len(LAUGHS) < 700
    command = [sys.executable, "-m", "jeyn.cli", "ls", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )  # fmt: skip
    assert done.returncode == 2 and "jeyn.yaml" in json.loads(done.stdout)["error"]["message"]


# Data files.


class Row(DataCatalog):
    x = Feature(Dtypes.INT64)


class Loose(DataCatalog):
    x = Feature(Dtypes.FLOAT64, nullable=True)
    n = Feature(Dtypes.INT64, nullable=True)
    t = Feature(Dtypes.STRING, nullable=True, optional=True)


def rows_of(name: str, data: bytes, catalog: type[DataCatalog]) -> int:
    return sum(each.num_rows for each in formats.read_batches(name, io.BytesIO(data), catalog, 1000))


def bomb(start: bytes, fill: bytes, size: int = 512 << 20) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(size // (1 << 20)):
            file.write(fill * (1 << 20))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "start", "fill", "said"),
    [
        ("a.jsonl.gz", b'{"x": 1}\n{"x": "', b"x", "line 2 is longer than 32 MiB"),
        ("a.ndjson.gz", b'{"x": ', b"[", "line 1 is longer than 32 MiB"),
        ("a.csv.gz", b"x\n1\n", b"9", "line 3 is longer than 32 MiB"),
        ("a.csv.gz", b'x\n"', b"y", "line 2 never ends"),
        ("a.csv.gz", b"", b"h", "longer"),
        ("a.tsv.gz", b"x\n1\n", b"\t", "line 3 is longer than 32 MiB"),
        ("a.csv.gz", b"", b"\n", "there is no header in its first 1,048,576 bytes"),
    ],
)
def test_a_line_without_end_is_told_before_the_memory_is_gone(
    tmp_path: Path, name: str, start: bytes, fill: bytes, said: str
) -> None:
    """In a process of its own, whose memory could not hold the line twice."""
    path = tmp_path / name
    path.write_bytes(bomb(start, fill))
    assert path.stat().st_size < 20 << 20
    program = f"""
import resource
from pathlib import Path
from jeyn.stores.sources import formats
from jeyn.errors import DataInvalid
from tests.test_bounds import Row
before = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (before + (768 << 20),) * 2)
for read in (lambda: list(formats.read_batches({name!r}, Path({str(path)!r}), Row, 1000)),
             lambda: formats.column_names({name!r}, Path({str(path)!r}))):
    try:
        read()
    except DataInvalid as exc:
        print(exc.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr[-2000:]
    assert name in lines[0] and said in lines[0]


@pytest.mark.parametrize("line", [f'{{"x": {DIGITS}}}', f'{{"x": -{DIGITS}.5e9}}', f'{{"x": [{DIGITS}]}}'])
@pytest.mark.parametrize("catalog", [Row, Loose])
def test_a_number_of_5000_digits_in_json_lines_names_its_row(line: str, catalog: type[DataCatalog]) -> None:
    with pytest.raises(DataInvalid, match=r"row 1\b") as told:
        rows_of("a.jsonl", b'{"x": 1, "n": 1}\n' + line.encode() + b"\n", catalog)
    assert len(told.value.message) < 500 and "set_int_max_str_digits" not in told.value.message


@pytest.mark.parametrize("cell", [DIGITS, f"-{DIGITS}", f"{DIGITS}.0", f"0.{DIGITS}e{DIGITS}"])
@pytest.mark.parametrize("name", ["x", "n"])
def test_a_number_of_5000_digits_in_a_csv_names_its_row(name: str, cell: str) -> None:
    row = {"x": "1", "n": "1"} | {name: cell}
    with pytest.raises(DataInvalid, match=r"row 1\b") as told:
        rows_of("a.csv", f"x,n\n1,1\n{row['x']},{row['n']}\n".encode(), Loose)
    assert len(told.value.message) < 500 and "a.csv" in told.value.message


@pytest.mark.parametrize("inner", ["[" * DEEP, "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP])
def test_deep_nesting_in_json_lines_names_its_row(inner: str) -> None:
    with pytest.raises(DataInvalid, match=r"row 1\b") as told:
        rows_of("a.jsonl", f'{{"x": 1}}\n{{"x": {inner}}}\n'.encode(), Row)
    assert len(told.value.message) < 500


# Texts: settings of a run, plans, catalogs, filters, references.


def parameter(annotation: Any) -> Parameter:
    return Parameter("n", annotation, True)


@pytest.mark.parametrize("annotation", [int, float, Any, list[int], dict[str, int], list, bool, int | None])
@pytest.mark.parametrize(
    "text", [DIGITS, f"[{DIGITS}]", "[" * DEEP, '{"a": ' * DEEP, "[" * DEEP + "]" * DEEP, "1e5000"]
)
def test_a_setting_beyond_the_bounds_is_refused(annotation: Any, text: str) -> None:
    try:
        found = parse_setting(text, parameter(annotation))
    except UsageError as exc:
        assert '"n" cannot be' in exc.message and len(exc.message) < 200
    else:  # what is no JSON is a text, where anything may be given
        assert annotation is Any and found == text and text.startswith(("[", "{"))


def test_the_largest_numbers_that_are_read() -> None:
    assert parse_setting("9" * MOST_DIGITS, parameter(int)) == int("9" * MOST_DIGITS)
    assert parse_setting("inf", parameter(float)) == float("inf")


@pytest.mark.parametrize("text", [DIGITS, f"[{DIGITS}]", "[" * DEEP, '{"a": ' * DEEP, "[" * 500 + "]" * 500])
def test_json_from_outside_is_read_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ValueError, match=r"digits|levels|Expecting"):
        parse(text)
    for read in (Plan.from_json, DataCatalog.from_json):
        with pytest.raises(Invalid):
            read(text)
    (tmp_path / "jeyn.yaml").write_text("")
    (tmp_path / "it.json").write_text(text)
    monkeypatch.chdir(tmp_path)
    for command in (("run", "it.json"), ("plan", "it.json"), ("impact", "x", "--new-catalog", "it.json")):
        answer = call(*command, "--json")
        assert answer.code in (2, 3, 5), answer.document
        assert "defect" not in json.dumps(answer.document) and len(json.dumps(answer.document)) < 2000


def test_plans_and_catalogs_nested_without_end_are_refused_as_data_too() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for read in (Plan.from_json, DataCatalog.from_json):
        with pytest.raises(Invalid):
            read({"features": deep})


FILTERS = [f"epoch:{MANY}", f"version:{MANY}", f"x@{DIGITS}", "-" * 5000, '"' * 4001, f"metrics.x>{MANY}",
           f"upstream:a@1/{MANY}", f"created<{MANY}d"]  # fmt: skip


@pytest.mark.parametrize("text", FILTERS, ids=lambda each: each[:12])
def test_filters_are_read_within_bounds(text: str) -> None:
    with pytest.raises(InvalidFilter) as told:
        parse_filter(text)
    assert len(told.value.message) < 1000


@pytest.mark.parametrize(
    "text", [f"x@{DIGITS}", f"x@1/{DIGITS}", f"x@^{DIGITS}", f"x@1.2.3-{DIGITS}", f"sha256:{DIGITS}"]
)
def test_references_are_read_within_bounds(text: str) -> None:
    for read in (Reference.parse, Version.parse):
        with pytest.raises(JeynError) as told:
            read(text)
        assert len(told.value.message) < 1000


@pytest.mark.parametrize(
    "cell", ["9" * 21, "9" * 39, "9" * 45, "-" + "9" * 39, "9" * 39 + ".0", "18446744073709551616"]
)
def test_a_gappy_integer_of_many_digits_is_never_another_number(cell: str) -> None:
    with pytest.raises(DataInvalid, match=r'"n" in row 1 \(line 3\)'):
        rows_of("a.csv", f"x,n\n1,1.0\n1,{cell}\n".encode(), Loose)


@pytest.mark.parametrize("cell", ["7." + "0" * 50, "0" * 50 + "7", "+7", " 7.0 ", "-0007."])
def test_zeros_are_no_digits(cell: str) -> None:
    found = list(formats.read_batches("a.csv", io.BytesIO(f"x,n\n1,1.0\n1,{cell}\n".encode()), Loose, 10))
    assert abs(found[0].column("n")[1].as_py()) == 7


@pytest.mark.parametrize("dtype", [Dtypes.INT64, Dtypes.DECIMAL])
@pytest.mark.parametrize("cell", ["9" * 39, "9" * 45, "9" * 5000, "1e60", "1e999999999", "0." + "9" * 60, "nan"])
def test_a_cast_to_a_decimal_is_never_another_number(dtype: Dtypes, cell: str) -> None:
    wanted: Any = type("Wanted", (DataCatalog,), {"n": Feature(dtype)})
    told = formats.read_batches("a.csv", io.BytesIO(f"n\n1\n{cell}\n".encode()), wanted, 10, options=CAST)
    with pytest.raises(DataInvalid, match='"n" in row 1'):
        list(told)


def test_a_cast_keeps_every_digit() -> None:
    wanted: Any = type("Wanted", (DataCatalog,), {"n": Feature(Dtypes.DECIMAL)})
    cells = ["12345678901234567890.5", "1.50" + "0" * 60, "1e3", "-7"]
    data = "n\n" + "".join(f"{cell}\n" for cell in cells)
    (found,) = formats.read_batches("a.csv", io.BytesIO(data.encode()), wanted, 10, options=CAST)
    assert found.column("n").to_pylist() == [Decimal("12345678901234567890.5"), Decimal("1.5"), 1000, -7]
