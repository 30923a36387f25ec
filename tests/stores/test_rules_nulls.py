"""SEMANTICS 34: null or not is one rule for every dtype and source; NaN in a float is a value unless said otherwise."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature, Workspace
from jeyn.checks import not_null
from jeyn.errors import DataInvalid, UsageError
from jeyn.formulas import SqlFormula, StreamingFormula
from jeyn.sdk.datasets.arrays import as_table

NAN = float("nan")
CELLS: dict[Dtypes, str] = {
    Dtypes.BOOL: "true",
    Dtypes.INT8: "1",
    Dtypes.INT64: "1",
    Dtypes.UINT64: "1",
    Dtypes.FLOAT16: "0.5",
    Dtypes.FLOAT32: "0.5",
    Dtypes.FLOAT64: "0.5",
    Dtypes.STRING: "a",
    Dtypes.BYTES: "a",
    Dtypes.CATEGORICAL: "a",
    Dtypes.TIMESTAMP: "2024-01-31T00:00:00Z",
    Dtypes.DATE: "2024-01-31",
    Dtypes.DECIMAL: "0.5",
}


def one(dtype: Dtypes, **options: Any) -> type[DataCatalog]:
    return DataCatalog.of("One", {"id": Feature(Dtypes.INT64), "x": Feature(dtype, **options)})


@pytest.fixture
def lone(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("JEYN_DATABASE_ROWS", f"sqlite:///{home.parent}/data/rows.db")
    (home.parent / "data").mkdir()
    with jeyn.open(home=home, data=home.parent / "data") as workspace:
        yield workspace


def _saved(workspace: Workspace, name: str, content: str, catalog: type[DataCatalog]) -> Any:
    path = Path(str(workspace.settings.data)) / name
    path.write_text(content)
    formula = StreamingFormula(f"f-{path.suffix[1:]}", version="1.0.0", output_catalog=catalog, source=name)
    return workspace.dataset_store.save_batch(formula.get_new_batch())


@pytest.mark.parametrize("dtype", CELLS)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_rule_34_an_empty_cell_is_refused_where_nothing_may_be_null(
    lone: Workspace, dtype: Dtypes, suffix: str
) -> None:
    content = _text(suffix, [CELLS[dtype], None])
    with pytest.raises(DataInvalid, match='feature "x" fails not_null: 1 value, first in row 1'):
        _saved(lone, f"rows.{suffix}", content, one(dtype))


@pytest.mark.parametrize("dtype", CELLS)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_rule_34_an_empty_cell_is_null_where_it_may_be(lone: Workspace, dtype: Dtypes, suffix: str) -> None:
    batch = _saved(lone, f"rows.{suffix}", _text(suffix, [CELLS[dtype], None]), one(dtype, nullable=True))
    assert batch.load().column("x").is_null().to_pylist() == [False, True]
    assert batch.statistics["x"]["nulls"] == 1


def _text(suffix: str, cells: list[str | None]) -> str:
    if suffix == "jsonl":
        return "".join(
            json.dumps({"id": at, "x": None if cell is None else _json(cell)}) + "\n" for at, cell in enumerate(cells)
        )
    between = "," if suffix == "csv" else "\t"
    return f"id{between}x\n" + "".join(f"{at}{between}{cell or ''}\n" for at, cell in enumerate(cells))


def _json(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


@pytest.mark.parametrize("dtype", [Dtypes.STRING, Dtypes.CATEGORICAL])
def test_rule_34_a_quoted_empty_text_is_a_value(lone: Workspace, dtype: Dtypes) -> None:
    batch = _saved(lone, "rows.csv", 'id,x\n1,""\n2,a\n', one(dtype))
    assert batch.load().column("x").to_pylist() == ["", "a"]


def test_rule_34_an_empty_text_of_other_sources_is_a_value(lone: Workspace) -> None:
    catalog = one(Dtypes.STRING)
    assert catalog.validate(pa.table({"id": [1], "x": [""]})).ok
    assert _saved(lone, "rows.jsonl", '{"id": 1, "x": ""}\n', catalog).load().column("x").to_pylist() == [""]


@pytest.mark.parametrize("missing", [None, NAN, pd.NA, pd.NaT], ids=["None", "NaN", "NA", "NaT"])
@pytest.mark.parametrize("dtype", [Dtypes.STRING, Dtypes.CATEGORICAL, Dtypes.INT64, Dtypes.BOOL, Dtypes.TIMESTAMP])
def test_rule_34_what_is_missing_in_a_frame_is_null(dtype: Dtypes, missing: Any) -> None:
    there = {Dtypes.INT64: 1, Dtypes.BOOL: True, Dtypes.TIMESTAMP: pd.Timestamp("2024-01-31")}.get(dtype, "a")
    frame = pd.DataFrame({"id": [1, 2], "x": pd.Series([there, missing], dtype=object)})
    found = one(dtype).validate(frame).failures
    assert [(failure.check, failure.rows) for failure in found] == [("not_null", (1,))]
    assert one(dtype, nullable=True).validate(frame).ok


@pytest.mark.parametrize("kind", ["str", "string", "category", "Int64", "boolean", "datetime64[ns]", "string[pyarrow]"])
def test_rule_34_what_is_missing_in_pandas_own_dtypes_is_null(kind: str) -> None:
    dtype, value = {
        "category": (Dtypes.CATEGORICAL, "a"),
        "Int64": (Dtypes.INT64, 1),
        "boolean": (Dtypes.BOOL, True),
        "datetime64[ns]": (Dtypes.TIMESTAMP, pd.Timestamp("2024-01-31")),
    }.get(kind, (Dtypes.STRING, "a"))
    frame = pd.DataFrame({"id": [1, 2], "x": pd.Series([value, None], dtype=kind)})
    assert [failure.rows for failure in one(dtype).validate(frame).failures] == [(1,)]
    assert one(dtype, nullable=True).validate(frame).ok


SOURCES = {
    "pandas": lambda v: pd.DataFrame({"id": [1, 2], "x": v}),
    "pandas of objects": lambda v: pd.DataFrame({"id": [1, 2], "x": pd.Series(list(v), dtype=object)}),
    "pandas by Arrow": lambda v: pd.DataFrame({"id": [1, 2], "x": pd.arrays.ArrowExtensionArray(pa.array(v))}),
    "numpy": lambda v: {"id": np.array([1, 2]), "x": v},
    "lists": lambda v: {"id": [1, 2], "x": list(v)},
    "arrow": lambda v: pa.table({"id": [1, 2], "x": pa.array(v)}),
    "polars": lambda v: pl.DataFrame({"id": [1, 2], "x": v}),
}
OPTIONS: list[tuple[dict[str, Any], bool, Any]] = [
    ({}, True, "NaN"),
    ({"nullable": True}, True, "NaN"),
    ({"nullable": True, "checks": (not_null(),)}, True, "NaN"),
    ({"nan": "null"}, False, None),
    ({"nan": "null", "nullable": True}, True, None),
    ({"nan": "null", "nullable": True, "checks": (not_null(),)}, False, None),
]


@pytest.mark.parametrize("dtype", [Dtypes.FLOAT64, Dtypes.FLOAT32, Dtypes.FLOAT16])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("options", "is_valid", "becomes"), OPTIONS)
def test_rule_34_nan_is_a_value_unless_the_catalog_says_that_it_is_null(
    source: str, dtype: Dtypes, options: dict[str, Any], is_valid: bool, becomes: Any
) -> None:
    catalog, numbers = one(dtype, **options), np.array([0.5, NAN], dtype.value)
    data = SOURCES[source](numbers)
    if dtype is not Dtypes.FLOAT64 and source in ("lists", "pandas of objects"):
        data["x"] = numbers
    if dtype is Dtypes.FLOAT16 and source == "polars":
        return  # polars has no half floats in older versions
    report = catalog.validate(data)
    assert report.ok is is_valid
    if not is_valid:
        assert [(failure.check, failure.rows) for failure in report.failures] == [("not_null", (1,))]
    found = catalog.conform(as_table(data, catalog)).column("x")
    assert (None if becomes is None else "NaN") == (None if found[1].as_py() is None else "NaN")
    assert found[0].as_py() == 0.5


def test_rule_34_nan_within_lists_is_null_too_where_the_catalog_says_so() -> None:
    catalog = one(Dtypes.FLOAT64, shape=(-1, 2), nan="null", nullable=True)
    table = pa.table({"id": [1, 2], "x": pa.array([[1.0, NAN], None], pa.list_(pa.float64(), 2))})
    assert catalog.validate(table).ok
    assert catalog.conform(table).column("x").to_pylist() == [[1.0, None], None]
    strict = one(Dtypes.FLOAT64, shape=(-1, 2), nan="null")
    assert strict.validate(table.slice(0, 1)).failures[0].check == "not_null"


def test_rule_34_files_of_a_catalog_with_nan_as_null_are_read_so(lone: Workspace) -> None:
    catalog = one(Dtypes.FLOAT64, nan="null", nullable=True)
    path = Path(str(lone.settings.data)) / "rows.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "x": [1.0, NAN, None]}), path)
    formula = StreamingFormula("f", version="1.0.0", output_catalog=catalog, source="rows.parquet")
    batch = lone.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load().column("x").to_pylist() == [1.0, None, None]
    assert batch.statistics["x"]["nulls"] == 2
    assert "nan" not in batch.statistics["x"]
    assert lone.dataset_store.get_formula("f@1.0.0").output_catalog.features["x"].nan == "null"
    table = DatasetFormula("t", version="1.0.0", output_catalog=catalog).new_table({"id": [1], "x": [NAN]})
    assert lone.dataset_store.save_batch(table).load().column("x").to_pylist() == [None]


def test_rule_34_only_a_float_can_say_what_nan_is() -> None:
    for options in ({"dtype": Dtypes.INT64, "nan": "null"}, {"dtype": Dtypes.FLOAT64, "nan": "zero"}):
        with pytest.raises(UsageError, match="nan="):
            Feature(**options)  # type: ignore[arg-type]
    assert "nan" not in Feature(Dtypes.FLOAT64).to_json()
    assert Feature.from_json(Feature(Dtypes.FLOAT64, nan="null").to_json()).nan_is_null


def test_rule_34_data_with_nan_does_not_satisfy_an_input_for_which_that_is_a_null() -> None:
    given, strict = one(Dtypes.FLOAT64), one(Dtypes.FLOAT64, nan="null")
    assert "it may hold NaN" in str(given.satisfies(strict))
    assert given.satisfies(one(Dtypes.FLOAT64, nan="null", nullable=True))
    assert strict.satisfies(given)


def _queried(workspace: Workspace, values: list[Any], feature: Feature) -> Any:
    path = Path(str(workspace.settings.data)) / "rows.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE rows (id INTEGER, x)")
        connection.executemany("INSERT INTO rows VALUES (?, ?)", list(enumerate(values)))
    catalog = DataCatalog.of("Q", {"id": Feature(Dtypes.INT64), "x": feature})
    formula = SqlFormula(
        "q", version="1.0.0", output_catalog=catalog, query="SELECT * FROM rows", watermark="id", database="rows"
    )
    return workspace.dataset_store.save_batch(formula.get_new_batch()).load().column("x").to_pylist()


@pytest.mark.parametrize("dtype", [dtype for dtype in CELLS if dtype is not Dtypes.BYTES])
def test_rule_34_a_null_of_a_database_is_refused_where_nothing_may_be_null(lone: Workspace, dtype: Dtypes) -> None:
    there = 1 if dtype.is_number or dtype in (Dtypes.BOOL, Dtypes.DECIMAL) else CELLS[dtype]
    with pytest.raises(DataInvalid, match="not_null"):
        _queried(lone, [there, None], Feature(dtype))


@pytest.mark.parametrize(
    ("feature", "values", "expected"),
    [
        (Feature(Dtypes.FLOAT64), [2**53, 0.1, 2**60], [2.0**53, 0.1, 2.0**60]),
        (Feature(Dtypes.FLOAT32), [0.1, 16777216, float("inf")], [pytest.approx(0.1), 16777216.0, float("inf")]),
        (Feature(Dtypes.INT64, nullable=True), [1, 2.0, None], [1, 2, None]),
        (Feature(Dtypes.DATE), ["2024-01-31"], [pd.Timestamp("2024-01-31").date()]),
        (Feature(Dtypes.DECIMAL, precision=5, scale=2), [0.1, "1.25", 3], ["0.10", "1.25", "3.00"]),
    ],
)
def test_numbers_of_a_database_are_exact(
    lone: Workspace, feature: Feature, values: list[Any], expected: list[Any]
) -> None:
    found = _queried(lone, values, feature)
    assert ([str(value) for value in found] if feature.dtype is Dtypes.DECIMAL else found) == expected


@pytest.mark.parametrize(
    ("feature", "value", "says"),
    [
        (Feature(Dtypes.FLOAT64), 2**53 + 1, "holds 9007199254740993, which is no float64 exactly"),
        (Feature(Dtypes.FLOAT32), 16777217, "holds 16777217, which is no float32 exactly"),
        (Feature(Dtypes.FLOAT32), 0.123456789, "holds 0.123456789, which is no float32 exactly"),
        (Feature(Dtypes.FLOAT32), 1e39, "which is no float32 exactly"),
        (Feature(Dtypes.FLOAT16), 65520, "which is no float16 exactly"),
        (Feature(Dtypes.INT64, nullable=True), 1.5, "holds 1.5, which is no int64 exactly"),
        (Feature(Dtypes.INT64), 2.0, "holds 2.0, which is no int64"),
        (Feature(Dtypes.DECIMAL, precision=5, scale=2), 0.125, "x"),
        (Feature(Dtypes.DATE), "2024-01-31T10:00:00", "which is no date exactly"),
    ],
)
def test_numbers_of_a_database_that_would_be_rounded_are_refused(
    lone: Workspace, feature: Feature, value: Any, says: str
) -> None:
    with pytest.raises(DataInvalid, match='column "x"') as caught:
        _queried(lone, [value], feature)
    assert says in str(caught.value)
