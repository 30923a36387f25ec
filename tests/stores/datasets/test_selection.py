"""`columns=` and `filter=`: the same rows whatever the format, and only what is asked for is read."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import operator
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import jeyn
from jeyn import DataCatalog, DatasetFormula, Dtypes, Feature
from jeyn.errors import UsageError
from jeyn.formulas import CompositeFormula, StreamingFormula
from jeyn.sdk.datasets.batch import DatasetBatch
from jeyn.stores.sources import columnar, formats
from jeyn.stores.workspace import Workspace

km, city = pc.field("km"), pc.field("city")


class Trips(DataCatalog):
    at = Feature(Dtypes.TIMESTAMP)
    km = Feature(Dtypes.FLOAT64, nullable=True)
    n = Feature(Dtypes.INT64)
    city = Feature(Dtypes.CATEGORICAL)
    fast = Feature(Dtypes.BOOL)
    note = Feature(Dtypes.STRING, nullable=True, optional=True)


def rows(start: int, count: int, *, note: bool = True) -> pa.Table:
    numbers = range(start, start + count)
    columns = {
        "note": [None if n % 3 else f"n{n}" for n in numbers],
        "at": pa.array([datetime(2024, 1, 1 + n % 28, tzinfo=UTC) for n in numbers], pa.timestamp("us", "UTC")),
        "km": [None if n % 7 == 0 else n / 2 for n in numbers],
        "n": list(numbers),
        "city": [("Brest", "Lyon", "Nancy")[n % 3] for n in numbers],
        "fast": [n % 2 == 0 for n in numbers],
    }
    return pa.table(columns) if note else pa.table(columns).drop_columns("note")


def as_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=10)


def as_csv(table: pa.Table, path: Path) -> None:
    pa_csv.write_csv(table, path)


def as_lines(table: pa.Table, path: Path) -> None:
    lines = [json.dumps({k: v.isoformat() if k == "at" else v for k, v in row.items()}) for row in table.to_pylist()]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def as_arrow(table: pa.Table, path: Path) -> None:
    feather.write_feather(table, path, chunksize=10)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": as_parquet,
    "csv": as_csv,
    "jsonl.gz": as_lines,
    "feather": as_arrow,
}
FILTERS: dict[str, Any] = {
    "greater": km > 20,
    "and": (km > 5) & (city == "Lyon"),
    "or": (km > 40) | (pc.field("n") == 3),
    "not": ~(km > 5),
    "unequal": km != 5,
    "null": km.is_null(),
    "is in": city.isin(["Brest", "Nancy"]),
    "time": pc.field("at") >= pa.scalar(datetime(2024, 1, 20, tzinfo=UTC)),
    "bool": pc.field("fast"),
    "optional": pc.field("note") == "n3",
    "optional null": pc.field("note").is_null(),
    "nothing": pc.field("n") < 0,
    "all": pc.field("n") >= 0,
    "conditions": [("n", ">", 5), ("city", "in", ["Lyon"])],
    "alternatives": [[("n", "<", 2)], [("km", ">=", 44.5)]],
    "negated conditions": [("km", "!=", 5.0), ("city", "not in", ["Lyon"])],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "data").mkdir()
    return jeyn.open(home=tmp_path / "home", data=tmp_path / "data")


def saved(workspace: Workspace, suffix: str = "parquet") -> DatasetBatch:
    """Three files; the optional feature is only in some."""
    for at, note in enumerate((True, False, True)):
        WRITERS[suffix](rows(30 * at, 30, note=note), Path(workspace.settings.data) / f"{at}.{suffix}")
    formula = StreamingFormula("trips", version="1.0.0", output_catalog=Trips, source=f"*.{suffix}")
    return workspace.dataset_store.save_batch(formula.get_new_batch())


def expected(batch: DatasetBatch, columns: list[str] | None, chosen: Any) -> list[dict[str, Any]]:
    """What a person would do by hand: load everything, filter, select."""
    table = batch.load()
    if isinstance(chosen, list):
        chosen = pq.filters_to_expression(chosen)
    kept = table.filter(chosen)
    return (kept.select(columns) if columns else kept).to_pylist()


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_selection_is_what_loading_all_and_choosing_by_hand_gives(workspace: Workspace, suffix: str) -> None:
    batch = saved(workspace, suffix)
    for name, chosen in FILTERS.items():
        for columns in (None, ["n"], ["km", "at", "note"]):
            wanted = expected(batch, columns, chosen)
            loaded = batch.load(columns=columns, filter=chosen)
            assert loaded.to_pylist() == wanted, (name, columns)
            pieces = list(batch.iter_batches(7, columns=columns, filter=chosen))
            assert max((piece.num_rows for piece in pieces), default=0) <= 7
            assert [tuple(row.values()) for piece in pieces for row in _filled(piece, loaded)] == [
                tuple(row.values()) for row in wanted
            ], (name, columns)


def _filled(piece: pa.RecordBatch, like: pa.Table) -> list[dict[str, Any]]:
    return [{name: row.get(name) for name in like.column_names} for row in piece.to_pylist()]


def test_columns_come_in_the_order_asked_for_in_every_shape(workspace: Workspace) -> None:
    batch, columns, chosen = saved(workspace), ["n", "fast", "km"], [("n", "<", 4)]
    assert batch.load(columns=columns).column_names == columns
    assert batch.load(columns=tuple(columns)).column_names == columns
    assert [piece.schema.names for piece in batch.iter_batches(40, columns=columns)] == [columns] * 3
    assert list(batch.to_pandas(columns=columns, filter=chosen)) == columns
    assert batch.to_polars(columns=columns, filter=chosen).columns == columns
    numpy = batch.to_numpy(columns=columns, filter=chosen)
    assert list(numpy) == columns
    assert numpy["n"].tolist() == [0, 1, 2, 3]
    torch = batch.to_torch(columns=["n"], filter=chosen)
    assert {name: tensor.tolist() for name, tensor in torch.items()} == {"n": [0, 1, 2, 3]}


def test_a_feature_asked_for_by_name_is_there_although_no_file_has_it(workspace: Workspace) -> None:
    as_parquet(rows(0, 12, note=False), Path(workspace.settings.data) / "1.parquet")
    formula = StreamingFormula("trips", version="1.0.0", output_catalog=Trips, source="*.parquet")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load(columns=["note"]).to_pydict() == {"note": [None] * 12}
    assert batch.load(columns=["note"], filter=pc.field("note").is_null()).num_rows == 12
    assert batch.load(columns=["n"], filter=pc.field("note") == "n3").num_rows == 0
    assert sum(piece.num_rows for piece in batch.iter_batches(5, columns=["note"])) == 12


def test_an_empty_selection_has_the_columns_and_types_all_the_same(workspace: Workspace) -> None:
    batch = saved(workspace)
    empty = batch.load(columns=["km", "at"], filter=[("n", ">", 1000)])
    assert empty.schema.equals(batch.load(columns=["km", "at"]).schema)
    assert empty.num_rows == 0
    assert list(batch.iter_batches(columns=["km"], filter=[("n", ">", 1000)])) == []


@pytest.mark.parametrize("large", [True, False])
def test_row_groups_that_cannot_match_are_not_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(columnar, "_LARGE", 0 if large else 1 << 40)
    batch = saved(workspace)
    assert batch.load(columns=["n"], filter=[("n", "==", 45)]).to_pydict() == {"n": [45]}
    sizes: list[int] = []
    fitting = formats._File.fitting
    monkeypatch.setattr(
        formats._File, "fitting", lambda self, table, row: (sizes.append(table.num_rows), fitting(self, table, row))[1]
    )
    for read in (batch.load, lambda **options: list(batch.iter_batches(100, **options))):
        sizes.clear()
        read(columns=["n"], filter=[("n", "==", 45)])
        assert sum(sizes) == 10, "one row group of ten rows"


def test_columns_that_are_not_asked_for_are_not_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    fitting = formats._File.fitting
    monkeypatch.setattr(
        formats._File,
        "fitting",
        lambda self, table, row: (seen.update(table.column_names), fitting(self, table, row))[1],
    )
    for suffix in WRITERS:
        batch = saved(workspace, suffix) if suffix == "parquet" else _other(workspace, suffix)
        seen.clear()
        batch.load(columns=["n"], filter=[("km", ">", 3)])
        list(batch.iter_batches(5, columns=["n"], filter=[("km", ">", 3)]))
        assert seen == {"n", "km"}, suffix


def _other(workspace: Workspace, suffix: str) -> DatasetBatch:
    WRITERS[suffix](rows(0, 30), Path(workspace.settings.data) / f"1.{suffix}")
    formula = StreamingFormula(f"trips-{suffix[:3]}", version="1.0.0", output_catalog=Trips, source=f"*.{suffix}")
    return workspace.dataset_store.save_batch(formula.get_new_batch())


class Real(DataCatalog):
    x = Feature(Dtypes.FLOAT64)
    half = Feature(Dtypes.FLOAT16)


def test_statistics_of_files_know_nothing_of_nan(workspace: Workspace) -> None:
    """A row group whose numbers are all 6 may hold a NaN, which is not 6, and not above 5."""
    table = pa.table({"x": [6.0, float("nan"), 1.0, 2.0], "half": pa.array([1, 2, 3, float("nan")], pa.float16())})
    pq.write_table(table, Path(workspace.settings.data) / "1.parquet", row_group_size=2)
    formula = StreamingFormula("real", version="1.0.0", output_catalog=Real, source="*.parquet")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    x, half = pc.field("x"), pc.field("half")
    for chosen, wanted in (
        (~(x > 5), ["nan", 1, 2]),
        (x != 6, ["nan", 1, 2]),
        ([("x", "!=", 6)], ["nan", 1, 2]),
        (x.is_nan(), ["nan"]),
        (x > 5, [6]),
        ([("x", ">", 5)], [6]),
        (half > 1.5, ["nan", 1]),
        ([("half", "<=", 2)], [6, "nan"]),
        (~(half > 1.5), [6, 2]),
    ):
        assert ["nan" if value != value else value for value in _x(batch, chosen)] == wanted, chosen


def _x(batch: DatasetBatch, chosen: Any) -> list[float]:
    found: list[float] = batch.load(columns=["x"], filter=chosen).column("x").to_pylist()
    streamed = [value for piece in batch.iter_batches(2, columns=["x"], filter=chosen) for value in piece.column("x")]
    assert repr([value.as_py() for value in streamed]) == repr(found)
    return found


class Wide(DataCatalog):
    n = Feature(Dtypes.INT64)
    city = Feature(Dtypes.STRING)


class Narrow(DataCatalog):
    n = Feature(Dtypes.INT32)
    city = Feature(Dtypes.STRING)
    more = Feature(Dtypes.FLOAT32)


def test_a_file_with_narrower_types_gives_the_same_rows(workspace: Workspace) -> None:
    """The statistics of an INT32 column say nothing in the terms of an INT64 filter."""
    table = pa.table({"n": pa.array(range(30), pa.int32()), "city": pa.array(["a", "b", "c"] * 10).dictionary_encode()})
    pq.write_table(table, Path(workspace.settings.data) / "1.parquet", row_group_size=5)
    formula = StreamingFormula("wide", version="1.0.0", output_catalog=Wide, source="*.parquet")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load(columns=["n"], filter=pc.field("n") > 2**40).num_rows == 0
    assert batch.load(columns=["n"], filter=pc.field("n") > 27)["n"].to_pylist() == [28, 29]
    assert batch.load(columns=["n"], filter=[("city", "==", "b"), ("n", "<", 5)])["n"].to_pylist() == [1, 4]


def test_the_parts_of_a_union_are_selected_from(workspace: Workspace) -> None:
    store = workspace.dataset_store
    for name, catalog, start in (("wide", Wide, 0), ("narrow", Narrow, 10)):
        columns = {"n": np.arange(start, start + 10), "city": ["a", "b"] * 5, "more": np.ones(10, np.float32)}
        made = DatasetFormula(name, version="1.0.0", output_catalog=catalog)
        if catalog is Narrow:
            columns["n"] = columns["n"].astype(np.int32)  # type: ignore[union-attr]
        store.save_batch(made.new_table({name: columns[name] for name in catalog.features}))
    both = CompositeFormula("both", version="1.0.0", output_catalog=Wide, formulas=["wide@^1", "narrow@^1"])
    batch = store.save_batch(both.get_new_batch())
    assert batch.load(columns=["n"]).to_pydict() == {"n": list(range(20))}
    for chosen in ([("n", ">", 7), ("city", "==", "a")], (pc.field("n") > 7) & (pc.field("city") == "a")):
        assert batch.load(columns=["n"], filter=chosen)["n"].to_pylist() == [8, 10, 12, 14, 16, 18]
        pieces = batch.iter_batches(3, columns=["n"], filter=chosen)
        assert [n for piece in pieces for n in piece["n"].to_pylist()] == [8, 10, 12, 14, 16, 18]


def test_a_table_that_is_not_saved_yet_is_selected_from_as_well(workspace: Workspace) -> None:
    unsaved = DatasetFormula("trips", version="1.0.0", output_catalog=Trips).new_table(rows(0, 10))
    assert unsaved.load(columns=["n"], filter=[("n", ">", 7)]).to_pydict() == {"n": [8, 9]}
    assert unsaved.to_numpy(columns=["n"])["n"].tolist() == list(range(10))
    with workspace.attempt() as attempt:
        staged = attempt.dataset_store.save_batch(unsaved)
        assert staged.load(columns=["n"], filter=[("n", ">", 7)]).to_pydict() == {"n": [8, 9]}


def test_an_object_has_no_columns_to_choose_from(workspace: Workspace) -> None:
    generic = DatasetFormula("things", version="1.0.0", output_catalog=Trips).new_object(np.arange(3))
    batch = workspace.dataset_store.save_batch(generic)
    assert batch.load().tolist() == [0, 1, 2]
    for ask in (batch.load, batch.to_pandas, batch.to_numpy, batch.iter_batches, generic.load):
        with pytest.raises(UsageError, match="no rows"):
            ask(columns=["n"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["kms"]}, r'"trips" has no feature "kms"\n.*did you mean "km"\?'),
        ({"columns": ["zzz"]}, r'has no feature "zzz"\n.*its features: .*km'),
        ({"columns": ["km", "n", "km"]}, r'columns names "km" twice'),
        ({"columns": "km"}, r"columns is 'km'\n.*columns=\[\"km\"\]"),
        ({"columns": []}, r"columns is \[\]"),
        ({"columns": [1]}, r"columns is \[1\]"),
        ({"filter": pc.field("nota") == "x"}, r'has no feature "nota"\n.*did you mean "note"\?'),
        ({"filter": [("kn", ">", 1)]}, r'has no feature "kn"'),
        ({"columns": ["n"], "filter": [("citi", "==", "x")]}, r'did you mean "city"\?'),
        ({"filter": pc.field(0) > 1}, "does not fit"),
        ({"filter": km}, "does not fit.*bool"),
        ({"filter": km > "a"}, "does not fit"),
        ({"filter": [("at", ">", "2024-01-01")]}, "does not fit"),
        ({"filter": "km > 1"}, "is no filter"),
        ({"filter": lambda row: True}, "is no filter"),
        ({"filter": True}, "is no filter"),
        ({"filter": []}, "is no filter"),
        ({"filter": [("km", "~", 1)]}, "is no filter"),
        ({"filter": [("km", ">")]}, "is no filter"),
        ({"filter": [("km", "==", None)]}, "is_null"),
    ],
)
def test_what_cannot_be_selected_is_said_before_anything_is_read(
    workspace: Workspace, options: dict[str, Any], said: str
) -> None:
    batch = saved(workspace)
    for path in (Path(workspace.settings.home) / "payloads").rglob("sha256/*/*"):
        path.unlink()
    for ask in (batch.load, batch.iter_batches, batch.to_pandas, batch.to_numpy):
        with pytest.raises(UsageError, match=rf"(?s){said}"):
            ask(**options)


def test_times_and_days_in_conditions_are_utc(workspace: Workspace) -> None:
    batch = saved(workspace)
    wanted = batch.load(columns=["n"], filter=pc.field("at") >= pa.scalar(datetime(2024, 1, 20, tzinfo=UTC)))
    assert wanted.num_rows
    for moment in (datetime(2024, 1, 20), date(2024, 1, 20), datetime(2024, 1, 20, tzinfo=UTC)):
        assert batch.load(columns=["n"], filter=[("at", ">=", moment)]).equals(wanted)
    assert batch.load(columns=["n"], filter=[("at", "in", [date(2024, 1, 1)])])["n"].to_pylist() == [0, 28, 56, 84]
    with pytest.raises(UsageError, match="below a microsecond"):
        batch.load(filter=[("at", ">", pd.Timestamp("2024-01-20 00:00:00.000000001"))])


def test_days_are_chosen_by_midnights_only(workspace: Workspace) -> None:
    catalog = DataCatalog.of("Day", {"d": Feature(Dtypes.DATE)})
    formula = DatasetFormula("days", version="1.0.0", output_catalog=catalog)
    table = pa.table({"d": [date(2024, 1, 20), date(2024, 1, 21)]})
    batch = workspace.dataset_store.save_batch(formula.new_table(table))

    def chosen(sign: str, value: Any) -> list[int]:
        return [day.day for day in batch.load(filter=[("d", sign, value)])["d"].to_pylist()]

    noon = datetime(2024, 1, 20, 12)
    assert chosen("in", [noon]) == chosen("==", noon) == []
    assert chosen("not in", [noon]) == chosen("in", [datetime(2024, 1, 20), date(2024, 1, 21)]) == [20, 21]
    assert chosen("in", [datetime(2024, 1, 20, 1, tzinfo=timezone(timedelta(hours=1)))]) == chosen("<", noon) == [20]
    with pytest.raises(UsageError, match="no filter"):
        chosen("in", ["2024-01-20"])


class Days(DataCatalog):
    day = Feature(Dtypes.DATE)
    price = Feature(Dtypes.DECIMAL)
    n = Feature(Dtypes.INT64, nullable=True)


def test_days_decimals_and_integers_with_gaps_can_be_chosen_by(workspace: Workspace) -> None:
    days, prices = [date(2024, 1, n) for n in (1, 2, 3)], [Decimal("0.10"), Decimal("2.50"), Decimal("10.00")]
    columns = {"day": pa.array(days), "price": pa.array(prices, pa.decimal128(10, 2)), "n": [1.0, None, 2.0**53]}
    pq.write_table(pa.table(columns), Path(workspace.settings.data) / "1.parquet", row_group_size=1)
    formula = StreamingFormula("days", version="1.0.0", output_catalog=Days, source="*.parquet")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    for chosen, wanted in (
        ([("day", ">=", date(2024, 1, 2))], days[1:]),
        ([("day", "in", [date(2024, 1, 3)])], days[2:]),
        (pc.field("price") > Decimal("2.49"), days[1:]),
        ([("price", "==", Decimal("0.1"))], days[:1]),
        ([("n", "==", 2**53)], days[2:]),
        ([("n", "<", 5)], days[:1]),
    ):
        assert batch.load(columns=["day"], filter=chosen)["day"].to_pylist() == wanted, chosen


class Dated(DataCatalog):
    n = Feature(Dtypes.INT64)
    year = Feature(Dtypes.INT64)


@pytest.mark.filterwarnings("ignore::jeyn.errors.DataLeftOut")  # the other columns of the files
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl.gz"])
def test_what_the_folders_say_can_be_chosen_by_and_asked_for(workspace: Workspace, suffix: str) -> None:
    for year in (2023, 2024):
        folder = Path(workspace.settings.data) / f"year={year}"
        folder.mkdir()
        WRITERS[suffix](rows(year, 20), folder / f"1.{suffix}")
    formula = StreamingFormula("dated", version="1.0.0", output_catalog=Dated, source=f"*/*.{suffix}")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert batch.load(columns=["year"])["year"].to_pylist() == [2023] * 20 + [2024] * 20
    for chosen in ([("year", "==", 2024), ("n", "<", 2026)], (pc.field("year") == 2024) & (pc.field("n") < 2026)):
        assert batch.load(columns=["n"], filter=chosen)["n"].to_pylist() == [2024, 2025]
        assert sum(piece.num_rows for piece in batch.iter_batches(3, columns=["year"], filter=chosen)) == 2


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
LITERALS = [-1.5, 1.5, 2.0, np.float32(1.5), np.int64(2), 2**53 + 1, float(2**53 + 1), 1e300, Decimal("1.5")]
LITERALS += [math.inf, -math.inf, 2**63, 2**64, 2**64 - 1, -(2**63), -(2**63) - 1]


def test_integers_are_compared_exactly_with_any_number(workspace: Workspace) -> None:
    values = {
        "i": [-(2**63), -5, 0, 1, 2, 2**24 + 1, 2**53 + 1, 2**63 - 1, None],
        "u": [0, 1, 2, 2**53 + 1, 2**63, 2**63 + 1, 2**64 - 1, 7, None],
    }
    catalog = DataCatalog.of(
        "Whole", {"i": Feature(Dtypes.INT64, nullable=True), "u": Feature(Dtypes.UINT64, nullable=True)}
    )
    table = pa.table({"i": values["i"], "u": pa.array(values["u"], pa.uint64())})
    pq.write_table(table, Path(workspace.settings.data) / "a.parquet")
    formula = StreamingFormula("whole", version="1.0.0", output_catalog=catalog, source="*.parquet")
    batch = workspace.dataset_store.save_batch(formula.get_new_batch())
    assert (batch.statistics["i"]["min"], batch.statistics["i"]["max"]) == (-(2**63), 2**63 - 1)
    assert batch.statistics["u"]["max"] == 2**64 - 1
    for name, numbers in values.items():
        for sign, literal in itertools.product(OPERATORS, LITERALS):
            expected = [each for each in numbers if each is not None and OPERATORS[sign](each, literal)]
            found = batch.load(columns=[name], filter=[(name, sign, literal)]).column(name).to_pylist()
            assert found == expected, (name, sign, literal)
    chosen = batch.load(columns=["i"], filter=[("i", "in", [1, 1.5, 2**53 + 1, 2**80])])
    assert chosen.column("i").to_pylist() == [1, 2**53 + 1]
    with pytest.raises(UsageError, match="does not fit a value") as caught:
        batch.load(filter=pc.field("i") > 1.5)
    assert "conditions" in str(caught.value.hint)
